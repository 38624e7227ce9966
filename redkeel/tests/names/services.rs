//! The servers are those that SRV records name.

use testkit::{DnsServer, RedisServer, Service, bulk, eventually, simple};

use crate::proxy;
use crate::scene::{SOON, ready, replicated};

const SERVICE: &str = "_redis._tcp.test";
const HOST: &str = "host.test";

fn service(server: &RedisServer, priority: u16) -> Service {
    Service { priority, port: server.port(), target: HOST.to_owned() }
}

fn gets(server: &RedisServer) -> u64 {
    let stats = server.info("commandstats");
    let calls = stats.get("cmdstat_get").and_then(|stat| stat.split(['=', ',']).nth(1));
    calls.and_then(|calls| calls.parse().ok()).unwrap_or(0)
}

#[test]
fn the_targets_are_the_nodes_and_those_of_lower_priority_are_backups() {
    let nodes = replicated(2);
    let dns = DnsServer::start();
    dns.set(HOST, &["127.0.0.1".parse().unwrap()], 1);
    let (first, last) = (10, 20);
    let of = |priorities: [u16; 3]| -> Vec<Service> {
        nodes.iter().zip(priorities).map(|(node, priority)| service(node, priority)).collect()
    };
    dns.set_services(SERVICE, &of([first, first, last]), 1);
    let redkeel = ready(proxy(&dns, &[format!("srv:{SERVICE}")], ""));
    let mut client = redkeel.client();
    assert_eq!(client.command(["SET", "key", "value"]), simple("OK"));
    eventually(SOON, "the value at the replica", || {
        client.command(["GET", "key"]) == bulk("value")
    });
    for _ in 0..50 {
        assert_eq!(client.command(["GET", "key"]), bulk("value"));
    }
    assert_eq!((gets(&nodes[0]), gets(&nodes[2])), (0, 0));
    // The other way round, and then without the first.
    dns.set_services(SERVICE, &of([first, last, first]), 1);
    eventually(SOON, "reads on the other replica", || {
        assert_eq!(client.command(["GET", "key"]), bulk("value"));
        gets(&nodes[2]) > 0
    });
    dns.set_services(SERVICE, &of([first, first, first])[..2], 1);
    redkeel.wait_until(SOON, "two nodes", |status| {
        status["pools"][0]["nodes"].as_array().unwrap().len() == 2
    });
    let before = gets(&nodes[2]);
    for _ in 0..50 {
        assert_eq!(client.command(["GET", "key"]), bulk("value"));
    }
    assert_eq!(gets(&nodes[2]), before);
}

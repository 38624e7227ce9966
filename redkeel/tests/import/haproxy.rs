//! Files of HAProxy.

use testkit::{Client, RedisServer, Redkeel, Value, bulk, error_text, simple};

use crate::scene::{SOON, expecting, replicated};
use crate::{imported, with_addresses};

const ONE_PRIMARY: &str = include_str!("../../../import/tests/fixtures/haproxy/one-primary.cfg");
const READ_ONLY: &str = include_str!("../../../import/tests/fixtures/haproxy/read-only.cfg");

/// Where the system has fewer file descriptors than so many clients need.
const LIMITS: &str = "file descriptors";

/// How often a command was called on a node.
fn calls(node: &RedisServer, command: &str) -> u64 {
    let stats = node.info("commandstats");
    let line = stats.get(&format!("cmdstat_{command}"));
    let calls = line.and_then(|line| line.strip_prefix("calls=")?.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}

fn wait_readable(redkeel: &Redkeel) {
    redkeel.wait_until(SOON, "all nodes to take reads", |status| {
        let pools = status["pools"].as_array().unwrap();
        let mut nodes = pools.iter().flat_map(|pool| pool["nodes"].as_array().unwrap());
        nodes.all(|node| node["readable"] == true)
    });
}

#[test]
fn one_address_leads_to_whichever_node_is_the_primary() {
    let mut nodes = replicated(2);
    let text = with_addresses(
        ONE_PRIMARY,
        [
            ("10.0.0.9:6379", "127.0.0.1:0".to_owned()),
            ("10.0.0.1:6379", nodes[0].address().to_string()),
            ("10.0.0.2:6379", nodes[1].address().to_string()),
            ("10.0.0.3:6379", nodes[2].address().to_string()),
        ],
    );
    let warnings = [" is down: ", "writes are held", "may be lost", LIMITS];
    let redkeel = expecting(imported("haproxy", "haproxy.cfg", &text), &warnings).start();
    wait_readable(&redkeel);
    let mut client = redkeel.client();
    assert_eq!(client.command(["SET", "key", "one"]), simple("OK"));
    assert_eq!(client.command(["GET", "key"]), bulk("one"));
    assert_eq!((calls(&nodes[0], "set"), calls(&nodes[0], "get")), (1, 1));
    nodes[0].wait_caught_up(&nodes[1]);
    nodes[0].kill9();
    let promoted = nodes[1].client().command(["REPLICAOF", "NO", "ONE"]);
    assert_eq!(promoted, simple("OK"));
    // HAProxy cuts the connection and clients come back; here the same connection goes on.
    assert_eq!(client.command(["SET", "key", "two"]), simple("OK"));
    assert_eq!(client.command(["GET", "key"]), bulk("two"));
    assert_eq!(nodes[1].client().command(["GET", "key"]), bulk("two"));
}

#[test]
fn a_read_only_address_for_each_shard() {
    let (first, second) = (replicated(2), replicated(2));
    let text = with_addresses(
        READ_ONLY,
        [
            ("*:6401", "127.0.0.1:0".to_owned()),
            ("*:6402", "127.0.0.1:0".to_owned()),
            ("10.0.1.2:6379", first[1].address().to_string()),
            ("10.0.1.3:6379", first[2].address().to_string()),
            ("10.0.2.2:6379", second[1].address().to_string()),
            ("10.0.2.3:6379", second[2].address().to_string()),
            ("10.0.2.1:6379", second[0].address().to_string()),
        ],
    );
    let builder = imported("haproxy", "haproxy.cfg", &text).listeners(2);
    let warnings = ["there is no primary: no node says that it is master", LIMITS];
    let redkeel = expecting(builder, &warnings).start();
    wait_readable(&redkeel);
    for (pool, nodes) in [("shard1-readonly", &first), ("shard2-readonly", &second)] {
        let mut primary = nodes[0].client();
        assert_eq!(primary.command(["SET", "key", pool]), simple("OK"));
        assert_eq!(primary.command(["WAIT", "2", "0"]), Value::Integer(2));
        let mut client = Client::connect(redkeel.address_in(pool, "read"));
        for _ in 0..60 {
            assert_eq!(client.command(["GET", "key"]), bulk(pool));
        }
        let refused = client.command(["SET", "key", "x"]);
        assert!(
            error_text(&refused).is_some_and(|text| text.starts_with("READONLY ")),
            "{refused:?}"
        );
        let shares: Vec<u64> = nodes.iter().map(|node| calls(node, "get")).collect();
        assert!(shares[0] == 0 && shares[1] >= 10 && shares[2] >= 10, "{pool}: {shares:?}");
    }
}

#[test]
fn a_port_for_writes_and_one_for_reads_are_one_pool() {
    let nodes = replicated(2);
    let servers: String = nodes
        .iter()
        .enumerate()
        .map(|(number, node)| format!("    server redis{number} {} check\n", node.address()))
        .collect();
    let listen = |name: &str, role: &str| {
        format!(
            "listen {name}\n    bind 127.0.0.1:0\n    option tcp-check\n    tcp-check send info\\ replication\\r\\n\n    \
             tcp-check expect string role:{role}\n{servers}"
        )
    };
    let text = format!(
        "defaults\n    mode tcp\n{}{}",
        listen("writes", "master"),
        listen("reads", "slave")
    );
    let builder = imported("haproxy", "haproxy.cfg", &text).listeners(2);
    let redkeel = expecting(builder, &[LIMITS]).start();
    wait_readable(&redkeel);
    let mut writer = Client::connect(redkeel.address_in("writes", "write"));
    assert_eq!(writer.command(["SET", "key", "value"]), simple("OK"));
    assert_eq!(writer.command(["WAIT", "2", "0"]), Value::Integer(2));
    let mut reader = Client::connect(redkeel.address_in("writes", "read"));
    for _ in 0..20 {
        assert_eq!(reader.command(["GET", "key"]), bulk("value"));
    }
    assert_eq!((calls(&nodes[0], "set"), calls(&nodes[0], "get")), (1, 0));
}

//! A name's addresses change.

use std::net::IpAddr;
use std::time::Duration;

use testkit::{DnsServer, Load, RedisServer, Value, audit, bulk, eventually, simple};

use crate::scene::{SOON, expecting, ready, replicated};
use crate::{NAME, connections_at, proxy};

const OLD: &str = "127.0.0.1";
const NEW: &str = "127.0.0.2";

fn ips(of: &[&str]) -> Vec<IpAddr> {
    of.iter().map(|ip| ip.parse().unwrap()).collect()
}

/// A server that listens at both addresses, as one that is moved does for a while.
fn at_both() -> RedisServer {
    RedisServer::builder().option("bind", &format!("{OLD} {NEW}")).start()
}

#[test]
fn a_primary_moves_to_another_address_under_load_and_the_old_one_is_drained() {
    let server = at_both();
    let dns = DnsServer::start();
    dns.set(NAME, &ips(&[OLD]), 1);
    let builder = proxy(&dns, &[format!("{NAME}:{}", server.port())], "");
    // Until the new address has answered a probe.
    let redkeel = ready(expecting(builder, &["writes are held"]));
    let load = Load::builder(redkeel.address())
        .readers(20)
        .writers(10)
        .keys(200)
        .pause(Duration::from_millis(1))
        .fill(&mut server.client(), 0)
        .start();
    let mut subscriber = redkeel.client();
    subscriber.command(["SUBSCRIBE", "news"]);
    eventually(SOON, "load", || load.reads().ok > 500 && load.writes().ok > 200);
    for (from, to) in [(OLD, NEW), (NEW, OLD), (OLD, NEW)] {
        dns.set(NAME, &ips(&[to]), 1);
        eventually(SOON, "clients at the new address", || connections_at(&server, to) > 1);
        // The one that asks is at the server's first address.
        let asking = usize::from(from == OLD);
        eventually(SOON, "nobody at the old address", || connections_at(&server, from) == asking);
        let (reads, writes) = (load.reads().ok, load.writes().ok);
        eventually(SOON, "load", || {
            load.reads().ok > reads + 500 && load.writes().ok > writes + 200
        });
    }
    let report = load.stop();
    assert_eq!(report.reads.errors_total(), 0, "{:?}", report.reads.errors);
    assert_eq!(report.writes.errors_total(), 0, "{:?}", report.writes.errors);
    assert!(report.reads.wrong.is_empty(), "{:?}", report.reads.wrong);
    let audit = audit(&report.journal, &mut server.client());
    assert_eq!(audit.lost(), 0, "{audit:?}");
    let mut publisher = redkeel.client();
    eventually(SOON, "the subscriber at the new address", || {
        publisher.command(["PUBLISH", "news", "x"]) == Value::Integer(1)
    });
}

#[test]
fn a_name_stands_for_all_its_addresses_and_a_new_one_is_used() {
    let server = at_both();
    let dns = DnsServer::start();
    dns.set(NAME, &ips(&[OLD, NEW]), 1);
    let redkeel = proxy(&dns, &[format!("{NAME}:{}", server.port())], "").start();
    redkeel.wait_until(SOON, "both addresses", |status| {
        let nodes = status["pools"][0]["nodes"].as_array().unwrap();
        nodes.len() == 2 && nodes.iter().all(|node| node["health"] == "up")
    });
    let mut client = redkeel.client();
    assert_eq!(client.command(["SET", "key", "value"]), simple("OK"));
    dns.set(NAME, &ips(&[NEW]), 1);
    redkeel.wait_until(SOON, "one address", |status| {
        status["pools"][0]["nodes"].as_array().unwrap().len() == 1
    });
    assert_eq!(client.command(["GET", "key"]), bulk("value"));
}

#[test]
fn an_answer_is_used_as_long_as_it_says() {
    let server = at_both();
    let dns = DnsServer::start();
    dns.set(NAME, &ips(&[OLD]), 3600);
    dns.set("short.test", &ips(&[NEW]), 1);
    let servers = [format!("{NAME}:{}", server.port()), format!("short.test:{}", server.port())];
    let redkeel = proxy(&dns, &servers, "").start();
    redkeel.wait_until(SOON, "both addresses", |status| {
        let nodes = status["pools"][0]["nodes"].as_array().unwrap();
        nodes.len() == 2 && nodes.iter().all(|node| node["health"] == "up")
    });
    eventually(SOON, "lookups of the name that lasts a second", || dns.questions("short.test") > 3);
    assert_eq!(dns.questions(NAME), 1);
}

#[test]
fn another_process_at_a_known_address_gets_nothing() {
    let mut nodes = replicated(1);
    let dns = DnsServer::start();
    dns.set(NAME, &ips(&[OLD]), 1);
    let servers = [format!("{NAME}:{}", nodes[0].port()), nodes[1].address().to_string()];
    let builder = proxy(&dns, &servers, "reads = \"any\"\ntimeouts.hold = \"1s\"");
    let expected = ["is down", "writes are held", "fenced", "unclear"];
    let redkeel = ready(expecting(builder, &expected));
    let mut client = redkeel.client();
    assert_eq!(client.command(["SET", "key", "value"]), simple("OK"));
    nodes[0].wait_caught_up(&nodes[1]);
    // The replica stays as it is: only the primary's address goes to somebody else, who says master too.
    nodes[1].cli(["REPLICAOF", "127.0.0.1", "1"]);
    nodes[0].restart_empty();
    redkeel.wait_until(SOON, "the other process to be found out", |status| {
        let node = &status["pools"][0]["nodes"][0];
        node["health"] == "up"
            && node["readable"] == false
            && status["pools"][0]["primary"].is_null()
    });
    for _ in 0..20 {
        assert_eq!(client.command(["GET", "key"]), bulk("value"));
    }
    let refused = client.command(["SET", "key", "other"]);
    assert!(
        matches!(&refused, Value::Error(text) if text.starts_with(b"NOPRIMARY")),
        "{refused:?}"
    );
    let stats = nodes[0].info("commandstats");
    assert!(!stats.contains_key("cmdstat_set") && !stats.contains_key("cmdstat_get"), "{stats:?}");
}

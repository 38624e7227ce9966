//! Servers that say master and must not be believed.

use std::time::Duration;

use testkit::{Load, RedisServer, Redkeel, Signal, audit, eventually, simple};

use crate::common::{
    DOWN, HELD, SOON, assert_no_read_failed, calls, expecting, proxy, ready, wait_for_answers,
    wait_for_health,
};

const FENCED: &str = "says it is a primary and is fenced off";
const UNCLEAR: &str = "writes are held, the primary is unclear";

/// A primary and replicas that were told at run time: nothing of it stands in their configuration.
fn told(replicas: usize) -> Vec<RedisServer> {
    let nodes: Vec<RedisServer> = (0..=replicas).map(|_| RedisServer::start()).collect();
    let port = nodes[0].port().to_string();
    for replica in &nodes[1..] {
        assert_eq!(replica.cli(["REPLICAOF", nodes[0].host(), &port]), simple("OK"));
    }
    nodes[0].wait_for_replicas(replicas);
    for replica in &nodes[1..] {
        replica.wait_link_up();
    }
    nodes
}

fn load(redkeel: &Redkeel, nodes: &[RedisServer]) -> Load {
    let load = Load::builder(redkeel.address())
        .readers(10)
        .writers(5)
        .keys(50)
        .pause(Duration::from_millis(2))
        .fill(&mut nodes[0].client(), nodes.len() - 1)
        .start();
    wait_for_answers(&load, 500, 200);
    load
}

/// A replica that nobody wrote down as one starts again with its RDB: it says master, and that its data continues the
/// primary's.
#[test]
fn a_replica_that_starts_again_as_a_master_gets_no_write() {
    let mut nodes = told(2);
    let redkeel = ready(expecting(proxy(&nodes, ""), &[DOWN, FENCED]));
    let load = load(&redkeel, &nodes);
    assert_eq!(nodes[1].cli(["SAVE"]), simple("OK"));
    nodes[1].kill9();
    wait_for_health(&redkeel, nodes[1].address(), "down");
    nodes[1].restart();
    assert_ne!(nodes[1].info("replication")["master_replid2"].trim_matches('0'), "");
    wait_for_health(&redkeel, nodes[1].address(), "up");
    redkeel.wait_until(SOON, "it to be seen", |status| {
        crate::common::node(status, nodes[1].address())["role"] == "primary"
    });
    wait_for_answers(&load, 500, 500);
    assert_eq!((calls(&nodes[1], "set"), calls(&nodes[1], "get")), (0, 0));
    let report = load.stop();
    assert_no_read_failed(&report);
    assert_eq!(report.writes.errors_total(), 0, "{:?}", report.writes.errors);
    assert_eq!(audit(&report.journal, &mut nodes[0].client()).lost(), 0);
    assert!(redkeel.log().contains(FENCED), "{}", redkeel.log());
}

/// Two replicas of a dead primary are both promoted: neither gets a write before one of them follows the other.
#[test]
fn of_two_siblings_none_gets_writes() {
    let mut nodes = told(2);
    let settings = "timeouts.hold = \"1s\"";
    let quiet = [DOWN, HELD, FENCED, UNCLEAR, "may be lost"];
    let mut redkeel = ready(expecting(proxy(&nodes, settings), &quiet));
    let load = load(&redkeel, &nodes);
    nodes[0].kill9();
    wait_for_health(&redkeel, nodes[0].address(), "down");
    let before = [calls(&nodes[1], "set"), calls(&nodes[2], "set")];
    // Both promotions are over when it looks again.
    redkeel.signal(Signal::STOP);
    for node in &nodes[1..] {
        assert_eq!(node.cli(["REPLICAOF", "NO", "ONE"]), simple("OK"));
    }
    redkeel.signal(Signal::CONT);
    eventually(SOON, "both to be seen", || redkeel.log().contains("were each promoted from"));
    let refused = load.writes().errors_total();
    eventually(SOON, "writes to be refused", || load.writes().errors_total() >= refused + 20);
    wait_for_answers(&load, 500, 0);
    assert_eq!([calls(&nodes[1], "set"), calls(&nodes[2], "set")], before);
    let port = nodes[1].port().to_string();
    assert_eq!(nodes[2].cli(["REPLICAOF", nodes[1].host(), &port]), simple("OK"));
    wait_for_answers(&load, 500, 200);
    assert_no_read_failed(&load.stop());
}

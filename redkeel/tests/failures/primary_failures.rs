//! Sentinel promotes a replica while clients read and write.

use std::collections::BTreeMap;
use std::time::Duration;

use testkit::{Client, Load, LoadReport, RedisServer, Redkeel, Sentinels, audit, bulk, eventually};

use crate::common::{
    DOWN, FENCED, HELD, LONGEST_READ, LOSS, SOON, calls, expecting, node, proxy, ready, replicated,
    wait_down, wait_for_primary, wait_for_reads, wait_for_writes, wait_readable,
};

const READERS: usize = 20;
const WRITERS: usize = 10;

/// Readers, and writers of which half ask `WAIT 1` for every write.
fn load(redkeel: &Redkeel, nodes: &[RedisServer]) -> Load {
    let load = Load::builder(redkeel.address())
        .readers(READERS)
        .writers(WRITERS / 2)
        .confirming_writers(WRITERS / 2)
        .keys(200)
        .pause(Duration::from_millis(2))
        .fill(&mut nodes[0].client(), nodes.len() - 1)
        .start();
    wait_for_reads(&load, 1000);
    wait_for_writes(&load, 500);
    load
}

fn assert_unharmed(report: &LoadReport, primary: &RedisServer) {
    assert_eq!(report.reads.errors, BTreeMap::new());
    assert!(report.reads.wrong.is_empty(), "{:?}", report.reads.wrong);
    assert!(report.reads.longest <= LONGEST_READ, "{:?}", report.reads.longest);
    // A writer has one command in flight: no more than that can have been on the lost connection.
    let unknown = report.writes.errors.get("OUTCOMEUNKNOWN").copied().unwrap_or(0);
    assert_eq!(report.writes.errors_total(), unknown, "{:?}", report.writes.errors);
    assert!(unknown <= WRITERS as u64, "{unknown}");
    assert!(report.writes.wrong.is_empty(), "{:?}", report.writes.wrong);
    assert_eq!(report.waits.errors, BTreeMap::new());
    let audit = audit(&report.journal, &mut primary.client());
    assert_eq!(audit.unknown as u64, unknown);
    assert_eq!(audit.confirmed_lost, 0, "{audit:?}");
    assert!(audit.confirmed > 0, "{audit:?}");
    // What the dead primary acknowledged and took with it: some milliseconds' worth, of the unconfirmed ones.
    assert!(audit.unconfirmed_lost < audit.acknowledged / 10, "{audit:?}");
    assert_eq!(audit.refused, 0, "{audit:?}");
}

/// The replica that Sentinel has promoted.
fn promoted(nodes: &[RedisServer]) -> &RedisServer {
    // A Sentinel that was kept from running for two seconds does nothing for thirty (TILT).
    eventually(Duration::from_secs(90), "a promotion", || {
        nodes[1..].iter().find(|node| says_master(node))
    })
}

/// Sentinel cuts the connections of whom it promotes.
fn says_master(node: &RedisServer) -> bool {
    let role = Client::try_connect(node.address()).and_then(|mut node| node.try_command(["ROLE"]));
    role.is_ok_and(|role| role.as_array().is_some_and(|role| role[0] == bulk("master")))
}

#[test]
fn writes_wait_for_sentinels_promotion_and_reads_go_on() {
    let mut nodes = replicated(2);
    let _sentinels = Sentinels::builder("main").start(&nodes[0], 2);
    let builder = proxy(&nodes, "timeouts.hold = \"10s\"");
    let redkeel = ready(expecting(builder, &[DOWN, HELD, LOSS]));
    let load = load(&redkeel, &nodes);
    nodes[0].kill9();
    let primary = promoted(&nodes);
    wait_for_primary(&redkeel, primary);
    wait_for_writes(&load, 500);
    wait_for_reads(&load, 1000);
    assert_unharmed(&load.stop(), primary);
}

#[test]
fn a_frozen_primary_is_replaced_and_gets_nothing_when_it_wakes() {
    let mut nodes = replicated(2);
    let _sentinels = Sentinels::builder("main").start(&nodes[0], 2);
    let builder = proxy(&nodes, "timeouts.hold = \"10s\"");
    let redkeel = ready(expecting(builder, &[DOWN, HELD, LOSS, FENCED]));
    let load = load(&redkeel, &nodes);
    nodes[0].stop_signal();
    let primary = promoted(&nodes);
    wait_for_primary(&redkeel, primary);
    wait_for_writes(&load, 500);
    nodes[0].cont();
    redkeel.wait_until(SOON, "the old primary to answer", |status| {
        node(status, nodes[0].address())["health"] == "up"
    });
    // What was in its sockets when it froze has run by now; more must not come.
    let before = calls(&nodes[0], "set");
    wait_for_writes(&load, 500);
    assert_eq!(calls(&nodes[0], "set"), before);
    let primary = promoted(&nodes[..]);
    assert_unharmed(&load.stop(), primary);
}

#[test]
fn a_dead_primary_that_comes_back_empty_is_fenced_off() {
    let mut nodes = replicated(2);
    let _sentinels = Sentinels::builder("main").start(&nodes[0], 2);
    let builder = proxy(&nodes, "timeouts.hold = \"10s\"");
    let redkeel = ready(expecting(builder, &[DOWN, HELD, LOSS, FENCED]));
    let load = load(&redkeel, &nodes);
    nodes[0].kill9();
    wait_down(&redkeel, &nodes[0]);
    let primary = promoted(&nodes).address().clone();
    redkeel.wait_until(SOON, "the new primary", |status| {
        status["pools"][0]["primary"] == primary.to_string()
    });
    wait_for_writes(&load, 500);
    // A replica that Sentinel has not turned to the new primary yet would take the old one's emptiness.
    for node in nodes[1..].iter().filter(|node| *node.address() != primary) {
        node.wait_link_up();
    }
    // It says master for as long as Sentinel takes to make it a replica (some ten seconds), and is empty.
    nodes[0].restart_empty();
    redkeel.wait_until(SOON, "the old primary to answer", |status| {
        node(status, nodes[0].address())["health"] == "up"
    });
    wait_for_reads(&load, 2000);
    wait_for_writes(&load, 500);
    assert_eq!((calls(&nodes[0], "set"), calls(&nodes[0], "get")), (0, 0));
    // The same writes and reads reach it as a replica, once it is one.
    crate::common::follow(&nodes[0], promoted(&nodes));
    nodes[0].wait_link_up();
    wait_readable(&redkeel, &nodes[0]);
    eventually(SOON, "reads on the old primary", || calls(&nodes[0], "get") > 0);
    let primary = promoted(&nodes);
    assert_unharmed(&load.stop(), primary);
}

//! A replica answers, but slowly.

use std::time::Duration;

use testkit::{FaultyLink, Load, eventually};

use crate::common::{
    DOWN, SOON, calls, expecting, node, proxy_of, ready, replicated, wait_for_reads,
};

/// Reads go to the other replica, whatever balances them, and to this one again when it is fast.
fn reads_avoid_a_replica_that_is_slower_by(delay: Duration, settings: &str) {
    let nodes = replicated(2);
    let link = FaultyLink::to(nodes[2].address().clone());
    let servers = [nodes[0].address().clone(), nodes[1].address().clone(), link.address()];
    let redkeel = ready(expecting(proxy_of(servers, settings), &[DOWN]));
    let load = Load::builder(redkeel.address())
        .readers(20)
        .keys(100)
        .pause(Duration::from_millis(2))
        .fill(&mut nodes[0].client(), 2)
        .start();
    eventually(SOON, "reads on both replicas", || {
        nodes[1..].iter().all(|replica| calls(replica, "get") > 100)
    });
    // Of the way there and of the way back.
    link.delay(delay / 2);
    redkeel.wait_until(SOON, "the slow replica to be found out", |status| {
        node(status, &link.address())["readable"] == false
    });
    eventually(SOON, "the last slow answers", || {
        let before = calls(&nodes[2], "get");
        wait_for_reads(&load, 200);
        calls(&nodes[2], "get") == before
    });
    let before = load.reads();
    wait_for_reads(&load, 3000);
    let meanwhile = load.reads().since(&before);
    assert!(meanwhile.quantile(0.99) < delay, "{:?}", meanwhile.quantile(0.99));
    link.heal();
    let before = calls(&nodes[2], "get");
    eventually(SOON, "reads on the replica that is fast again", || {
        calls(&nodes[2], "get") > before + 100
    });
    let report = load.stop();
    assert_eq!(report.reads.errors_total(), 0, "{:?}", report.reads.errors);
    assert!(report.reads.wrong.is_empty(), "{:?}", report.reads.wrong);
}

#[test]
fn reads_avoid_a_replica_that_became_slow() {
    reads_avoid_a_replica_that_is_slower_by(Duration::from_millis(100), "");
}

#[test]
fn reads_avoid_a_replica_so_slow_that_its_probes_time_out() {
    reads_avoid_a_replica_that_is_slower_by(Duration::from_millis(220), "");
}

#[test]
fn reads_avoid_a_slow_replica_when_they_are_balanced_by_latency() {
    let settings = "balance = \"latency\"";
    reads_avoid_a_replica_that_is_slower_by(Duration::from_millis(100), settings);
}

//! A node that reads its data set, or is being sent one, serves no reads.

use std::thread;
use std::time::Duration;

use testkit::{Load, RedisServer, Redkeel, simple};

use crate::common::{
    DOWN, SOON, calls, errors, expecting, node, proxy, ready, wait_down, wait_for_reads,
    wait_in_step, wait_readable,
};

fn readers(redkeel: &Redkeel, primary: &RedisServer, replicas: usize) -> Load {
    let load = Load::builder(redkeel.address())
        .readers(20)
        .keys(400)
        .pause(Duration::from_millis(2))
        .fill(&mut primary.client(), replicas)
        .start();
    wait_for_reads(&load, 500);
    load
}

/// Waits until the status says so of a node that takes no reads.
fn wait_unreadable(redkeel: &Redkeel, server: &RedisServer, why: &str) {
    redkeel.wait_until(SOON, why, |status| {
        let node = node(status, server.address());
        node["readable"] == false && node["why"] == why
    });
}

fn assert_unharmed(load: Load) {
    let report = load.stop();
    assert_eq!(report.reads.errors_total(), 0, "{:?}", report.reads.errors);
    assert!(report.reads.wrong.is_empty(), "{:?}", report.reads.wrong);
}

#[test]
fn a_replica_that_loads_its_data_is_not_read_from() {
    let primary = RedisServer::start();
    // Half a second's worth of every hundred keys, and it answers in between.
    let replica = RedisServer::builder()
        .replica_of(&primary)
        .option("key-load-delay", "5000")
        .option("loading-process-events-interval-bytes", "1024")
        .option("repl-diskless-load", "disabled");
    let mut nodes = vec![primary, replica.start()];
    wait_in_step(&nodes);
    let redkeel = ready(expecting(proxy(&nodes, ""), &[DOWN]));
    let load = readers(&redkeel, &nodes[0], 1);
    assert_eq!(nodes[1].cli(["SAVE"]), simple("OK"));
    nodes[1].kill9();
    wait_down(&redkeel, &nodes[1]);
    let (primary, replica) = nodes.split_at_mut(1);
    let (primary, replica) = (&primary[0], &mut replica[0]);
    thread::scope(|scope| {
        let address = replica.address().clone();
        scope.spawn(move || replica.restart());
        redkeel.wait_until(SOON, "the replica to load", |status| {
            node(status, &address)["why"] == "is loading its data"
        });
        assert_eq!(node(&redkeel.status(), &address)["readable"], false);
        wait_for_reads(&load, 500);
    });
    primary.wait_for_replicas(1);
    nodes[1].wait_link_up();
    wait_readable(&redkeel, &nodes[1]);
    let before = calls(&nodes[1], "get");
    testkit::eventually(SOON, "reads on the replica", || calls(&nodes[1], "get") > before);
    assert_unharmed(load);
    let refused =
        crate::common::number(&nodes[1].info("commandstats"), "cmdstat_get", "rejected_calls");
    assert_eq!(refused, 0, "reads were sent to a node that loads");
    assert!(errors(&nodes[1], "LOADING") > 0, "the probes must have met it");
}

#[test]
fn a_replica_that_is_being_sent_a_full_copy_is_not_read_from() {
    // A millisecond for each key that is sent.
    let primary = RedisServer::builder().option("rdb-key-save-delay", "4000").start();
    let replica = RedisServer::builder().replica_of(&primary).start();
    let mut nodes = vec![primary, replica];
    wait_in_step(&nodes);
    let redkeel = ready(expecting(proxy(&nodes, ""), &[DOWN]));
    let load = readers(&redkeel, &nodes[0], 1);
    // It comes back with nothing, and would say so to whoever asked.
    nodes[1].restart_empty();
    wait_unreadable(&redkeel, &nodes[1], "receives a full copy from its primary");
    wait_for_reads(&load, 500);
    assert_eq!(calls(&nodes[1], "get"), 0);
    nodes[1].wait_link_up();
    wait_readable(&redkeel, &nodes[1]);
    testkit::eventually(SOON, "reads on the replica", || calls(&nodes[1], "get") > 0);
    assert_unharmed(load);
}

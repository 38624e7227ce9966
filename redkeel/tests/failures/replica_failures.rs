//! Replicas die, freeze and come back under fifty readers.

use std::time::{Duration, Instant};

use testkit::{Load, LoadReport, RedisServer, Redkeel, eventually};

use crate::common::{
    DOWN, LONGEST_READ, SOON, calls, expecting, proxy, ready, replicated, wait_down,
    wait_for_reads, wait_readable,
};

const READERS: usize = 50;

/// Fifty readers behind Redkeel, once both replicas take reads.
fn start(nodes: &[RedisServer]) -> (Redkeel, Load) {
    let redkeel = ready(expecting(proxy(nodes, ""), &[DOWN]));
    let load = Load::builder(redkeel.address())
        .readers(READERS)
        .keys(200)
        .pause(Duration::from_millis(2))
        .fill(&mut nodes[0].client(), nodes.len() - 1)
        .start();
    eventually(SOON, "reads on both replicas", || {
        nodes[1..].iter().all(|replica| calls(replica, "get") > 100)
    });
    (redkeel, load)
}

fn assert_unharmed(report: &LoadReport) {
    assert_eq!(report.reads.errors_total(), 0, "{:?}", report.reads.errors);
    assert!(report.reads.wrong.is_empty(), "{:?}", report.reads.wrong);
    assert!(report.reads.longest <= LONGEST_READ, "{:?}", report.reads.longest);
}

/// Starts the replica again; it must take reads within two seconds of its link being up.
fn revive(replica: &mut RedisServer) {
    replica.restart();
    replica.wait_link_up();
    let linked = Instant::now();
    eventually(SOON, "reads on the revived replica", || calls(replica, "get") > 0);
    let took = linked.elapsed();
    assert!(took <= Duration::from_secs(2), "{took:?}");
}

#[test]
fn readers_do_not_notice_a_killed_replica_and_it_takes_reads_when_it_is_back() {
    let mut nodes = replicated(2);
    let (redkeel, load) = start(&nodes);
    nodes[1].kill9();
    wait_down(&redkeel, &nodes[1]);
    wait_for_reads(&load, 2000);
    revive(&mut nodes[1]);
    wait_for_reads(&load, 2000);
    assert_unharmed(&load.stop());
}

#[test]
fn readers_hardly_notice_a_frozen_replica_and_it_takes_reads_when_it_goes_on() {
    let mut nodes = replicated(2);
    let (redkeel, load) = start(&nodes);
    nodes[2].stop_signal();
    wait_down(&redkeel, &nodes[2]);
    wait_for_reads(&load, 2000);
    nodes[2].cont();
    let before = calls(&nodes[2], "get");
    eventually(SOON, "reads on the thawed replica", || calls(&nodes[2], "get") > before + 100);
    assert_unharmed(&load.stop());
}

#[test]
fn without_any_replica_the_primary_takes_the_reads() {
    let mut nodes = replicated(2);
    let (redkeel, load) = start(&nodes);
    let before = calls(&nodes[0], "get");
    nodes[1].kill9();
    nodes[2].stop_signal();
    wait_down(&redkeel, &nodes[1]);
    wait_down(&redkeel, &nodes[2]);
    wait_for_reads(&load, 2000);
    assert!(calls(&nodes[0], "get") >= before + 2000);
    nodes[2].cont();
    wait_readable(&redkeel, &nodes[2]);
    revive(&mut nodes[1]);
    wait_for_reads(&load, 2000);
    assert_unharmed(&load.stop());
}

#[test]
fn readers_do_not_notice_a_replica_that_comes_and_goes() {
    let mut nodes = replicated(2);
    let (_redkeel, load) = start(&nodes);
    for _ in 0..5 {
        nodes[1].kill9();
        revive(&mut nodes[1]);
    }
    assert_unharmed(&load.stop());
}

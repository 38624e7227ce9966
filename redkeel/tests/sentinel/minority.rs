//! Sentinels that are dead, alone, or wrong.

use testkit::{RedisServer, simple};

use crate::common::{
    FAILOVER, MASTER, SOON, expecting, load, proxy, ready, sentinels, wait_agreed,
    wait_for_traffic, watched,
};

/// The Sentinel forgets what it knew, and is told that another node is the primary.
fn mislead(sentinel: &testkit::Sentinel, to: &RedisServer) {
    let mut client = sentinel.client();
    assert_eq!(client.command(["SENTINEL", "REMOVE", MASTER]), simple("OK"));
    let port = to.port().to_string();
    let monitor = ["SENTINEL", "MONITOR", MASTER, to.host(), &port, "3"];
    assert_eq!(client.command(monitor), simple("OK"));
}

#[test]
fn a_dead_sentinel_and_one_that_is_wrong_change_nothing() {
    let (nodes, mut group) = watched();
    let builder = proxy(&group.addresses(), "");
    let redkeel = ready(expecting(builder, &["is not counted", "name no primary"]), 3);
    wait_agreed(&redkeel, 3);
    let load = load(&redkeel, &nodes);
    group.nodes()[2].kill9();
    wait_agreed(&redkeel, 2);
    wait_for_traffic(&load);
    // A lone one that names another node: no majority is left, and the primary stays.
    mislead(&group.nodes()[1], &nodes[1]);
    redkeel.wait_until(SOON, "the Sentinels to disagree", |status| {
        sentinels(status)["primary"].is_null()
    });
    wait_for_traffic(&load);
    let report = load.stop();
    assert_eq!((report.reads.errors_total(), report.writes.errors_total()), (0, 0));
    assert_eq!(redkeel.status()["pools"][0]["primary"], nodes[0].address().to_string());
    println!("dead and wrong Sentinels: write stall {} ms", report.writes.longest.as_millis());
}

#[test]
fn without_a_majority_the_primary_stays_and_with_one_it_may_change_again() {
    let (mut nodes, mut group) = watched();
    let builder = proxy(&group.addresses(), "timeouts.hold = \"20s\"");
    let texts = ["is not counted", "name no primary"];
    let redkeel = ready(expecting(expecting(builder, &texts), &FAILOVER), 3);
    wait_agreed(&redkeel, 3);
    let load = load(&redkeel, &nodes);
    for sentinel in &mut group.nodes()[1..] {
        sentinel.stop_signal();
    }
    redkeel.wait_until(SOON, "the majority to be gone", |status| {
        sentinels(status)["primary"].is_null()
    });
    wait_for_traffic(&load);
    let report = load.stop();
    assert_eq!((report.reads.errors_total(), report.writes.errors_total()), (0, 0));
    for sentinel in &mut group.nodes()[1..] {
        sentinel.cont();
    }
    wait_agreed(&redkeel, 3);
    nodes[0].kill9();
    crate::common::wait_for_primary(&redkeel, crate::common::promoted(&nodes));
}

//! A node that lives and cannot be reached: nothing is refused, nothing is answered.

use std::time::{Duration, Instant};

use testkit::{FaultyLink, Load, RedisServer, Redkeel, audit, eventually, simple};

use crate::common::{
    DOWN, HELD, SOON, assert_error, assert_no_read_failed, expecting, proxy_of, ready, replicated,
    wait_for_answers, wait_for_health, wait_for_primary,
};

/// Each node behind a link of its own; the nodes themselves see each other.
fn linked(settings: &str) -> (Vec<RedisServer>, Vec<FaultyLink>, Redkeel) {
    let nodes = replicated(2);
    let links: Vec<FaultyLink> = nodes.iter().map(|node| FaultyLink::to(node.address())).collect();
    let builder = proxy_of(links.iter().map(FaultyLink::address), settings);
    let redkeel = ready(expecting(builder, &[DOWN, HELD]));
    (nodes, links, redkeel)
}

fn load(redkeel: &Redkeel, nodes: &[RedisServer]) -> Load {
    let load = Load::builder(redkeel.address())
        .readers(20)
        .writers(5)
        .keys(100)
        .pause(Duration::from_millis(2))
        .fill(&mut nodes[0].client(), 2)
        .start();
    wait_for_answers(&load, 500, 200);
    load
}

/// Scenarios 4 and 5: the network swallows everything on its way to the primary. Redkeel promotes nobody: writes wait
/// and then fail, reads do not notice, and afterwards it goes on by itself.
#[test]
fn a_primary_behind_a_black_hole_fails_no_read() {
    let (nodes, links, redkeel) = linked("timeouts.request = \"1s\"\ntimeouts.hold = \"1s\"");
    let load = load(&redkeel, &nodes);
    links[0].blackhole();
    wait_for_health(&redkeel, &links[0].address(), "down");
    let mut client = redkeel.client();
    let start = Instant::now();
    assert_error(&client.command(["SET", "key", "value"]), "NOPRIMARY redkeel: pool main ");
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    wait_for_answers(&load, 1000, 0);
    links[0].heal();
    wait_for_primary(&redkeel, &links[0].address());
    wait_for_answers(&load, 500, 200);
    let report = load.stop();
    assert_no_read_failed(&report);
    assert!(report.reads.longest < Duration::from_secs(2), "{:?}", report.reads.longest);
    for kind in report.writes.errors.keys() {
        assert!(["NOPRIMARY", "OUTCOMEUNKNOWN"].contains(&&**kind), "{:?}", report.writes.errors);
    }
    let audit = audit(&report.journal, &mut nodes[0].client());
    assert_eq!((audit.lost(), audit.refused_but_present), (0, 0), "{audit:?}");
}

/// Scenario 7: the peers of all connections are gone and nobody said so. What was sent on them is lost with them;
/// everything else goes on.
#[test]
fn half_open_connections_are_found_out() {
    let (nodes, links, redkeel) = linked("timeouts.request = \"2s\"");
    let load = load(&redkeel, &nodes);
    for link in &links {
        link.half_open();
        wait_for_answers(&load, 500, 200);
    }
    let report = load.stop();
    assert_no_read_failed(&report);
    let unknown = report.writes.errors.get("OUTCOMEUNKNOWN").copied().unwrap_or(0);
    assert_eq!(report.writes.errors_total(), unknown, "{:?}", report.writes.errors);
    assert!(unknown <= 5, "no more than was in flight: {unknown}");
    let audit = audit(&report.journal, &mut nodes[0].client());
    assert_eq!(audit.lost(), 0, "{audit:?}");
}

/// A replica that cannot be reached costs its readers less than a second, and comes back by itself.
#[test]
fn a_replica_behind_a_black_hole_fails_no_read() {
    let (nodes, links, redkeel) = linked("");
    let load = load(&redkeel, &nodes);
    links[1].blackhole();
    wait_for_health(&redkeel, &links[1].address(), "down");
    wait_for_answers(&load, 1000, 200);
    links[1].heal();
    wait_for_health(&redkeel, &links[1].address(), "up");
    let report = load.stop();
    assert_no_read_failed(&report);
    assert_eq!(report.writes.errors_total(), 0, "{:?}", report.writes.errors);
    assert!(report.reads.longest < Duration::from_secs(2), "{:?}", report.reads.longest);
    let mut client = redkeel.client();
    eventually(SOON, "a write", || client.command(["SET", "key", "value"]) == simple("OK"));
}

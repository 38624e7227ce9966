//! A primary that comes and goes.

use std::time::Duration;

use testkit::{Load, RedisServer, audit};

use crate::common::{
    DOWN, HELD, assert_no_read_failed, expecting, proxy, ready, wait_for_answers, wait_for_health,
    wait_for_primary,
};

/// Scenario 18, where nobody promotes a replica: writes stay with the primary, whatever it does.
#[test]
fn a_flapping_primary_moves_nothing_and_loses_nothing() {
    // With `everysec`, a busy disk lets Redis answer before it has appended.
    let builder = || RedisServer::builder().option("appendonly", "yes").option("appendfsync", "no");
    let mut primary = builder().start();
    let replica = builder().replica_of(&primary).start();
    primary.wait_for_replicas(1);
    replica.wait_link_up();
    let quiet = [DOWN, HELD, "may be lost", "fenced off", "the primary is unclear"];
    let builder = proxy([&primary, &replica], "timeouts.hold = \"20s\"");
    let redkeel = ready(expecting(builder, &quiet));
    let load = Load::builder(redkeel.address())
        .readers(10)
        .writers(5)
        .keys(50)
        .pause(Duration::from_millis(2))
        .fill(&mut primary.client(), 1)
        .start();
    for _ in 0..4 {
        wait_for_answers(&load, 200, 100);
        primary.kill9();
        wait_for_health(&redkeel, primary.address(), "down");
        primary.restart();
        wait_for_primary(&redkeel, primary.address());
    }
    wait_for_answers(&load, 200, 100);
    let report = load.stop();
    assert_no_read_failed(&report);
    let unknown = report.writes.errors.get("OUTCOMEUNKNOWN").copied().unwrap_or(0);
    assert_eq!(report.writes.errors_total(), unknown, "{:?}", report.writes.errors);
    assert!(!redkeel.log().contains("is the primary, after"), "writes have moved");
    let audit = audit(&report.journal, &mut primary.client());
    assert_eq!((audit.lost(), audit.refused_but_present), (0, 0), "{audit:?}");
}

//! It is begun and undone: the primary is who it was, and takes writes.

use testkit::simple;

use crate::common::{
    ABORTED, SOON, proxy, ready, replicated, role, switch, switch_to, unharmed, wait_for_writes,
    wait_settled, writers,
};

/// It answers the questions before, and then nothing more.
#[test]
fn the_replica_freezes() {
    let mut nodes = replicated(1);
    let settings = "health.timeout = \"10s\"";
    let mut redkeel = ready(proxy(&nodes, settings).expect_log(ABORTED));
    redkeel.expect_log(" is down: ");
    let load = writers(&redkeel, 6);
    // Its link stays up for the primary, which lists it for as long as its timeout.
    nodes[1].stop_signal();
    let answer = switch(&redkeel, None);
    assert_ne!(answer["result"], "done", "{answer:#}");
    wait_for_writes(&load, 200);
    nodes[1].cont();
    unharmed(load, &nodes[0]);
    assert_eq!(role(&nodes[0]), "master");
    wait_settled(&redkeel, &nodes[0]);
    switch_to(&redkeel, &nodes[1]);
}

#[test]
fn a_write_takes_too_long() {
    let nodes = replicated(1);
    let redkeel = ready(proxy(&nodes, "").expect_log(ABORTED));
    let mut busy = redkeel.client();
    let script = "local t = redis.call('TIME'); local e = t[1] * 1000000 + t[2] + 500000; \
                  repeat t = redis.call('TIME') until t[1] * 1000000 + t[2] > e; return redis.call('SET', 'k', 'v')";
    // Readonly scripts need no primary; this one writes at its end.
    busy.send(["EVAL", script, "0"]);
    testkit::eventually(SOON, "the script to be on its way", || {
        redkeel.status()["pools"][0]["nodes"][0]["in_flight"] == 1
    });
    let answer = switch(&redkeel, None);
    println!("{answer:#}");
    assert_ne!(answer["result"], "done", "{answer:#}");
    assert_eq!(busy.receive(), simple("OK"));
    assert_eq!(redkeel.client().command(["SET", "key", "value"]), simple("OK"));
    assert_eq!(role(&nodes[0]), "master");
}

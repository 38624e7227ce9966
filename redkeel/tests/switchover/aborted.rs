//! It is begun and undone: the primary is who it was, and takes writes.

use std::thread;
use std::time::Duration;

use testkit::{FaultyLink, RedisServer, simple};

use crate::common::{
    ABORTED, SOON, expecting, proxy, ready, replicated, role, switch, switch_to, unharmed,
    unharmed_within, wait_for_writes, wait_in_step, wait_settled, writers,
};

#[track_caller]
fn assert_aborted(answer: &serde_json::Value, why: &str) {
    assert_eq!(answer["result"], "aborted", "{answer:#}");
    let error = answer["error"].as_str().unwrap();
    assert!(error.contains(why), "{error}");
}

/// A server holds a write up, and answers all else.
#[test]
fn a_write_takes_too_long() {
    let nodes = replicated(1);
    let redkeel = ready(proxy(&nodes, "").expect_log(ABORTED));
    let mut busy = redkeel.client();
    assert_eq!(nodes[0].cli(["CLIENT", "PAUSE", "2000", "WRITE"]), simple("OK"));
    busy.send(["SET", "busy", "1"]);
    testkit::eventually(SOON, "the write to be on its way", || {
        redkeel.status()["pools"][0]["nodes"][0]["in_flight"] == 1
    });
    let answer = switch(&redkeel, None);
    assert_aborted(&answer, "a write is still unanswered 100ms after writes were held");
    assert_eq!(busy.receive(), simple("OK"));
    assert_eq!(redkeel.client().command(["SET", "key", "value"]), simple("OK"));
    assert_eq!(role(&nodes[0]), "master");
    switch_to(&redkeel, &nodes[1]);
}

/// The replica answers, and gets nothing from its primary.
#[test]
fn the_replica_does_not_catch_up() {
    for denied in [false, true] {
        let without = |builder: testkit::RedisBuilder| {
            if denied { builder.option("rename-command", "FAILOVER \"\"") } else { builder }
        };
        let primary = without(RedisServer::builder()).start();
        let link = FaultyLink::to(primary.address());
        let through = link.address().to_string().replace(':', " ");
        let replica = without(RedisServer::builder().option("replicaof", &through)).start();
        let nodes = [primary, replica];
        wait_in_step(&nodes);
        let redkeel = ready(proxy(&nodes, "").expect_log(ABORTED));
        link.blackhole();
        let load = writers(&redkeel, 6);
        let answer = switch(&redkeel, None);
        let why = if denied { "did not catch up with" } else { "did not take over in time" };
        assert_aborted(&answer, why);
        assert!(answer["error"].as_str().unwrap().contains("still the primary") || denied);
        wait_for_writes(&load, 200);
        link.heal();
        unharmed(load, &nodes[0]);
        assert_eq!((role(&nodes[0]), role(&nodes[1])), ("master".into(), "slave".into()));
        println!("no catching up: held for {} s", answer["held_seconds"]);
    }
}

/// At whatever moment it freezes: when it goes on, there is one primary, which has everything.
#[test]
fn the_replica_freezes_on_the_way() {
    let mut nodes = replicated(1);
    let builder = proxy(&nodes, "health.timeout = \"10s\"\ntimeouts.hold = \"40s\"");
    let redkeel =
        ready(expecting(builder, &[ABORTED, "is not the primary any more", "fenced off"]));
    let mut endings = Vec::new();
    for round in 0..8 {
        let old = usize::from(role(&nodes[0]) != "master");
        let new = 1 - old;
        let load = writers(&redkeel, 6);
        let address = nodes[new].address().to_string();
        let answer = thread::scope(|scope| {
            let order = scope.spawn(|| {
                let body = format!("{{\"to\": \"{address}\"}}");
                redkeel.admin_post("/api/v1/pools/main/switchover", &body).body
            });
            thread::sleep(Duration::from_micros(1500 + 600 * round));
            nodes[new].stop_signal();
            thread::sleep(Duration::from_millis(800));
            nodes[new].cont();
            order.join().unwrap()
        });
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let done = answer["result"] == "done";
        assert_ne!(answer["result"], "unclear", "{answer:#}");
        let primary = &nodes[if done { new } else { old }];
        wait_settled(&redkeel, primary);
        wait_for_writes(&load, 200);
        unharmed_within(load, primary, Duration::from_secs(5));
        assert_eq!(role(primary), "master", "{answer:#}");
        endings.push(format!("{} {}", answer["result"], answer["error"]));
    }
    println!("{endings:#?}");
}

//! What the tests of switchovers share.

use std::time::Duration;

use serde_json::Value as Json;
use testkit::{Load, RedisServer, Redkeel, audit, eventually};

pub(crate) use crate::scene::{SOON, expecting, proxy, ready, replicated, wait_in_step};

/// Redkeel warns that a switchover was undone.
pub(crate) const ABORTED: &str = "switchover aborted";
/// Whatever a machine is busy with.
pub(crate) const LONGEST_STALL: Duration = Duration::from_secs(1);

/// Orders a switchover of `main`.
#[track_caller]
pub(crate) fn switch(redkeel: &Redkeel, to: Option<&RedisServer>) -> Json {
    let body = match to {
        Some(server) => format!("{{\"to\": \"{}\"}}", server.address()),
        None => String::new(),
    };
    let reply = redkeel.admin_post("/api/v1/pools/main/switchover", &body);
    serde_json::from_str(&reply.body).unwrap_or_else(|_| panic!("{}: {}", reply.status, reply.body))
}

/// As [`switch`], which has to come about.
#[track_caller]
pub(crate) fn switch_to(redkeel: &Redkeel, to: &RedisServer) -> Json {
    let answer = switch(redkeel, Some(to));
    assert_eq!(answer["result"], "done", "{answer:#}");
    assert_eq!(answer["to"], to.address().to_string());
    answer
}

pub(crate) fn role(server: &RedisServer) -> String {
    server.info("replication")["role"].clone()
}

/// Waits until the node follows `primary` and is in step.
#[track_caller]
pub(crate) fn wait_follows(server: &RedisServer, primary: &RedisServer) {
    eventually(SOON, "a replica of the new primary", || {
        let info = server.info("replication");
        let port = info.get("master_port").cloned();
        let up = info.get("master_link_status").is_some_and(|link| link == "up");
        if port == Some(primary.port().to_string()) && up {
            Ok(())
        } else {
            Err(format!("{info:?}"))
        }
    });
}

/// Waits until Redkeel sends reads to all nodes and writes to `primary`.
#[track_caller]
pub(crate) fn wait_settled(redkeel: &Redkeel, primary: &RedisServer) {
    redkeel.wait_until(SOON, "all nodes to be in use", |status| {
        let pool = &status["pools"][0];
        let nodes = pool["nodes"].as_array().unwrap();
        pool["primary"] == primary.address().to_string()
            && nodes.iter().all(|node| node["readable"] == true)
    });
}

/// Many small writes: a few thousand a second.
pub(crate) fn writers(redkeel: &Redkeel, count: usize) -> Load {
    let load = Load::builder(redkeel.address()).writers(count).pause(Duration::from_millis(2));
    let load = load.start();
    wait_for_writes(&load, 300);
    load
}

/// Waits until the writers have had so many more answers.
#[track_caller]
pub(crate) fn wait_for_writes(load: &Load, more: u64) {
    let before = load.writes().ok;
    eventually(SOON, "writes", || {
        let done = load.writes().ok - before;
        if done >= more { Ok(()) } else { Err(format!("{done} of {more}: {:?}", load.writes())) }
    });
}

/// Ends the load: no errors, and everything acknowledged is there. Returns the longest that a write took.
#[track_caller]
pub(crate) fn unharmed(load: Load, primary: &RedisServer) -> Duration {
    unharmed_within(load, primary, LONGEST_STALL)
}

/// As [`unharmed`], where a write may take so long.
#[track_caller]
pub(crate) fn unharmed_within(load: Load, primary: &RedisServer, most: Duration) -> Duration {
    let report = load.stop();
    assert_eq!(report.writes.errors_total(), 0, "{:?}", report.writes.errors);
    let audit = audit(&report.journal, &mut primary.client());
    assert_eq!((audit.lost(), audit.unknown), (0, 0), "{audit:?}");
    assert!(report.writes.longest < most, "{:?}", report.writes.longest);
    report.writes.longest
}

//! What the scenarios share.

use serde_json::Value as Json;
use testkit::{Address, Load, LoadReport, RedisServer, Redkeel, Value, error_text, eventually};

pub(crate) use crate::scene::{SOON, expecting, proxy, proxy_of, ready, replicated};

/// Redkeel warns of a node that is down.
pub(crate) const DOWN: &str = " is down: ";
/// Redkeel warns that writes are held.
pub(crate) const HELD: &str = "is not the primary any more, and writes are held";

/// What the status says of a node.
pub(crate) fn node<'a>(status: &'a Json, address: &Address) -> &'a Json {
    let nodes = status["pools"][0]["nodes"].as_array().unwrap();
    nodes.iter().find(|node| node["name"] == address.to_string()).unwrap()
}

pub(crate) fn wait_for_health(redkeel: &Redkeel, address: &Address, health: &str) {
    redkeel.wait_until(SOON, health, |status| node(status, address)["health"] == health);
}

pub(crate) fn wait_for_primary(redkeel: &Redkeel, address: &Address) {
    redkeel.wait_until(SOON, "the primary", |status| {
        status["pools"][0]["primary"] == address.to_string()
    });
}

/// Waits until readers and writers have had so many more answers.
pub(crate) fn wait_for_answers(load: &Load, reads: u64, writes: u64) {
    let (read, written) = (load.reads().ok + reads, load.writes().ok + writes);
    eventually(SOON, "answers", || {
        let (reads, writes) = (load.reads(), load.writes());
        if reads.ok >= read && writes.ok >= written {
            Ok(())
        } else {
            Err(format!("{reads:?} {writes:?}"))
        }
    });
}

pub(crate) fn assert_no_read_failed(report: &LoadReport) {
    assert_eq!(report.reads.errors_total(), 0, "{:?}", report.reads.errors);
    assert!(report.reads.wrong.is_empty(), "{:?}", report.reads.wrong);
}

/// How often a command was called on a node itself, since its start.
pub(crate) fn calls(server: &RedisServer, command: &str) -> u64 {
    let stats = server.info("commandstats");
    let line = stats.get(&format!("cmdstat_{command}"));
    let calls = line.and_then(|line| line.strip_prefix("calls=")?.split(',').next()?.parse().ok());
    calls.unwrap_or(0)
}

/// Asserts that `reply` is an error whose text begins so.
#[track_caller]
pub(crate) fn assert_error(reply: &Value, start: &str) {
    let text = error_text(reply).unwrap_or_default();
    assert!(text.starts_with(start), "{start} expected: {reply:?}");
}

//! What the tests of failures share.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value as Json;
use testkit::{Address, Load, RedisServer, Redkeel, Value, error_text, eventually};

pub(crate) use crate::scene::{SOON, expecting, proxy, proxy_of, ready, replicated, wait_in_step};

/// Probes wait longer than a test takes: a node that is stopped for a while is slow to Redkeel, not frozen.
pub(crate) const PATIENT: &str = "health.timeout = \"10s\"\ntimeouts.hold = \"40s\"";
/// The longest that a read may wait while nodes fail.
pub(crate) const LONGEST_READ: Duration = Duration::from_secs(2);

/// Redkeel warns of a node that is down.
pub(crate) const DOWN: &str = " is down: ";
/// Redkeel warns that writes are held.
pub(crate) const HELD: &str = "is not the primary any more, and writes are held";
/// Redkeel warns of a node that says master and is not believed.
pub(crate) const FENCED: &str = "says it is a primary and is fenced off";
/// Redkeel warns that it cannot tell who is the primary.
pub(crate) const UNCLEAR: &str = "writes are held, the primary is unclear";
/// Redkeel warns that the new primary may lack writes.
pub(crate) const LOSS: &str = "may be lost";

/// What the status says of a node.
pub(crate) fn node<'a>(status: &'a Json, address: &Address) -> &'a Json {
    let nodes = status["pools"][0]["nodes"].as_array().unwrap();
    nodes.iter().find(|node| node["name"] == address.to_string()).unwrap()
}

pub(crate) fn wait_for_primary(redkeel: &Redkeel, server: &RedisServer) {
    redkeel.wait_until(SOON, "the primary", |status| {
        status["pools"][0]["primary"] == server.address().to_string()
    });
}

pub(crate) fn wait_for_no_primary(redkeel: &Redkeel) {
    redkeel.wait_until(SOON, "the primary to be given up", |status| {
        status["pools"][0]["primary"].is_null()
    });
}

pub(crate) fn wait_readable(redkeel: &Redkeel, server: &RedisServer) {
    redkeel.wait_until(SOON, "the node to take reads", |status| {
        node(status, server.address())["readable"] == true
    });
}

pub(crate) fn wait_down(redkeel: &Redkeel, server: &RedisServer) {
    redkeel.wait_until(SOON, "the node to be found out", |status| {
        node(status, server.address())["health"] == "down"
    });
}

/// Waits until so many clients' commands are held.
pub(crate) fn wait_held(redkeel: &Redkeel, clients: u64) {
    redkeel.wait_until(SOON, "commands to be held", |status| {
        status["pools"][0]["held"]["clients"] == clients
    });
}

/// Waits until the readers have had so many more answers.
pub(crate) fn wait_for_reads(load: &Load, more: u64) {
    let before = load.reads().ok;
    eventually(SOON, "reads", || {
        let done = load.reads().ok - before;
        if done >= more { Ok(()) } else { Err(format!("{done} of {more}: {:?}", load.reads())) }
    });
}

/// Waits until the writers have had so many more answers.
pub(crate) fn wait_for_writes(load: &Load, more: u64) {
    let before = load.writes().ok;
    eventually(SOON, "writes", || {
        let done = load.writes().ok - before;
        if done >= more { Ok(()) } else { Err(format!("{done} of {more}: {:?}", load.writes())) }
    });
}

/// A number out of a line of INFO such as `cmdstat_get:calls=3,rejected_calls=0`; 0 where there is none.
pub(crate) fn number(info: &BTreeMap<String, String>, line: &str, field: &str) -> u64 {
    let fields = info.get(line).map_or("", String::as_str);
    let value = fields.split(',').find_map(|pair| pair.strip_prefix(field)?.strip_prefix('='));
    value.map_or(0, |value| value.parse().unwrap())
}

/// How often a command was called on a node itself, since its start.
pub(crate) fn calls(server: &RedisServer, command: &str) -> u64 {
    number(&server.info("commandstats"), &format!("cmdstat_{command}"), "calls")
}

/// How often a node has given this error, since its start.
pub(crate) fn errors(server: &RedisServer, code: &str) -> u64 {
    number(&server.info("errorstats"), &format!("errorstat_{code}"), "count")
}

/// Makes the node a primary.
pub(crate) fn promote(server: &RedisServer) {
    assert_eq!(server.cli(["REPLICAOF", "NO", "ONE"]), testkit::simple("OK"));
}

/// Makes the node a replica of `primary`.
pub(crate) fn follow(server: &RedisServer, primary: &RedisServer) {
    let port = primary.port().to_string();
    assert_eq!(server.cli(["REPLICAOF", primary.host(), &port]), testkit::simple("OK"));
}

/// A change of primary as a careful operator makes it, without loss: writes are paused until the replica has them all,
/// then the old primary is made a replica before the new one is promoted.
pub(crate) fn change_primary(from: &RedisServer, to: &RedisServer) {
    let mut old = from.client();
    assert_eq!(old.command(["CLIENT", "PAUSE", "10000", "WRITE"]), testkit::simple("OK"));
    from.wait_caught_up(to);
    let port = to.port().to_string();
    let replies = old.pipeline([
        vec!["MULTI"],
        vec!["REPLICAOF", to.host(), &port],
        vec!["CLIENT", "UNPAUSE"],
        vec!["EXEC"],
    ]);
    assert_eq!(replies[3].as_array().map(<[_]>::len), Some(2), "{replies:?}");
    promote(to);
}

/// Asserts that `reply` is an error whose text begins so.
#[track_caller]
pub(crate) fn assert_error(reply: &Value, start: &str) {
    let text = error_text(reply).unwrap_or_default();
    assert!(text.starts_with(start), "{start} expected: {reply:?}");
}

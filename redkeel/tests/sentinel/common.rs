//! What the tests of Sentinel share.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value as Json;
use testkit::{
    Address, Client, Load, LoadReport, RedisServer, Redkeel, RedkeelBuilder, Sentinels, audit,
    bulk, eventually,
};

pub(crate) use crate::scene::{SOON, expecting, replicated};

/// What the Sentinels call the primary.
pub(crate) const MASTER: &str = "main";
pub(crate) const READERS: usize = 10;
pub(crate) const WRITERS: usize = 10;
/// The longest that a read may wait while nodes fail.
const LONGEST_READ: Duration = Duration::from_secs(2);
/// The longest that a write may, on a machine that is busy with other tests; measured alone it is 1.4 to 1.8 s.
const LONGEST_WRITE: Duration = Duration::from_secs(6);

/// WARN lines that a failover explains: a node is down, writes are held, the old primary is not believed and may have
/// had more data.
pub(crate) const FAILOVER: [&str; 4] =
    [" is down: ", "and writes are held", "says it is a primary and is fenced off", "may be lost"];

/// A pool, `main`, whose nodes are those that these Sentinels list.
pub(crate) fn proxy(sentinels: &[Address], settings: &str) -> RedkeelBuilder {
    let sentinels: Vec<String> = sentinels.iter().map(ToString::to_string).collect();
    Redkeel::builder(env!("CARGO_BIN_EXE_redkeel")).config(&format!(
        "workers = 2\n[pool.main]\nlisten = \"127.0.0.1:0\"\n{settings}\n\
         [pool.main.sentinel]\nmaster = \"{MASTER}\"\nsentinels = {sentinels:?}\n"
    ))
}

/// Starts it and waits until it has a primary and so many nodes, and all of them take reads.
pub(crate) fn ready(builder: RedkeelBuilder, nodes: usize) -> Redkeel {
    let redkeel = builder.start();
    wait_in_use(&redkeel, nodes);
    redkeel
}

/// Waits until the pool has a primary and so many nodes, and all of them take reads.
pub(crate) fn wait_in_use(redkeel: &Redkeel, count: usize) {
    redkeel.wait_until(SOON, "all nodes to be in use", |status| {
        let nodes = status["pools"][0]["nodes"].as_array().unwrap();
        !status["pools"][0]["primary"].is_null()
            && nodes.len() == count
            && nodes.iter().all(|node| node["readable"] == true)
    });
}

/// What the status says of the pool's Sentinels.
pub(crate) fn sentinels(status: &Json) -> &Json {
    &status["pools"][0]["sentinels"]
}

pub(crate) fn wait_for_primary(redkeel: &Redkeel, server: &RedisServer) {
    redkeel.wait_until(SOON, "the primary", |status| {
        status["pools"][0]["primary"] == server.address().to_string()
    });
}

/// Waits until so many Sentinels agree.
pub(crate) fn wait_agreed(redkeel: &Redkeel, count: usize) {
    redkeel.wait_until(SOON, "the Sentinels to agree", |status| {
        let all = sentinels(status)["sentinels"].as_array().unwrap();
        all.iter().filter(|sentinel| sentinel["agrees"] == true).count() == count
    });
}

/// Readers, and writers of which half ask `WAIT 1` for every write.
pub(crate) fn load(redkeel: &Redkeel, nodes: &[RedisServer]) -> Load {
    let load = Load::builder(redkeel.address())
        .readers(READERS)
        .writers(WRITERS / 2)
        .confirming_writers(WRITERS / 2)
        .keys(200)
        .pause(Duration::from_millis(2))
        .fill(&mut nodes[0].client(), nodes.len() - 1)
        .start();
    wait_for_traffic(&load);
    load
}

/// Waits until there were so many more reads and writes.
pub(crate) fn wait_for_traffic(load: &Load) {
    let (reads, writes) = (load.reads().ok, load.writes().ok);
    eventually(SOON, "reads and writes", || {
        let done = (load.reads().ok - reads, load.writes().ok - writes);
        if done.0 >= 500 && done.1 >= 500 { Ok(()) } else { Err(format!("{done:?}")) }
    });
}

/// The replica that Sentinel has promoted.
pub(crate) fn promoted(nodes: &[RedisServer]) -> &RedisServer {
    // A Sentinel that was kept from running for two seconds does nothing for thirty (TILT).
    eventually(Duration::from_secs(90), "a promotion", || {
        nodes[1..].iter().find(|node| says_master(node))
    })
}

/// Sentinel cuts the connections of whom it promotes.
fn says_master(node: &RedisServer) -> bool {
    let role = Client::try_connect(node.address()).and_then(|mut node| node.try_command(["ROLE"]));
    role.is_ok_and(|role| role.as_array().is_some_and(|role| role[0] == bulk("master")))
}

/// No read failed, and of the writes only those on their way were reported unknown. Prints the stall.
pub(crate) fn assert_unharmed(what: &str, report: &LoadReport, primary: &RedisServer) {
    let stall = report.writes.longest;
    println!("{what}: write stall {} ms, errors {:?}", stall.as_millis(), report.writes.errors);
    assert_eq!(report.reads.errors, BTreeMap::new());
    assert!(report.reads.wrong.is_empty(), "{:?}", report.reads.wrong);
    assert!(report.reads.longest <= LONGEST_READ, "{:?}", report.reads.longest);
    // A writer has one command in flight: no more than that can have been on the lost connection.
    let unknown = report.writes.errors.get("OUTCOMEUNKNOWN").copied().unwrap_or(0);
    assert_eq!(report.writes.errors_total(), unknown, "{:?}", report.writes.errors);
    assert!(unknown <= WRITERS as u64, "{unknown}");
    assert!(report.writes.wrong.is_empty(), "{:?}", report.writes.wrong);
    assert!(stall <= LONGEST_WRITE, "{stall:?}");
    assert_eq!(report.waits.errors, BTreeMap::new());
    let audit = audit(&report.journal, &mut primary.client());
    assert_eq!(audit.confirmed_lost, 0, "{audit:?}");
    assert_eq!(audit.refused, 0, "{audit:?}");
}

/// Three Sentinels before a primary with two replicas.
pub(crate) fn watched() -> (Vec<RedisServer>, Sentinels) {
    let nodes = replicated(2);
    let sentinels = Sentinels::builder(MASTER).start(&nodes[0], 2);
    (nodes, sentinels)
}

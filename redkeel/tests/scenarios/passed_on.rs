//! A node that answers with errors of its own, or slowly, is no failed node: its clients see what it says.

use std::time::{Duration, Instant};

use testkit::{Load, RedisServer, bulk, error_text, eventually, simple};

use crate::common::{
    DOWN, HELD, SOON, assert_error, assert_no_read_failed, expecting, node, proxy, ready,
    replicated, wait_for_answers, wait_for_primary,
};

/// Runs for this many milliseconds.
fn busy_script(millis: u64) -> String {
    let micros = millis * 1000;
    format!(
        "local t = redis.call('TIME') local deadline = t[1] * 1000000 + t[2] + {micros} \
         repeat t = redis.call('TIME') until t[1] * 1000000 + t[2] > deadline return 'done'"
    )
}

/// Scenario 3: the primary is busy for two seconds. Its writes take that long, and nothing else happens.
#[test]
fn a_slow_script_on_the_primary_costs_time_and_no_error() {
    let nodes = replicated(2);
    // Found down or not, which depends on the probes' timing, makes no difference to clients.
    let redkeel = ready(expecting(proxy(&nodes, ""), &[DOWN, HELD]));
    let load = Load::builder(redkeel.address())
        .readers(10)
        .writers(5)
        .keys(100)
        .pause(Duration::from_millis(2))
        .fill(&mut nodes[0].client(), 2)
        .start();
    wait_for_answers(&load, 500, 200);
    assert_eq!(nodes[0].cli(["EVAL", &busy_script(2000), "0"]), bulk("done"));
    wait_for_answers(&load, 500, 200);
    wait_for_primary(&redkeel, nodes[0].address());
    let report = load.stop();
    assert_no_read_failed(&report);
    assert_eq!(report.writes.errors_total(), 0, "{:?}", report.writes.errors);
    assert!(report.reads.longest < Duration::from_secs(1), "{:?}", report.reads.longest);
}

/// Scenario 3: what the node itself says of a script that runs too long is passed on.
#[test]
fn busy_is_passed_on() {
    let server = RedisServer::builder().option("lua-time-limit", "100").start();
    let redkeel = ready(proxy([&server], ""));
    let mut client = redkeel.client();
    let mut runner = server.client();
    runner.send(["EVAL", &busy_script(1500), "0"]);
    eventually(SOON, "BUSY", || {
        let reply = client.command(["SET", "key", "value"]);
        error_text(&reply).is_some_and(|text| text.starts_with("BUSY "))
    });
    assert_eq!(runner.receive(), bulk("done"));
    eventually(SOON, "a write", || client.command(["SET", "key", "value"]) == simple("OK"));
}

/// Scenario 12: the primary cannot save, and refuses writes and PING.
#[test]
fn misconf_is_passed_on_and_reads_go_on() {
    let primary = RedisServer::builder()
        .option("save", "3600 1000")
        .option("enable-protected-configs", "yes")
        .start();
    let replica = RedisServer::builder().replica_of(&primary).start();
    primary.wait_for_replicas(1);
    replica.wait_link_up();
    let redkeel = ready(proxy([&primary, &replica], ""));
    let mut client = redkeel.client();
    assert_eq!(client.command(["SET", "key", "value"]), simple("OK"));
    primary.wait_caught_up(&replica);
    // A folder that is gone is as good as a full disk.
    let doomed = primary.folder().path().join("doomed");
    std::fs::create_dir(&doomed).unwrap();
    let path = doomed.to_string_lossy().into_owned();
    assert_eq!(primary.cli(["CONFIG", "SET", "dir", &path]), simple("OK"));
    std::fs::remove_dir(&doomed).unwrap();
    primary.cli(["BGSAVE"]);
    eventually(SOON, "a failed save", || {
        primary.info("persistence")["rdb_last_bgsave_status"] == "err"
    });
    let start = Instant::now();
    assert_error(&client.command(["SET", "key", "other"]), "MISCONF ");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(client.command(["GET", "key"]), bulk("value"));
    let status = redkeel.status();
    assert_eq!(node(&status, primary.address())["health"], "up");
    assert_eq!(status["pools"][0]["primary"], primary.address().to_string());
    let back = primary.folder().path().to_string_lossy().into_owned();
    assert_eq!(primary.cli(["CONFIG", "SET", "dir", &back]), simple("OK"));
    eventually(SOON, "a save", || {
        primary.cli(["BGSAVE"]);
        primary.info("persistence")["rdb_last_bgsave_status"] == "ok"
    });
    eventually(SOON, "a write", || client.command(["SET", "key", "other"]) == simple("OK"));
}

/// Scenario 13: memory is full.
#[test]
fn oom_is_passed_on() {
    let nodes = replicated(1);
    let redkeel = ready(proxy(&nodes, ""));
    let mut client = redkeel.client();
    assert_eq!(client.command(["SET", "key", "value"]), simple("OK"));
    nodes[0].wait_caught_up(&nodes[1]);
    nodes[0].cli(["CONFIG", "SET", "maxmemory", "1"]);
    let start = Instant::now();
    assert_error(&client.command(["SET", "key", "other"]), "OOM ");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(client.command(["GET", "key"]), bulk("value"));
    nodes[0].cli(["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(client.command(["SET", "key", "other"]), simple("OK"));
}

//! Sentinel replaces the primary while clients read and write.

use std::time::Duration;

use testkit::{Load, LoadReport, Sentinels, audit, eventually};

use crate::common::{
    FAILOVER, MASTER, SOON, assert_unharmed, expecting, load, promoted, proxy, ready, replicated,
    sentinels, wait_agreed, wait_for_primary, wait_for_traffic, watched,
};

/// Sentinel makes a stray master a replica after eight seconds at the earliest (sentinel.c,
/// sentinelRefreshInstanceInfo), and later when it was in TILT.
const DEMOTED: Duration = Duration::from_secs(90);
/// Some hundred writes a second.
const PAUSE: Duration = Duration::from_millis(2);

#[test]
fn a_killed_primary_is_replaced() {
    let (mut nodes, group) = watched();
    let redkeel = ready(expecting(proxy(&group.addresses(), ""), &FAILOVER), 3);
    let load = load(&redkeel, &nodes);
    nodes[0].kill9();
    let primary = promoted(&nodes);
    wait_for_primary(&redkeel, primary);
    wait_for_traffic(&load);
    wait_agreed(&redkeel, 3);
    assert_unharmed("killed", &load.stop(), primary);
}

#[test]
fn a_frozen_primary_is_replaced_and_gets_nothing_when_it_wakes() {
    let (mut nodes, group) = watched();
    let redkeel = ready(expecting(proxy(&group.addresses(), ""), &FAILOVER), 3);
    let load = load(&redkeel, &nodes);
    nodes[0].stop_signal();
    wait_for_primary(&redkeel, promoted(&nodes));
    wait_for_traffic(&load);
    nodes[0].cont();
    let name = nodes[0].address().to_string();
    redkeel.wait_until(SOON, "the old primary to answer", |status| {
        let nodes = status["pools"][0]["nodes"].as_array().unwrap();
        nodes.iter().any(|node| node["name"] == name && node["health"] == "up")
    });
    wait_for_traffic(&load);
    assert_unharmed("frozen", &load.stop(), promoted(&nodes));
}

/// The old primary says master for seconds, and takes what it is given; then it follows the new one and forgets that.
#[test]
fn what_is_written_while_a_healthy_primary_is_replaced_is_lost_without_redkeel_alone() {
    let (nodes, group) = watched();
    let redkeel = ready(expecting(proxy(&group.addresses(), ""), &FAILOVER), 3);
    let load = load(&redkeel, &nodes);
    let direct =
        Load::builder(nodes[0].address().clone()).writers(2).written("direct").pause(PAUSE).start();
    wait_for_traffic(&load);
    group.failover();
    let primary = promoted(&nodes);
    wait_for_primary(&redkeel, primary);
    let kept = direct.writes().ok;
    wait_for_traffic(&load);
    wait_agreed(&redkeel, 3);
    eventually(DEMOTED, "the old primary to follow", || {
        nodes[0].info("replication")["role"] == "slave"
            && nodes[0].info("replication")["master_link_status"] == "up"
    });
    wait_for_traffic(&load);
    let report = load.stop();
    assert_unharmed("replaced", &report, primary);
    let audit_of = |report: &LoadReport| audit(&report.journal, &mut primary.client());
    let (ours, theirs) = (audit_of(&report), audit_of(&direct.stop()));
    println!("lost: {} through Redkeel, {} by a direct client", ours.lost(), theirs.lost());
    assert_eq!(ours.lost(), 0, "{ours:?}");
    assert!(theirs.lost() > 1000, "{theirs:?}, {kept} before");
}

#[test]
fn sentinels_with_a_password_are_asked_with_it() {
    let mut nodes = replicated(1);
    let group = Sentinels::builder(MASTER).requirepass("sesame").start(&nodes[0], 1);
    let builder = proxy(&group.addresses(), "");
    let refused = expecting(
        builder,
        &["asks for a password (NOAUTH): set sentinel.password", "there is no primary"],
    );
    let without = refused.start();
    without.wait_until(SOON, "the refusals", |status| {
        let all = sentinels(status)["sentinels"].as_array().unwrap();
        all.iter().all(|one| one["why"].as_str().unwrap().contains("sentinel.password"))
    });
    without.stop();

    let with_password: Vec<String> = group.addresses().iter().map(ToString::to_string).collect();
    let config = format!(
        "[pool.main]\nlisten = \"127.0.0.1:0\"\n\
         sentinel = {{ master = \"{MASTER}\", password = \"sesame\", sentinels = {with_password:?} }}\n"
    );
    let builder = testkit::Redkeel::builder(env!("CARGO_BIN_EXE_redkeel")).config(&config);
    let redkeel = ready(expecting(builder, &FAILOVER), 2);
    wait_agreed(&redkeel, 3);
    nodes[0].kill9();
    wait_for_primary(&redkeel, promoted(&nodes));
    assert_eq!(redkeel.client().command(["SET", "a", "1"]), testkit::simple("OK"));
}

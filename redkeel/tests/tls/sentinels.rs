//! Sentinels, and nodes that they list, over TLS and with passwords.

use std::time::Duration;

use testkit::{Authority, Load, RedisServer, Redkeel, Sentinels, audit, eventually};

use crate::common::{
    LOCAL, SOON, address_over, expecting, shown, trusting, wait_in_step, wait_logged,
};

const MASTER: &str = "main";

/// What a failover explains.
const FAILOVER: [&str; 4] =
    [" is down: ", "and writes are held", "says it is a primary and is fenced off", "may be lost"];

#[test]
fn a_killed_primary_is_replaced() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let node = || RedisServer::builder().tls(&theirs);
    let mut nodes = vec![node().start()];
    for _ in 0..2 {
        nodes.push(node().replica_of(&nodes[0]).start());
    }
    wait_in_step(&nodes);
    let group = Sentinels::builder(MASTER).tls(&theirs).requirepass("secret").start(&nodes[0], 2);
    let addresses: Vec<String> = group.addresses().iter().map(ToString::to_string).collect();
    let text = format!(
        "workers = 2\n[pool.main]\nlisten = \"127.0.0.1:0\"\n\
         [pool.main.sentinel]\nmaster = \"{MASTER}\"\nsentinels = {addresses:?}\n\
         password = \"secret\"\ntls = {{ ca = {:?} }}\n{}{}",
        theirs.ca(),
        trusting(&theirs),
        shown(&ours.certificate(&LOCAL))
    );
    let builder = Redkeel::builder(env!("CARGO_BIN_EXE_redkeel")).config(&text);
    let redkeel = expecting(builder, &FAILOVER).start();
    redkeel.wait_until(SOON, "all nodes to be in use", |status| {
        let nodes = status["pools"][0]["nodes"].as_array().unwrap();
        !status["pools"][0]["primary"].is_null()
            && nodes.len() == 3
            && nodes.iter().all(|node| node["readable"] == true)
    });
    let load = Load::builder(address_over(&redkeel, &ours))
        .readers(10)
        .confirming_writers(10)
        .keys(100)
        .pause(Duration::from_millis(2))
        .fill(&mut nodes[0].client(), 2)
        .start();
    let more = |count: u64| {
        let (reads, writes) = (load.reads().ok, load.writes().ok);
        eventually(SOON * 2, "reads and writes", || {
            load.reads().ok - reads >= count && load.writes().ok - writes >= count
        });
    };
    more(300);
    let old = nodes[0].address().to_string();
    nodes[0].kill9();
    // A Sentinel that was kept from running for two seconds does nothing for thirty (TILT).
    redkeel.wait_until(Duration::from_secs(90), "another primary", |status| {
        let primary = &status["pools"][0]["primary"];
        !primary.is_null() && *primary != old
    });
    more(300);
    let status = redkeel.status();
    let primary =
        nodes.iter().find(|node| status["pools"][0]["primary"] == node.address().to_string());
    let report = load.stop();
    assert_eq!(report.reads.errors_total(), 0, "{:?}", report.reads.errors);
    let unknown = report.writes.errors.get("OUTCOMEUNKNOWN").copied().unwrap_or(0);
    assert_eq!(report.writes.errors_total(), unknown, "{:?}", report.writes.errors);
    let audit = audit(&report.journal, &mut primary.unwrap().client());
    assert_eq!(audit.confirmed_lost, 0, "{audit:?}");
}

/// They are judged by their own `ca`, not by that of the nodes.
#[test]
fn sentinels_of_a_foreign_authority_are_not_believed() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    let nodes = [RedisServer::builder().tls(&authority).start()];
    let group = Sentinels::builder(MASTER).tls(&authority).count(1).quorum(1).start(&nodes[0], 0);
    let addresses: Vec<String> = group.addresses().iter().map(ToString::to_string).collect();
    let text = format!(
        "[pool.main]\nlisten = \"127.0.0.1:0\"\n\
         [pool.main.sentinel]\nmaster = \"{MASTER}\"\nsentinels = {addresses:?}\n\
         tls = {{ ca = {:?} }}\n{}",
        foreign.ca(),
        trusting(&authority)
    );
    let builder = Redkeel::builder(env!("CARGO_BIN_EXE_redkeel")).config(&text);
    let redkeel =
        expecting(builder, &["that no authority of `ca` has signed", "writes are held"]).start();
    wait_logged(&redkeel, &["WARN", "shows a certificate that no authority of `ca` has signed"]);
    assert!(redkeel.status()["pools"][0]["primary"].is_null());
}

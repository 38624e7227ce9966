//! The network falls apart: hosts of their own, where the machine allows them.

use std::process::Command;
use std::time::Duration;

use testkit::{Host, Network, RedisServer, Sentinels, eventually};

use crate::common::{
    FAILOVER, MASTER, assert_unharmed, expecting, load, promoted, proxy, ready, wait_agreed,
    wait_for_primary, wait_for_traffic,
};

/// Sentinel speaks to a host that is back, and makes a stray master a replica, after some seconds.
const HEALED: Duration = Duration::from_secs(90);

/// How many SETs it was sent, asked from its own host, where no network is needed.
fn sets(host: &Host, server: &RedisServer) -> String {
    let mut asks: Command = host.command("redis-cli");
    asks.args(["-h", &host.address(), "-p", &server.port().to_string(), "INFO", "commandstats"]);
    let output = asks.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("cmdstat_set:"));
    line.and_then(|line| line.split(',').next()).unwrap_or("calls=0").to_owned()
}

/// The primary is cut off with one Sentinel, and goes on saying master there; the others replace it.
#[test]
fn a_primary_that_is_cut_off_with_a_minority_gets_nothing_when_it_is_back() {
    let network = match Network::new() {
        Ok(network) => network,
        Err(why) => return eprintln!("skipped: no network namespaces here: {why}"),
    };
    let hosts: Vec<Host> = (0..3).map(|number| network.host(number)).collect();
    let mut nodes = vec![RedisServer::builder().on(&hosts[0]).start()];
    for host in &hosts[1..] {
        nodes.push(RedisServer::builder().on(host).replica_of(&nodes[0]).start());
    }
    nodes[0].wait_for_replicas(2);
    let group = Sentinels::builder(MASTER).on(&hosts).start(&nodes[0], 2);
    let builder = proxy(&group.addresses(), "timeouts.hold = \"20s\"");
    let redkeel = ready(expecting(expecting(builder, &FAILOVER), &["is not counted"]), 3);
    wait_agreed(&redkeel, 3);
    let load = load(&redkeel, &nodes);
    hosts[0].cut();
    let primary = promoted(&nodes);
    wait_for_primary(&redkeel, primary);
    wait_for_traffic(&load);
    wait_agreed(&redkeel, 2);
    // What was on the way to it is gone with its connections.
    let before = sets(&hosts[0], &nodes[0]);
    hosts[0].heal();
    eventually(HEALED, "the old primary to follow", || {
        let since = sets(&hosts[0], &nodes[0]);
        let follows = nodes[0].is_answering() && nodes[0].info("replication")["role"] == "slave";
        assert!(follows || since == before, "it was sent writes: {before}, {since}");
        follows
    });
    wait_agreed(&redkeel, 3);
    wait_for_traffic(&load);
    assert_unharmed("cut off", &load.stop(), primary);
}

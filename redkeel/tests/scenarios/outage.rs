//! All nodes are gone for a while.

use std::thread;
use std::time::{Duration, Instant};

use testkit::{RedisServer, bulk, eventually, simple};

use crate::common::{
    DOWN, HELD, SOON, assert_error, expecting, proxy, ready, wait_for_health, wait_for_primary,
};

const CLIENTS: usize = 100;

/// Scenario 17: ten seconds without any node. Every client stays connected and gets a stable error after `hold`; the
/// first read succeeds within half a second of the first node that can serve it.
#[test]
fn clients_stay_connected_through_ten_seconds_without_a_node() {
    // With `everysec`, a busy disk lets Redis answer before it has appended.
    let builder = || RedisServer::builder().option("appendonly", "yes").option("appendfsync", "no");
    let mut nodes = vec![builder().start()];
    nodes.push(builder().replica_of(&nodes[0]).start());
    nodes[0].wait_for_replicas(1);
    nodes[1].wait_link_up();
    let quiet = [DOWN, HELD, "may be lost", "fenced off", "the primary is unclear"];
    let redkeel = ready(expecting(proxy(&nodes, "timeouts.hold = \"1s\""), &quiet));
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| redkeel.client()).collect();
    for client in &mut clients {
        assert_eq!(client.command(["SET", "key", "value"]), simple("OK"));
    }
    nodes[0].wait_caught_up(&nodes[1]);
    let accepted = redkeel.status()["pools"][0]["clients"]["accepted_total"].clone();
    for node in &mut nodes {
        node.kill9();
    }
    for node in &nodes {
        wait_for_health(&redkeel, node.address(), "down");
    }
    let gone = Instant::now();
    for client in &mut clients {
        client.send(["GET", "key"]);
        client.send(["SET", "key", "other"]);
    }
    for client in &mut clients {
        assert_error(&client.receive(), "NOREPLICA redkeel: pool main ");
        assert_error(&client.receive(), "NOPRIMARY redkeel: pool main ");
    }
    // The length of the outage is what the scenario is about.
    thread::sleep(Duration::from_secs(10).saturating_sub(gone.elapsed()));
    nodes[0].restart();
    nodes[0].wait_ready();
    let serving = Instant::now();
    eventually(SOON, "a read", || clients[0].command(["GET", "key"]) == bulk("value"));
    let took = serving.elapsed();
    println!("the first read succeeded {took:?} after the first node served again");
    assert!(took <= Duration::from_millis(500), "{took:?}");
    nodes[1].restart();
    wait_for_primary(&redkeel, nodes[0].address());
    for client in &mut clients {
        assert_eq!(client.command(["SET", "key", "after"]), simple("OK"));
    }
    let status = redkeel.status();
    assert_eq!(status["pools"][0]["clients"]["accepted_total"], accepted, "nobody reconnected");
}

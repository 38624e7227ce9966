//! Servers are gone altogether, and come back at their addresses.

use std::time::{Duration, Instant};

use testkit::{RedisServer, Value, bulk, error_text, simple};

use crate::common::{
    DOWN, FENCED, HELD, LOSS, UNCLEAR, assert_error, expecting, proxy, ready, replicated,
    wait_down, wait_for_no_primary, wait_for_primary, wait_held,
};

#[test]
fn a_write_waits_for_the_only_server_to_come_back() {
    let mut server = RedisServer::builder().option("appendonly", "yes").start();
    let builder = proxy([&server], "timeouts.hold = \"20s\"");
    let redkeel = ready(expecting(builder, &[DOWN, HELD, FENCED, LOSS]));
    let mut client = redkeel.client();
    let mut reader = redkeel.client();
    assert_eq!(client.command(["SET", "key", "before"]), simple("OK"));
    for round in 0..3 {
        let value = format!("after {round}");
        server.kill9();
        client.send(["SET", "key", &value]);
        reader.send(["GET", "other"]);
        wait_held(&redkeel, 2);
        server.restart();
        assert_eq!(client.receive(), simple("OK"));
        assert_eq!(reader.receive(), Value::Null);
        assert_eq!(client.command(["GET", "key"]), bulk(&value));
    }
}

#[test]
fn errors_are_stable_after_hold_and_end_without_a_new_connection() {
    let mut server = RedisServer::start();
    let builder = proxy([&server], "timeouts.hold = \"1s\"");
    let redkeel = ready(expecting(builder, &[DOWN, HELD, FENCED, LOSS]));
    let mut client = redkeel.client();
    assert_eq!(client.command(["SET", "key", "1"]), simple("OK"));
    server.kill9();
    wait_down(&redkeel, &server);
    let mut texts = Vec::new();
    for _ in 0..3 {
        let start = Instant::now();
        let reply = client.command(["SET", "key", "2"]);
        assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
        assert_error(&reply, "NOPRIMARY redkeel: pool main ");
        texts.extend(error_text(&reply));
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert_error(&client.command(["GET", "key"]), "NOREPLICA redkeel: pool main ");
    server.restart();
    wait_for_primary(&redkeel, &server);
    assert_eq!(client.command(["SET", "key", "3"]), simple("OK"));
    assert_eq!(client.command(["GET", "key"]), bulk("3"));
}

#[test]
fn all_three_nodes_die_and_come_back() {
    let mut nodes = replicated(2);
    let quiet = &[DOWN, HELD, LOSS, FENCED, UNCLEAR];
    let redkeel = ready(expecting(proxy(&nodes, "timeouts.hold = \"20s\""), quiet));
    let mut clients: Vec<_> = (0..20).map(|_| redkeel.client()).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.command(["SET", &index.to_string(), "before"]), simple("OK"));
    }
    for node in &mut nodes {
        node.kill9();
    }
    for node in &nodes {
        wait_down(&redkeel, node);
    }
    wait_for_no_primary(&redkeel);
    for (index, client) in clients.iter_mut().enumerate() {
        client.send(["SET", &index.to_string(), "after"]);
        client.send(["GET", &index.to_string()]);
    }
    wait_held(&redkeel, 20);
    for node in &mut nodes {
        node.restart();
    }
    for client in &mut clients {
        assert_eq!(client.receive(), simple("OK"));
        assert_eq!(client.receive(), bulk("after"));
    }
    wait_for_primary(&redkeel, &nodes[0]);
}

//! A node keeps its connections and answers nothing.

use std::time::{Duration, Instant};

use testkit::{FaultyLink, RedisServer, Value, bulk, eventually, simple};

use crate::common::{
    DOWN, HELD, PATIENT, SOON, assert_error, expecting, node, proxy, proxy_of, ready, replicated,
    wait_down, wait_for_primary,
};

#[test]
fn a_write_on_a_frozen_primary_is_given_up_and_its_late_reply_is_nobodys() {
    let mut nodes = replicated(1);
    let builder = proxy(&nodes, "timeouts.request = \"1s\"");
    let redkeel = ready(expecting(builder, &[DOWN, HELD]));
    let mut client = redkeel.client();
    assert_eq!(client.command(["SET", "key", "before"]), simple("OK"));
    nodes[0].wait_caught_up(&nodes[1]);
    nodes[0].stop_signal();
    let start = Instant::now();
    client.send(["INCR", "counter"]);
    client.send(["GET", "key"]);
    assert_error(
        &client.receive(),
        &format!("OUTCOMEUNKNOWN redkeel: node {} of pool main ", nodes[0].address()),
    );
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
    // The connection goes on: reads are served elsewhere.
    assert_eq!(client.receive(), bulk("before"));
    assert_eq!(client.command(["ECHO", "still here"]), bulk("still here"));
    wait_down(&redkeel, &nodes[0]);
    nodes[0].cont();
    wait_for_primary(&redkeel, &nodes[0]);
    for number in 0..100 {
        let value = number.to_string();
        let replies = client.pipeline([vec!["SET", "key", &value], vec!["GET", "key"]]);
        assert_eq!(replies, [simple("OK"), bulk(&value)]);
    }
    // It has run after all, once.
    assert_eq!(nodes[0].cli(["GET", "counter"]), bulk("1"));
    assert_eq!(client.command(["INCR", "counter"]), Value::Integer(2));
}

#[test]
fn a_thawed_primary_answers_what_it_was_asked_in_time() {
    let mut nodes = replicated(1);
    let redkeel = ready(expecting(proxy(&nodes, ""), &[DOWN, HELD]));
    let mut client = redkeel.client();
    let mut later = redkeel.client();
    nodes[0].stop_signal();
    client.send(["INCR", "counter"]);
    wait_down(&redkeel, &nodes[0]);
    later.send(["INCR", "counter"]);
    crate::common::wait_held(&redkeel, 1);
    nodes[0].cont();
    assert_eq!(client.receive(), Value::Integer(1));
    assert_eq!(later.receive(), Value::Integer(2));
}

#[test]
fn reads_that_a_frozen_primary_keeps_are_answered_by_a_replica() {
    let mut nodes = replicated(1);
    let builder = proxy(&nodes, "reads = \"prefer-primary\"");
    let redkeel = ready(expecting(builder, &[DOWN, HELD]));
    let mut client = redkeel.client();
    assert_eq!(client.command(["SET", "key", "value"]), simple("OK"));
    nodes[0].wait_caught_up(&nodes[1]);
    nodes[0].stop_signal();
    let start = Instant::now();
    for _ in 0..10 {
        assert_eq!(client.command(["GET", "key"]), bulk("value"));
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

/// The connections of the data plane are dead, and nobody said so: only deadlines can tell.
#[test]
fn connections_that_fell_silent_do_not_outlive_their_deadlines() {
    let nodes = replicated(1);
    let links: Vec<FaultyLink> = nodes.iter().map(|node| FaultyLink::to(node.address())).collect();
    let builder = proxy_of(links.iter().map(FaultyLink::address), "timeouts.request = \"1s\"");
    let redkeel = ready(expecting(builder, &[DOWN, HELD]));
    let mut client = redkeel.client();
    assert_eq!(client.command(["SET", "key", "before"]), simple("OK"));
    nodes[0].wait_caught_up(&nodes[1]);
    assert_eq!(client.command(["GET", "key"]), bulk("before"));
    for link in &links {
        link.half_open();
    }
    let reply = client.command(["SET", "key", "after"]);
    assert_error(&reply, "OUTCOMEUNKNOWN");
    eventually(SOON, "writes to go on", || client.command(["SET", "key", "on"]) == simple("OK"));
    eventually(SOON, "reads to go on", || client.command(["GET", "key"]) == bulk("on"));
    redkeel.wait_until(SOON, "all nodes to be up", |status| {
        links.iter().all(|link| node(status, &link.address())["health"] == "up")
    });
}

/// With `request` below what the node takes: the client learns that its command may have run, and later replies are
/// its own.
#[test]
fn a_slow_script_is_given_up_and_does_not_confuse_what_follows() {
    let server = RedisServer::start();
    let settings = format!("timeouts.request = \"500ms\"\n{PATIENT}");
    let redkeel = ready(proxy([&server], &settings));
    let mut client = redkeel.client();
    let mut other = redkeel.client();
    let script = "local t = redis.call('TIME') local deadline = t[1] * 1000000 + t[2] + 1500000 \
                  repeat t = redis.call('TIME') until t[1] * 1000000 + t[2] > deadline return 'late'";
    client.send(["EVAL", script, "0"]);
    assert_error(&client.receive(), "OUTCOMEUNKNOWN");
    for number in 0..20 {
        let text = number.to_string();
        for client in [&mut client, &mut other] {
            eventually(SOON, "an answer", || {
                let reply = client.command(["ECHO", &text]);
                if reply == bulk(&text) {
                    return true;
                }
                assert_error(&reply, "NOREPLICA");
                false
            });
        }
    }
}

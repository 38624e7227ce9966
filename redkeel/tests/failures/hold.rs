//! Writes wait for a primary, in order, and not for ever.

use std::time::{Duration, Instant};

use testkit::{Client, RedisServer, Redkeel, Value, bulk, simple};

use crate::common::{
    DOWN, FENCED, HELD, LOSS, assert_error, calls, change_primary, expecting, promote, proxy,
    ready, replicated, wait_down, wait_for_primary, wait_held,
};

fn start(nodes: &[RedisServer], settings: &str) -> Redkeel {
    ready(expecting(proxy(nodes, settings), &[DOWN, HELD, FENCED, LOSS]))
}

#[test]
fn without_a_primary_a_write_waits_for_hold_and_fails_while_reads_go_on() {
    let mut nodes = replicated(2);
    let redkeel = start(&nodes, "timeouts.hold = \"1s\"");
    let mut client = redkeel.client();
    assert_eq!(client.command(["SET", "key", "value"]), simple("OK"));
    nodes[0].wait_caught_up(&nodes[1]);
    nodes[0].wait_caught_up(&nodes[2]);
    nodes[0].kill9();
    wait_down(&redkeel, &nodes[0]);
    for write in [vec!["SET", "key", "other"], vec!["EVAL", "return 1", "0"], vec!["DEL", "key"]] {
        let start = Instant::now();
        let reply = client.command(&write);
        let took = start.elapsed();
        assert_error(&reply, "NOPRIMARY redkeel: pool main ");
        assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
        let start = Instant::now();
        assert_eq!(client.command(["GET", "key"]), bulk("value"));
        assert!(start.elapsed() < Duration::from_secs(1));
    }
    // A read behind a write waits with it, and is answered after it.
    client.send(["SET", "key", "other"]);
    client.send(["GET", "key"]);
    assert_error(&client.receive(), "NOPRIMARY");
    assert_eq!(client.receive(), bulk("value"));
}

/// Pairs of a write and a read of the same key, all in one write: a read that is sent when its write was answered may go to
/// a replica.
fn send_pairs(client: &mut Client, from: usize, to: usize) {
    let mut pairs = Vec::new();
    for number in from..to {
        resp::write_command(&mut pairs, &[b"SET", b"pairs", number.to_string().as_bytes()]);
        resp::write_command(&mut pairs, &[b"GET", b"pairs"]);
    }
    client.send_raw(&pairs);
}

fn expect_pairs(client: &mut Client, from: usize, to: usize) {
    for number in from..to {
        assert_eq!(client.receive(), simple("OK"), "{number}");
        assert_eq!(client.receive(), bulk(number.to_string()));
    }
}

#[test]
fn what_is_held_runs_in_order_once_a_replica_is_promoted() {
    let mut nodes = replicated(1);
    let redkeel = start(&nodes, "timeouts.hold = \"20s\"");
    let mut client = redkeel.client();
    send_pairs(&mut client, 0, 100);
    expect_pairs(&mut client, 0, 100);
    nodes[0].wait_caught_up(&nodes[1]);
    nodes[0].kill9();
    wait_down(&redkeel, &nodes[0]);
    // More than one client may have unanswered, and more than one batch.
    send_pairs(&mut client, 100, 1000);
    wait_held(&redkeel, 1);
    send_pairs(&mut client, 1000, 1100);
    promote(&nodes[1]);
    expect_pairs(&mut client, 100, 1100);
    wait_for_primary(&redkeel, &nodes[1]);
    assert_eq!(calls(&nodes[1], "set"), 100 + 1000);
}

#[test]
fn a_pipeline_keeps_its_order_while_the_primary_changes_beneath_it() {
    let nodes = replicated(1);
    let redkeel = start(&nodes, "timeouts.hold = \"20s\"");
    let mut client = redkeel.client();
    let mut number = 0;
    for round in 0..4 {
        let (from, to) = (&nodes[round % 2], &nodes[(round + 1) % 2]);
        // Some are on their way when the roles change, some are not yet read.
        send_pairs(&mut client, number, number + 1000);
        change_primary(from, to);
        send_pairs(&mut client, number + 1000, number + 1200);
        expect_pairs(&mut client, number, number + 1200);
        number += 1200;
        wait_for_primary(&redkeel, to);
        from.wait_link_up();
    }
    let found = nodes[0].cli(["GET", "pairs"]);
    assert_eq!(found, bulk((number - 1).to_string()));
}

#[test]
fn hold_of_zero_fails_at_once() {
    let mut nodes = replicated(1);
    let redkeel = start(&nodes, "timeouts.hold = \"0s\"");
    let mut client = redkeel.client();
    nodes[0].kill9();
    wait_down(&redkeel, &nodes[0]);
    let start = Instant::now();
    assert_error(&client.command(["SET", "key", "value"]), "NOPRIMARY");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(client.command(["GET", "key"]), Value::Null);
}

#[test]
fn held_commands_are_limited_by_their_number() {
    let mut nodes = replicated(1);
    // Each of the two workers has its half.
    let redkeel = start(&nodes, "timeouts.hold = \"20s\"\nlimits.hold_requests = 10");
    let metric = |name: &str| {
        let page = redkeel.admin_get("/metrics").body;
        let line = page.lines().find(|line| line.starts_with(&format!("{name}{{"))).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    nodes[0].kill9();
    wait_down(&redkeel, &nodes[0]);
    let mut few = redkeel.client();
    for number in 0..3 {
        few.send(["SET", "few", &number.to_string()]);
    }
    wait_held(&redkeel, 1);
    testkit::eventually(Duration::from_secs(15), "three held commands", || {
        metric("redkeel_pool_held_requests") == 3
    });
    // At whichever worker it is: more than its share.
    let mut many = redkeel.client();
    let writes = b"*3\r\n$3\r\nSET\r\n$4\r\nmany\r\n$1\r\nx\r\n".repeat(6);
    many.send_raw(&writes);
    for _ in 0..6 {
        let error = testkit::error_text(&many.receive()).unwrap();
        assert_eq!(error, "LIMIT redkeel: pool main already holds 10 commands (hold_requests)");
    }
    // Those that came first still wait, and are answered.
    assert_eq!(metric("redkeel_pool_held_requests"), 3);
    promote(&nodes[1]);
    for _ in 0..3 {
        assert_eq!(few.receive(), simple("OK"));
    }
    assert_eq!(metric("redkeel_pool_held_requests"), 0);
}

//! It is done: no client gets an error, nothing is lost.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use testkit::{RedisServer, Value, bulk, eventually, simple};

use crate::common::{
    proxy, ready, replicated, role, switch, switch_to, unharmed, wait_follows, wait_for_writes,
    wait_in_step, wait_settled, writers,
};

/// About 5,000 writes a second.
const WRITERS: usize = 14;

fn stalls(what: &str, mut stalls: Vec<Duration>, answers: &[serde_json::Value]) {
    let held: Vec<f64> =
        answers.iter().map(|answer| answer["held_seconds"].as_f64().unwrap() * 1e3).collect();
    println!("{what}: longest write of each round {stalls:?}; held for {held:?} ms");
    stalls.sort();
    println!("{what}: median {:?}", stalls[stalls.len() / 2]);
}

/// Back and forth, under load; a third node follows whoever is the primary.
fn back_and_forth(what: &str, way: &str, rounds: usize, nodes: &[RedisServer]) {
    let redkeel = ready(proxy(nodes, ""));
    let (mut longest, mut answers, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let (from, to) = (&nodes[round % 2], &nodes[(round + 1) % 2]);
        let began = Instant::now();
        let load = writers(&redkeel, WRITERS);
        let answer = switch_to(&redkeel, to);
        assert_eq!(answer["way"], way, "{answer:#}");
        assert_eq!(answer["error"], serde_json::Value::Null);
        wait_for_writes(&load, 300);
        let rate = load.writes().ok as f64 / began.elapsed().as_secs_f64();
        rates.push(rate as u64);
        longest.push(unharmed(load, to));
        assert_eq!((role(from), role(to)), ("slave".to_owned(), "master".to_owned()));
        for node in nodes.iter().filter(|node| node.address() != to.address()) {
            wait_follows(node, to);
        }
        wait_settled(&redkeel, to);
        answers.push(answer);
    }
    stalls(what, longest, &answers);
    println!("{what}: writes per second in each round {rates:?}");
    let metrics = redkeel.admin_get("/metrics").body;
    let line =
        format!("redkeel_pool_switchovers_total{{pool=\"main\",result=\"done\"}} {rounds}\n");
    assert!(metrics.contains(&line), "{metrics}");
}

#[test]
fn clients_do_not_notice_it_back_and_forth() {
    back_and_forth("FAILOVER", "FAILOVER", 10, &replicated(2));
}

#[test]
fn without_failover_writes_are_paused() {
    let denied = || RedisServer::builder().option("rename-command", "FAILOVER \"\"");
    let first = denied().start();
    let nodes = [denied().replica_of(&first).start(), denied().replica_of(&first).start()];
    let nodes: Vec<RedisServer> = std::iter::once(first).chain(nodes).collect();
    wait_in_step(&nodes);
    back_and_forth("PAUSE", "PAUSE", 5, &nodes);
}

#[test]
fn a_replica_that_cannot_be_nudged_is_waited_for_while_writes_are_paused() {
    let denied = || RedisServer::builder().option("rename-command", "FAILOVER \"\"");
    let first = denied().start();
    let second = denied().replica_of(&first).start();
    let nodes = [first, second];
    wait_in_step(&nodes);
    let redkeel = ready(proxy(&nodes, ""));
    let answer = switch(&redkeel, None);
    assert_eq!((&answer["result"], &answer["way"]), (&"done".into(), &"PAUSE".into()));
    assert_eq!(role(&nodes[1]), "master");
}

/// The other Redkeel hears of nothing before a node refuses a write.
#[test]
fn clients_of_another_redkeel_do_not_notice_it() {
    let nodes = replicated(2);
    let first = ready(proxy(&nodes, ""));
    let second = ready(crate::common::expecting(
        proxy(&nodes, ""),
        &["is not the primary any more, and writes are held", "is fenced off"],
    ));
    for round in 0..4 {
        let to = &nodes[(round + 1) % 2];
        let (own, others) = (writers(&first, 6), writers(&second, 6));
        let steps = switch_to(&first, to)["steps"].to_string();
        wait_for_writes(&own, 200);
        wait_for_writes(&others, 200);
        let (own, others) = (unharmed(own, to), unharmed(others, to));
        println!("two Redkeels: longest write {own:?}, at the other {others:?}; {steps}");
        wait_settled(&first, to);
        wait_settled(&second, to);
    }
}

/// Without FAILOVER, which a server does once at a time, each would promote a replica of its own.
#[test]
fn of_two_orders_at_once_one_at_the_most_comes_about() {
    let denied = || RedisServer::builder().option("rename-command", "FAILOVER \"\"");
    let first = denied().start();
    let nodes = [denied().replica_of(&first).start(), denied().replica_of(&first).start()];
    let nodes: Vec<RedisServer> = std::iter::once(first).chain(nodes).collect();
    wait_in_step(&nodes);
    let quiet = ["is not the primary any more, and writes are held", "is fenced off"];
    let redkeels = [0, 1].map(|_| ready(crate::common::expecting(proxy(&nodes, ""), &quiet)));
    let mut refused = 0;
    let mut primary = 0;
    for _ in 0..6 {
        let (one, other) = ((primary + 1) % 3, (primary + 2) % 3);
        let load = writers(&redkeels[0], 6);
        let start = Barrier::new(2);
        let answers = std::thread::scope(|scope| {
            let order = |redkeel, to: usize| {
                let (start, to) = (&start, &nodes[to]);
                scope.spawn(move || {
                    start.wait();
                    switch(redkeel, Some(to))
                })
            };
            let orders = [order(&redkeels[0], one), order(&redkeels[1], other)];
            orders.map(|order| order.join().unwrap())
        });
        for answer in &answers {
            assert!(
                ["done", "refused"].contains(&answer["result"].as_str().unwrap()),
                "{answer:#}"
            );
        }
        refused += answers.iter().filter(|answer| answer["result"] == "refused").count();
        let masters: Vec<usize> = (0..3).filter(|node| role(&nodes[*node]) == "master").collect();
        let [master] = masters[..] else { panic!("{masters:?} are masters: {answers:#?}") };
        primary = master;
        wait_for_writes(&load, 100);
        unharmed(load, &nodes[primary]);
        for redkeel in &redkeels {
            wait_settled(redkeel, &nodes[primary]);
        }
        for node in (0..3).filter(|node| *node != primary) {
            wait_follows(&nodes[node], &nodes[primary]);
        }
    }
    println!("two orders at once: {refused} of 12 were refused");
    assert!(refused > 0, "they were never under way at the same time");
}

/// What a client has to itself goes on, or fails as it would anywhere when its node steps down.
#[test]
fn blocked_clients_and_subscribers_go_on() {
    let nodes = replicated(1);
    let redkeel = ready(proxy(&nodes, ""));
    let mut blocked = redkeel.client();
    blocked.send(["BLPOP", "queue", "30"]);
    let mut subscriber = redkeel.client();
    subscriber.command(["SUBSCRIBE", "news"]);
    eventually(crate::common::SOON, "a blocked client", || {
        nodes[0].info("clients")["blocked_clients"] == "1"
    });
    switch_to(&redkeel, &nodes[1]);
    let mut client = redkeel.client();
    eventually(crate::common::SOON, "a blocked client at the new primary", || {
        nodes[1].info("clients")["blocked_clients"] == "1"
    });
    assert_eq!(client.command(["RPUSH", "queue", "a"]), Value::Integer(1));
    assert_eq!(blocked.receive(), Value::Array(vec![bulk("queue"), bulk("a")]));
    eventually(crate::common::SOON, "the subscription at the new primary", || {
        nodes[1].cli(["PUBSUB", "NUMSUB", "news"])
            == Value::Array(vec![bulk("news"), Value::Integer(1)])
    });
    client.command(["PUBLISH", "news", "moved"]);
    let message = Value::Array(vec![bulk("message"), bulk("news"), bulk("moved")]);
    assert_eq!(subscriber.receive(), message);
}

/// An open transaction does not keep a switchover waiting, and nothing of it runs on the node that stepped down.
#[test]
fn an_open_transaction_is_aborted() {
    let nodes = replicated(1);
    let redkeel = ready(proxy(&nodes, ""));
    let mut client = redkeel.client();
    assert_eq!(client.command(["MULTI"]), simple("OK"));
    assert_eq!(client.command(["SET", "key", "value"]), simple("QUEUED"));
    switch_to(&redkeel, &nodes[1]);
    let reply = client.command(["EXEC"]);
    let text = testkit::error_text(&reply).unwrap_or_default().to_owned();
    assert!(text.starts_with("EXECABORT"), "{reply:?}");
    assert_eq!(client.command(["GET", "key"]), Value::Null);
    assert_eq!(client.command(["SET", "key", "value"]), simple("OK"));
}

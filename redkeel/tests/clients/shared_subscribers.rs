//! Many subscribers: a node sees a few connections, and each of them gets every message in order.

use testkit::{Client, RedisServer, Redkeel, Value, bulk, error_text, eventually, simple};

use crate::common::{SOON, proxy, ready};

/// Two workers count so many subscribers one by one, and each of them has one connection for all others.
const COUNTED: i64 = 2 * (16 + 1);

fn start(server: &RedisServer, settings: &str) -> Redkeel {
    ready(proxy([server], settings))
}

fn message(channel: &str, text: &str) -> Vec<Value> {
    ["message", channel, text].map(bulk).to_vec()
}

/// So many that the next one of either worker shares.
fn fillers(redkeel: &Redkeel) -> Vec<Client> {
    let mut fillers: Vec<Client> = (0..40).map(|_| redkeel.client()).collect();
    for filler in &mut fillers {
        filler.command(["SUBSCRIBE", "filler"]);
    }
    fillers
}

#[test]
fn ten_thousand_subscribers_of_a_channel_need_a_few_connections() {
    const CLIENTS: usize = 10_000;
    const MESSAGES: usize = 5;
    let server = RedisServer::start();
    let settings = "limits.max_clients = 12000\nhealth.timeout = \"4s\"\ntimeouts.hold = \"13s\"";
    let redkeel = start(&server, settings);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| redkeel.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        if number % 2 == 0 {
            client.send(["HELLO", "3"]);
        }
        client.send(["SUBSCRIBE", "news"]);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        if number % 2 == 0 {
            assert!(matches!(client.receive(), Value::Map(_)));
        }
        let confirmation = vec![bulk("subscribe"), bulk("news"), Value::Integer(1)];
        let expected = match number % 2 {
            0 => Value::Push(confirmation),
            _ => Value::Array(confirmation),
        };
        assert_eq!(client.receive(), expected);
    }
    let mut publisher = redkeel.client();
    for number in 0..MESSAGES {
        let text = format!("number {number}");
        assert_eq!(publisher.command(["PUBLISH", "news", &text]), Value::Integer(COUNTED));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        for text in 0..MESSAGES {
            let expected = message("news", &format!("number {text}"));
            let expected = match number % 2 {
                0 => Value::Push(expected),
                _ => Value::Array(expected),
            };
            assert_eq!(client.receive(), expected, "client {number}");
        }
    }
    let connections: usize = server.info("clients")["connected_clients"].parse().unwrap();
    println!("{connections} connections for {CLIENTS} subscribers");
    assert!(connections <= 48, "{connections} connections");
    let numbers = publisher.command(["PUBSUB", "NUMSUB", "news"]);
    assert_eq!(numbers, Value::Array(vec![bulk("news"), Value::Integer(COUNTED)]));
    drop(clients);
    eventually(SOON, "nobody to be subscribed", || {
        server.cli(["PUBSUB", "NUMSUB", "news"])
            == Value::Array(vec![bulk("news"), Value::Integer(0)])
    });
}

#[test]
fn messages_stand_between_replies_and_never_within_one() {
    let server = RedisServer::start();
    let redkeel = start(&server, "");
    let _fillers = fillers(&redkeel);
    let large = "x".repeat(3 << 20);
    let mut publisher = redkeel.client();
    assert_eq!(publisher.command(["SET", "large", &large]), simple("OK"));
    let mut clients: Vec<Client> = (0..4).map(|_| redkeel.client()).collect();
    for client in &mut clients {
        client.command(["HELLO", "3"]);
        assert!(matches!(client.command(["SUBSCRIBE", "news", "other"]), Value::Push(_)));
        assert!(matches!(client.receive(), Value::Push(_)));
    }
    const ROUNDS: usize = 20;
    for round in 0..ROUNDS {
        let text = round.to_string();
        for client in &mut clients {
            client.send(["GET", "large"]);
            client.send(["MULTI"]);
            client.send(["INCR", "n"]);
            client.send(["EXEC"]);
            client.send(["PUBLISH", "news", &text]);
        }
        publisher.command(["PUBLISH", "news", &large]);
        for client in &mut clients {
            let mut replies = Vec::new();
            let mut messages = 0;
            while replies.len() < 5 || messages < 5 {
                match client.receive() {
                    Value::Push(_) => messages += 1,
                    reply => replies.push(reply),
                }
            }
            assert_eq!(replies[0], bulk(&large));
            assert_eq!(replies[1..3], [simple("OK"), simple("QUEUED")]);
            assert!(matches!(&replies[3], Value::Array(results) if results.len() == 1));
            assert!(replies[4].as_int().is_some());
        }
    }
    assert_eq!(server.cli(["GET", "n"]), bulk((4 * ROUNDS).to_string()));
    // A connection of its own for something else changes nothing about what it hears.
    let client = &mut clients[0];
    assert_eq!(client.command(["WATCH", "key"]), simple("OK"));
    publisher.command(["PUBLISH", "other", "beside"]);
    assert_eq!(client.receive(), Value::Push(message("other", "beside")));
    let replies = client.pipeline([["MULTI"], ["EXEC"]]);
    assert_eq!(replies, [simple("OK"), Value::Array(vec![])]);
    publisher.command(["PUBLISH", "other", "after"]);
    assert_eq!(client.receive(), Value::Push(message("other", "after")));
    assert_eq!(client.command(["RESET"]), simple("RESET"));
    assert_eq!(client.command(["GET", "key"]), Value::Null);
}

#[test]
fn a_slow_subscriber_is_cut_by_its_own_limit_alone() {
    const MESSAGES: usize = 400;
    let server = RedisServer::start();
    let redkeel = start(&server, "limits.client_output = \"4mb\"");
    let _fillers = fillers(&redkeel);
    let mut slow: Vec<Client> = (0..2).map(|_| redkeel.client()).collect();
    let mut clients: Vec<Client> = (0..10).map(|_| redkeel.client()).collect();
    for client in slow.iter_mut().chain(&mut clients) {
        assert!(client.command(["SUBSCRIBE", "news"]).as_array().is_some());
    }
    let text = "x".repeat(64 << 10);
    let mut publisher = redkeel.client();
    for number in 0..MESSAGES {
        let text = format!("{number}:{text}");
        assert_eq!(publisher.command(["PUBLISH", "news", &text]), Value::Integer(2));
        for client in &mut clients {
            assert_eq!(client.receive(), Value::Array(message("news", &text)));
        }
    }
    for client in &mut slow {
        client.expect_closed();
    }
    let metrics = redkeel.admin_get("/metrics").body;
    let closed = "redkeel_pool_clients_slow_closed_total{pool=\"main\"} 2\n";
    assert!(metrics.contains(closed), "{metrics}");
}

#[test]
fn a_channel_that_a_user_may_not_hear_is_refused_by_the_node() {
    let server = RedisServer::start();
    let user = ["ACL", "SETUSER", "app", "on", ">pw", "+@all", "resetchannels", "&news"];
    assert_eq!(server.cli(user), simple("OK"));
    let redkeel = start(&server, "");
    let mut clients: Vec<Client> = (0..60).map(|_| redkeel.client()).collect();
    for client in &mut clients {
        assert_eq!(client.command(["AUTH", "app", "pw"]), simple("OK"));
        let refused = error_text(&client.command(["SUBSCRIBE", "secret"])).unwrap();
        assert!(refused.starts_with("NOPERM"), "{refused}");
        assert!(client.command(["SUBSCRIBE", "news"]).as_array().is_some());
    }
    let mut publisher = redkeel.client();
    assert_eq!(publisher.command(["PUBLISH", "news", "x"]), Value::Integer(COUNTED));
    for client in &mut clients {
        assert_eq!(client.receive(), Value::Array(message("news", "x")));
    }
}

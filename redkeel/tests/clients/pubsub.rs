//! Subscriptions, MONITOR, invalidations, keyspace events: what a client gets without having asked at that moment.

use testkit::{Client, RedisServer, Redkeel, Value, bulk, eventually, simple};

use crate::common::{SOON, proxy, ready};

fn start(server: &RedisServer) -> Redkeel {
    ready(proxy([server], ""))
}

fn message(kind: &str, parts: &[&str]) -> Vec<Value> {
    [kind].iter().chain(parts).map(bulk).collect()
}

fn resp3(redkeel: &Redkeel) -> Client {
    let mut client = redkeel.client();
    assert!(matches!(client.command(["HELLO", "3"]), Value::Map(_)));
    client
}

#[test]
fn messages_reach_subscribers_of_either_protocol() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    let mut two = redkeel.client();
    let mut three = resp3(&redkeel);
    for client in [&mut two, &mut three] {
        client.command(["SUBSCRIBE", "news"]);
        client.command(["PSUBSCRIBE", "n?ws"]);
        client.command(["SSUBSCRIBE", "shard"]);
    }
    let mut publisher = redkeel.client();
    assert_eq!(publisher.command(["PUBLISH", "news", "hello"]), Value::Integer(4));
    assert_eq!(publisher.command(["SPUBLISH", "shard", "wide"]), Value::Integer(2));
    assert_eq!(publisher.command(["PUBLISH", "other", "nobody"]), Value::Integer(0));
    let numbers = publisher.command(["PUBSUB", "NUMSUB", "news"]);
    assert_eq!(numbers, Value::Array(vec![bulk("news"), Value::Integer(2)]));
    let expected = [
        message("message", &["news", "hello"]),
        message("pmessage", &["n?ws", "news", "hello"]),
        message("smessage", &["shard", "wide"]),
    ];
    for expected in expected {
        assert_eq!(two.receive(), Value::Array(expected.clone()));
        assert_eq!(three.receive(), Value::Push(expected));
    }
    // In RESP3 a subscriber goes on with everything else, and hears itself.
    assert_eq!(three.command(["SET", "key", "value"]), simple("OK"));
    assert_eq!(three.command(["UNSUBSCRIBE", "news"]).as_array().unwrap().len(), 3);
    three.send(["PUBLISH", "news", "own"]);
    let mut heard = [three.receive(), three.receive()];
    heard.sort_by_key(|value| value.as_int().is_some());
    let own = Value::Push(message("pmessage", &["n?ws", "news", "own"]));
    assert_eq!(heard, [own, Value::Integer(3)]);
}

#[test]
fn a_subscriber_that_leaves_is_forgotten() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    let mut publisher = redkeel.client();
    for way_to_leave in ["close", "reset", "RESET", "QUIT", "UNSUBSCRIBE"] {
        let mut client = redkeel.client();
        client.command(["SUBSCRIBE", "news"]);
        assert_eq!(publisher.command(["PUBLISH", "news", "x"]), Value::Integer(1));
        client.receive();
        let mut kept = None;
        match way_to_leave {
            "close" => drop(client),
            "reset" => client.reset(),
            command => {
                client.command([command]);
                kept = Some(client);
            }
        }
        eventually(SOON, way_to_leave, || {
            publisher.command(["PUBLISH", "news", "x"]) == Value::Integer(0)
        });
        if let Some(mut client) = kept.filter(|_| way_to_leave != "QUIT") {
            assert_eq!(client.command(["SET", "key", way_to_leave]), simple("OK"));
        }
    }
}

#[test]
fn many_messages_come_in_order_whatever_their_size() {
    const MESSAGES: usize = 20_000;
    let server = RedisServer::start();
    let redkeel = start(&server);
    let mut subscribers: Vec<Client> = (0..20).map(|_| redkeel.client()).collect();
    for subscriber in &mut subscribers {
        subscriber.command(["SUBSCRIBE", "numbers"]);
    }
    let large = "x".repeat(3 << 20);
    let texts: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    let mut publisher = redkeel.client();
    let replies = publisher.pipeline(texts.iter().map(|text| ["PUBLISH", "numbers", text]));
    assert_eq!(replies, vec![Value::Integer(20); MESSAGES]);
    assert_eq!(publisher.command(["PUBLISH", "numbers", &large]), Value::Integer(20));
    assert_eq!(publisher.command(["PUBLISH", "numbers", "last"]), Value::Integer(20));
    for subscriber in &mut subscribers {
        for text in &texts {
            assert_eq!(subscriber.receive(), Value::Array(message("message", &["numbers", text])));
        }
        let reply = subscriber.receive();
        assert_eq!(reply.as_array().unwrap()[2].as_bytes().map(<[_]>::len), Some(large.len()));
        let last = Value::Array(message("message", &["numbers", "last"]));
        assert_eq!(subscriber.receive(), last);
    }
}

#[test]
fn monitor_shows_what_others_run() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    let mut monitor = redkeel.client();
    assert_eq!(monitor.command(["MONITOR"]), simple("OK"));
    let mut client = redkeel.client();
    for number in 0..100 {
        let text = number.to_string();
        assert_eq!(client.command(["SET", "monitored", &text]), simple("OK"));
        // The probes' commands are shown as well.
        let line = std::iter::repeat_with(|| monitor.receive())
            .map(|line| String::from_utf8(line.as_bytes().unwrap().to_vec()).unwrap())
            .find(|line| line.contains("\"SET\""));
        assert!(line.unwrap().ends_with(&format!("\"SET\" \"monitored\" \"{text}\"")));
    }
    monitor.send(["RESET"]);
    let ended = std::iter::repeat_with(|| monitor.receive()).find(|line| *line == simple("RESET"));
    assert!(ended.is_some());
    assert_eq!(monitor.command(["GET", "monitored"]), bulk("99"));
}

#[test]
fn a_tracking_client_hears_what_became_invalid() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    let invalid = |key: &str| Value::Push(vec![bulk("invalidate"), Value::Array(vec![bulk(key)])]);
    let mut writer = redkeel.client();
    writer.command(["MSET", "read", "1", "other", "1", "prefix:a", "1"]);

    let mut client = resp3(&redkeel);
    assert_eq!(client.command(["CLIENT", "TRACKING", "ON"]), simple("OK"));
    assert_eq!(client.command(["GET", "read"]), bulk("1"));
    writer.command(["SET", "other", "2"]);
    writer.command(["SET", "read", "2"]);
    assert_eq!(client.receive(), invalid("read"));
    assert_eq!(client.command(["CLIENT", "GETREDIR"]), Value::Integer(0));
    assert_eq!(client.command(["GET", "read"]), bulk("2"));
    assert_eq!(client.command(["CLIENT", "TRACKING", "OFF"]), simple("OK"));
    writer.command(["SET", "read", "3"]);
    assert_eq!(client.command(["GET", "read"]), bulk("3"));

    let broadcast = ["CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "prefix:", "NOLOOP"];
    assert_eq!(client.command(broadcast), simple("OK"));
    assert_eq!(client.command(["SET", "prefix:own", "1"]), simple("OK"));
    writer.command(["SET", "read", "4"]);
    writer.command(["SET", "prefix:a", "2"]);
    assert_eq!(client.receive(), invalid("prefix:a"));
    assert_eq!(client.command(["CLIENT", "TRACKING", "OFF"]), simple("OK"));

    assert_eq!(client.command(["CLIENT", "TRACKING", "ON", "OPTIN"]), simple("OK"));
    assert_eq!(client.command(["GET", "other"]), bulk("2"));
    let replies = client.pipeline([vec!["CLIENT", "CACHING", "YES"], vec!["GET", "read"]]);
    assert_eq!(replies, [simple("OK"), bulk("4")]);
    writer.command(["SET", "other", "3"]);
    writer.command(["SET", "read", "5"]);
    assert_eq!(client.receive(), invalid("read"));
    assert_eq!(client.command(["PING"]), simple("PONG"));
    writer.command(["FLUSHALL"]);
    assert_eq!(client.receive(), Value::Push(vec![bulk("invalidate"), Value::Null]));
}

#[test]
fn keyspace_events_arrive() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    let mut client = redkeel.client();
    assert_eq!(client.command(["CONFIG", "SET", "notify-keyspace-events", "KEA"]), simple("OK"));
    let mut listener = redkeel.client();
    listener.command(["PSUBSCRIBE", "__keyevent@0__:*"]);
    client.command(["SET", "key", "value"]);
    client.command(["PEXPIRE", "key", "1"]);
    for event in ["set", "expire", "expired"] {
        let channel = format!("__keyevent@0__:{event}");
        let expected = message("pmessage", &["__keyevent@0__:*", &channel, "key"]);
        assert_eq!(listener.receive(), Value::Array(expected));
    }
}

#[test]
fn confirmations_come_though_replies_are_switched_off() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    for address in [server.address(), &redkeel.address()] {
        for hello in ["2", "3"] {
            let mut client = Client::connect(address.clone());
            client.command(["HELLO", hello]);
            client.send(["CLIENT", "REPLY", "OFF"]);
            client.send(["SUBSCRIBE", "news"]);
            let parts = |value: Value| match value {
                Value::Array(parts) | Value::Push(parts) => parts,
                other => panic!("{other:?}"),
            };
            let confirmed = [bulk("subscribe"), bulk("news"), Value::Integer(1)];
            assert_eq!(parts(client.receive()), confirmed, "{address}, RESP{hello}");
            server.cli(["PUBLISH", "news", "hello"]);
            let expected = message("message", &["news", "hello"]);
            assert_eq!(parts(client.receive()), expected, "{address}, RESP{hello}");
            client.send(["UNSUBSCRIBE", "news"]);
            let confirmed = [bulk("unsubscribe"), bulk("news"), Value::Integer(0)];
            assert_eq!(parts(client.receive()), confirmed, "{address}, RESP{hello}");
        }
    }
}

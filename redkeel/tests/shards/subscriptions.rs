//! Pub/sub over several shards.

use testkit::{Client, Value, bulk, eventually, simple};

use crate::scene::SOON;
use crate::{key_of_each, rehashing, servers, sharded};

fn push(parts: &[&str], count: Option<i64>) -> Value {
    let mut all: Vec<Value> = parts.iter().map(bulk).collect();
    all.extend(count.map(Value::Integer));
    Value::Array(all)
}

fn receive(client: &mut Client, count: usize) -> Vec<Value> {
    (0..count).map(|_| client.receive()).collect()
}

#[test]
fn channels_of_all_shards_are_heard_and_counted_as_one_servers() {
    let servers = servers(3);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    let channels: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
    let mut command = vec!["SUBSCRIBE".to_owned()];
    command.extend(channels.iter().cloned());
    client.send(&command);
    for (channel, confirmed) in channels.iter().zip(receive(&mut client, 20)).enumerate().map(
        |(index, (channel, confirmed))| {
            (push(&["subscribe", channel], Some(index as i64 + 1)), confirmed)
        },
    ) {
        assert_eq!(confirmed, channel);
    }
    let mut publisher = redkeel.client();
    for channel in &channels {
        assert_eq!(
            publisher.command(["PUBLISH", channel, "hello"]),
            Value::Integer(1),
            "{channel}"
        );
        assert_eq!(client.receive(), push(&["message", channel, "hello"], None));
    }
    client.send(["PSUBSCRIBE", "c*"]);
    assert_eq!(client.receive(), push(&["psubscribe", "c*"], Some(21)));
    assert_eq!(publisher.command(["PUBLISH", "c7", "twice"]), Value::Integer(2));
    let mut heard = receive(&mut client, 2);
    heard.sort_by_key(|value| value.as_array().unwrap().len());
    assert_eq!(heard[0], push(&["message", "c7", "twice"], None));
    assert_eq!(heard[1], push(&["pmessage", "c*", "c7", "twice"], None));
    client.send(["PING"]);
    assert_eq!(client.receive(), push(&["pong", ""], None));
    let error = testkit::error_text(&client.command(["GET", "x"])).unwrap();
    assert!(error.starts_with("ERR Can't execute 'get'"), "{error}");
    let listed = publisher.command(["PUBSUB", "CHANNELS"]);
    assert_eq!(listed.as_array().unwrap().len(), 20);
    let counts = publisher.command(["PUBSUB", "NUMSUB", "c1", "c2", "none"]);
    let expected = [
        bulk("c1"),
        Value::Integer(1),
        bulk("c2"),
        Value::Integer(1),
        bulk("none"),
        Value::Integer(0),
    ];
    assert_eq!(counts, Value::Array(expected.to_vec()));
    assert_eq!(publisher.command(["PUBSUB", "NUMPAT"]), Value::Integer(1));
    client.send(["UNSUBSCRIBE", "c1", "never"]);
    assert_eq!(client.receive(), push(&["unsubscribe", "c1"], Some(20)));
    assert_eq!(client.receive(), push(&["unsubscribe", "never"], Some(20)));
    client.send(["UNSUBSCRIBE"]);
    assert_eq!(receive(&mut client, 19).len(), 19);
    client.send(["PUNSUBSCRIBE"]);
    assert_eq!(client.receive(), push(&["punsubscribe", "c*"], Some(0)));
    assert_eq!(client.command(["SET", "x", "y"]), simple("OK"));
    client.send(["UNSUBSCRIBE"]);
    let nothing = Value::Array(vec![bulk("unsubscribe"), Value::Null, Value::Integer(0)]);
    assert_eq!(client.receive(), nothing);
}

#[test]
fn in_resp3_messages_come_among_replies() {
    let servers = servers(2);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    client.command(["HELLO", "3"]);
    let mut publisher = redkeel.client();
    for number in 0..10 {
        let channel = format!("c{number}");
        client.send(["SUBSCRIBE", &channel]);
        assert!(matches!(client.receive(), Value::Push(_)));
    }
    for number in 0..10 {
        let (channel, key) = (format!("c{number}"), format!("k{number}"));
        assert_eq!(publisher.command(["PUBLISH", &channel, "m"]), Value::Integer(1));
        assert!(matches!(client.receive(), Value::Push(_)));
        assert_eq!(client.command(["SET", &key, "v"]), simple("OK"));
        assert_eq!(client.command(["GET", &key]), bulk("v"));
    }
}

#[test]
fn keyspace_notifications_of_every_shard_are_heard_by_pattern() {
    let servers = servers(3);
    for server in &servers {
        server.cli(["CONFIG", "SET", "notify-keyspace-events", "KEA"]);
    }
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    client.send(["PSUBSCRIBE", "__keyspace@0__:*"]);
    client.receive();
    let mut writer = redkeel.client();
    for number in 0..20 {
        let key = format!("k{number}");
        writer.command(["SET", &key, "v"]);
        let channel = format!("__keyspace@0__:{key}");
        assert_eq!(
            client.receive(),
            push(&["pmessage", "__keyspace@0__:*", &channel, "set"], None)
        );
    }
}

/// Publishes until the subscriber hears of it where it hears nothing of what went before: messages to nobody are lost.
#[track_caller]
fn heard_again(publisher: &mut Client, subscriber: &mut Client, channel: &str, text: &str) {
    eventually(SOON, "messages to arrive again", || {
        publisher.command(["PUBLISH", channel, text]) == Value::Integer(1)
    });
    assert_eq!(subscriber.receive(), push(&["message", channel, text], None));
}

#[test]
fn with_rehash_the_channels_of_a_dead_shard_are_heard_of_elsewhere_until_it_is_back() {
    let mut servers = servers(3);
    let redkeel = rehashing(&servers);
    let mut publisher = redkeel.client();
    let channels = key_of_each(&mut publisher, &servers);
    publisher.command(["FLUSHALL"]);
    let mut subscriber = redkeel.client();
    subscriber.send(["SUBSCRIBE", &channels[0], &channels[1], &channels[2]]);
    receive(&mut subscriber, 3);
    let mut by_pattern = redkeel.client();
    servers[1].kill9();
    heard_again(&mut publisher, &mut subscriber, &channels[1], "elsewhere");
    by_pattern.send(["PSUBSCRIBE", "*"]);
    assert_eq!(by_pattern.receive(), push(&["psubscribe", "*"], Some(1)), "without the dead shard");
    servers[1].restart();
    let mut direct = servers[1].client();
    let subscribed = Value::Array(vec![bulk(&channels[1]), Value::Integer(1)]);
    eventually(SOON, "the subscriptions to be back", || {
        direct.command(["PUBSUB", "NUMSUB", &channels[1]]) == subscribed
            && direct.command(["PUBSUB", "NUMPAT"]) == Value::Integer(1)
    });
    assert_eq!(direct.command(["PUBLISH", &channels[1], "direct"]), Value::Integer(2));
    assert_eq!(subscriber.receive(), push(&["message", &channels[1], "direct"], None));
    assert_eq!(by_pattern.receive(), push(&["pmessage", "*", &channels[1], "direct"], None));
    eventually(SOON, "one subscription to be left", || {
        publisher.command(["PUBSUB", "NUMSUB", &channels[1]]) == subscribed
    });
    assert_eq!(publisher.command(["PUBLISH", &channels[1], "once"]), Value::Integer(2));
    assert_eq!(subscriber.receive(), push(&["message", &channels[1], "once"], None));
    for channel in [&channels[0], &channels[2]] {
        assert_eq!(publisher.command(["PUBLISH", channel, "as ever"]), Value::Integer(2));
        assert_eq!(subscriber.receive(), push(&["message", channel, "as ever"], None));
    }
    subscriber.send(["UNSUBSCRIBE"]);
    assert_eq!(receive(&mut subscriber, 3).len(), 3);
    assert_eq!(subscriber.command(["PING"]), simple("PONG"));
}

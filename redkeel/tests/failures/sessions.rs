//! What a client has with one node, when that node goes: subscriptions, blocked commands, transactions.

use testkit::{Client, RedisServer, Redkeel, Value, bulk, error_text, eventually, simple};

use crate::common::{
    DOWN, FENCED, HELD, LOSS, PATIENT, SOON, assert_error, change_primary, expecting, node,
    promote, proxy, ready, replicated, wait_down, wait_for_primary,
};

fn start(nodes: &[RedisServer]) -> Redkeel {
    let builder = proxy(nodes, "timeouts.hold = \"15s\"");
    ready(expecting(builder, &[DOWN, HELD, FENCED, LOSS]))
}

/// The primary dies, and its replica takes over.
fn fail_over(redkeel: &Redkeel, nodes: &mut [RedisServer]) {
    nodes[0].kill9();
    wait_down(redkeel, &nodes[0]);
    promote(&nodes[1]);
    wait_for_primary(redkeel, &nodes[1]);
}

fn wait_blocked(server: &RedisServer) {
    eventually(SOON, "a blocked client", || server.info("clients")["blocked_clients"] == "1");
}

fn message(kind: &str, channel: &str, text: &str) -> Vec<Value> {
    vec![bulk(kind), bulk(channel), bulk(text)]
}

#[test]
fn subscribers_stay_connected_and_get_what_is_published_afterwards() {
    let mut nodes = replicated(1);
    let redkeel = start(&nodes);
    let mut plain = redkeel.client();
    assert!(plain.command(["SUBSCRIBE", "news"]).as_array().is_some());
    let mut pattern = redkeel.client();
    assert!(pattern.command(["PSUBSCRIBE", "spo?t"]).as_array().is_some());
    let mut resp3 = redkeel.client();
    assert!(matches!(resp3.command(["HELLO", "3"]), Value::Map(_)));
    assert!(matches!(resp3.command(["SUBSCRIBE", "weather"]), Value::Push(_)));
    let mut publisher = redkeel.client();
    assert_eq!(publisher.command(["PUBLISH", "news", "before"]), Value::Integer(1));
    assert_eq!(plain.receive(), Value::Array(message("message", "news", "before")));

    fail_over(&redkeel, &mut nodes);
    for channel in ["news", "sport", "weather"] {
        eventually(SOON, "the subscriber to be subscribed again", || {
            publisher.command(["PUBLISH", channel, "after"]) == Value::Integer(1)
        });
    }
    assert_eq!(plain.receive(), Value::Array(message("message", "news", "after")));
    let with_pattern = vec![bulk("pmessage"), bulk("spo?t"), bulk("sport"), bulk("after")];
    assert_eq!(pattern.receive(), Value::Array(with_pattern));
    assert_eq!(resp3.receive(), Value::Push(message("message", "weather", "after")));
    // In RESP3 commands and messages share the connection.
    assert_eq!(resp3.command(["SET", "key", "value"]), simple("OK"));
    let left = plain.command(["UNSUBSCRIBE", "news"]);
    assert_eq!(left, Value::Array(vec![bulk("unsubscribe"), bulk("news"), Value::Integer(0)]));
    assert_eq!(plain.command(["GET", "key"]).as_bytes(), Some(b"value".as_slice()));
    let gaps = redkeel.admin_get("/metrics").body;
    let gaps: u64 = gaps
        .lines()
        .filter(|line| line.starts_with("redkeel_pool_subscription_gaps_total"))
        .map(|line| line.split_whitespace().last().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(gaps, 3);
}

/// Every subscriber that may have missed something is counted once, whether it has a connection of its own or shares one.
#[test]
fn the_gaps_of_many_subscribers_are_counted_and_their_channels_are_there_again() {
    const CLIENTS: usize = 60;
    let mut nodes = replicated(1);
    let redkeel = start(&nodes);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| redkeel.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let own = format!("own:{number}");
        assert_eq!(client.command(["SUBSCRIBE", "news"]).as_array().unwrap().len(), 3);
        assert_eq!(client.command(["SUBSCRIBE", &own]).as_array().unwrap().len(), 3);
        if number % 2 == 0 {
            assert_eq!(client.command(["PSUBSCRIBE", "spo?t"]).as_array().unwrap().len(), 3);
        }
        if number % 3 == 0 {
            assert_eq!(client.command(["UNSUBSCRIBE", &own]).as_array().unwrap().len(), 3);
        }
    }
    let mut publisher = redkeel.client();
    // 16 of each of the two workers, and one connection for its others.
    assert_eq!(publisher.command(["PUBLISH", "news", "before"]), Value::Integer(34));
    for client in &mut clients {
        assert_eq!(client.receive(), Value::Array(message("message", "news", "before")));
    }
    fail_over(&redkeel, &mut nodes);
    eventually(SOON, "everybody to be subscribed again", || {
        let numbers = nodes[1].cli(["PUBSUB", "NUMSUB", "news"]);
        let patterns = nodes[1].cli(["PUBSUB", "NUMPAT"]);
        numbers == Value::Array(vec![bulk("news"), Value::Integer(34)])
            && patterns == Value::Integer(1)
    });
    eventually(SOON, "the gaps to be counted", || {
        let metrics = redkeel.admin_get("/metrics").body;
        metrics
            .contains(&format!("redkeel_pool_subscription_gaps_total{{pool=\"main\"}} {CLIENTS}\n"))
    });
    publisher.command(["PUBLISH", "news", "after"]);
    publisher.command(["PUBLISH", "sport", "after"]);
    for number in 0..CLIENTS {
        publisher.command(["PUBLISH", &format!("own:{number}"), "after"]);
    }
    publisher.command(["PUBLISH", "news", "last"]);
    for (number, client) in clients.iter_mut().enumerate() {
        let mut expected = vec![message("message", "news", "after")];
        if number % 2 == 0 {
            expected.push(["pmessage", "spo?t", "sport", "after"].map(bulk).to_vec());
        }
        if number % 3 != 0 {
            expected.push(message("message", &format!("own:{number}"), "after"));
        }
        expected.push(message("message", "news", "last"));
        for expected in expected {
            assert_eq!(client.receive(), Value::Array(expected), "{number}");
        }
    }
}

#[test]
fn a_blocked_pop_whose_connection_is_lost_has_an_unknown_outcome() {
    let mut nodes = replicated(1);
    let redkeel = start(&nodes);
    let mut client = redkeel.client();
    client.send(["BLPOP", "queue", "0"]);
    wait_blocked(&nodes[0]);
    fail_over(&redkeel, &mut nodes);
    assert_error(
        &client.receive(),
        &format!("OUTCOMEUNKNOWN redkeel: node {} of pool main ", nodes[0].address()),
    );
    client.send(["BLPOP", "queue", "0"]);
    wait_blocked(&nodes[1]);
    assert_eq!(redkeel.client().command(["RPUSH", "queue", "element"]), Value::Integer(1));
    assert_eq!(client.receive(), Value::Array(vec![bulk("queue"), bulk("element")]));
}

#[test]
fn a_blocked_pop_that_the_node_lets_go_is_issued_again_on_the_new_primary() {
    let nodes = replicated(1);
    let redkeel = start(&nodes);
    let mut client = redkeel.client();
    client.send(["BLPOP", "queue", "0"]);
    wait_blocked(&nodes[0]);
    change_primary(&nodes[0], &nodes[1]);
    wait_for_primary(&redkeel, &nodes[1]);
    wait_blocked(&nodes[1]);
    assert_eq!(redkeel.client().command(["RPUSH", "queue", "element"]), Value::Integer(1));
    assert_eq!(client.receive(), Value::Array(vec![bulk("queue"), bulk("element")]));
    assert_eq!(client.command(["LLEN", "queue"]), Value::Integer(0));
}

#[test]
fn a_blocked_pop_waits_no_longer_than_it_said_across_a_change() {
    let nodes = replicated(1);
    let redkeel = start(&nodes);
    let mut client = redkeel.client();
    client.send(["BLPOP", "queue", "3"]);
    wait_blocked(&nodes[0]);
    let start = std::time::Instant::now();
    change_primary(&nodes[0], &nodes[1]);
    assert_eq!(client.receive(), Value::Null);
    assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_blocked_stream_read_is_issued_again() {
    let mut nodes = replicated(2);
    let redkeel = start(&nodes);
    let mut client = redkeel.client();
    client.send(["XREAD", "BLOCK", "0", "STREAMS", "stream", "0"]);
    let blocked = eventually(SOON, "the node where it waits", || {
        nodes.iter().position(|node| node.info("clients")["blocked_clients"] == "1")
    });
    assert_ne!(blocked, 0, "a read goes to a replica");
    nodes[blocked].kill9();
    wait_down(&redkeel, &nodes[blocked]);
    wait_blocked(&nodes[3 - blocked]);
    let id = redkeel.client().command(["XADD", "stream", "*", "field", "value"]);
    let entry = Value::Array(vec![id, Value::Array(vec![bulk("field"), bulk("value")])]);
    let stream = Value::Array(vec![bulk("stream"), Value::Array(vec![entry])]);
    assert_eq!(client.receive(), Value::Array(vec![stream]));
}

#[test]
fn an_open_transaction_is_aborted() {
    let mut nodes = replicated(1);
    let redkeel = start(&nodes);
    let mut client = redkeel.client();
    assert_eq!(client.command(["MULTI"]), simple("OK"));
    assert_eq!(client.command(["SET", "key", "value"]), simple("QUEUED"));
    fail_over(&redkeel, &mut nodes);
    assert_eq!(client.command(["INCR", "counter"]), simple("QUEUED"));
    assert_error(&client.command(["EXEC"]), "EXECABORT redkeel: ");
    assert_eq!(client.command(["GET", "key"]), Value::Null);
    again(&mut client);
}

/// A transaction from its beginning to its end.
fn again(client: &mut Client) {
    assert_eq!(client.command(["MULTI"]), simple("OK"));
    assert_eq!(client.command(["SET", "key", "again"]), simple("QUEUED"));
    assert_eq!(client.command(["EXEC"]), Value::Array(vec![simple("OK")]));
    let whole = client.pipeline([vec!["MULTI"], vec!["GET", "key"], vec!["EXEC"]]);
    assert_eq!(whole, [simple("OK"), simple("QUEUED"), Value::Array(vec![bulk("again")])]);
}

#[test]
fn a_lost_watch_fails_its_transaction_as_if_the_key_had_changed() {
    let mut nodes = replicated(1);
    let redkeel = start(&nodes);
    let mut client = redkeel.client();
    assert_eq!(client.command(["WATCH", "key"]), simple("OK"));
    assert_eq!(client.command(["GET", "key"]), Value::Null);
    fail_over(&redkeel, &mut nodes);
    assert_eq!(client.command(["MULTI"]), simple("OK"));
    assert_eq!(client.command(["SET", "key", "value"]), simple("QUEUED"));
    assert_eq!(client.command(["EXEC"]), Value::Null);
    assert_eq!(client.command(["GET", "key"]), Value::Null);
    again(&mut client);
}

#[test]
fn an_exec_that_was_sent_has_an_unknown_outcome() {
    let mut nodes = replicated(1);
    let redkeel = ready(expecting(proxy(&nodes, PATIENT), &[DOWN, HELD, LOSS]));
    let mut steps = redkeel.client();
    assert_eq!(steps.command(["MULTI"]), simple("OK"));
    assert_eq!(steps.command(["INCR", "steps"]), simple("QUEUED"));
    let mut whole = redkeel.client();
    nodes[0].stop_signal();
    steps.send(["EXEC"]);
    let mut request = Vec::new();
    for command in [&[b"MULTI".as_slice()][..], &[b"INCR", b"whole"], &[b"EXEC"]] {
        resp::write_command(&mut request, command);
    }
    whole.send_raw(&request);
    eventually(SOON, "both to be in flight", || {
        let status = redkeel.status();
        let count = &node(&status, nodes[0].address())["in_flight"];
        if *count == 2 { Ok(()) } else { Err(format!("{count} are")) }
    });
    nodes[0].kill9();
    assert_error(&steps.receive(), "OUTCOMEUNKNOWN");
    let replies: Vec<Value> = (0..3).map(|_| whole.receive()).collect();
    assert_eq!(replies[..2], [simple("OK"), simple("QUEUED")]);
    assert_error(&replies[2], "OUTCOMEUNKNOWN");
    promote(&nodes[1]);
    again(&mut steps);
    again(&mut whole);
}

#[test]
fn a_whole_transaction_is_held_and_runs_on_the_new_primary() {
    let nodes = replicated(1);
    let redkeel = start(&nodes);
    let mut client = redkeel.client();
    for round in 0..20 {
        if round == 10 {
            change_primary(&nodes[0], &nodes[1]);
        }
        let replies = client.pipeline([
            vec!["MULTI"],
            vec!["INCR", "counter"],
            vec!["GET", "counter"],
            vec!["EXEC"],
        ]);
        let count = round + 1;
        let results = vec![Value::Integer(count), bulk(count.to_string())];
        assert_eq!(error_text(&replies[3]), None);
        assert_eq!(replies[3], Value::Array(results));
    }
}

#[test]
fn an_invalidate_all_follows_the_loss_of_a_tracking_connection() {
    let mut nodes = replicated(1);
    let redkeel = start(&nodes);
    let mut client = redkeel.client();
    assert!(matches!(client.command(["HELLO", "3"]), Value::Map(_)));
    assert_eq!(client.command(["CLIENT", "TRACKING", "ON"]), simple("OK"));
    assert_eq!(client.command(["GET", "key"]), Value::Null);
    fail_over(&redkeel, &mut nodes);
    let all = Value::Push(vec![bulk("invalidate"), Value::Null]);
    assert_eq!(client.receive(), all);
    client.send(["GET", "key"]);
    // Redkeel may have tried a connection in vain before: each begins with one.
    let answer = std::iter::repeat_with(|| client.receive()).find(|value| *value != all);
    assert_eq!(answer, Some(Value::Null));
    assert_eq!(redkeel.client().command(["SET", "key", "value"]), simple("OK"));
    let keys = Value::Array(vec![bulk("key")]);
    assert_eq!(client.receive(), Value::Push(vec![bulk("invalidate"), keys]));
    assert_eq!(client.command(["GET", "key"]), bulk("value"));
}

#[test]
fn a_redirection_survives_a_failover_and_the_loss_of_the_connection_that_receives() {
    let mut nodes = replicated(1);
    let redkeel = start(&nodes);
    let mut target = redkeel.client();
    assert!(matches!(target.command(["HELLO", "3"]), Value::Map(_)));
    let id = target.command(["CLIENT", "ID"]).as_int().unwrap().to_string();
    let mut tracker = redkeel.client();
    let redirected = ["CLIENT", "TRACKING", "ON", "REDIRECT", &id];
    assert_eq!(tracker.command(redirected), simple("OK"));
    assert_eq!(tracker.command(["GET", "key"]), Value::Null);
    let all = Value::Push(vec![bulk("invalidate"), Value::Null]);
    let keys = Value::Push(vec![bulk("invalidate"), Value::Array(vec![bulk("key")])]);

    let list = nodes[0].cli(["CLIENT", "LIST"]);
    let list = String::from_utf8_lossy(list.as_bytes().unwrap()).into_owned();
    let receiver = list.lines().find(|line| line.contains("cmd=client|id ")).unwrap();
    let receiver = receiver.split(['=', ' ']).nth(1).unwrap();
    assert_eq!(nodes[0].cli(["CLIENT", "KILL", "ID", receiver]), Value::Integer(1));
    assert_eq!(target.receive(), all);
    assert_eq!(tracker.command(["GET", "key"]), Value::Null);
    assert_eq!(redkeel.client().command(["SET", "key", "value"]), simple("OK"));
    assert_eq!(target.receive(), keys);
    nodes[0].wait_for_replicas(1);

    fail_over(&redkeel, &mut nodes);
    assert_eq!(target.receive(), all);
    assert!(matches!(tracker.command(["GET", "key"]), Value::Bulk(_) | Value::Null));
    redkeel.client().command(["SET", "key", "other"]);
    // Redkeel may have tried a connection in vain before: each begins with one for everything.
    let heard = std::iter::repeat_with(|| target.receive()).find(|value| *value != all);
    assert_eq!(heard, Some(keys));
    assert_eq!(tracker.command(["CLIENT", "GETREDIR"]).as_int().unwrap().to_string(), id);
}

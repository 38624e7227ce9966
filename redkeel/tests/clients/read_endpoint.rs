//! `read` listeners, and which node takes a read: `reads`, `balance`, weights, backups.

use std::collections::BTreeSet;
use std::time::Duration;

use testkit::{Client, RedisServer, Redkeel, Value, bulk, error_text, simple};

use crate::common::{SOON, proxy, ready, replicated};
use crate::conversations::compare_reads;

const READ: &str = "listen = { address = \"127.0.0.1:0\", mode = \"read\" }";

/// How far the share of one of two idle nodes may be from half: ties of `leastconn` go by multiples of the golden ratio,
/// from a seeded place, which fall into a half evenly but not one by one (at most 2 apart in a few hundred).
const TIES: u64 = 2;

/// How often GET was called on each node.
fn gets(nodes: &[RedisServer]) -> Vec<u64> {
    nodes.iter().map(|node| calls(node, "get")).collect()
}

fn calls(node: &RedisServer, command: &str) -> u64 {
    let stats = node.info("commandstats");
    let line = stats.get(&format!("cmdstat_{command}"));
    let calls = line.and_then(|line| line.strip_prefix("calls=")?.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}

/// Who got how many of `count` GETs, one after the other, each of another key.
fn shares(redkeel: &Redkeel, nodes: &[RedisServer], count: usize) -> Vec<u64> {
    let before = gets(nodes);
    let mut client = redkeel.client();
    for number in 0..count {
        assert_eq!(client.command(["GET", &format!("key:{number}")]), Value::Null);
    }
    let after = gets(nodes);
    after.iter().zip(before).map(|(after, before)| after - before).collect()
}

/// `[pool.main.nodes."…"]` of a node.
fn particular(node: &RedisServer, settings: &str) -> String {
    format!("\n[pool.main.nodes.\"{}\"]\n{settings}", node.address())
}

#[test]
fn it_answers_as_a_replica_does() {
    let nodes = replicated(1);
    let mut primary = nodes[0].client();
    primary.pipeline([
        vec!["SET", "key", "value"],
        vec!["RPUSH", "list", "3", "1", "2"],
        vec!["HSET", "hash", "field", "value"],
        vec!["SADD", "set", "1", "2"],
        vec!["XADD", "stream", "1-1", "field", "value"],
    ]);
    nodes[0].wait_caught_up(&nodes[1]);
    let redkeel = ready(proxy(&nodes, READ));
    compare_reads(&nodes[1], &redkeel, include_str!("conversations/read_endpoint.txt"));
    assert_eq!(calls(&nodes[0], "get"), 0, "the primary has taken reads");
    assert_eq!(primary.command(["GET", "key"]), bulk("value"));
}

#[test]
fn reads_are_spread_over_the_replicas_and_writes_go_to_the_primary() {
    let nodes = replicated(2);
    let redkeel = ready(proxy(&nodes, ""));
    let shares = shares(&redkeel, &nodes, 200);
    assert_eq!(shares[0], 0);
    assert!(shares[1..].iter().all(|share| share.abs_diff(100) <= TIES), "{shares:?}");
    let mut client = redkeel.client();
    for _ in 0..10 {
        assert_eq!(client.command(["SET", "key", "value"]), simple("OK"));
    }
    assert_eq!(calls(&nodes[0], "set"), 10);
}

#[test]
fn a_pipelined_read_sees_its_clients_own_writes() {
    let nodes = replicated(2);
    let redkeel = ready(proxy(&nodes, ""));
    let mut client = redkeel.client();
    for round in 0..300 {
        let text = round.to_string();
        let replies = client.pipeline([
            vec!["GET", "key"],
            vec!["SET", "key", &text],
            vec!["GET", "key"],
            vec!["MULTI"],
            vec!["INCR", "key"],
            vec!["EXEC"],
            vec!["GET", "key"],
        ]);
        assert_eq!(replies[2], bulk(&text));
        assert_eq!(replies[6], bulk((round + 1).to_string()));
    }
}

#[test]
fn a_scan_stays_on_one_node() {
    const KEYS: usize = 5000;
    let nodes = replicated(2);
    let redkeel = ready(proxy(&nodes, READ));
    let mut primary = nodes[0].client();
    let keys: BTreeSet<String> = (0..KEYS).map(|number| format!("key:{number}")).collect();
    primary.pipeline(keys.iter().map(|key| ["SET", key, "x"]));
    assert_eq!(primary.command(["WAIT", "2", "0"]), Value::Integer(2));
    // Each step comes from another client, and other reads between them.
    let mut clients: Vec<Client> = (0..5).map(|_| redkeel.client()).collect();
    let mut cursor = "0".to_owned();
    let mut found = BTreeSet::new();
    for step in 0.. {
        let client = &mut clients[step % 5];
        client.command(["GET", "key:1"]);
        let reply = client.command(["SCAN", &cursor, "COUNT", "50"]);
        let [next, page] = reply.as_array().unwrap() else { panic!("{reply:?}") };
        for key in page.as_array().unwrap() {
            let key = String::from_utf8(key.as_bytes().unwrap().to_vec()).unwrap();
            assert!(found.insert(key.clone()), "{key} twice");
        }
        cursor = String::from_utf8(next.as_bytes().unwrap().to_vec()).unwrap();
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(found, keys);
    assert_eq!(calls(&nodes[2], "scan"), 0);
    assert_eq!(calls(&nodes[0], "scan"), 0);
}

#[test]
fn subscribers_and_publishers_work_at_a_read_endpoint() {
    let nodes = replicated(1);
    let redkeel = ready(proxy(&nodes, READ));
    let mut subscriber = redkeel.client();
    subscriber.command(["SUBSCRIBE", "news"]);
    let message = |text: &str| Value::Array(["message", "news", text].map(bulk).to_vec());
    let mut publisher = redkeel.client();
    assert_eq!(publisher.command(["PUBLISH", "news", "here"]), Value::Integer(1));
    assert_eq!(subscriber.receive(), message("here"));
    // What is published at the primary reaches its replicas' subscribers.
    nodes[0].cli(["PUBLISH", "news", "there"]);
    assert_eq!(subscriber.receive(), message("there"));
}

#[test]
fn nothing_that_may_write_reaches_the_primary_of_a_read_endpoint() {
    let primary = RedisServer::start();
    let settings = format!("{READ}\nreads = \"any\"\ntimeouts.hold = \"700ms\"");
    let redkeel = ready(proxy([&primary], &settings));
    let mut client = redkeel.client();
    assert_eq!(client.command(["GET", "key"]), Value::Null);
    for command in [
        vec!["EVAL", "return redis.call('SET', 'key', 'x')", "0"],
        vec!["PUBLISH", "news", "x"],
        vec!["NOSUCHCOMMAND", "key"],
        vec!["FCALL", "f", "0"],
    ] {
        let text = error_text(&client.command(&command)).unwrap();
        assert!(text.starts_with("NOREPLICA redkeel: pool main"), "{command:?}: {text}");
    }
    let refused = error_text(&client.command(["SET", "key", "x"])).unwrap();
    assert!(refused.starts_with("READONLY "), "{refused}");
    let batch = [vec!["MULTI"], vec!["SET", "key", "x"], vec!["EXEC"]];
    let replies = client.pipeline(batch);
    assert!(error_text(&replies[2]).unwrap().starts_with("EXECABORT"), "{replies:?}");
    assert_eq!(primary.cli(["EXISTS", "key"]), Value::Integer(0));
}

#[test]
fn reads_go_where_the_policy_says() {
    let nodes = replicated(2);
    for (reads, expected) in [
        ("prefer-replica", [0, 30, 30]),
        ("replica", [0, 30, 30]),
        ("prefer-primary", [60, 0, 0]),
        ("primary", [60, 0, 0]),
        ("any", [20, 20, 20]),
    ] {
        for listen in ["", READ] {
            let settings = format!("{listen}\nreads = \"{reads}\"\nbalance = \"roundrobin\"");
            let redkeel = ready(proxy(&nodes, &settings));
            assert_eq!(shares(&redkeel, &nodes, 60), expected, "{reads} {listen}");
        }
    }
}

#[test]
fn what_the_policy_says_when_its_first_choice_is_gone() {
    const DOWN: &str = " is down: ";
    const HELD: &str = "is not the primary any more, and writes are held";
    for (reads, gone, expected) in [
        ("prefer-replica", 1, Some([20, 0])),
        ("replica", 1, None),
        ("prefer-primary", 0, Some([0, 20])),
        ("primary", 0, None),
        ("any", 1, Some([20, 0])),
    ] {
        let mut nodes = replicated(1);
        let settings = format!("reads = \"{reads}\"\ntimeouts.hold = \"700ms\"");
        let redkeel = ready(proxy(&nodes, &settings).expect_log(DOWN).expect_log(HELD));
        let before = gets(&nodes);
        nodes[gone].kill9();
        redkeel.wait_until(SOON, "it to be found out", |status| {
            status["pools"][0]["nodes"][gone]["health"] == "down"
        });
        let mut client = redkeel.client();
        for number in 0..20 {
            let reply = client.command(["GET", &format!("key:{number}")]);
            match expected {
                Some(_) => assert_eq!(reply, Value::Null, "{reads}"),
                None => {
                    let text = error_text(&reply).unwrap();
                    assert!(text.starts_with("NOREPLICA redkeel: pool main"), "{reads}: {text}");
                    break;
                }
            }
        }
        if let Some(expected) = expected {
            let left = 1 - gone;
            assert_eq!(gets(&nodes[left..=left])[0] - before[left], expected[left], "{reads}");
        }
    }
}

#[test]
fn shares_follow_the_balance_and_the_weights() {
    let nodes = replicated(2);
    let heavy = particular(&nodes[1], "weight = 3");
    let none = particular(&nodes[1], "weight = 0");
    for (balance, particulars, expected) in [
        ("roundrobin", "", [0, 40, 40]),
        ("roundrobin", &heavy, [0, 60, 20]),
        ("roundrobin", &none, [0, 0, 80]),
        ("leastconn", "", [0, 40, 40]),
        ("leastconn", &none, [0, 0, 80]),
        ("first", "", [0, 80, 0]),
        ("first", &none, [0, 0, 80]),
    ] {
        let redkeel = ready(proxy(&nodes, &format!("balance = \"{balance}\"{particulars}")));
        let shares = shares(&redkeel, &nodes, 80);
        let tolerance = if balance == "leastconn" && expected[1] > 0 { TIES } else { 0 };
        let alike = |share: u64, wanted: u64| share.abs_diff(wanted) <= tolerance;
        let fit = shares.iter().zip(expected).all(|(share, wanted)| alike(*share, wanted));
        assert!(fit, "{balance} {particulars}: {shares:?}, not {expected:?}");
    }
}

#[test]
fn hash_keeps_a_key_on_its_node() {
    let nodes = replicated(2);
    let redkeel = ready(proxy(&nodes, "balance = \"hash\""));
    let mut clients: Vec<Client> = (0..4).map(|_| redkeel.client()).collect();
    let mut used = BTreeSet::new();
    for number in 0..40 {
        let key = format!("key:{number}");
        let before = gets(&nodes);
        for client in &mut clients {
            for _ in 0..3 {
                client.command(["GET", &key]);
            }
        }
        let shares: Vec<u64> =
            gets(&nodes).iter().zip(before).map(|(now, was)| now - was).collect();
        assert!(shares == [0, 12, 0] || shares == [0, 0, 12], "{key}: {shares:?}");
        used.insert(shares);
    }
    assert_eq!(used.len(), 2, "all forty keys went to one node");
}

#[test]
fn leastconn_passes_by_a_busy_node() {
    let mut nodes = replicated(2);
    // Nothing may find out that a node is stopped.
    let redkeel = ready(proxy(&nodes, "health.timeout = \"4s\"\ntimeouts.hold = \"13s\""));
    nodes[1].stop_signal();
    let mut clients: Vec<Client> = (0..8).map(|_| redkeel.client()).collect();
    // Those that the stopped node has got wait there; the others are served by the other, more and more of them.
    let mut served = 0;
    for client in &mut clients {
        client.set_timeout(Duration::from_millis(200));
        for _ in 0..10 {
            match client.try_command(["GET", "key"]) {
                Ok(reply) => {
                    assert_eq!(reply, Value::Null);
                    served += 1;
                }
                Err(_) => break,
            }
        }
    }
    nodes[1].cont();
    // Each worker sends one command in vain, and perhaps a second while both are equally busy.
    assert!(served >= 40, "{served} of 80 were served");
}

#[test]
fn a_backup_takes_reads_only_when_no_other_can() {
    let mut nodes = replicated(2);
    let settings = particular(&nodes[2], "backup = true");
    let redkeel = ready(proxy(&nodes, &settings).expect_log(" is down: "));
    assert_eq!(shares(&redkeel, &nodes, 20), [0, 20, 0]);
    nodes[1].kill9();
    redkeel.wait_until(SOON, "it to be found out", |status| {
        status["pools"][0]["nodes"][1]["health"] == "down"
    });
    let before = [calls(&nodes[0], "get"), calls(&nodes[2], "get")];
    let mut client = redkeel.client();
    for _ in 0..20 {
        assert_eq!(client.command(["GET", "key"]), Value::Null);
    }
    assert_eq!([calls(&nodes[0], "get"), calls(&nodes[2], "get")], [before[0], before[1] + 20]);
}

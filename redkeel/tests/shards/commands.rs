//! Commands with keys of several shards, and those about all of them.

use std::collections::BTreeSet;

use testkit::{RedisServer, Value, bulk, error_text, eventually, simple};

use crate::scene::SOON;
use crate::{builder, key_of_each, ready, servers, sharded};

fn text(value: &Value) -> String {
    String::from_utf8_lossy(value.as_bytes().unwrap()).into_owned()
}

fn strings(value: &Value) -> BTreeSet<String> {
    value.as_array().unwrap().iter().map(text).collect()
}

#[test]
fn keys_are_spread_and_found_again() {
    let servers = servers(3);
    // Which spreads keys that differ little.
    let redkeel = ready(builder(&servers, "", "hash = \"md5\""));
    let mut client = redkeel.client();
    let keys: Vec<String> = (0..300).map(|number| format!("k{number}")).collect();
    let replies = client.pipeline(keys.iter().map(|key| ["SET", key, key]));
    assert!(replies.iter().all(|reply| *reply == simple("OK")));
    let sizes: Vec<i64> =
        servers.iter().map(|server| server.cli(["DBSIZE"]).as_int().unwrap()).collect();
    assert_eq!(sizes.iter().sum::<i64>(), 300);
    assert!(sizes.iter().all(|size| *size > 30), "{sizes:?}");
    let replies = client.pipeline(keys.iter().map(|key| ["GET", key]));
    let expected: Vec<Value> = keys.iter().map(bulk).collect();
    assert_eq!(replies, expected, "replies come in the order of their commands");
    assert_eq!(client.command(["DBSIZE"]), Value::Integer(300));
}

#[test]
fn commands_with_many_keys_are_split_and_merged() {
    let servers = servers(3);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    let keys: Vec<String> = (0..100).map(|number| format!("k{number}")).collect();
    let mut mset = vec!["MSET".to_owned()];
    keys.iter().for_each(|key| mset.extend([key.clone(), format!("v{key}")]));
    assert_eq!(client.command(&mset), simple("OK"));
    let mut mget = vec!["MGET".to_owned(), "missing".to_owned()];
    mget.extend(keys.iter().cloned());
    mget.push("k7".to_owned());
    let values = client.command(&mget);
    let values = values.as_array().unwrap();
    assert_eq!(values.len(), 102);
    assert_eq!(values[0], Value::Null);
    for (key, value) in keys.iter().zip(&values[1..]) {
        assert_eq!(*value, bulk(format!("v{key}")));
    }
    assert_eq!(values[101], bulk("vk7"));
    for name in ["EXISTS", "TOUCH"] {
        let mut command = vec![name.to_owned(), "missing".to_owned()];
        command.extend(keys.iter().cloned());
        assert_eq!(client.command(&command), Value::Integer(100), "{name}");
    }
    let half = |name: &str, keys: &[String]| {
        let mut command = vec![name.to_owned()];
        command.extend(keys.iter().cloned());
        command
    };
    assert_eq!(client.command(half("DEL", &keys[..50])), Value::Integer(50));
    assert_eq!(client.command(half("UNLINK", &keys)), Value::Integer(50));
    assert_eq!(client.command(["DBSIZE"]), Value::Integer(0));
}

#[test]
fn one_request_per_shard_and_command() {
    let servers = servers(3);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    let calls = |server: &RedisServer| {
        let stats = server.cli(["INFO", "commandstats"]);
        let line =
            text(&stats).lines().find(|line| line.starts_with("cmdstat_mget:")).map(str::to_owned);
        line.map_or(0, |line| {
            line["cmdstat_mget:calls=".len()..].split(',').next().unwrap().parse::<u64>().unwrap()
        })
    };
    let mut command = vec!["MGET".to_owned()];
    command.extend((0..1000).map(|number| format!("k{number}")));
    client.command(&command);
    assert_eq!(servers.iter().map(calls).collect::<Vec<_>>(), [1, 1, 1]);
}

#[test]
fn what_cannot_be_split_names_the_keys_and_their_shards() {
    let servers = servers(2);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    let keys = key_of_each(&mut client, &servers);
    for command in [
        vec!["RENAME", &keys[0], &keys[1]],
        vec!["SINTER", &keys[0], &keys[1]],
        vec!["EVAL", "return 1", "2", &keys[0], &keys[1]],
        vec!["BLPOP", &keys[0], &keys[1], "0"],
        vec!["MSETNX", &keys[0], "x", &keys[1], "y"],
    ] {
        let error = error_text(&client.command(&command)).unwrap();
        assert!(error.starts_with("CROSSSHARD redkeel: "), "{error}");
        for part in [&keys[0], &keys[1], "main/s0", "main/s1", "pool main"] {
            assert!(error.contains(part), "{error} lacks {part}");
        }
    }
    for command in ["MONITOR", "SHUTDOWN", "DEBUG"] {
        let command = if command == "DEBUG" { vec!["DEBUG", "JMAP"] } else { vec![command] };
        let error = error_text(&client.command(&command)).unwrap();
        assert!(error.contains("is about one server"), "{error}");
    }
    assert_eq!(client.command(["EVAL", "return KEYS[1]", "1", &keys[0]]), bulk(&keys[0]));
}

#[test]
fn msetnx_is_split_where_the_pool_allows_it() {
    let servers = servers(2);
    let redkeel = ready(builder(&servers, "", "msetnx = \"allow\""));
    let mut client = redkeel.client();
    let keys = key_of_each(&mut client, &servers);
    let command = ["MSETNX", &keys[0], "x", &keys[1], "y"];
    assert_eq!(client.command(command), Value::Integer(1));
    assert_eq!(client.command(command), Value::Integer(0));
}

#[test]
fn scan_walks_all_shards() {
    let servers = servers(3);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    let keys: BTreeSet<String> = (0..500).map(|number| format!("k{number}")).collect();
    client.pipeline(keys.iter().map(|key| ["SET", key, "x"]));
    let mut cursor = "0".to_owned();
    let mut found = BTreeSet::new();
    let mut rounds = 0;
    loop {
        let reply = client.command(["SCAN", &cursor, "COUNT", "20"]);
        let [next, names] = reply.as_array().unwrap() else { panic!("{reply:?}") };
        found.extend(strings(names));
        cursor = text(next);
        rounds += 1;
        if cursor == "0" {
            break;
        }
        assert!(rounds < 1000, "a scan without an end");
    }
    assert_eq!(found, keys);
    let error = error_text(&client.command(["SCAN", "nonsense"])).unwrap();
    assert_eq!(error, "ERR invalid cursor");
    assert_eq!(strings(&client.command(["KEYS", "*"])), keys);
}

#[test]
fn commands_about_the_server_speak_of_all_shards() {
    let servers = servers(3);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    client.pipeline((0..30).map(|number| ["SET".to_owned(), format!("k{number}"), "x".to_owned()]));
    assert!(text(&client.command(["RANDOMKEY"])).starts_with('k'));
    let info = text(&client.command(["INFO", "keyspace"]));
    assert!(info.contains("db0:keys=30,expires=0"), "{info}");
    assert_eq!(client.command(["CONFIG", "SET", "maxmemory-samples", "7"]), simple("OK"));
    for server in &servers {
        let value = server.cli(["CONFIG", "GET", "maxmemory-samples"]);
        assert_eq!(value.as_array().unwrap()[1], bulk("7"));
    }
    let value = client.command(["CONFIG", "GET", "maxmemory-samples"]);
    assert_eq!(value.as_array().unwrap()[1], bulk("7"), "the same everywhere stands once");
    servers[1].cli(["CONFIG", "SET", "maxmemory-samples", "8"]);
    let value = client.command(["CONFIG", "GET", "maxmemory-samples"]);
    assert_eq!(value.as_array().unwrap()[1], bulk("7,8,7"));
    let sha = text(&client.command(["SCRIPT", "LOAD", "return redis.call('GET', KEYS[1])"]));
    for number in 0..30 {
        assert_eq!(client.command(["EVALSHA", &sha, "1", &format!("k{number}")]), bulk("x"));
    }
    assert_eq!(client.command(["SCRIPT", "EXISTS", &sha]), Value::Array(vec![Value::Integer(1)]));
    assert_eq!(client.command(["PING"]), simple("PONG"));
    assert_eq!(client.command(["WAIT", "0", "10"]), Value::Integer(0));
    assert_eq!(client.command(["FLUSHALL"]), simple("OK"));
    assert!(servers.iter().all(|server| server.cli(["DBSIZE"]) == Value::Integer(0)));
    assert_eq!(client.command(["RANDOMKEY"]), Value::Null);
}

#[test]
fn what_is_done_in_part_says_so() {
    let servers = servers(3);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    let keys = key_of_each(&mut client, &servers);
    servers[1].cli(["CONFIG", "SET", "maxmemory", "1"]);
    let mut command = vec!["MSET"];
    keys.iter().for_each(|key| command.extend([key.as_str(), "value"]));
    let error = error_text(&client.command(&command)).unwrap();
    let expected = "OOM redkeel: 'mset' was done on 2 of 3 shards (main/s0, main/s2) of pool main, but not on main/s1: ";
    assert!(error.starts_with(expected), "{error}");
    assert_eq!(client.command(["GET", &keys[0]]), bulk("value"));
    assert_eq!(client.command(["GET", &keys[1]]), Value::Null);
    servers[0].cli(["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let error = error_text(&client.command(["MSET", &keys[1], "x", &keys[0], "x"])).unwrap();
    let expected = "OOM redkeel: 'mset' was done on no shard of pool main; main/s1: ";
    assert!(error.starts_with(expected), "{error}");
    assert_eq!(client.command(["ACL", "LOG", "RESET"]), simple("OK"));
}

#[test]
fn the_status_shows_the_pool_and_its_shards() {
    let servers = servers(2);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    client.command(["SET", "k", "v"]);
    let status = redkeel.status();
    let names: Vec<&str> = status["pools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pool| pool["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["main", "main/s0", "main/s1"]);
    let main = &status["pools"][0];
    assert_eq!(main["groups"], serde_json::json!(["main/s0", "main/s1"]));
    assert_eq!(main["why"], "2 of 2 groups take writes");
    assert_eq!(main["clients"]["connected"], 1);
    assert_eq!(status["pools"][1]["clients"]["connected"], 0, "legs are no clients");
    assert_eq!(status["pools"][1]["nodes"].as_array().unwrap().len(), 1);
    let metrics = redkeel.admin_get("/metrics").body;
    assert!(metrics.contains("redkeel_pool_clients{pool=\"main\"} 1"), "{metrics}");
    drop(client);
    eventually(SOON, "the client to go", || {
        redkeel.status()["pools"][0]["clients"]["connected"] == 0
    });
}

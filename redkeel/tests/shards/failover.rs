//! Shards fail one by one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use testkit::{RedisServer, Redkeel, Value, bulk, error_text, eventually, simple};

use crate::scene::{SOON, expecting, replicated};
use crate::{builder, key_of_each, keys_beside, ready, rehashing, servers};

/// Two shards: the first of a primary and a replica, the second of one node.
fn with_replica() -> (Vec<RedisServer>, RedisServer, Redkeel) {
    let first = replicated(1);
    let second = RedisServer::start();
    let text = format!(
        "workers = 2\n[pool.main]\nlisten = \"127.0.0.1:0\"\n[pool.main.shards]\nservers = [\n\
         {{ name = \"s0\", servers = [\"{}\", \"{}\"] }},\n{{ name = \"s1\", servers = [\"{}\"] }},\n]\n",
        first[0].address(),
        first[1].address(),
        second.address()
    );
    let builder = Redkeel::builder(env!("CARGO_BIN_EXE_redkeel")).config(&text);
    let redkeel = ready(expecting(builder, &["is down", "writes are held", "fenced"]));
    (first, second, redkeel)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it measures how long others wait")]
fn the_keys_of_a_shard_wait_for_its_new_primary_and_others_notice_nothing() {
    let (mut first, second, redkeel) = with_replica();
    let mut client = redkeel.client();
    let keys = {
        let mut one = None;
        let mut other = None;
        for number in 0.. {
            let key = format!("key:{number}");
            client.command(["SET", &key, "0"]);
            let here = second.cli(["EXISTS", &key]) == Value::Integer(1);
            if here {
                other.get_or_insert(key)
            } else {
                one.get_or_insert(key)
            };
            if one.is_some() && other.is_some() {
                break;
            }
        }
        [one.unwrap(), other.unwrap()]
    };
    first[0].wait_for_replicas(1);
    let replica = first.pop().unwrap();
    let mut primary = first.pop().unwrap();
    eventually(SOON, "the replica in step", || {
        replica.cli(["EXISTS", &keys[0]]) == Value::Integer(1)
    });
    let stop = AtomicBool::new(false);
    let address = redkeel.address();
    std::thread::scope(|scope| {
        let elsewhere = scope.spawn(|| {
            let mut client = testkit::Client::connect(address.clone());
            let (mut longest, mut count) = (Duration::ZERO, 0_i64);
            while !stop.load(Ordering::Relaxed) {
                let before = Instant::now();
                count += 1;
                assert_eq!(client.command(["INCR", &keys[1]]), Value::Integer(count));
                longest = longest.max(before.elapsed());
            }
            (longest, count)
        });
        eventually(SOON, "load", || {
            second.cli(["GET", &keys[1]]).as_bytes().is_some_and(|text| text.len() > 2)
        });
        primary.kill9();
        client.send(["SET", &keys[0], "waited"]);
        redkeel.wait_until(SOON, "the loss to be seen", |status| {
            status["pools"][1]["held"]["clients"] == 1
                || status["pools"][1]["nodes"][0]["health"] == "down"
        });
        replica.cli(["REPLICAOF", "NO", "ONE"]);
        assert_eq!(client.receive(), simple("OK"), "held, then sent to the new primary");
        stop.store(true, Ordering::Relaxed);
        let (longest, count) = elsewhere.join().unwrap();
        println!("the other shard: {count} commands, the longest took {longest:?}");
        assert!(count > 100);
        assert!(longest < Duration::from_millis(500), "{longest:?}");
    });
    assert_eq!(client.command(["GET", &keys[0]]), bulk("waited"));
}

#[test]
fn a_shard_that_stays_down_fails_alone_and_says_which_it_is() {
    let mut servers = servers(3);
    let settings = "timeouts = { hold = \"1s\" }";
    let builder = builder(&servers, settings, "");
    let redkeel = ready(expecting(builder, &["is down", "writes are held"]));
    let mut client = redkeel.client();
    let keys = key_of_each(&mut client, &servers);
    servers[1].kill9();
    let error = error_text(&client.command(["SET", &keys[1], "x"])).unwrap();
    assert!(error.starts_with("NOPRIMARY redkeel: pool main/s1 had no primary"), "{error}");
    assert_eq!(client.command(["SET", &keys[0], "x"]), simple("OK"));
    assert_eq!(client.command(["PING"]), simple("PONG"));
    let error = error_text(&client.command(["DEL", &keys[0], &keys[1], &keys[2]])).unwrap();
    let expected = "NOPRIMARY redkeel: 'del' was done on 2 of 3 shards (main/s0, main/s2) of pool main, but not on main/s1: ";
    assert!(error.starts_with(expected), "{error}");
    assert_eq!(client.command(["EXISTS", &keys[0]]), Value::Integer(0));
    assert_eq!(redkeel.admin_get("/readyz").status, 503);
}

#[test]
fn with_rehash_the_keys_of_a_dead_shard_go_to_others_until_it_is_back() {
    let mut servers = servers(3);
    let redkeel = rehashing(&servers);
    let mut client = redkeel.client();
    let keys = key_of_each(&mut client, &servers);
    let beside = keys_beside(&mut client, &servers[0], 3);
    for key in &beside {
        client.command(["SET", key, "stays"]);
    }
    servers[1].kill9();
    eventually(SOON, "its keys to be taken by others", || {
        client.command(["SET", &keys[1], "elsewhere"]) == simple("OK")
    });
    assert_eq!(client.command(["GET", &keys[1]]), bulk("elsewhere"));
    let there = [&servers[0], &servers[2]].map(|server| server.cli(["EXISTS", &keys[1]]));
    assert!(there.contains(&Value::Integer(1)));
    for key in &beside {
        assert_eq!(servers[0].cli(["EXISTS", key]), Value::Integer(1), "the others' keys stay");
    }
    assert_eq!(redkeel.admin_get("/readyz").status, 200, "its keys are served");
    // What is about all shards is about those that are left.
    let keys_left = client.command(["KEYS", "*"]);
    let count = keys_left.as_array().unwrap().len() as i64;
    assert_eq!(client.command(["DBSIZE"]), Value::Integer(count));
    let mut found = Vec::new();
    let mut cursor = bulk("0");
    loop {
        let reply = client.command([b"SCAN".as_slice(), cursor.as_bytes().unwrap()]);
        let [next, names] = reply.as_array().unwrap() else { panic!("{reply:?}") };
        found.extend(names.as_array().unwrap().to_vec());
        cursor = next.clone();
        if cursor == bulk("0") {
            break;
        }
    }
    assert_eq!(found.len() as i64, count, "{found:?}");
    assert!(client.command(["INFO", "keyspace"]).as_bytes().is_some());
    servers[1].restart();
    eventually(SOON, "its keys to be its own again", || {
        client.command(["SET", &keys[1], "back"]) == simple("OK")
            && servers[1].cli(["GET", &keys[1]]) == bulk("back")
    });
}

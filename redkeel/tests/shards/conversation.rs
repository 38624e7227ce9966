//! A client's own state over several shards: database, protocol, name, blocking, the order of replies.

use std::time::Duration;

use testkit::{Client, Value, bulk, error_text, eventually, simple};

use crate::scene::SOON;
use crate::{builder, key_of_each, ready, rehashing, servers, sharded};

#[test]
fn select_and_hello_hold_for_all_shards() {
    let servers = servers(3);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    let keys = key_of_each(&mut client, &servers);
    assert_eq!(client.command(["SELECT", "3"]), simple("OK"));
    for key in &keys {
        assert_eq!(client.command(["SET", key, "x"]), simple("OK"));
    }
    for server in &servers {
        let info = server.cli(["INFO", "keyspace"]);
        let info = String::from_utf8_lossy(info.as_bytes().unwrap()).into_owned();
        assert!(info.contains("db3:keys=1") && !info.contains("db0"), "{info}");
    }
    let hello = client.command(["HELLO", "3", "SETNAME", "me"]);
    assert!(matches!(hello, Value::Map(_)), "{hello:?}");
    assert_eq!(client.command(["CLIENT", "GETNAME"]), bulk("me"));
    let mut mget = vec!["MGET"];
    mget.extend(keys.iter().map(String::as_str));
    assert_eq!(client.command(&mget), Value::Array(vec![bulk("x"), bulk("x"), bulk("x")]));
    assert!(matches!(client.command(["CONFIG", "GET", "maxmemory"]), Value::Map(_)));
    assert!(error_text(&client.command(["SELECT", "99"])).unwrap().starts_with("ERR DB index"));
    assert_eq!(client.command(["DBSIZE"]), Value::Integer(3));
    assert_eq!(client.command(["RESET"]), simple("RESET"));
    assert_eq!(client.command(["DBSIZE"]), Value::Integer(0));
}

#[test]
fn a_name_outlives_select() {
    let servers = servers(2);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    key_of_each(&mut client, &servers);
    assert_eq!(client.command(["CLIENT", "SETNAME", "me"]), simple("OK"));
    assert_eq!(client.command(["SELECT", "3"]), simple("OK"));
    assert_eq!(client.command(["CLIENT", "GETNAME"]), bulk("me"));
    client.command(["HELLO", "2"]);
    assert_eq!(client.command(["CLIENT", "GETNAME"]), bulk("me"));
}

#[test]
fn replies_come_in_order_though_a_shard_is_slow() {
    let servers = servers(2);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    let keys = key_of_each(&mut client, &servers);
    let (slow, fast) = (keys[0].as_str(), keys[1].as_str());
    servers[0].cli(["CLIENT", "PAUSE", "700", "WRITE"]);
    let replies = client.pipeline([
        vec!["SET", slow, "1"],
        vec!["SET", fast, "2"],
        vec!["CLIENT", "GETNAME"],
        vec!["GET", fast],
        vec!["MGET", slow, fast],
        vec!["NOSUCH"],
        vec!["ECHO", "end"],
    ]);
    assert_eq!(replies[..2], [simple("OK"), simple("OK")]);
    assert_eq!(replies[2], Value::Null);
    assert_eq!(replies[3], bulk("2"));
    assert_eq!(replies[4], Value::Array(vec![bulk("1"), bulk("2")]));
    assert!(error_text(&replies[5]).unwrap().starts_with("ERR unknown command"));
    assert_eq!(replies[6], bulk("end"));
}

#[test]
fn client_reply_holds_over_shards() {
    let servers = servers(2);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    let keys = key_of_each(&mut client, &servers);
    client.send(["CLIENT", "REPLY", "SKIP"]);
    client.send(["MSET", &keys[0], "1", &keys[1], "2"]);
    assert_eq!(client.command(["GET", &keys[1]]), bulk("2"));
    client.send(["CLIENT", "REPLY", "OFF"]);
    for key in &keys {
        client.send(["INCR", key]);
        client.send(["GET", key]);
    }
    assert_eq!(client.command(["CLIENT", "REPLY", "ON"]), simple("OK"));
    let command = ["MGET", keys[0].as_str(), keys[1].as_str()];
    assert_eq!(client.command(command), Value::Array(vec![bulk("2"), bulk("3")]));
}

#[test]
fn a_blocked_client_is_served_unblocked_and_forgotten() {
    let servers = servers(2);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    let keys = key_of_each(&mut client, &servers);
    let mut other = redkeel.client();
    let id = client.command(["CLIENT", "ID"]);
    for (index, key) in keys.iter().enumerate() {
        client.send(["BLPOP", key, "0"]);
        eventually(SOON, "blocked", || servers[index].info("clients")["blocked_clients"] == "1");
        assert_eq!(other.command(["RPUSH", key, "x"]), Value::Integer(1));
        assert_eq!(client.receive(), Value::Array(vec![bulk(key), bulk("x")]));
    }
    client.send(["BLPOP", &keys[1], "0"]);
    eventually(SOON, "blocked", || servers[1].info("clients")["blocked_clients"] == "1");
    let Value::Integer(id) = id else { panic!("{id:?}") };
    eventually(SOON, "unblocked", || {
        other.command(["CLIENT", "UNBLOCK", &id.to_string()]) == Value::Integer(1)
    });
    assert_eq!(client.receive(), Value::Null);
    client.send(["BLPOP", &keys[0], "0"]);
    eventually(SOON, "blocked", || servers[0].info("clients")["blocked_clients"] == "1");
    drop(client);
    eventually(SOON, "forgotten", || servers[0].info("clients")["blocked_clients"] == "0");
    assert_eq!(other.command(["RPUSH", &keys[0], "kept"]), Value::Integer(1));
    assert_eq!(other.command(["LPOP", &keys[0]]), bulk("kept"));
}

#[test]
fn clients_are_listed_and_killed_as_the_pools() {
    let servers = servers(2);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    let mut other = redkeel.client();
    other.command(["CLIENT", "SETNAME", "other"]);
    key_of_each(&mut other, &servers);
    let list = client.command(["CLIENT", "LIST"]);
    let list = String::from_utf8_lossy(list.as_bytes().unwrap()).into_owned();
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(list.contains("name=other"), "{list}");
    let Value::Integer(id) = other.command(["CLIENT", "ID"]) else { panic!() };
    assert_eq!(client.command(["CLIENT", "KILL", "ID", &id.to_string()]), Value::Integer(1));
    other.set_timeout(Duration::from_secs(10));
    other.expect_closed();
}

#[test]
fn invalidations_come_from_every_shard() {
    let servers = servers(2);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    let keys = key_of_each(&mut client, &servers);
    let mut other = redkeel.client();
    client.command(["HELLO", "3"]);
    assert_eq!(client.command(["CLIENT", "TRACKING", "ON"]), simple("OK"));
    for key in &keys {
        assert_eq!(client.command(["GET", key]), Value::Null);
        other.command(["SET", key, "new"]);
        let push = client.receive();
        let expected = Value::Push(vec![bulk("invalidate"), Value::Array(vec![bulk(key)])]);
        assert_eq!(push, expected);
    }
    assert_eq!(client.command(["CLIENT", "TRACKING", "OFF"]), simple("OK"));
    let error = error_text(&client.command(["CLIENT", "TRACKING", "ON", "REDIRECT", "1"])).unwrap();
    assert!(error.contains("not possible over several shards"), "{error}");
}

#[test]
fn what_is_cached_of_a_shard_that_is_left_out_is_invalid() {
    let mut servers = servers(3);
    let redkeel = rehashing(&servers);
    let mut client = redkeel.client();
    let keys = key_of_each(&mut client, &servers);
    let mut other = redkeel.client();
    client.command(["HELLO", "3"]);
    assert_eq!(client.command(["CLIENT", "TRACKING", "ON"]), simple("OK"));
    for key in &keys {
        assert_eq!(client.command(["GET", key]), Value::Null);
    }
    let all = Value::Push(vec![bulk("invalidate"), Value::Null]);
    // The lost connection says it as well, maybe before the ring is another.
    let next = |client: &mut Client| {
        std::iter::repeat_with(|| client.receive()).find(|value| *value != all).unwrap()
    };
    servers[1].kill9();
    assert_eq!(client.receive(), all);
    // Its keys are tracked where they are now.
    eventually(SOON, "its keys to be taken by others", || {
        client.send(["GET", &keys[1]]);
        next(&mut client) == Value::Null
    });
    eventually(SOON, "the same for others", || {
        other.command(["SET", &keys[1], "new"]) == simple("OK")
    });
    let one = Value::Push(vec![bulk("invalidate"), Value::Array(vec![bulk(&keys[1])])]);
    assert_eq!(next(&mut client), one);
    // Who comes now tracks on the shards that are left, and on the other one when it is back.
    let mut late = redkeel.client();
    late.command(["HELLO", "3"]);
    assert_eq!(late.command(["CLIENT", "TRACKING", "ON"]), simple("OK"));
    servers[1].restart();
    assert_eq!(late.receive(), all);
    eventually(SOON, "its keys to be its own again", || {
        other.command(["SET", &keys[1], "back"]);
        servers[1].cli(["EXISTS", &keys[1]]) == Value::Integer(1)
    });
    eventually(SOON, "the same for who came late", || {
        late.send(["GET", &keys[1]]);
        next(&mut late) == bulk("back")
    });
    other.command(["SET", &keys[1], "again"]);
    assert_eq!(next(&mut late), one);
}

#[test]
fn users_are_known_here_and_pass_through_goes_to_the_shards() {
    let servers = servers(2);
    let settings = "auth = \"users\"\n[pool.main.users.app]\npassword = \"secret\"\ncommands = [\"+@all\"]\nkeys = [\"key:*\"]\n";
    let redkeel = ready(builder(&servers, settings, ""));
    let mut client = redkeel.client();
    assert!(error_text(&client.command(["GET", "key:1"])).unwrap().starts_with("NOAUTH"));
    assert!(
        error_text(&client.command(["AUTH", "app", "wrong"])).unwrap().starts_with("WRONGPASS")
    );
    assert_eq!(client.command(["AUTH", "app", "secret"]), simple("OK"));
    assert_eq!(client.command(["SET", "key:1", "x"]), simple("OK"));
    assert!(error_text(&client.command(["SET", "other", "x"])).unwrap().starts_with("NOPERM"));
    let error = error_text(&client.command(["MGET", "key:1", "other"])).unwrap();
    assert!(error.starts_with("NOPERM"), "{error}");
    assert!(matches!(client.command(["HELLO", "3", "AUTH", "app", "secret"]), Value::Map(_)));
    assert_eq!(client.command(["GET", "key:1"]), bulk("x"));

    for server in &servers {
        server.cli(["ACL", "SETUSER", "worker", "on", ">pw", "+@all", "~key:*"]);
    }
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    assert!(
        error_text(&client.command(["AUTH", "worker", "no"])).unwrap().starts_with("WRONGPASS")
    );
    assert_eq!(client.command(["AUTH", "worker", "pw"]), simple("OK"));
    for number in 0..10 {
        let key = format!("key:{number}");
        assert_eq!(client.command(["SET", &key, "x"]), simple("OK"));
        let error = error_text(&client.command(["SET", &format!("x{number}"), "x"])).unwrap();
        assert!(error.starts_with("NOPERM"), "{error}");
    }
}

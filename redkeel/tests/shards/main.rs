//! What clients of a pool of several shards see: the real binary before real servers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod commands;
mod conversation;
mod failover;
mod large;
mod routes;
mod subscriptions;
mod switchover;
mod transactions;

#[path = "../scene/mod.rs"]
#[allow(dead_code, reason = "shards are put together here")]
mod scene;

use std::collections::BTreeMap;

use testkit::{Client, RedisServer, Redkeel, RedkeelBuilder, Value};

/// So many servers that know nothing of each other.
pub(crate) fn servers(count: usize) -> Vec<RedisServer> {
    (0..count).map(|_| RedisServer::start()).collect()
}

/// The lines of `shards.servers` for these, which are called s0, s1, ….
pub(crate) fn entries(servers: &[RedisServer]) -> String {
    let entries = servers.iter().enumerate();
    let entries: Vec<String> =
        entries.map(|(index, server)| format!("{}:1 s{index}", server.address())).collect();
    format!("{entries:?}")
}

/// One pool, `main`, with a shard of one node for each server. `settings` are further lines of its table, `sharding` of `shards`.
pub(crate) fn builder(servers: &[RedisServer], settings: &str, sharding: &str) -> RedkeelBuilder {
    Redkeel::builder(env!("CARGO_BIN_EXE_redkeel")).config(&format!(
        "workers = 2\n[pool.main]\nlisten = \"127.0.0.1:0\"\n{settings}\n[pool.main.shards]\nservers = {}\n{sharding}\n",
        entries(servers)
    ))
}

/// Starts it and waits until every pool takes writes.
pub(crate) fn ready(builder: RedkeelBuilder) -> Redkeel {
    let redkeel = builder.start();
    testkit::eventually(scene::SOON, "all shards", || redkeel.admin_get("/readyz").status == 200);
    redkeel
}

pub(crate) fn sharded(servers: &[RedisServer]) -> Redkeel {
    ready(builder(servers, "", ""))
}

/// One pool whose keys go to others while a shard is down.
pub(crate) fn rehashing(servers: &[RedisServer]) -> Redkeel {
    let builder = builder(servers, "timeouts = { hold = \"1s\" }", "on_shard_down = \"rehash\"");
    ready(scene::expecting(builder, &["is down", "writes are held", "cannot be proven"]))
}

/// For each server a key that belongs to it.
pub(crate) fn key_of_each(client: &mut Client, servers: &[RedisServer]) -> Vec<String> {
    let mut found = BTreeMap::new();
    for number in 0.. {
        let key = format!("key:{number}");
        client.command(["SET", &key, "x"]);
        for (index, server) in servers.iter().enumerate() {
            if server.cli(["DEL", &key]) == Value::Integer(1) {
                found.entry(index).or_insert_with(|| key.clone());
            }
        }
        if found.len() == servers.len() {
            break;
        }
    }
    found.into_values().collect()
}

/// So many keys that belong to the same shard as `like`.
pub(crate) fn keys_beside(client: &mut Client, server: &RedisServer, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    for number in 0.. {
        let key = format!("beside:{number}");
        client.command(["SET", &key, "x"]);
        if server.cli(["DEL", &key]) == Value::Integer(1) {
            found.push(key);
        } else {
            client.command(["DEL", &key]);
        }
        if found.len() == count {
            break;
        }
    }
    found
}

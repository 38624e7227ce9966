//! What clients see while the names of their servers change, or cannot be resolved: the real binary, real servers, and a
//! name server of the test's own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod addresses;
mod failures;
mod services;

#[path = "../scene/mod.rs"]
#[allow(dead_code, reason = "servers have names here")]
mod scene;

use testkit::{DnsServer, RedisServer, Redkeel, RedkeelBuilder};

/// The name that the tests' servers have.
pub(crate) const NAME: &str = "redis.test";

/// One pool, `main`, whose servers are resolved by this name server.
pub(crate) fn proxy(dns: &DnsServer, servers: &[String], settings: &str) -> RedkeelBuilder {
    Redkeel::builder(env!("CARGO_BIN_EXE_redkeel")).config(&format!(
        "workers = 2\n[dns]\nservers = [\"{}\"]\n[pool.main]\nlisten = \"127.0.0.1:0\"\nservers = {servers:?}\n{settings}\n",
        dns.address()
    ))
}

/// The clients' connections that a server has at one of its addresses.
pub(crate) fn connections_at(server: &RedisServer, ip: &str) -> usize {
    let list = server.cli(["CLIENT", "LIST", "TYPE", "NORMAL"]);
    let text = String::from_utf8_lossy(list.as_bytes().unwrap()).into_owned();
    text.lines().filter(|line| line.contains(&format!("laddr={ip}:"))).count()
}

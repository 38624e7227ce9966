//! Servers and a Redkeel before them, as several test binaries set them up.

use std::time::Duration;

use testkit::{RedisServer, Redkeel, RedkeelBuilder};

/// For what should happen within a second, on a machine that is busy with other tests.
pub(crate) const SOON: Duration = Duration::from_secs(15);

/// A primary, and behind it its replicas, all in step.
pub(crate) fn replicated(replicas: usize) -> Vec<RedisServer> {
    let mut nodes = vec![RedisServer::start()];
    for _ in 0..replicas {
        nodes.push(RedisServer::builder().replica_of(&nodes[0]).start());
    }
    wait_in_step(&nodes);
    nodes
}

/// Waits until the first node's replicas, the others, follow it.
pub(crate) fn wait_in_step(nodes: &[RedisServer]) {
    nodes[0].wait_for_replicas(nodes.len() - 1);
    for replica in &nodes[1..] {
        replica.wait_link_up();
    }
}

/// One pool, `main`, with these nodes. `settings` are further lines of its table; without `listen` among them it
/// listens on a free port in `split` mode.
pub(crate) fn proxy<'a>(
    nodes: impl IntoIterator<Item = &'a RedisServer>,
    settings: &str,
) -> RedkeelBuilder {
    proxy_of(nodes.into_iter().map(RedisServer::address), settings)
}

/// As [`proxy`], for nodes by their address.
pub(crate) fn proxy_of<A: ToString>(
    servers: impl IntoIterator<Item = A>,
    settings: &str,
) -> RedkeelBuilder {
    let servers: Vec<String> = servers.into_iter().map(|server| server.to_string()).collect();
    let listen = if settings.contains("listen") { "" } else { "listen = \"127.0.0.1:0\"\n" };
    Redkeel::builder(env!("CARGO_BIN_EXE_redkeel"))
        .config(&format!("workers = 2\n[pool.main]\n{listen}servers = {servers:?}\n{settings}\n"))
}

/// Starts it and waits until it has a primary and every node takes reads.
pub(crate) fn ready(builder: RedkeelBuilder) -> Redkeel {
    let redkeel = builder.start();
    redkeel.wait_until(SOON, "all nodes to be in use", |status| {
        let nodes = status["pools"][0]["nodes"].as_array().unwrap();
        !status["pools"][0]["primary"].is_null()
            && nodes.iter().all(|node| node["readable"] == true)
    });
    redkeel
}

/// Accepts WARN lines that contain any of `texts`.
pub(crate) fn expecting(mut builder: RedkeelBuilder, texts: &[&str]) -> RedkeelBuilder {
    for text in texts {
        builder = builder.expect_log(text);
    }
    builder
}

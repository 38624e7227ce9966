//! What the tests of clients share.

use std::time::Duration;

use testkit::{RedisServer, Redkeel, RedkeelBuilder};

/// For what should happen within a second, on a machine that is busy with other tests.
pub(crate) const SOON: Duration = Duration::from_secs(15);

/// One listener in each of the two modes for everyday use.
pub(crate) const LISTENERS: &str =
    "listen = [\"127.0.0.1:0\", { address = \"127.0.0.1:0\", mode = \"write\" }]";

/// One pool, `main`, with these nodes. `settings` are further lines of its table; without `listen` among them it
/// listens on a free port in `split` mode.
pub(crate) fn proxy<'a>(
    nodes: impl IntoIterator<Item = &'a RedisServer>,
    settings: &str,
) -> RedkeelBuilder {
    let servers: Vec<String> = nodes.into_iter().map(|node| node.address().to_string()).collect();
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

/// A primary, and behind it its replicas, all in step.
pub(crate) fn replicated(replicas: usize) -> Vec<RedisServer> {
    let mut nodes = vec![RedisServer::start()];
    for _ in 0..replicas {
        nodes.push(RedisServer::builder().replica_of(&nodes[0]).start());
    }
    nodes[0].wait_for_replicas(replicas);
    for replica in &nodes[1..] {
        replica.wait_link_up();
    }
    nodes
}

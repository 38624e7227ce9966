//! A primary, two replicas and three Sentinels.

use std::time::Duration;

use testkit::{RedisServer, Sentinels};

/// Below a second, Sentinel starts failovers that nobody needs.
const DOWN_AFTER: Duration = Duration::from_secs(1);

pub(super) struct Cluster {
    // Before the nodes: nobody is to be promoted when they end.
    _sentinels: Sentinels,
    nodes: Vec<Node>,
    primary: usize,
}

struct Node {
    server: RedisServer,
    alive: bool,
}

impl Cluster {
    /// Starts all of them and waits until they know each other.
    pub(super) fn start() -> Self {
        let primary = RedisServer::start();
        let replicas = [(); 2].map(|()| RedisServer::builder().replica_of(&primary).start());
        for replica in &replicas {
            replica.wait_link_up();
        }
        primary.wait_for_replicas(replicas.len());
        let sentinels = Sentinels::builder("demo")
            .down_after(DOWN_AFTER)
            .quorum(2)
            .start(&primary, replicas.len());
        let servers = [primary].into_iter().chain(replicas);
        let nodes = servers.map(|server| Node { server, alive: true }).collect();
        Self { _sentinels: sentinels, nodes, primary: 0 }
    }

    /// As `--servers` takes them.
    pub(super) fn addresses(&self) -> String {
        let addresses = self.nodes.iter().map(|node| node.server.address().to_string());
        addresses.collect::<Vec<_>>().join(",")
    }

    /// What Redkeel calls a node.
    pub(super) fn name(&self, node: usize) -> String {
        self.nodes[node].server.address().to_string()
    }

    pub(super) fn primary(&self) -> &RedisServer {
        &self.nodes[self.primary].server
    }

    pub(super) fn primary_index(&self) -> usize {
        self.primary
    }

    /// A living replica.
    pub(super) fn replica(&self) -> usize {
        self.find(|index, node| node.alive && index != self.primary)
    }

    /// The node that has been killed.
    pub(super) fn dead(&self) -> usize {
        self.find(|_, node| !node.alive)
    }

    fn find(&self, wanted: impl Fn(usize, &Node) -> bool) -> usize {
        let found = self.nodes.iter().enumerate().find(|(index, node)| wanted(*index, node));
        found.map_or(0, |(index, _)| index)
    }

    pub(super) fn kill(&mut self, node: usize) {
        self.nodes[node].server.kill9();
        self.nodes[node].alive = false;
    }

    /// Starts a killed node again, without waiting for it to follow anyone.
    pub(super) fn revive(&mut self, node: usize) {
        self.nodes[node].server.restart();
        self.nodes[node].alive = true;
    }

    /// Waits until the replicas have what the primary has written up to now.
    pub(super) fn wait_in_step(&self) {
        self.primary().wait_for_replicas(2);
        for (index, node) in self.nodes.iter().enumerate() {
            if index != self.primary {
                self.primary().wait_caught_up(&node.server);
            }
        }
    }

    /// After the primary's death: is a living node the new one? Remembers which.
    pub(super) fn find_promoted(&mut self) -> bool {
        let promoted = self.nodes.iter().position(|node| {
            node.alive
                && node.server.info("replication").get("role").is_some_and(|role| role == "master")
        });
        self.primary = promoted.unwrap_or(self.primary);
        promoted.is_some()
    }
}

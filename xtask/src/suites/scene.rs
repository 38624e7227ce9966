//! What a suite runs against: one node or three, with Redkeel before them or without.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::{RedisServer, Redkeel, Signal};

/// Longer than the drain of a Redkeel whose clients have gone.
const EXIT: Duration = Duration::from_secs(40);

/// Some tests keep a server busy for as long as the machine takes for them.
const REQUEST: &str = "60s";

/// The nodes, and the mode of Redkeel's listener before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Nodes {
    /// One, behind a `split` listener.
    One,
    /// A primary and two replicas, behind a `write` listener.
    Three,
}

impl fmt::Display for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "one node, split",
            Self::Three => "three nodes, write",
        })
    }
}

/// Does a suite talk to the primary or to Redkeel?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Route {
    Direct,
    Through,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Through => "through",
        })
    }
}

/// Fresh servers for one run.
pub(super) struct Scene {
    redkeel: Option<Redkeel>,
    nodes: Vec<RedisServer>,
}

impl Scene {
    pub(super) fn start(nodes: Nodes, route: Route, binary: &Path) -> Self {
        let node = || {
            // Of the server's own tests in an external server, some change what is protected.
            RedisServer::builder()
                .option("enable-protected-configs", "yes")
                .option("enable-module-command", "yes")
        };
        let primary = node().start();
        let replicas = match nodes {
            Nodes::One => 0,
            Nodes::Three => 2,
        };
        let replicas: Vec<RedisServer> =
            (0..replicas).map(|_| node().replica_of(&primary).start()).collect();
        for replica in &replicas {
            replica.wait_link_up();
        }
        primary.wait_for_replicas(replicas.len());
        let servers: Vec<RedisServer> = [primary].into_iter().chain(replicas).collect();
        let redkeel = (route == Route::Through).then(|| {
            let addresses: Vec<String> =
                servers.iter().map(|server| server.address().to_string()).collect();
            let mode = match nodes {
                Nodes::One => "split",
                Nodes::Three => "write",
            };
            Redkeel::builder(binary)
                .config(&format!(
                    "[pool.main]\nlisten = \"127.0.0.1:0\"\nmode = \"{mode}\"\nservers = {addresses:?}\n\
                     [pool.main.timeouts]\nrequest = \"{REQUEST}\"\n"
                ))
                .start()
        });
        Self { redkeel, nodes: servers }
    }

    /// Where the suite's clients connect.
    pub(super) fn host_and_port(&self) -> Result<(String, u16)> {
        let address = match &self.redkeel {
            Some(redkeel) => redkeel.address().to_string(),
            None => self.primary(),
        };
        let (host, port) = address.rsplit_once(':').context("an address without a port")?;
        Ok((host.to_owned(), port.parse()?))
    }

    /// The primary's own address.
    pub(super) fn primary(&self) -> String {
        self.nodes[0].address().to_string()
    }

    /// Ends all of it; an error where Redkeel did not end as it should. What it logged is no matter: tests stop nodes.
    pub(super) fn stop(self) -> Result<()> {
        if let Some(mut redkeel) = self.redkeel {
            redkeel.signal(Signal::TERM);
            let status = redkeel.wait_exit(EXIT);
            ensure!(status.success(), "redkeel ended with {status}:\n{}", redkeel.log());
        }
        Ok(())
    }
}

//! Real Redis Sentinels.

use std::io;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::address::Address;
use crate::client::Client;
use crate::folder::Folder;
use crate::network::Host;
use crate::port::Port;
use crate::process::Process;
use crate::redis::RedisServer;
use crate::tls::{Authority, ServerTls};
use crate::wait::eventually;

const START: Duration = Duration::from_secs(30);

/// What a group of Sentinels is to watch, and how.
#[derive(Clone, Debug)]
pub struct SentinelBuilder {
    name: String,
    count: usize,
    quorum: usize,
    down_after: Duration,
    failover_timeout: Duration,
    password: Option<String>,
    hosts: Vec<Host>,
    tls: Option<ServerTls>,
}

impl SentinelBuilder {
    /// One on each of these hosts.
    pub fn on(mut self, hosts: &[Host]) -> Self {
        (self.count, self.hosts) = (hosts.len(), hosts.to_vec());
        self
    }

    /// How many Sentinels (3).
    pub fn count(mut self, count: usize) -> Self {
        self.count = count;
        self
    }

    /// How many of them must find the primary down (2).
    pub fn quorum(mut self, quorum: usize) -> Self {
        self.quorum = quorum;
        self
    }

    /// How long the primary must be silent (1 s; below, Sentinel starts spurious failovers).
    pub fn down_after(mut self, time: Duration) -> Self {
        self.down_after = time;
        self
    }

    /// `failover-timeout` (10 s): a failed failover is tried again after twice this time.
    pub fn failover_timeout(mut self, time: Duration) -> Self {
        self.failover_timeout = time;
        self
    }

    /// What they ask of whoever connects, and of each other.
    pub fn requirepass(mut self, password: &str) -> Self {
        self.password = Some(password.into());
        self
    }

    /// They speak TLS only, also with the nodes and each other, with a certificate of `authority` for localhost.
    pub fn tls(mut self, authority: &Authority) -> Self {
        let certificate = authority.certificate(&["localhost", "127.0.0.1"]);
        self.tls = Some(ServerTls::new(authority, &certificate, "no"));
        self
    }

    /// Starts the Sentinels and waits until each knows the others and all of `replicas`.
    ///
    /// # Panics
    ///
    /// When they do not find each other.
    #[track_caller]
    pub fn start(self, primary: &RedisServer, replicas: usize) -> Sentinels {
        let nodes = (0..self.count).map(|index| self.start_one(primary, index)).collect();
        let group = Sentinels { name: self.name.clone(), nodes };
        for node in &group.nodes {
            node.wait_for_peers(&self.name, self.count - 1, replicas);
        }
        group
    }

    fn start_one(&self, primary: &RedisServer, index: usize) -> Sentinel {
        let host = self.hosts.get(index);
        let ip = host.map_or_else(|| "127.0.0.1".to_owned(), Host::address);
        let folder = Folder::new("sentinel");
        let port = Port::free();
        let name = &self.name;
        let mut config = format!(
            "bind {ip}\nprotected-mode no\ndir .\n\
             sentinel monitor {name} {} {} {}\n\
             sentinel down-after-milliseconds {name} {}\n\
             sentinel failover-timeout {name} {}\n\
             sentinel parallel-syncs {name} 1\n",
            primary.host(),
            primary.port(),
            self.quorum,
            self.down_after.as_millis(),
            self.failover_timeout.as_millis(),
        );
        if let Some(password) = &self.password {
            config += &format!("requirepass {password}\nsentinel sentinel-pass {password}\n");
        }
        match &self.tls {
            Some(tls) => config += &(tls.lines(port.number()).join("\n") + "\n"),
            None => config += &format!("port {}\n", port.number()),
        }
        folder.write("sentinel.conf", &config);
        let mut command = match host {
            Some(host) => host.command("redis-server"),
            None => Command::new("redis-server"),
        };
        command.current_dir(folder.path()).args(["sentinel.conf", "--sentinel"]);
        let process = Process::start("sentinel", command, folder.path().join("log"));
        let address = Address::Tcp(format!("{ip}:{}", port.number()));
        let address = match &self.tls {
            Some(tls) => address.over(&tls.secure),
            None => address,
        };
        let password = self.password.clone();
        Sentinel { process, address, password, _port: port, _folder: folder }
    }
}

/// A group of Sentinels that watch one primary; ended on drop.
#[derive(Debug)]
pub struct Sentinels {
    name: String,
    nodes: Vec<Sentinel>,
}

impl Sentinels {
    /// What to start, for a primary that they call `name`.
    pub fn builder(name: &str) -> SentinelBuilder {
        SentinelBuilder {
            name: name.into(),
            count: 3,
            quorum: 2,
            down_after: Duration::from_secs(1),
            failover_timeout: Duration::from_secs(10),
            password: None,
            hosts: Vec::new(),
            tls: None,
        }
    }

    /// Each of them.
    pub fn nodes(&mut self) -> &mut [Sentinel] {
        &mut self.nodes
    }

    /// Where they listen.
    pub fn addresses(&self) -> Vec<Address> {
        self.nodes.iter().map(|node| node.address.clone()).collect()
    }

    /// Makes the first of them replace the primary, whatever its state (`SENTINEL FAILOVER`).
    ///
    /// # Panics
    ///
    /// When it refuses.
    #[track_caller]
    pub fn failover(&self) {
        let reply = self.nodes[0].client().command(["SENTINEL", "FAILOVER", &self.name]);
        assert_eq!(reply, crate::simple("OK"));
    }

    /// What the first living Sentinel believes to be the primary: `host:port`.
    pub fn primary(&self) -> Option<String> {
        self.nodes.iter().find_map(|node| node.primary(&self.name))
    }
}

/// One Sentinel.
#[derive(Debug)]
pub struct Sentinel {
    // Before the folder: the process goes first.
    process: Process,
    address: Address,
    password: Option<String>,
    _port: Port,
    _folder: Folder,
}

impl Sentinel {
    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// `kill -9`.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// SIGSTOP.
    pub fn stop_signal(&mut self) {
        self.process.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn cont(&mut self) {
        self.process.signal(Signal::CONT);
    }

    /// A connection to it, with its password.
    ///
    /// # Panics
    ///
    /// When it cannot be had.
    #[track_caller]
    pub fn client(&self) -> Client {
        self.try_client().expect("a Sentinel that can be reached")
    }

    fn try_client(&self) -> io::Result<Client> {
        let mut client = Client::try_connect(&self.address)?;
        if let Some(password) = &self.password {
            client.try_command(["AUTH", password])?;
        }
        Ok(client)
    }

    /// The primary that it names: `host:port`; `None` if it does not answer or knows none.
    pub fn primary(&self, name: &str) -> Option<String> {
        let mut client = self.try_client().ok()?;
        let reply = client.try_command(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name]).ok()?;
        let [host, port] = reply.as_array()? else { return None };
        let text = |value: &resp::Value| {
            value.as_bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        };
        Some(format!("{}:{}", text(host)?, text(port)?))
    }

    fn wait_for_peers(&self, name: &str, peers: usize, replicas: usize) {
        // `master0:name=…,status=ok,address=…,slaves=2,sentinels=3`
        let wanted = format!("slaves={replicas},sentinels={}", peers + 1);
        eventually(START, &format!("the Sentinels of {name} to find each other"), || {
            let info = self
                .try_client()
                .and_then(|mut client| client.try_info("sentinel"))
                .map_err(|error| error.to_string())?;
            let line = info.get("master0").cloned().unwrap_or_default();
            if line.contains("status=ok") && line.ends_with(&wanted) { Ok(()) } else { Err(line) }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentinels_promote_the_replica_of_a_killed_primary() {
        let mut primary = RedisServer::start();
        let replica = RedisServer::builder().replica_of(&primary).start();
        replica.wait_link_up();
        let sentinels = Sentinels::builder("main").start(&primary, 1);
        assert_eq!(sentinels.primary(), Some(primary.address().to_string()));
        primary.kill9();
        eventually(START, "the promotion", || {
            sentinels.primary() == Some(replica.address().to_string())
        });
        assert_eq!(replica.info("replication")["role"], "master");
    }
}

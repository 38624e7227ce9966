//! A running control plane, and what it published and logged.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use config::Context;
use control::{Control, EvidenceSender};
use testkit::{RedisServer, eventually};
use tokio::sync::oneshot;
use topology::{
    Evidence, NodeId, NodeView, PoolId, Published, ShardView, Sighting, Snapshot, Time,
};

/// The longest that anything here may take, on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// A control plane on its own thread; it ends when this is dropped.
pub struct Running {
    pub published: Arc<Published>,
    pub evidence: EvidenceSender,
    origin: Instant,
    seen: Arc<Mutex<Vec<Arc<Snapshot>>>>,
    log: Log,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// One pool over `servers`, with further lines of configuration.
    pub fn with(servers: &[&str], lines: &str) -> Self {
        let text =
            format!("[pool.main]\nlisten = \"127.0.0.1:0\"\nservers = {servers:?}\n{lines}\n");
        let context = Context { secrets: &config::NoSecrets, default_workers: 1 };
        let config =
            config::load("test.toml", &text, &context).unwrap_or_else(|why| panic!("{why}"));
        Self::start(&config.config)
    }

    pub fn of(servers: &[&RedisServer]) -> Self {
        Self::of_with(servers, "")
    }

    pub fn of_with(servers: &[&RedisServer], lines: &str) -> Self {
        let addresses: Vec<_> = servers.iter().map(|server| server.address().to_string()).collect();
        let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
        Self::with(&addresses, lines)
    }

    #[expect(clippy::disallowed_methods, reason = "the process's start")]
    fn start(config: &config::Config) -> Self {
        let origin = Instant::now();
        let published = Arc::new(Published::default());
        let (control, evidence) =
            Control::new(config, &tls::Pools::default(), Arc::clone(&published), origin);
        let seen: Arc<Mutex<Vec<Arc<Snapshot>>>> = Arc::default();
        let (all, newest) = (Arc::clone(&seen), Arc::downgrade(&published));
        published.on_publish(move || {
            let newest = newest.upgrade().unwrap().load();
            all.lock().unwrap().push(newest);
        });
        let log = Log::default();
        let (stop, stopped) = oneshot::channel();
        let writer = log.clone();
        let thread = std::thread::spawn(move || {
            let subscriber = tracing_subscriber::fmt()
                .with_ansi(false)
                .with_writer(move || writer.clone())
                .finish();
            let _guard = tracing::subscriber::set_default(subscriber);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                tokio::select! {
                    () = control.run() => {}
                    _ = stopped => {}
                }
            });
        });
        let (stop, thread) = (Some(stop), Some(thread));
        Self { published, evidence, origin, seen, log, stop, thread }
    }

    pub fn shard(&self) -> ShardView {
        self.published.load().pools[0].shards[0].clone()
    }

    /// The view of the node at this server's address.
    #[track_caller]
    pub fn node(&self, server: &RedisServer) -> NodeView {
        let shard = self.shard();
        let found = node_of(&shard, server);
        found.unwrap_or_else(|| panic!("{} is not in {shard:#?}", server.address())).clone()
    }

    /// Waits until the shard is so.
    #[track_caller]
    pub fn until(&self, what: &str, check: impl Fn(&ShardView) -> bool) {
        eventually(SOON, what, || {
            let shard = self.shard();
            if check(&shard) { Ok(()) } else { Err(format!("{shard:#?}\n{}", self.log())) }
        });
    }

    /// Waits until the node at this server's address is so.
    #[track_caller]
    pub fn until_node(&self, server: &RedisServer, what: &str, check: impl Fn(&NodeView) -> bool) {
        self.until(what, |shard| node_of(shard, server).is_some_and(&check));
    }

    #[track_caller]
    pub fn until_primary(&self, server: &RedisServer) {
        self.until(&format!("{} to be the primary", server.address()), |shard| {
            shard.primary.is_some() && shard.primary == node_of(shard, server).map(|node| node.id)
        });
    }

    /// Waits until this server is the primary and all nodes take reads.
    #[track_caller]
    pub fn until_whole(&self, primary: &RedisServer) {
        self.until_primary(primary);
        self.until("all nodes to take reads", |shard| shard.nodes.iter().all(|node| node.readable));
    }

    #[expect(clippy::disallowed_methods, reason = "evidence is stamped with the time")]
    pub fn now(&self) -> Time {
        Time::at(self.origin, Instant::now())
    }

    /// Reports a sighting, and waits for the answer to a probe that was sent since.
    #[track_caller]
    pub fn suspect(&self, server: &RedisServer, sighting: Sighting) {
        let (node, at) = (self.node(server).id, self.now());
        self.evidence.send(Evidence::Node { pool: PoolId(0), node, sighting, at });
        self.until_node(server, "the suspicion to be settled", |node| node.proven_at > at);
    }

    /// Every shard published so far, in order.
    pub fn history(&self) -> Vec<ShardView> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().map(|snapshot| snapshot.pools[0].shards[0].clone()).collect()
    }

    /// The primaries so far, without repetitions.
    pub fn primaries(&self) -> Vec<Option<NodeId>> {
        let mut primaries: Vec<_> = self.history().iter().map(|shard| shard.primary).collect();
        primaries.dedup();
        primaries
    }

    pub fn log(&self) -> String {
        let bytes = self.log.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The lines at WARN and ERROR.
    pub fn warnings(&self) -> Vec<String> {
        let log = self.log();
        let trouble =
            log.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR "));
        trouble.map(str::to_owned).collect()
    }

    /// Waits for a line at WARN with this text.
    #[track_caller]
    pub fn until_warned(&self, text: &str) {
        eventually(SOON, text, || {
            let found = self.warnings().iter().any(|line| line.contains(text));
            if found { Ok(()) } else { Err(self.log()) }
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            ended.unwrap();
        }
    }
}

fn node_of<'a>(shard: &'a ShardView, server: &RedisServer) -> Option<&'a NodeView> {
    let address = server.address().to_string();
    shard.nodes.iter().find(|node| node.address.to_string() == address)
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A primary and so many replicas of it, in step.
pub fn group(replicas: usize) -> Vec<RedisServer> {
    let mut servers = vec![RedisServer::start()];
    for _ in 0..replicas {
        let replica = RedisServer::builder().replica_of(&servers[0]).start();
        replica.wait_link_up();
        servers.push(replica);
    }
    servers
}

/// Makes `server` a replica of `primary`.
pub fn follow(server: &RedisServer, primary: &RedisServer) {
    let port = primary.port().to_string();
    assert_eq!(server.cli(["REPLICAOF", primary.host(), &port]), testkit::simple("OK"));
}

pub fn promote(server: &RedisServer) {
    assert_eq!(server.cli(["REPLICAOF", "NO", "ONE"]), testkit::simple("OK"));
}

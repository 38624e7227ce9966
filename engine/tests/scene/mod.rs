//! One client of a worker whose only node may be its primary; turns happen when a test says so.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::Arc;

use config::Mode;
use engine::{Action, Caller, ConnId, Engine, Settings};
use topology::{
    Address, Evidence, Health, NodeId, NodeView, PoolId, PoolView, Role, ShardView, Snapshot, Time,
};

/// One client of a worker whose only node may be its primary.
pub(crate) struct Scene {
    pub(crate) engine: Engine,
    pub(crate) client: ConnId,
    version: u64,
    /// What was last written to the node, and over which connection.
    pub(crate) sent: Option<(ConnId, Vec<u8>)>,
    /// What the client got.
    pub(crate) got: Vec<u8>,
    /// What it told the control plane of held writes: the Snapshot's version, and how many are unanswered.
    pub(crate) told: Vec<(u64, usize)>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let text = "[pool.main]\nlisten = \"127.0.0.1:0\"\nservers = [\"127.0.0.1:1\"]\n\
                    timeouts.hold = \"1s\"\ntimeouts.request = \"1s\"\n";
        let context = config::Context { secrets: &config::NoSecrets, default_workers: 1 };
        let pools = match config::load("scene", text, &context) {
            Ok(loaded) => loaded.config.pools.into_iter().map(Arc::new).collect(),
            Err(errors) => unreachable!("{}", errors.render(false)),
        };
        let mut engine =
            Engine::new(&Settings { pools, workers: 1, worker: 0, seed: 1, own_subscribers: 16 });
        let client = engine.accept(PoolId(0), Mode::Split, Caller::unknown());
        Self { engine, client, version: 0, sent: None, got: Vec::new(), told: Vec::new() }
    }

    /// A turn at this time, in milliseconds, in which `happens`.
    pub(crate) fn turn(&mut self, at: u64, happens: impl FnOnce(&mut Self)) {
        self.engine.begin_turn(Time::from_millis(at));
        happens(self);
        let (mut actions, mut dirty) = (Vec::new(), Vec::new());
        loop {
            self.engine.end_turn();
            self.engine.take_actions(&mut actions);
            self.engine.take_dirty(&mut dirty);
            if actions.is_empty() && dirty.is_empty() {
                return self.engine.check();
            }
            for conn in dirty.drain(..) {
                let bytes = self.engine.output(conn).to_vec();
                self.engine.written(conn, bytes.len());
                if !conn.is_upstream() {
                    self.got.extend_from_slice(&bytes);
                } else if !bytes.is_empty() {
                    self.sent = Some((conn, bytes));
                }
            }
            for action in actions.drain(..) {
                match action {
                    Action::Connect { conn, .. } => self.engine.connected(conn),
                    Action::Evidence(Evidence::WritesHeld { version, unanswered, .. }) => {
                        self.told.push((version, unanswered));
                    }
                    _ => {}
                }
            }
        }
    }

    pub(crate) fn publish(&mut self, primary: Option<NodeId>, proven_at: u64) {
        self.version += 1;
        let snapshot = snapshot(self.version, primary, Time::from_millis(proven_at));
        self.engine.snapshot(&snapshot);
    }

    /// Holds the node's writes, or lets them go.
    pub(crate) fn hold(&mut self, holds: bool, proven_at: u64) {
        self.publish_shard(proven_at, |shard| {
            shard.writes_held = holds.then(|| "the test wants it".into());
        });
    }

    /// A Snapshot that differs so from the one whose only node is its primary.
    pub(crate) fn publish_shard(&mut self, proven_at: u64, differs: impl FnOnce(&mut ShardView)) {
        self.version += 1;
        let primary = Some(NodeId(0));
        let mut snapshot = snapshot(self.version, primary, Time::from_millis(proven_at));
        let mut pool = PoolView::clone(&snapshot.pools[0]);
        differs(&mut pool.shards[0]);
        snapshot.pools[0] = Arc::new(pool);
        self.engine.snapshot(&snapshot);
    }

    pub(crate) fn client_sends(&mut self, bytes: &[u8]) {
        self.engine.received(self.client, bytes);
    }

    /// The node answers what it was last sent, which has to begin with `request`.
    pub(crate) fn node_answers(&mut self, request: &[u8], reply: &[u8]) {
        let sent = self.sent.take().filter(|(_, sent)| sent.starts_with(request));
        assert!(sent.is_some(), "the node was not sent {}", String::from_utf8_lossy(request));
        if let Some((conn, _)) = sent {
            self.engine.received(conn, reply);
        }
    }
}

fn snapshot(version: u64, primary: Option<NodeId>, proven_at: Time) -> Snapshot {
    let node = NodeView {
        id: NodeId(0),
        name: "node".into(),
        address: Address::Tcp(([127, 0, 0, 1], 1).into()),
        server: "".into(),
        health: Health::Up,
        role: Role::Primary,
        readable: primary.is_some(),
        why: "".into(),
        since: Time::ZERO,
        proven_at,
        lag: None,
        run_id: "".into(),
        version: "".into(),
        weight: 1,
        backup: false,
        zone: None,
    };
    let shard = ShardView {
        primary,
        writes_held: None,
        why: "".into(),
        since: Time::ZERO,
        nodes: vec![node],
    };
    let pool = PoolView {
        name: "main".into(),
        shards: vec![shard],
        groups: Vec::new(),
        sentinels: None,
        learned: Arc::default(),
    };
    Snapshot { version, pools: vec![Arc::new(pool)] }
}

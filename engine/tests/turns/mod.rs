//! A worker without sockets before a node that answers at once: for counting what a command costs.

use std::sync::Arc;

use engine::{Action, Caller, ConnId, Engine, Settings};
use topology::{
    Address, Health, NodeId, NodeView, PoolId, PoolView, Role, ShardView, Snapshot, Time,
};

/// How many clients send their requests in every turn.
pub(crate) const CLIENTS: usize = 50;

/// One worker, its clients, and a node that answers at once.
pub(crate) struct Bench {
    engine: Engine,
    clients: Vec<ConnId>,
    now: u64,
    dirty: Vec<ConnId>,
    actions: Vec<Action>,
    /// Bytes that the clients got.
    pub(crate) delivered: u64,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let text = "[pool.main]\nlisten = \"127.0.0.1:0\"\nservers = [\"127.0.0.1:1\"]\n";
        let context = config::Context { secrets: &config::NoSecrets, default_workers: 1 };
        let pools = match config::load("bench", text, &context) {
            Ok(loaded) => loaded.config.pools.into_iter().map(Arc::new).collect(),
            Err(errors) => unreachable!("{}", errors.render(false)),
        };
        let mut engine =
            Engine::new(&Settings { pools, workers: 1, worker: 0, seed: 1, own_subscribers: 16 });
        engine.snapshot(&snapshot());
        let clients = (0..CLIENTS)
            .map(|_| engine.accept(PoolId(0), config::Mode::Split, Caller::unknown()))
            .collect();
        Self { engine, clients, now: 0, dirty: Vec::new(), actions: Vec::new(), delivered: 0 }
    }

    /// Every client sends `request`; the node answers all of them with `replies`.
    pub(crate) fn turn(&mut self, request: &[u8], replies: &[u8]) {
        self.now += 1_000;
        self.engine.begin_turn(Time::from_nanos(self.now));
        for client in &self.clients {
            self.engine.received(*client, request);
        }
        let lane = self.finish().or_else(|| self.finish());
        self.now += 1_000;
        self.engine.begin_turn(Time::from_nanos(self.now));
        if let Some(lane) = lane {
            for part in replies.chunks(64 * 1024) {
                self.engine.received(lane, part);
            }
        }
        self.finish();
    }

    /// Ends the turn as the I/O layer does; returns the lane that was written.
    fn finish(&mut self) -> Option<ConnId> {
        let mut lane = None;
        loop {
            self.engine.end_turn();
            self.engine.take_actions(&mut self.actions);
            self.engine.take_dirty(&mut self.dirty);
            if self.actions.is_empty() && self.dirty.is_empty() {
                return lane;
            }
            for conn in self.dirty.drain(..) {
                let count = self.engine.output(conn).len();
                if count > 0 {
                    self.engine.written(conn, count);
                    if conn.is_upstream() {
                        lane = lane.or(Some(conn));
                    } else {
                        self.delivered += count as u64;
                    }
                }
            }
            for action in self.actions.drain(..) {
                if let Action::Connect { conn, .. } = action {
                    self.engine.connected(conn);
                }
            }
        }
    }
}

fn snapshot() -> Snapshot {
    let node = NodeView {
        id: NodeId(0),
        name: "node".into(),
        address: Address::Tcp(([127, 0, 0, 1], 1).into()),
        server: "".into(),
        health: Health::Up,
        role: Role::Primary,
        readable: true,
        why: "".into(),
        since: Time::ZERO,
        proven_at: Time::ZERO,
        lag: None,
        run_id: "".into(),
        version: "".into(),
        weight: 1,
        backup: false,
        zone: None,
    };
    let shard = ShardView {
        writes_held: None,
        primary: Some(NodeId(0)),
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
    Snapshot { version: 1, pools: vec![Arc::new(pool)] }
}

//! What is around the engine: it is driven as `proxy` does, over sockets that take and give what the script allows.

use std::sync::Arc;
use std::time::Duration;

use engine::{Action, ConnId, Gone};
use topology::{Address, Evidence, NodeView, PoolView, Role, ShardView, Snapshot, Time};

use crate::sim::tap::Standing;

use super::node::{Upstream, accept};
use super::scene::Scene;

/// Of what happens in one turn.
const ROUNDS: usize = 10_000;

impl Scene {
    /// Ends the turn.
    pub(super) fn turn(&mut self) {
        for conn in self.upstreams.keys().copied().collect::<Vec<_>>() {
            self.write_upstream(conn);
            let Some(node) = self.upstreams.get(&conn).map(|upstream| upstream.node) else {
                continue;
            };
            if self.nodes[node].answers {
                self.serve(conn, usize::MAX, None);
            }
            self.deliver(conn, self.nodes[node].gives);
            if self.upstreams.get(&conn).is_some_and(|own| own.has_ended(&self.nodes[node].server))
            {
                self.lose(conn, Gone::Closed);
            }
        }
        let (mut actions, mut dirty) = (Vec::new(), Vec::new());
        for round in 0.. {
            assert!(round < ROUNDS, "a turn does not end");
            self.engine.end_turn();
            self.engine.take_actions(&mut actions);
            self.engine.take_dirty(&mut dirty);
            if actions.is_empty() && dirty.is_empty() {
                break;
            }
            for conn in dirty.drain(..) {
                if conn.is_upstream() { self.write_upstream(conn) } else { self.write_client(conn) }
            }
            for action in actions.drain(..) {
                self.carry_out(action);
            }
        }
        self.engine.check();
        let shard = self.snapshot.pools.first().map(|pool| &pool.shards[0]);
        if shard.is_some_and(|shard| shard.writes_held.is_some()) {
            assert_eq!(
                self.holds,
                Some(self.snapshot.version),
                "the Snapshot for which it holds writes"
            );
        }
        let open = self.clients.iter().filter(|client| client.open).count();
        assert_eq!(self.engine.clients(), open, "clients");
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Connect { conn, address, .. } => self.connect(conn, &address),
            Action::Close(conn) if conn.is_upstream() => _ = self.forget(conn),
            Action::Close(conn) => self.closed_client(conn),
            Action::Pause(conn) | Action::Resume(conn) => {
                let paused = matches!(action, Action::Pause(_));
                if let Some(upstream) = self.upstreams.get_mut(&conn) {
                    upstream.paused = paused;
                } else if let Some(client) = self.clients.iter_mut().find(|own| own.conn == conn) {
                    client.paused = paused;
                }
            }
            Action::ShutdownWrite(conn) => {
                let client = self.clients.iter().find(|client| client.conn == conn);
                assert!(client.is_some_and(|own| own.may_end), "a FIN for no reason");
            }
            Action::Evidence(Evidence::WritesHeld { version, unanswered, .. }) => {
                self.holds = Some(version);
                self.drained = unanswered == 0;
            }
            Action::Evidence(_) | Action::Tell { .. } => {}
        }
    }

    fn closed_client(&mut self, conn: ConnId) {
        let idle_ends = !self.settings.timeouts.client_idle.is_zero();
        let excused = self.kills || self.spreads || self.draining || idle_ends;
        if let Some(client) = self.clients.iter_mut().find(|client| client.conn == conn) {
            assert!(client.may_end || excused, "{conn:?} was closed for no reason");
            client.open = false;
        }
    }

    /// What the engine has for a client, as far as that reads.
    pub(super) fn write_client(&mut self, conn: ConnId) {
        let Some(client) = self.clients.iter_mut().find(|own| own.conn == conn) else { return };
        let output = self.engine.output(conn);
        let len = output.len().min(client.room);
        if len == 0 {
            return;
        }
        if client.room != usize::MAX {
            client.room -= len;
        }
        client.receive(&output[..len]);
        self.engine.written(conn, len);
    }

    fn connect(&mut self, conn: ConnId, address: &Address) {
        let shard = self.snapshot.pools.first().map(|pool| &pool.shards[0]);
        let view = shard.and_then(|shard| shard.nodes.iter().find(|node| node.address == *address));
        let id = view.unwrap_or_else(|| panic!("a connect to {address}, which is no node")).id;
        let node = self.nodes.iter().position(|node| node.id == id);
        let node = node.unwrap_or_else(|| panic!("{id:?} is no node"));
        let upstream = Upstream::new(node, id);
        self.upstreams.insert(conn, upstream);
        if self.nodes[node].accepts {
            self.connected(conn);
        }
    }

    /// A connect has succeeded.
    pub(super) fn connected(&mut self, conn: ConnId) {
        if let Some(upstream) = self.upstreams.get_mut(&conn) {
            upstream.server = Some(accept(&mut self.nodes[upstream.node].server, conn));
            self.engine.connected(conn);
        }
    }

    pub(super) fn is_open(&self, conn: ConnId) -> bool {
        self.upstreams.get(&conn).is_some_and(|own| own.server.is_some() && !own.paused)
    }

    /// The connection is no more.
    fn forget(&mut self, conn: ConnId) -> Option<Upstream> {
        let upstream = self.upstreams.remove(&conn)?;
        if let Some(id) = upstream.server {
            self.nodes[upstream.node].server.conns.remove(&id);
        }
        Some(upstream)
    }

    pub(super) fn lose(&mut self, conn: ConnId, gone: Gone) {
        if self.forget(conn).is_some() {
            self.engine.closed(conn, gone);
        }
    }

    pub(super) fn write_upstream(&mut self, conn: ConnId) {
        let Some(upstream) = self.upstreams.get_mut(&conn) else { return };
        let Some(id) = upstream.server else { return };
        let output = self.engine.output(conn);
        let node = &mut self.nodes[upstream.node];
        let len = output.len().min(node.takes);
        if len == 0 {
            return;
        }
        let is_raw = self.engine.is_raw(conn);
        let standing = Standing::of(&self.snapshot, upstream.id, self.drained && !is_raw);
        // What a `tcp` client sends is nobody's business.
        if !is_raw {
            let limits = resp::Limits::default();
            upstream.tap.leave(&output[..len], standing, self.engine.is_lane(conn), &limits);
        }
        if let Some(server) = node.server.conns.get_mut(&id) {
            server.input.extend_from_slice(&output[..len]);
        }
        self.engine.written(conn, len);
    }

    /// The server runs so many commands that came over the connection.
    pub(super) fn serve(&mut self, conn: ConnId, most: usize, instead: Option<&str>) {
        let Some(upstream) = self.upstreams.get_mut(&conn) else { return };
        let server = &mut self.nodes[upstream.node].server;
        let mut served = 0;
        while served < most && upstream.serve(server, instead) {
            served += 1;
        }
    }

    /// So many bytes of what the server has said arrive.
    pub(super) fn deliver(&mut self, conn: ConnId, most: usize) {
        let mut left = most;
        while left > 0 && self.is_open(conn) {
            let Some(upstream) = self.upstreams.get(&conn) else { return };
            let Some(id) = upstream.server else { return };
            let Some(server) = self.nodes[upstream.node].server.conns.get_mut(&id) else { return };
            // As much as a socket is read at once.
            let len = server.output.len().min(left).min(64 * 1024);
            if len == 0 {
                return;
            }
            let bytes: Vec<u8> = server.output.drain(..len).collect();
            left -= len;
            if let Some(upstream) = self.upstreams.get_mut(&conn) {
                upstream.hear(&bytes);
            }
            self.engine.received(conn, &bytes);
            // It may have been closed, or told to be read no more.
            if left > 0 {
                self.carry_out_soon();
            }
        }
    }

    /// What the engine asks for in the middle of a turn.
    fn carry_out_soon(&mut self) {
        let mut actions = Vec::new();
        self.engine.take_actions(&mut actions);
        for action in actions {
            self.carry_out(action);
        }
    }

    /// Publishes what the nodes are.
    pub(super) fn tell(&mut self, primary: Option<usize>, hold: bool, proven_at: Time) {
        self.version += 1;
        let primary = primary.filter(|index| !self.nodes[*index].gone);
        let nodes = self.nodes.iter().enumerate().filter(|(_, node)| !node.gone);
        let nodes = nodes.map(|(index, node)| NodeView {
            id: node.id,
            name: format!("node-{index}").into(),
            address: Address::Tcp(([10, 0, 0, index as u8 + 1], 6379).into()),
            server: "".into(),
            health: node.health,
            role: if primary == Some(index) { Role::Primary } else { Role::Replica },
            readable: node.readable,
            why: "".into(),
            since: Time::ZERO,
            proven_at,
            lag: None,
            run_id: "".into(),
            version: "7.0.15".into(),
            weight: 1,
            backup: false,
            zone: None,
        });
        let shard = ShardView {
            primary: primary.map(|index| self.nodes[index].id),
            writes_held: hold.then(|| "the script says so".into()),
            why: "".into(),
            since: Time::ZERO,
            nodes: nodes.collect(),
        };
        let pool = PoolView {
            name: "main".into(),
            shards: vec![shard],
            groups: Vec::new(),
            sentinels: None,
            learned: Arc::default(),
        };
        self.snapshot = Snapshot { version: self.version, pools: vec![Arc::new(pool)] };
        self.drained &= hold;
        self.engine.snapshot(&self.snapshot);
    }

    pub(super) fn pass_by(&mut self, duration: Duration) {
        let until = self.now + duration;
        for _ in 0..100 {
            let Some(wake) = self.engine.next_wake().filter(|wake| *wake <= until) else { break };
            // What is due and has nothing to do is not looked at twice at one instant.
            self.now = wake.max(self.now + Duration::from_micros(1));
            self.engine.begin_turn(self.now);
            self.turn();
        }
        self.now = self.now.max(until);
        self.engine.begin_turn(self.now);
    }

    pub(super) fn unblock_all(&mut self, node: usize) {
        let server = &mut self.nodes[node].server;
        let blocked: Vec<(u64, u64)> = server
            .conns
            .iter()
            .filter_map(|(id, conn)| Some((*id, conn.blocked.as_ref()?.token)))
            .collect();
        for (id, token) in blocked {
            server.unblock(id, token);
        }
    }
}

//! The end of a script: everything works again, everybody is answered, and everybody goes.

use std::time::Duration;

use engine::Gone;
use topology::Health;

use super::grammar::Request;
use super::pool::NODES;
use super::scene::Scene;

/// Steps of half a second in which somebody has to be answered. Some commands are answered one by one.
const PATIENCE: usize = 60;

impl Scene {
    /// `how` they go: closed, or let go.
    pub(super) fn end(&mut self, how: u8) {
        self.repair();
        self.settle();
        for index in 0..self.clients.len() {
            let client = &mut self.clients[index];
            if client.open && client.is_strict() && !client.ended {
                let tag = client.next_tag();
                client.ask(&Request::echo(tag, 0));
            }
        }
        self.settle();
        self.part(how);
    }

    fn repair(&mut self) {
        for index in 0..NODES {
            let node = &mut self.nodes[index];
            (node.accepts, node.answers, node.gone, node.readable) = (true, true, false, true);
            (node.takes, node.gives, node.health) = (usize::MAX, usize::MAX, Health::Up);
            node.server.loading = false;
            node.become_primary(index == 0, index);
        }
        for client in &mut self.clients {
            client.room = usize::MAX;
        }
        for conn in self.upstreams.keys().copied().collect::<Vec<_>>() {
            if self.upstreams.get(&conn).is_some_and(|upstream| upstream.server.is_none()) {
                self.engine.begin_turn(self.now);
                self.connected(conn);
                self.turn();
            }
        }
    }

    /// Until everybody is answered of whom that can be said.
    fn settle(&mut self) {
        let (mut patience, mut waiting) = (PATIENCE, usize::MAX);
        while patience > 0 {
            patience -= 1;
            self.engine.begin_turn(self.now);
            self.tell(Some(0), false, self.now);
            (0..NODES).for_each(|node| self.unblock_all(node));
            for index in 0..self.clients.len() {
                let conn = self.clients[index].conn;
                if self.clients[index].open {
                    self.write_client(conn);
                    self.send(index, usize::MAX);
                }
            }
            self.turn();
            let open = self.clients.iter().filter(|client| client.open && client.is_strict());
            let left = open.map(|client| client.waiting() + client.out.len()).sum();
            if left == 0 {
                return;
            }
            if left < std::mem::replace(&mut waiting, left) {
                patience = PATIENCE;
            }
            self.pass_by(Duration::from_millis(500));
        }
        let waits = |client: &&super::client::Client| {
            client.open && client.is_strict() && client.waiting() > 0
        };
        let waiting = self.clients.iter().find(waits).map(|client| client.conn);
        assert!(
            waiting.is_none() || self.draining,
            "{waiting:?} has not been answered: {:#?}",
            self.engine
        );
    }

    /// Everybody goes; nothing stays.
    fn part(&mut self, how: u8) {
        self.engine.begin_turn(self.now);
        if how & 1 == 1 && !self.draining {
            self.draining = true;
            self.engine.drain();
            self.turn();
        }
        for index in 0..self.clients.len() {
            if std::mem::take(&mut self.clients[index].open) {
                self.engine.closed(self.clients[index].conn, Gone::Closed);
            }
        }
        self.turn();
        // What was sent is still answered; then what nobody uses is closed.
        for _ in 0..20 {
            self.pass_by(Duration::from_secs(30));
            self.tell(Some(0), false, self.now);
            self.turn();
        }
        let counts = &self.engine.counts().pools[0];
        assert_eq!(self.engine.clients(), 0, "clients are left");
        assert_eq!((counts.clients, counts.held, counts.held_bytes, counts.pinned), (0, 0, 0, 0));
        for (node, counts) in &counts.nodes {
            let left = (counts.in_flight, counts.lanes, counts.pinned);
            assert_eq!(left, (0, 0, 0), "something is left of {node:?}");
        }
        assert_eq!(self.upstreams.len(), 0, "connections to nodes are left");
        assert_eq!(self.engine.next_wake(), None, "a timer is left");
        assert!(!self.draining || self.engine.is_drained());
    }
}

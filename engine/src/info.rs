//! INFO: a node's answer, but for the clients, of which it sees Redkeel's connections: those are the pool's, as CLIENT
//! LIST has them.

use session::ClientCounts;
use topology::{ClientsOrder, ClientsReport};

use crate::Engine;
use crate::client::{Client, Parked};
use crate::desk::Inquiry;
use crate::front::Side;
use crate::input::Step;
use crate::slots::Key;
use crate::upstream::{PendingKind, Upstream};

impl Engine {
    /// The workers first: a client that is counted as blocked is so at its node by the time this client is answered.
    pub(crate) fn info(&mut self, key: Key, bytes: &[u8]) -> Step {
        let home = self.home(key);
        if self.transaction_of(key).is_open() {
            return self.one(key, bytes, home, true, PendingKind::Plain);
        }
        let Some(client) = self.clients.get_mut(key) else {
            return Step::Done;
        };
        let mut pool = client.pool;
        // Of a leg those of its client's pool.
        if let Side::Leg(part) = &client.side {
            let front = part.front;
            pool = self.clients.get(front).map_or(pool, |front| front.pool);
        }
        let Some(client) = self.clients.get_mut(key) else {
            return Step::Done;
        };
        let asked = match client.special_mut().inquiry.take() {
            Some(Inquiry::Asked(asked)) => asked,
            _ => self.ask_peers(key, pool, ClientsOrder::Count),
        };
        if !asked.is_over(self.now) {
            return self.wait_for(key, Inquiry::Asked(asked));
        }
        let ClientsReport { count, blocked, .. } = asked.report;
        if let Some(client) = self.clients.get_mut(key) {
            let counts = ClientCounts { connected: count, blocked };
            client.special_mut().inquiry = Some(Inquiry::Counted(counts));
        }
        self.one(key, bytes, home, true, PendingKind::Info)
    }

    /// The node has answered.
    pub(crate) fn put_counts(&mut self, client_key: Key, len: usize) {
        let Some(client) = self.clients.get_mut(client_key) else {
            return;
        };
        let special = client.special.as_deref_mut();
        let Some(Inquiry::Counted(counts)) = special.and_then(|special| special.inquiry.take())
        else {
            return;
        };
        if let Some(reply) = session::with_client_counts(client.output.tail(len), counts) {
            client.output.truncate_tail(len);
            client.output.append(&reply, &mut self.buffers);
        }
    }

    fn blocks_there(&self, client: &Client) -> bool {
        let pinned = client.bound.filter(|bound| bound.pinned);
        pinned
            .and_then(|bound| self.upstreams.get(bound.upstream))
            .is_some_and(Upstream::blocks_there)
    }

    /// How many clients of the pool this worker has, and how many of them wait.
    pub(crate) fn count_clients(&self, pool: usize) -> ClientsReport {
        let mut report = ClientsReport::default();
        let own = |client: &&Client| client.pool == pool && !client.is_leg();
        for client in self.clients.values().filter(own) {
            let blocks = self.blocks_there(client)
                || client.front().is_some_and(|front| {
                    let legs = front.legs.iter().flatten();
                    legs.filter_map(|leg| self.clients.get(leg.key))
                        .any(|leg| self.blocks_there(leg))
                });
            report.count += 1;
            report.blocked += u64::from(blocks || client.parked == Parked::Pause);
        }
        report
    }
}

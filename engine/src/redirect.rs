//! What became invalid for a client is told to another one, whichever worker has it.

use std::sync::Arc;

use resp::Protocol;
use topology::{PeerMail, PoolId, Ticket};

use crate::Engine;
use crate::client::State;
use crate::conn::{Action, ConnId};
use crate::slots::Key;

/// Where a client in RESP2 hears what became invalid (Redis, `tracking.c`).
const CHANNEL: &[u8] = b"__redis__:invalidate";

impl Engine {
    /// The worker that has, or had, the client of this CLIENT ID.
    pub(crate) fn worker_of(&self, id: u64) -> Option<usize> {
        usize::try_from(id.checked_sub(1)? % self.client_id_step).ok()
    }

    /// This worker's client of this CLIENT ID, unless it has said QUIT.
    pub(crate) fn client_called(&mut self, pool: usize, id: u64) -> Option<Key> {
        let is_it = |key: &Key| {
            let client = self.clients.get(*key);
            client.is_some_and(|client| {
                client.id == id
                    && client.pool == pool
                    && !client.is_leg()
                    && client.state == State::Open
            })
        };
        if let Some(key) = self.redirected_to.get(&id).copied().filter(is_it) {
            return Some(key);
        }
        let found = self.clients.keys().find(is_it);
        match found {
            Some(key) => {
                let clients = &self.clients;
                self.redirected_to.retain(|_, own| clients.get(*own).is_some());
                self.redirected_to.insert(id, key);
            }
            None => _ = self.redirected_to.remove(&id),
        }
        found
    }

    /// Tells whom `owner` redirects to that these keys have become invalid; `None`: all.
    pub(crate) fn send_invalidation(&mut self, owner: Key, keys: Option<&[u8]>) {
        let Some(client) = self.clients.get(owner) else {
            return;
        };
        let pool = client.pool;
        let tracking = client.special.as_ref().and_then(|special| special.tracking.as_ref());
        let Some(target) = tracking.and_then(|tracking| tracking.redirect) else {
            return;
        };
        let worker = self.worker_of(target);
        if worker == Some(self.worker) {
            if !self.tell_invalid(pool, target, keys) {
                self.redirect_broken(owner, target);
            }
            return;
        }
        let client = ConnId::client(owner).to_bits();
        let ticket = Ticket { worker: self.worker, client, number: target };
        let pool = self.pools[pool].id;
        let mail = PeerMail::Invalidated { ticket, pool, keys: keys.map(Arc::from) };
        self.actions.push(Action::Tell { worker, mail });
    }

    /// Another worker's client redirects to one of this worker's.
    pub(crate) fn invalidated_from_peer(
        &mut self,
        ticket: Ticket,
        pool: PoolId,
        keys: Option<&[u8]>,
    ) {
        let is_known = (pool.0 as usize) < self.pools.len();
        if is_known && !self.tell_invalid(pool.0 as usize, ticket.number, keys) {
            let mail = PeerMail::NobodyToTell { ticket };
            self.actions.push(Action::Tell { worker: Some(ticket.worker), mail });
        }
    }

    pub(crate) fn nobody_to_tell(&mut self, ticket: Ticket) {
        self.redirect_broken(ConnId::from_bits(ticket.client).key(), ticket.number);
    }

    /// False: that client has gone. One in RESP2 that is not subscribed to anything hears nothing (Redis,
    /// `sendTrackingMessage`).
    fn tell_invalid(&mut self, pool: usize, target: u64, keys: Option<&[u8]>) -> bool {
        let Some(key) = self.client_called(pool, target) else {
            return false;
        };
        let Some(client) = self.clients.get(key) else {
            return false;
        };
        let protocol = client.talk.standing.protocol;
        let mut message = Vec::with_capacity(64 + keys.map_or(0, <[u8]>::len));
        if protocol == Protocol::Resp3 {
            resp::write_array_header(&mut message, 2);
            resp::write_bulk(&mut message, b"invalidate");
        } else if client.is_subscribed() {
            resp::write_array_header(&mut message, 3);
            resp::write_bulk(&mut message, b"message");
            resp::write_bulk(&mut message, CHANNEL);
        } else {
            return true;
        }
        match keys {
            Some(keys) => message.extend_from_slice(keys),
            None => resp::write_null(&mut message, protocol),
        }
        let limit = self.pools[pool].settings.limits.client_output;
        if self.give_message(key, &message) as u64 > limit {
            self.close_slow(key);
        }
        true
    }

    /// The client that `owner` redirects to has gone: said with every message that finds nobody, as Redis does.
    fn redirect_broken(&mut self, owner: Key, target: u64) {
        let Some(client) = self.clients.get_mut(owner) else {
            return;
        };
        let protocol = client.talk.standing.protocol;
        let special = client.special.as_deref_mut().filter(|special| {
            special.tracking.as_ref().is_some_and(|own| own.redirect == Some(target))
        });
        let Some(special) = special else {
            return;
        };
        special.is_redirect_broken = true;
        if protocol == Protocol::Resp3 {
            let mut message = Vec::new();
            resp::write_array_header(&mut message, 2);
            resp::write_bulk(&mut message, b"tracking-redir-broken");
            resp::write_integer(&mut message, i64::try_from(target).unwrap_or(i64::MAX));
            self.give_message(owner, &message);
        }
    }
}

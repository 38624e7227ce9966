//! Commands that a node refused because of its role or state: they did not run, and are sent again.

use session::error;
use topology::{ErrorKind, Sighting};

use crate::Engine;
use crate::again::unit_replies;
use crate::client::Canned;
use crate::recover::Cause;
use crate::slots::Key;
use crate::upstream::{Pending, PendingKind};

impl Engine {
    /// A node's reply proves that a command on a lane did not run: it is sent again when there is a node for it.
    pub(crate) fn refuse(&mut self, key: Key, client_key: Key) {
        let Some(upstream) = self.upstreams.get(key) else {
            return;
        };
        let (pool, node) = (upstream.pool, upstream.node);
        let Some(front) = upstream.queue.front().copied() else {
            return;
        };
        let bytes = upstream.requests.slice(0, front.len as usize).to_vec();
        self.pools[pool].suspect(node, self.now);
        self.evidence(pool, node, Sighting::RefusedCommand);
        if let Some(client) = self.clients.get_mut(client_key) {
            client.output.rollback();
        }
        self.pop_front(key);
        self.pools[pool].counts.retries_total += 1;
        let give_up = self.has_waited_enough(client_key);
        let refusal = give_up.then(|| self.refused_too_long(pool, node, front));
        if let Some(client) = self.clients.get_mut(client_key) {
            client.unanswered = client.unanswered.saturating_sub(1);
            let now = self.now;
            let prefix = client.again_prefix(front.flags.mute);
            let trouble = client.trouble_mut();
            trouble.collecting = true;
            trouble.since.get_or_insert(front.at.min(now));
            trouble.held_since.get_or_insert(now);
            match refusal {
                None => {
                    trouble.again.extend_from_slice(prefix);
                    trouble.again.extend_from_slice(&bytes);
                }
                Some(reply) => {
                    let at = trouble.again.len();
                    trouble.canned.push(Canned { at, reply, mute: front.flags.mute });
                }
            }
        }
        self.client_progressed(client_key);
    }

    /// The same on a client's own connection, which is given up: its state there is worth nothing any more.
    pub(crate) fn refused_pinned(&mut self, key: Key) {
        let Some(upstream) = self.upstreams.get(key) else {
            return;
        };
        let (pool, node) = (upstream.pool, upstream.node);
        self.pools[pool].suspect(node, self.now);
        self.evidence(pool, node, Sighting::RefusedCommand);
        self.upstream_lost(key, &Cause::Refusal);
    }

    /// Has the client's oldest command waited for a node as long as one may?
    pub(crate) fn has_waited_enough(&self, client_key: Key) -> bool {
        self.clients.get(client_key).is_some_and(|client| {
            let hold = self.pools[client.pool].settings.timeouts.hold;
            let since = client.trouble.as_ref().and_then(|trouble| trouble.since);
            since.is_some_and(|since| self.now >= since + hold)
        })
    }

    /// The answer to a command that one node after the other, or the same one again and again, refuses to run.
    pub(crate) fn refused_too_long(
        &mut self,
        pool: usize,
        node: usize,
        pending: Pending,
    ) -> Vec<u8> {
        let kind = if pending.flags.primary { ErrorKind::NoPrimary } else { ErrorKind::NoReplica };
        let state = &mut self.pools[pool];
        state.counts.errors_total[kind as usize] += 1;
        let text = error(
            kind,
            format_args!(
                "node {} of pool {} goes on refusing commands because of its role or state",
                state.nodes[node].name,
                state.name()
            ),
        );
        let mut reply = Vec::new();
        if pending.kind == PendingKind::Unit {
            unit_replies(&mut reply, pending.replies_in_all, &text);
        } else {
            resp::write_error(&mut reply, &text);
        }
        reply
    }
}

//! What is due on a connection to a node: a connect, an answer, the end of an idle connection or of a client that does not read.

use std::time::Duration;

use session::{Target, error};
use topology::{ErrorKind, Sighting, Time};

use crate::Engine;
use crate::again::unit_replies;
use crate::choice::Wish;
use crate::connect::IDLE;
use crate::recover::{Cause, outcome_unknown};
use crate::slots::Key;
use crate::stall::STALL_PATIENCE;
use crate::upstream::{Pending, PendingKind, Phase, Sharing, Silence};

impl Engine {
    pub(crate) fn upstream_timer(&mut self, key: Key) {
        let now = self.now;
        let Some(upstream) = self.upstreams.get_mut(key) else {
            return;
        };
        upstream.armed = Time::MAX;
        match upstream.phase {
            Phase::Connecting { deadline } | Phase::Handshake { deadline, .. } => {
                if now >= deadline {
                    return self.upstream_lost(key, &Cause::Silent);
                }
                return self.arm_upstream(key, deadline);
            }
            Phase::Ready => {}
        }
        if let Sharing::Hub(index) = upstream.sharing {
            let pool = upstream.pool;
            return self.hub_timer(key, pool, index);
        }
        self.stalled(key);
        self.overdue(key);
        let Some(upstream) = self.upstreams.get(key) else {
            return;
        };
        if upstream.retired && upstream.is_lane() && !upstream.is_awaited() {
            return self.close_upstream(key);
        }
        let dead_at = match upstream.silence {
            Silence::Proven { until } if now >= until => {
                return self.upstream_lost(key, &Cause::Silent);
            }
            Silence::Proven { until } => until,
            Silence::None | Silence::Since(_) => Time::MAX,
        };
        let idle_at = upstream.last_used + IDLE;
        if upstream.queue.is_empty() {
            if upstream.owner().is_some() {
                return;
            }
            if now >= idle_at {
                return self.close_upstream(key);
            }
            return self.arm_upstream(key, idle_at);
        }
        // Not always the first: who was held before has less time.
        let awaited = upstream.queue.iter().filter(|pending| pending.client.is_some());
        let due = awaited.map(|pending| pending.due).min().unwrap_or(idle_at);
        let stall = upstream.stalled.map_or(Time::MAX, |_| now + STALL_PATIENCE);
        self.arm_upstream(key, due.min(stall).min(dead_at).max(now + Duration::from_millis(1)));
    }

    /// Gives up on answers that have not come in time; they keep their place in the queue.
    fn overdue(&mut self, key: Key) {
        loop {
            // While it is not read, nobody can say that the node does not answer.
            let Some(upstream) = self.upstreams.get(key).filter(|own| own.stalled.is_none()) else {
                return;
            };
            let due = upstream
                .queue
                .iter()
                .enumerate()
                .find(|(_, pending)| pending.client.is_some() && pending.due <= self.now);
            let Some((position, pending)) = due else {
                return;
            };
            let pending = *pending;
            let (pool, node) = (upstream.pool, upstream.node);
            self.pools[pool].nodes[node].latency.failed(self.now);
            self.evidence(pool, node, Sighting::Silent);
            let upstream = &self.upstreams.get(key);
            if upstream.is_some_and(|upstream| upstream.owner().is_some()) {
                return self.upstream_lost(key, &Cause::Silent);
            }
            let Some(client_key) = pending.client else {
                return;
            };
            let Some(upstream) = self.upstreams.get_mut(key) else {
                return;
            };
            if upstream.silence == Silence::None {
                upstream.silence = Silence::Since(self.now);
                // It may be dead without a word: what comes now gets another.
                upstream.retired = true;
            }
            if upstream.frozen {
                self.leave_frozen(key, client_key);
                continue;
            }
            if self.may_ask_another(client_key, pool, node, &pending) {
                self.abandon(key, |client| client == client_key);
                // Where a write stands beside the read, nothing was abandoned, and the read fails.
                let gone = self.upstreams.get(key).is_some_and(|upstream| {
                    upstream.queue.get(position).is_some_and(|pending| pending.client.is_none())
                });
                if gone {
                    continue;
                }
            }
            self.give_up(key, position, client_key, pending);
        }
    }

    /// A read that a living node keeps waiting is sent to another at most once, and never to the primary or to the last
    /// node: it may be the command that freezes nodes.
    fn may_ask_another(
        &mut self,
        client: Key,
        pool: usize,
        node: usize,
        pending: &Pending,
    ) -> bool {
        let Some(client) = self.clients.get_mut(client) else {
            return true;
        };
        if !pending.flags.repeatable || pending.flags.primary {
            return false;
        }
        let standing = std::rc::Rc::clone(&client.talk.standing);
        let trouble = client.trouble_mut();
        if std::mem::replace(&mut trouble.silent, true) {
            return false;
        }
        let pool = &mut self.pools[pool];
        let usable = (0..pool.nodes.len())
            .filter(|other| *other != node && pool.fits(*other, Target::Reads))
            .count();
        let wish = Wish {
            target: Target::Replica,
            standing: &standing,
            key: None,
            avoid: Some(node),
            now: self.now,
        };
        let other = pool.choose(&wish).is_some() && usable > 1 && pool.primary != Some(node);
        if other {
            trouble.avoid = Some(node);
        }
        other
    }

    /// The node is down. Of a client's overdue commands the writes have an unknown outcome; the reads among them, which
    /// could not leave before, are sent elsewhere.
    fn leave_frozen(&mut self, key: Key, client_key: Key) {
        let Some(upstream) = self.upstreams.get_mut(key) else {
            return;
        };
        if let (true, Some(front)) = (upstream.value.streamed, upstream.queue.front_mut())
            && front.client == Some(client_key)
        {
            front.client = None;
            return self.close_slow(client_key);
        }
        let mut left = Vec::new();
        let mut offset = 0;
        for pending in &mut upstream.queue {
            let bytes = upstream.requests.slice(offset, pending.len as usize);
            offset += pending.len as usize;
            if pending.client != Some(client_key) {
                continue;
            }
            if pending.due > self.now {
                break;
            }
            left.push((*pending, bytes.to_vec()));
            pending.client = None;
        }
        let pool = upstream.pool;
        let node = &self.pools[pool].nodes[upstream.node].name;
        let text = outcome_unknown(node, self.pools[pool].name(), &Cause::Silent);
        for (pending, bytes) in left {
            let Some(client) = self.clients.get_mut(client_key) else {
                return;
            };
            client.output.rollback();
            client.unanswered = client.unanswered.saturating_sub(1);
            let prefix = client.again_prefix(pending.flags.mute);
            let trouble = client.trouble_mut();
            trouble.collecting = true;
            trouble.since.get_or_insert(pending.at);
            if pending.flags.repeatable {
                trouble.again.extend_from_slice(prefix);
                trouble.again.extend_from_slice(&bytes);
                self.pools[pool].counts.retries_total += 1;
            } else {
                self.canned_error(client_key, &pending, ErrorKind::OutcomeUnknown, &text);
            }
        }
        self.client_progressed(client_key);
    }

    /// The client is told that no answer came; the answer, should it come, is discarded.
    fn give_up(&mut self, key: Key, position: usize, client_key: Key, pending: Pending) {
        let Some(upstream) = self.upstreams.get_mut(key) else {
            return;
        };
        if let Some(own) = upstream.queue.get_mut(position) {
            own.client = None;
        }
        let streamed = position == 0 && upstream.value.streamed;
        let pool = &mut self.pools[upstream.pool];
        let node = &pool.nodes[upstream.node].name;
        let (kind, text) = if pending.flags.repeatable {
            let waited = pool.settings.timeouts.request;
            let text = error(
                ErrorKind::NoReplica,
                format_args!(
                    "node {node} of pool {} did not answer within {waited:?}",
                    pool.settings.name
                ),
            );
            (ErrorKind::NoReplica, text)
        } else {
            let text = outcome_unknown(node, &pool.settings.name, &Cause::Silent);
            (ErrorKind::OutcomeUnknown, text)
        };
        pool.counts.errors_total[kind as usize] += 1;
        if streamed {
            return self.close_slow(client_key);
        }
        let mut reply = Vec::new();
        if pending.kind == PendingKind::Unit {
            unit_replies(&mut reply, pending.replies_in_all, &text);
        } else {
            resp::write_error(&mut reply, &text);
        }
        let Some(client) = self.clients.get_mut(client_key) else {
            return;
        };
        if position == 0 {
            // A part of its reply, or the first ones of a transaction's.
            client.output.rollback();
        }
        client.unanswered = client.unanswered.saturating_sub(1);
        if client.is_collecting() {
            self.canned(client_key, &pending, reply);
        } else if !pending.flags.mute {
            client.output.append(&reply, &mut self.buffers);
            client.output.commit();
            self.touch_client(client_key);
        }
        self.client_progressed(client_key);
    }
}

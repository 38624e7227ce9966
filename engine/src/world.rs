//! A new Snapshot: what it means for the connections there are, and for everyone who waits.

use std::time::Duration;

use session::Target;
use topology::PoolView;

use crate::Engine;
use crate::client::Parked;
use crate::hold::REMIND;
use crate::pool::Change;
use crate::recover::Cause;
use crate::slots::Key;
use crate::upstream::{Flags, Pending, PendingKind, Sharing, Silence};

/// How long a lane may stay silent after its node has answered a probe.
const SILENCE_PATIENCE: Duration = Duration::from_millis(100);

impl Engine {
    pub(crate) fn apply(&mut self, pool: usize, view: &PoolView) {
        self.pools[pool].forget_old_refusals(self.now);
        for change in self.pools[pool].update(view) {
            match change {
                Change::Lost(node) => {
                    for key in self.pools[pool].nodes[node].connections.clone() {
                        self.upstream_lost(key, &Cause::NodeGone);
                    }
                }
                Change::Left(node) => self.left(pool, node),
                Change::Frozen(node) => self.freeze(pool, node, true),
                Change::Thawed(node) => self.freeze(pool, node, false),
                Change::Unfit(node) => self.unfit(pool, node),
            }
        }
        self.hold_writes(pool);
        self.doubt_silent_lanes(pool);
        self.release_held(pool);
        self.restore_hubs(pool);
    }

    /// A primary that does not answer gets nothing more; reads that it has are sent elsewhere, writes await their answer
    /// until it is replaced or they are due.
    fn freeze(&mut self, pool: usize, node: usize, frozen: bool) {
        for key in self.pools[pool].nodes[node].connections.clone() {
            let Some(upstream) = self.upstreams.get_mut(key) else {
                continue;
            };
            upstream.frozen = frozen;
            if !frozen {
                self.touch_upstream(key);
            } else if upstream.is_lane() {
                if upstream.is_ready() {
                    self.take_back_unsent(key);
                    self.abandon(key, |_| true);
                } else {
                    self.upstream_lost(key, &Cause::NodeGone);
                }
            }
            self.wake_waiters(key);
        }
    }

    /// Lanes that stay silent though their node has answered a later probe have a little longer: what the node says on
    /// both at once may arrive here in any order.
    fn doubt_silent_lanes(&mut self, pool: usize) {
        for node in 0..self.pools[pool].nodes.len() {
            let proven_at = self.pools[pool].nodes[node].proven_at;
            for lane in 0..self.pools[pool].nodes[node].lanes.len() {
                let (_, key) = self.pools[pool].nodes[node].lanes[lane];
                if let Some(upstream) = self.upstreams.get_mut(key)
                    && let Silence::Since(since) = upstream.silence
                    && proven_at > since
                {
                    let until = self.now + SILENCE_PATIENCE;
                    upstream.silence = Silence::Proven { until };
                    self.arm_upstream(key, until);
                }
            }
        }
    }

    /// The node is no longer in the pool: its connections end when what was sent on them is answered.
    fn left(&mut self, pool: usize, node: usize) {
        for key in self.pools[pool].nodes[node].connections.clone() {
            let Some(upstream) = self.upstreams.get(key) else {
                continue;
            };
            match upstream.sharing {
                Sharing::Lane if upstream.is_ready() => {
                    self.take_back_unsent(key);
                    self.retire(key);
                    self.wake_waiters(key);
                    if self.upstreams.get(key).is_some_and(|own| own.queue.is_empty()) {
                        self.close_upstream(key);
                    }
                }
                Sharing::Pinned(None) => self.close_upstream(key),
                // It goes with the connection whose messages it receives.
                Sharing::Receiver(_) => {}
                Sharing::Pinned(Some(_)) if upstream.awaits_sent() => self.retire(key),
                Sharing::Lane | Sharing::Pinned(Some(_)) | Sharing::Hub(_) | Sharing::Raw(_) => {
                    self.upstream_lost(key, &Cause::NodeGone);
                }
            }
        }
    }

    /// The node answers, but is not what it was: what it has not got yet goes elsewhere, and what depends on its role
    /// with it.
    fn unfit(&mut self, pool: usize, node: usize) {
        for key in self.pools[pool].nodes[node].connections.clone() {
            let Some(upstream) = self.upstreams.get(key) else {
                continue;
            };
            match upstream.sharing {
                Sharing::Lane => {
                    self.take_back_unsent(key);
                    self.wake_waiters(key);
                }
                Sharing::Pinned(None) | Sharing::Receiver(_) => {}
                Sharing::Hub(index) => {
                    let target = self.pools[pool].hubs[index].target;
                    if !self.pools[pool].fits(node, target) {
                        self.upstream_lost(key, &Cause::Demoted);
                    }
                }
                Sharing::Pinned(Some(owner)) if self.suits(pool, node, owner) => {}
                // A command that is on its way will be answered, or refused, by the node.
                Sharing::Pinned(Some(_)) if upstream.awaits_sent() => self.retire(key),
                Sharing::Pinned(Some(_)) => self.upstream_lost(key, &Cause::Demoted),
                Sharing::Raw(owner) => {
                    if !self.suits(pool, node, owner) {
                        self.upstream_lost(key, &Cause::Demoted);
                    }
                }
            }
        }
    }

    /// The connection takes nothing new, and ends when what was sent is answered.
    fn retire(&mut self, key: Key) {
        if let Some(upstream) = self.upstreams.get_mut(key) {
            upstream.retired = true;
        }
    }

    fn suits(&self, pool: usize, node: usize, owner: Key) -> bool {
        let target = self
            .clients
            .get(owner)
            .and_then(|client| client.bound)
            .map_or(Target::Reads, |bound| bound.target);
        self.pools[pool].fits(node, target)
    }

    /// Gives a subscriber or tracker that lost its connection a new one, and sets it up again. False: there is no node
    /// for it now.
    pub(crate) fn adopt_orphan(&mut self, key: Key) -> bool {
        let Some(client) = self.clients.get_mut(key) else {
            return false;
        };
        if client.special.as_ref().is_none_or(|special| !special.orphaned) {
            return true;
        }
        let target =
            if client.mode == config::Mode::Read { Target::Reads } else { Target::Primary };
        let Ok(upstream) = self.pin(key, target) else {
            return self.stay_orphaned(key);
        };
        let special = self.clients.get(key).and_then(|client| client.special.as_ref());
        let tracking = special.and_then(|special| special.tracking.clone());
        let redirects = tracking.as_ref().is_some_and(|tracking| tracking.redirect.is_some());
        let receiver = if redirects { self.receiver(key, upstream) } else { Ok(None) };
        let receiver = match receiver {
            Ok(None) if redirects => {
                self.park(key, Parked::Upstream, 0);
                return false;
            }
            Ok(receiver) => receiver,
            Err(_) => return self.stay_orphaned(key),
        };
        let Some(client) = self.clients.get_mut(key) else {
            return false;
        };
        let special = client.special_mut();
        special.orphaned = false;
        let listens = special.listens_itself();
        let commands = if listens { special.subscriptions.resubscribe() } else { Vec::new() };
        for (command, confirmations) in commands {
            self.own_command(key, upstream, &command, confirmations, PendingKind::Subscribe);
        }
        if let Some(tracking) = tracking {
            let command = tracking.command(receiver);
            self.own_command(key, upstream, &command, 1, PendingKind::Plain);
            // What was cached may have changed unseen.
            if redirects {
                self.send_invalidation(key, None);
                return true;
            }
            self.reply(key, |out, protocol| {
                if protocol == resp::Protocol::Resp3 {
                    resp::write_push_header(out, 2, protocol);
                    resp::write_bulk(out, b"invalidate");
                    resp::write_null(out, protocol);
                }
            });
        }
        true
    }

    /// There is no node for it now, or no room. False, unless it has commands whose time is up.
    pub(crate) fn stay_orphaned(&mut self, key: Key) -> bool {
        let Some(client) = self.clients.get(key) else {
            return false;
        };
        if client.trouble.as_ref().is_some_and(|trouble| trouble.expired > 0) {
            return true;
        }
        if client.input.is_empty() {
            self.await_snapshot(key);
            self.arm_client(key, self.now + REMIND);
        } else {
            self.hold(key);
        }
        false
    }

    /// A command of Redkeel's own on a client's connection; its replies are swallowed.
    pub(crate) fn own_command(
        &mut self,
        key: Key,
        upstream: Key,
        bytes: &[u8],
        replies: u32,
        kind: PendingKind,
    ) {
        let Some(client) = self.clients.get(key) else {
            return;
        };
        let due = self.now + self.pools[client.pool].settings.timeouts.request;
        let pending = Pending {
            client: Some(key),
            at: self.now,
            due,
            len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            replies,
            replies_in_all: replies,
            kind,
            flags: Flags { swallow: true, repeatable: true, ..Flags::default() },
        };
        self.append_pinned(key, upstream, b"", bytes, pending);
    }
}

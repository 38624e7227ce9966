//! Pinned connections: lent to one client at a time, and the commands that need them.

use std::rc::Rc;
use std::time::Duration;

use session::{Call, PinReason, Standing, Target, Transaction, error};
use topology::ErrorKind;

use crate::Engine;
use crate::choice::Wish;
use crate::client::Bound;
use crate::connect::IDLE;
use crate::dispatch::{NoWay, due};
use crate::input::Step;
use crate::slots::Key;
use crate::upstream::{Flags, Pending, PendingKind, Sharing};

impl Engine {
    /// Gives the client a connection of its own, if it has none.
    pub(crate) fn pin(&mut self, key: Key, target: Target) -> Result<Key, NoWay> {
        let client = self.clients.get(key).ok_or(NoWay::NoNode)?;
        let standing = Rc::clone(&client.talk.standing);
        self.pin_as(key, target, standing)
    }

    /// As [`Engine::pin`], with another standing than the client's.
    fn pin_as(&mut self, key: Key, target: Target, standing: Rc<Standing>) -> Result<Key, NoWay> {
        let client = self.clients.get(key).ok_or(NoWay::NoNode)?;
        if let Some(bound) = client.bound.filter(|bound| bound.pinned) {
            return Ok(bound.upstream);
        }
        debug_assert_eq!(client.unanswered, 0, "a client's commands are on one connection");
        let pool = client.pool;
        let wish = Wish { target, standing: &standing, key: None, avoid: None, now: self.now };
        let node = self.pools[pool].choose(&wish).ok_or(NoWay::NoNode)?;
        self.check_max_pinned(pool)?;
        let spare = &mut self.pools[pool].nodes[node].spare;
        let found =
            spare.iter().rposition(|(own, _)| Rc::ptr_eq(own, &standing) || *own == standing);
        let upstream_key = match found.map(|index| spare.swap_remove(index).1) {
            Some(spare) => spare,
            None => {
                if !self.has_room_for_spare(pool) {
                    self.close_oldest_spare(pool);
                }
                self.pools[pool].nodes[node].counts.pinned += 1;
                self.open(pool, node, &standing, Sharing::Pinned(Some(key)))
            }
        };
        self.pools[pool].counts.pinned += 1;
        if let Some(upstream) = self.upstreams.get_mut(upstream_key) {
            upstream.sharing = Sharing::Pinned(Some(key));
            upstream.last_used = self.now;
        }
        if let Some(client) = self.clients.get_mut(key) {
            client.bound = Some(Bound { upstream: upstream_key, target, pinned: true });
            client.behind_write = client.for_primary > 0;
        }
        Ok(upstream_key)
    }

    fn check_max_pinned(&self, pool: usize) -> Result<(), NoWay> {
        let pool = &self.pools[pool];
        if pool.counts.pinned < pool.max_pinned as u64 {
            return Ok(());
        }
        let text = error(
            ErrorKind::Limit,
            format_args!(
                "pool {} has its share of pinned connections (max_pinned); blocked, watching and \
                 subscribed clients and open transactions need one each",
                pool.name()
            ),
        );
        Err(NoWay::Limit(text))
    }

    /// One more connection of the kind that one client has to itself is about to be opened.
    pub(crate) fn make_room_for_pin(&mut self, pool: usize) -> Result<(), NoWay> {
        self.check_max_pinned(pool)?;
        if !self.has_room_for_spare(pool) {
            self.close_oldest_spare(pool);
        }
        Ok(())
    }

    /// A connection to a node that may be busy with a script: it would refuse SELECT.
    fn pin_while_busy(&mut self, key: Key, target: Target) -> Result<Key, NoWay> {
        let client = self.clients.get(key).ok_or(NoWay::NoNode)?;
        let standing = client.talk.standing.with_database(0);
        let standing = self.intern(standing);
        self.pin_as(key, target, standing)
    }

    /// Has a spare connection like this one. What another client sends after a blocking command shall not overtake it
    /// because a connection is opened first.
    fn keep_warm(&mut self, like: Key) {
        let Some(upstream) = self.upstreams.get(like) else {
            return;
        };
        let (pool, node) = (upstream.pool, upstream.node);
        let standing = Rc::clone(&upstream.standing);
        let state = &self.pools[pool].nodes[node];
        let has_one = state.spare.iter().any(|(own, _)| *own == standing);
        // The client may still have its connection to a node that gets nothing new.
        if has_one || !state.is_usable() || !self.has_room_for_spare(pool) {
            return;
        }
        let key = self.open(pool, node, &standing, Sharing::Pinned(None));
        let node = &mut self.pools[pool].nodes[node];
        node.counts.pinned += 1;
        node.spare.push((standing, key));
    }

    /// Gives a pinned connection back once nothing needs it.
    pub(crate) fn release_if_done(&mut self, key: Key) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let Some(bound) = client.bound.filter(|bound| bound.pinned) else {
            return;
        };
        if client.unanswered > 0 || client.needs_pin() || client.is_streaming() {
            return;
        }
        let tainted =
            client.special.as_mut().is_some_and(|special| std::mem::take(&mut special.tainted));
        let standing_kept = self
            .upstreams
            .get(bound.upstream)
            .is_some_and(|upstream| upstream.standing == client.talk.standing);
        client.bound = None;
        let Some(upstream) = self.upstreams.get_mut(bound.upstream) else {
            return;
        };
        let clean = !tainted
            && standing_kept
            && !upstream.retired
            && upstream.is_ready()
            // Nobody reads it until this client has read what came over it.
            && upstream.stalled.is_none()
            && upstream.queue.is_empty()
            && upstream.scanner.is_idle();
        let (pool, node) = (upstream.pool, upstream.node);
        let standing = Rc::clone(&upstream.standing);
        upstream.sharing = Sharing::Pinned(None);
        upstream.last_used = self.now;
        let counts = &mut self.pools[pool].counts;
        counts.pinned = counts.pinned.saturating_sub(1);
        if clean && !self.draining && self.has_room_for_spare(pool) {
            self.pools[pool].nodes[node].spare.push((standing, bound.upstream));
            self.arm_upstream(bound.upstream, self.now + IDLE);
        } else {
            self.close_upstream(bound.upstream);
        }
    }

    /// May there be one more connection of the kind that one client has to itself? Those that wait for the next client
    /// count as well.
    fn has_room_for_spare(&self, pool: usize) -> bool {
        let pool = &self.pools[pool];
        let spare: usize = pool.nodes.iter().map(|node| node.spare.len()).sum();
        pool.counts.pinned + (spare as u64) < pool.max_pinned as u64
    }

    fn close_oldest_spare(&mut self, pool: usize) {
        let spare = self.pools[pool].nodes.iter().flat_map(|node| &node.spare);
        let oldest =
            spare.filter_map(|(_, key)| Some((self.upstreams.get(*key)?.last_used, *key))).min();
        if let Some((_, key)) = oldest {
            self.close_upstream(key);
        }
    }

    /// A subscriber that has lost its connection is set up again on the next it gets, and stays there: it has to be one for all
    /// that the client may send.
    pub(crate) fn orphans_target(&self, key: Key, target: Target) -> Target {
        let orphaned = self.clients.get(key).is_some_and(crate::client::Client::is_orphaned);
        if orphaned { target.max(self.home(key)) } else { target }
    }

    /// Closes the client's own connection, whatever its state there.
    pub(crate) fn drop_pin(&mut self, key: Key) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let mut receiver = None;
        if let Some(special) = client.special.as_deref_mut() {
            special.transaction = Transaction::None;
            special.watching = false;
            special.tainted = false;
            special.effects.clear();
            receiver = special.receiver.take();
            special.orphaned = special.listens_itself() || special.tracking.is_some();
        }
        if let Some(bound) = client.bound.take_if(|bound| bound.pinned) {
            self.close_upstream(bound.upstream);
        }
        if let Some(receiver) = receiver {
            self.close_upstream(receiver.upstream);
        }
        // What it goes on with is set up again.
        self.queue(key);
    }

    /// A command that needs the client's own connection.
    pub(crate) fn pinned_command(
        &mut self,
        key: Key,
        call: Call<'_>,
        bytes: &[u8],
        target: Target,
        reason: PinReason,
    ) -> Step {
        if reason == PinReason::Wait && self.wrote_elsewhere(key) {
            // The node that took the client's writes is no longer the primary: nothing can be said of its replicas.
            self.reply(key, |out, _| resp::write_integer(out, 0));
            return Step::Done;
        }
        let queued = self.transaction_of(key).is_open();
        if queued && matches!(reason, PinReason::Subscribe(_)) {
            // On a server the confirmation is an element of EXEC's reply in RESP2, and missing there in RESP3.
            self.set_transaction(key, Transaction::Refused);
            let name = String::from_utf8_lossy(call.name()).to_ascii_uppercase();
            let text = format!("ERR {name} is not allowed in transactions");
            self.reply_error(key, ErrorKind::Command, &text);
            return Step::Done;
        }
        if let PinReason::Subscribe(kind) = reason
            && !queued
            && self.shares(key, kind, target)
        {
            return self.subscribe_shared(key, call, kind, target);
        }
        let may_write = matches!(
            reason,
            PinReason::Blocking { reads_only: false } | PinReason::Unknown | PinReason::Module
        );
        if may_write && !queued && self.own_connection_is_held(key) {
            return self.no_way(key, Target::Primary, NoWay::NoNode);
        }
        let target = self.orphans_target(key, target);
        let pinned = match reason {
            PinReason::WhileBusy => self.pin_while_busy(key, target),
            PinReason::Blocking { .. } => self.pin(key, target).inspect(|own| self.keep_warm(*own)),
            _ => self.pin(key, target),
        };
        let upstream = match pinned {
            Ok(upstream) => upstream,
            Err(why) => return self.no_way(key, target, why),
        };
        let Some(client) = self.clients.get_mut(key) else {
            return Step::Done;
        };
        let pool = client.pool;
        let timeouts = &self.pools[pool].settings.timeouts;
        let mut pending = Pending {
            client: Some(key),
            at: client.trouble.as_ref().and_then(|trouble| trouble.since).unwrap_or(self.now),
            due: due(self.now, client.trouble.as_deref(), timeouts),
            len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            replies: 1,
            replies_in_all: 1,
            kind: if queued { PendingKind::Queued } else { PendingKind::Plain },
            flags: Flags {
                mute: client.is_mute(),
                primary: target == Target::Primary,
                read: target != Target::Primary,
                ..Flags::default()
            },
        };
        let request = timeouts.request;
        let ended = client.ended;
        let special = client.special_mut();
        special.queued_write |= queued;
        let mut prefix: &[u8] = b"";
        match reason {
            _ if queued
                && !matches!(
                    reason,
                    PinReason::Unknown | PinReason::Module | PinReason::WhileBusy
                ) => {}
            PinReason::Multi => {
                special.transaction = Transaction::Open;
                special.queued = 0;
                special.queued_write = false;
                special.effects.clear();
                pending.kind = PendingKind::Multi;
            }
            PinReason::Watch => {
                special.watching = true;
                pending.kind = PendingKind::Watch;
                pending.flags.repeatable = true;
            }
            PinReason::Subscribe(kind) => {
                pending.replies = special.subscriptions.confirmations(kind, call);
                pending.replies_in_all = pending.replies;
                pending.kind = PendingKind::Subscribe;
                pending.flags.repeatable = true;
                // Confirmations are pushed: CLIENT REPLY OFF and SKIP leave them (Redis, `addReplyPubsubSubscribed`).
                pending.flags.mute = false;
            }
            PinReason::Monitor => {
                special.monitoring = true;
                pending.kind = PendingKind::Monitor;
            }
            PinReason::Wait => {
                // A connection's WAIT covers what that connection sent last; the PING makes it cover everything the
                // node has run so far, the client's writes on its lane among it.
                prefix = b"*1\r\n$4\r\nPING\r\n";
                pending.kind = PendingKind::Wait;
                pending.replies = 2;
                pending.flags.repeatable = true;
                pending.due = self.now + block_time(call) + request;
            }
            // Nobody would be blocked on a server either who has gone.
            PinReason::Blocking { .. } if ended => {
                self.close_client(key);
                return Step::Done;
            }
            PinReason::Blocking { reads_only } => {
                pending.kind = PendingKind::Blocking;
                pending.flags.repeatable = reads_only;
                pending.due = self.now + block_time(call) + request;
            }
            PinReason::Unknown | PinReason::Module | PinReason::WhileBusy => {
                special.tainted = true;
                pending.flags.opaque = true;
            }
        }
        if matches!(pending.kind, PendingKind::Blocking | PendingKind::Wait) {
            self.ask_node_client(key, upstream);
        }
        if reason == PinReason::Unknown {
            self.ask_about(pool, call.name());
        }
        pending.len += u32::try_from(prefix.len()).unwrap_or(0);
        self.append_pinned(key, upstream, prefix, bytes, pending);
        Step::Done
    }

    pub(crate) fn append_pinned(
        &mut self,
        key: Key,
        upstream_key: Key,
        prefix: &[u8],
        bytes: &[u8],
        pending: Pending,
    ) {
        let Some(upstream) = self.upstreams.get_mut(upstream_key) else {
            return;
        };
        upstream.requests.append(prefix, &mut self.buffers);
        upstream.requests.append(bytes, &mut self.buffers);
        upstream.stream_begun &= !pending.kind.is_streamed();
        upstream.queue.push_back(pending);
        upstream.last_used = self.now;
        let pool = &mut self.pools[upstream.pool];
        let node = &mut pool.nodes[upstream.node];
        node.counts.in_flight += 1;
        node.counts.commands_total += 1;
        if let Some(client) = self.clients.get_mut(key).filter(|_| !pending.flags.swallow) {
            client.unanswered += 1;
            if pending.flags.primary && !pending.flags.repeatable {
                pool.counts.writes_total += 1;
                client.last_write = Some(node.id);
            } else {
                pool.counts.reads_total += 1;
            }
            if let Some(special) = client.special.as_deref_mut()
                && special.reply_mode == session::ReplyMode::Skip
            {
                special.reply_mode = session::ReplyMode::On;
            }
        }
        self.arm_upstream(upstream_key, pending.due);
        self.touch_upstream(upstream_key);
    }

    /// Has the client written to a node that is not the primary any more?
    fn wrote_elsewhere(&self, key: Key) -> bool {
        let Some(client) = self.clients.get(key) else {
            return false;
        };
        let pool = &self.pools[client.pool];
        match (client.last_write, pool.primary) {
            (Some(node), Some(primary)) => pool.nodes[primary].id != node,
            _ => false,
        }
    }
}

/// How long a blocking command waits by its own timeout.
fn block_time(call: Call<'_>) -> Duration {
    let forever = Duration::from_secs(u64::from(u32::MAX));
    let Some(command) = commands::lookup(call.name()) else {
        return forever;
    };
    if command.kind == commands::Kind::Wait {
        // WAIT numreplicas timeout, WAITAOF numlocal numreplicas timeout; 0: forever.
        let text = std::str::from_utf8(call.arg(call.len().saturating_sub(1))).unwrap_or("0");
        return match text.parse() {
            Ok(0) | Err(_) => forever,
            Ok(millis) => Duration::from_millis(millis),
        };
    }
    commands::blocks(command, call.len(), |index| call.arg(index))
        .and_then(|block| block.timeout)
        .unwrap_or(forever)
}

//! Connections: opening lanes and pinned ones, and lending the latter to one client at a time.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use resp::ReplyScanner;
use session::{Call, PinReason, Standing, Target, Transaction, error};
use topology::{ErrorKind, Time};

use crate::Engine;
use crate::buffer::Requests;
use crate::client::Bound;
use crate::conn::{Action, ConnId};
use crate::dispatch::{NoWay, due};
use crate::input::Step;
use crate::pool::Wish;
use crate::slots::Key;
use crate::upstream::{Flags, Pending, PendingKind, Phase, Sharing, Silence, Upstream, Value};

/// Connections that nobody has used for this long are closed.
pub(crate) const IDLE: Duration = Duration::from_secs(60);
/// Spare pinned connections kept per node.
const SPARE_MAX: usize = 256;

impl Engine {
    /// A lane to `node` for clients of this standing; it may still be connecting.
    pub(crate) fn lane(
        &mut self,
        pool: usize,
        node: usize,
        standing: &Rc<Standing>,
    ) -> Result<Key, NoWay> {
        let wanted = self.pools[pool].settings.upstream.connections.max(1);
        let mut found = 0;
        let mut best: Option<(usize, Key)> = None;
        for (lane_standing, key) in &self.pools[pool].nodes[node].lanes {
            if !Rc::ptr_eq(lane_standing, standing) && lane_standing != standing {
                continue;
            }
            let Some(upstream) = self.upstreams.get(*key) else {
                continue;
            };
            if upstream.retired || upstream.stalled.is_some() {
                continue;
            }
            found += 1;
            let queued = upstream.queue.len();
            if best.is_none_or(|(least, _)| queued < least) {
                best = Some((queued, *key));
            }
        }
        // Several shared connections are opened only when the ones there are have something to do.
        match best {
            Some((queued, key)) if found >= wanted || queued == 0 => return Ok(key),
            _ => {}
        }
        let limits = &self.pools[pool].settings.limits;
        let full = self.pools[pool].nodes[node].lanes.len() >= limits.max_lanes;
        if full && !self.close_idle_lane(pool, node) {
            let limits = &self.pools[pool].settings.limits;
            if let Some((_, key)) = best {
                return Ok(key);
            }
            let (name, max) = (&self.pools[pool].nodes[node].name, limits.max_lanes);
            let text = error(
                ErrorKind::Limit,
                format_args!(
                    "node {name} of pool {} has its {max} lanes (max_lanes): too many databases, \
                     protocols or users at once",
                    self.pools[pool].name()
                ),
            );
            return Err(NoWay::Limit(text));
        }
        let key = self.open(pool, node, standing, Sharing::Lane);
        let node = &mut self.pools[pool].nodes[node];
        node.lanes.push((Rc::clone(standing), key));
        node.counts.lanes += 1;
        Ok(key)
    }

    /// Makes room for another lane; false: all of the node's have something to do.
    fn close_idle_lane(&mut self, pool: usize, node: usize) -> bool {
        let lanes = self.pools[pool].nodes[node].lanes.iter().filter_map(|(_, key)| {
            let upstream = self.upstreams.get(*key)?;
            let idle = upstream.queue.is_empty() && upstream.waiters.is_empty();
            idle.then_some((upstream.last_used, *key))
        });
        let Some((_, key)) = lanes.min() else {
            return false;
        };
        self.close_upstream(key);
        true
    }

    pub(crate) fn open(
        &mut self,
        pool: usize,
        node: usize,
        standing: &Rc<Standing>,
        sharing: Sharing,
    ) -> Key {
        let deadline = self.now + self.pools[pool].settings.timeouts.connect;
        let key = self.upstreams.insert(Upstream {
            pool,
            node,
            standing: Rc::clone(standing),
            sharing,
            phase: Phase::Connecting { deadline },
            requests: Requests::default(),
            queue: VecDeque::new(),
            scanner: ReplyScanner::new(),
            value: Value::default(),
            waiters: Vec::new(),
            stalled: None,
            stalled_before: Duration::ZERO,
            retired: false,
            dirty: false,
            armed: Time::MAX,
            last_used: self.now,
            frozen: false,
            engaged: false,
            unit_refused: false,
            silence: Silence::None,
        });
        let node = &mut self.pools[pool].nodes[node];
        node.connections.push(key);
        node.counts.connects_total += 1;
        let address = node.address.clone();
        self.actions.push(Action::Connect { conn: ConnId::upstream(key), address });
        self.arm_upstream(key, deadline);
        key
    }

    pub(crate) fn upstream_connected(&mut self, key: Key) {
        let now = self.now;
        let Some(upstream) = self.upstreams.get_mut(key) else {
            return;
        };
        let mut bytes = Vec::new();
        let replies = match upstream.sharing {
            Sharing::Raw(_) => 0,
            _ => upstream.standing.handshake(&mut bytes),
        };
        if replies == 0 {
            return self.upstream_ready(key);
        }
        let deadline = now + self.pools[upstream.pool].settings.timeouts.connect;
        upstream.phase = Phase::Handshake { bytes, sent: 0, replies, reply: Vec::new(), deadline };
        self.arm_upstream(key, deadline);
        self.touch_upstream(key);
    }

    pub(crate) fn upstream_ready(&mut self, key: Key) {
        let Some(upstream) = self.upstreams.get_mut(key) else {
            return;
        };
        upstream.phase = Phase::Ready;
        // Until now its timer was that of the connect; what waits on it may be due before.
        self.arm_upstream(key, self.now);
        self.wake_waiters(key);
        self.touch_upstream(key);
    }

    /// Whoever waits for the connection looks again, at it or at another.
    pub(crate) fn wake_waiters(&mut self, key: Key) {
        if let Some(upstream) = self.upstreams.get_mut(key) {
            for waiter in std::mem::take(&mut upstream.waiters) {
                self.queue(waiter);
            }
        }
    }

    pub(crate) fn upstream_written(&mut self, key: Key, count: usize) {
        let Some(upstream) = self.upstreams.get_mut(key) else {
            return;
        };
        match &mut upstream.phase {
            Phase::Connecting { .. } => {}
            Phase::Handshake { sent, .. } => *sent += count,
            Phase::Ready => {
                upstream.requests.advance(count);
                // Bytes that passed through, and those of a raw connection, are kept for nobody.
                if upstream.queue.is_empty() || upstream.keeps_nothing() {
                    let sent = upstream.requests.sent_len();
                    upstream.requests.release(sent, &mut self.buffers);
                }
            }
        }
        let counts = &mut self.pools[upstream.pool].nodes[upstream.node].counts;
        counts.bytes_out_total += count as u64;
        if !upstream.waiters.is_empty() && upstream.is_ready() && upstream.has_room() {
            self.wake_waiters(key);
        }
    }

    /// Gives the client a connection of its own, if it has none.
    pub(crate) fn pin(&mut self, key: Key, target: Target) -> Result<Key, NoWay> {
        let client = self.clients.get(key).ok_or(NoWay::NoNode)?;
        if let Some(bound) = client.bound.filter(|bound| bound.pinned) {
            return Ok(bound.upstream);
        }
        debug_assert_eq!(client.unanswered, 0, "a client's commands are on one connection");
        let pool = client.pool;
        let standing = Rc::clone(&client.talk.standing);
        let wish = Wish { target, standing: &standing, key: None, avoid: None, now: self.now };
        let node = self.pools[pool].choose(&wish).ok_or(NoWay::NoNode)?;
        if self.pools[pool].counts.pinned >= self.pools[pool].max_pinned as u64 {
            let text = error(
                ErrorKind::Limit,
                format_args!(
                    "pool {} has its share of pinned connections (max_pinned); blocked, watching and \
                     subscribed clients and open transactions need one each",
                    self.pools[pool].name()
                ),
            );
            return Err(NoWay::Limit(text));
        }
        let spare = &mut self.pools[pool].nodes[node].spare;
        let found =
            spare.iter().rposition(|(own, _)| Rc::ptr_eq(own, &standing) || *own == standing);
        let upstream_key = match found.map(|index| spare.swap_remove(index).1) {
            Some(spare) => spare,
            None => {
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
        let pool = &mut self.pools[upstream.pool];
        pool.counts.pinned = pool.counts.pinned.saturating_sub(1);
        let node = &mut pool.nodes[upstream.node];
        upstream.sharing = Sharing::Pinned(None);
        if clean && node.spare.len() < SPARE_MAX && !self.draining {
            upstream.last_used = self.now;
            node.spare.push((Rc::clone(&upstream.standing), bound.upstream));
            self.arm_upstream(bound.upstream, self.now + IDLE);
        } else {
            self.close_upstream(bound.upstream);
        }
    }

    /// Closes the client's own connection, whatever its state there.
    pub(crate) fn drop_pin(&mut self, key: Key) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        if let Some(special) = client.special.as_deref_mut() {
            special.transaction = Transaction::None;
            special.watching = false;
            special.tainted = false;
            special.effects.clear();
        }
        if let Some(bound) = client.bound.take_if(|bound| bound.pinned) {
            self.close_upstream(bound.upstream);
        }
    }

    /// Closes a connection on which nobody waits for anything.
    pub(crate) fn close_upstream(&mut self, key: Key) {
        if let Some(upstream) = self.remove_upstream(key) {
            upstream.requests.free(&mut self.buffers);
            self.actions.push(Action::Close(ConnId::upstream(key)));
        }
    }

    /// Takes a connection out of all lists and gauges.
    pub(crate) fn remove_upstream(&mut self, key: Key) -> Option<Upstream> {
        let upstream = self.upstreams.remove(key)?;
        let pool = &mut self.pools[upstream.pool];
        let node = &mut pool.nodes[upstream.node];
        node.connections.retain(|other| *other != key);
        node.counts.in_flight = node.counts.in_flight.saturating_sub(upstream.queue.len() as u64);
        match upstream.sharing {
            Sharing::Lane => {
                node.lanes.retain(|(_, other)| *other != key);
                node.counts.lanes = node.counts.lanes.saturating_sub(1);
            }
            Sharing::Pinned(owner) => {
                node.spare.retain(|(_, other)| *other != key);
                node.counts.pinned = node.counts.pinned.saturating_sub(1);
                if owner.is_some() {
                    pool.counts.pinned = pool.counts.pinned.saturating_sub(1);
                }
            }
            Sharing::Raw(_) => {
                node.counts.pinned = node.counts.pinned.saturating_sub(1);
                pool.counts.pinned = pool.counts.pinned.saturating_sub(1);
            }
        }
        Some(upstream)
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
        let upstream = match self.pin(key, target) {
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
        let mut prefix: &[u8] = b"";
        match reason {
            _ if queued && reason != PinReason::Unknown && reason != PinReason::Module => {}
            PinReason::Multi => {
                special.transaction = Transaction::Open;
                special.queued = 0;
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
                self.actions.push(Action::Close(ConnId::client(key)));
                self.client_closed(key);
                return Step::Done;
            }
            PinReason::Blocking { reads_only } => {
                pending.kind = PendingKind::Blocking;
                pending.flags.repeatable = reads_only;
                pending.due = self.now + block_time(call) + request;
            }
            PinReason::Unknown | PinReason::Module => {
                special.tainted = true;
                pending.flags.opaque = true;
            }
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

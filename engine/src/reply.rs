//! From a node's bytes to the clients they belong to: the second half of a request's way.

use resp::Skip;
use session::{Refusal, Transaction, refusal};
use topology::Sighting;

use crate::Engine;
use crate::client::{Canned, OUTPUT_FULL, Parked};
use crate::conn::ConnId;
use crate::front::Side;
use crate::input::STREAM_ABOVE;
use crate::recover::Cause;
use crate::slots::Key;
use crate::stall::STALL_ABOVE;
use crate::upstream::{Pending, PendingKind, Sharing, Silence, Value};

/// An error reply longer than this is not looked into.
pub(crate) const ERROR_MAX: usize = 64 * 1024;

/// Where the bytes of the present value go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sink {
    Client(Key),
    Nobody,
}

impl Engine {
    pub(crate) fn upstream_received(&mut self, key: Key, data: &[u8]) {
        let Some(upstream) = self.upstreams.get_mut(key) else {
            return;
        };
        upstream.silence = Silence::None;
        self.pools[upstream.pool].nodes[upstream.node].counts.bytes_in_total += data.len() as u64;
        if let Sharing::Raw(owner) = upstream.sharing {
            return self.raw_from_node(key, owner, data);
        }
        let mut at = 0;
        while at < data.len() {
            let Some(upstream) = self.upstreams.get(key) else {
                return;
            };
            at += match upstream.sharing {
                _ if !upstream.is_ready() => self.handshake_reply(key, &data[at..]),
                Sharing::Hub(index) => {
                    let pool = upstream.pool;
                    self.hub_value(key, pool, index, &data[at..])
                }
                Sharing::Receiver(owner) => self.receiver_value(key, owner, &data[at..]),
                _ => self.value(key, &data[at..]),
            };
        }
        self.after_replies(key);
    }

    /// Handles one value, or the part of it that has come; returns how many bytes that is.
    fn value(&mut self, key: Key, data: &[u8]) -> usize {
        let Some(upstream) = self.upstreams.get_mut(key) else {
            return data.len();
        };
        let fresh = upstream.value.len == 0;
        if fresh {
            upstream.value.first = data[0];
            if upstream.awaits_nothing() && data[0] != b'>' {
                let cause = Cause::Garbage("a reply before its command".to_owned());
                self.upstream_lost(key, &cause);
                return data.len();
            }
        }
        let (len, complete) = match upstream.scanner.scan(data) {
            Ok(Skip::Complete(len)) => (len, true),
            Ok(Skip::Incomplete) => (data.len(), false),
            Err(error) => {
                self.upstream_lost(key, &Cause::Garbage(error.to_string()));
                return data.len();
            }
        };
        if fresh && complete && self.plain(key, &data[..len]) {
            return len;
        }
        self.value_part(key, &data[..len], complete);
        len
    }

    /// The common case in one go: a whole reply, no error, to an ordinary command of a living client in no trouble.
    fn plain(&mut self, key: Key, value: &[u8]) -> bool {
        let Some(upstream) = self.upstreams.get_mut(key) else {
            return false;
        };
        if matches!(value[0], b'-' | b'>') {
            return false;
        }
        let Some(front) = upstream.queue.front() else {
            return false;
        };
        if !matches!(front.kind, PendingKind::Plain | PendingKind::Evalsha) || front.flags.mute {
            return false;
        }
        let Some(client_key) = front.client else {
            return false;
        };
        let Some(client) = self.clients.get_mut(client_key) else {
            return false;
        };
        if client.trouble.is_some() || client.special.is_some() {
            return false;
        }
        let is_leg = if let Side::Leg(part) = &mut client.side {
            part.add_whole(client.output.unsent(), value.len());
            true
        } else {
            false
        };
        client.output.append(value, &mut self.buffers);
        client.output.commit();
        client.unanswered -= 1;
        client.behind_write |= front.flags.primary;
        if client.unanswered == 0 {
            client.note_pipelined();
            if client.parked == Parked::Answers && !client.queued {
                client.queued = true;
                self.ready.push(client_key);
            }
        }
        if !client.dirty {
            client.dirty = true;
            let list = if is_leg { &mut self.fed } else { &mut self.dirty };
            list.push(ConnId::client(client_key));
        }
        let taken = self.now.since(front.at);
        let micros = taken.as_micros() as u64;
        upstream.requests.release(front.len as usize, &mut self.buffers);
        upstream.queue.pop_front();
        let (pool_index, node) = (upstream.pool, upstream.node);
        let pool = &mut self.pools[pool_index];
        record(&mut pool.counts.latency, micros);
        let counts = &mut pool.nodes[node].counts;
        counts.in_flight -= 1;
        record(&mut counts.latency, micros);
        let is_slow = pool.answered(node, taken, self.now);
        if client.output.unsent() > STALL_ABOVE {
            self.stall(key, client_key);
        }
        if is_slow {
            self.evidence(pool_index, node, Sighting::Slow);
        }
        true
    }

    /// Everything else: a part of a value, an error, a push, a special command's reply.
    fn value_part(&mut self, key: Key, bytes: &[u8], complete: bool) {
        let Some(sink) = self.sink(key) else {
            return self
                .upstream_lost(key, &Cause::Garbage("a reply that nobody asked for".to_owned()));
        };
        let Some(upstream) = self.upstreams.get_mut(key) else {
            return;
        };
        upstream.value.len += bytes.len();
        if let Sink::Client(client_key) = sink
            && let Some(client) = self.clients.get_mut(client_key)
        {
            client.output.append(bytes, &mut self.buffers);
            let whole = client.output.uncommitted().len() as u64;
            let collected = client.is_collecting();
            // A long reply is not gathered: it goes to the client as it comes, and cannot be taken back.
            if (upstream.value.streamed || whole > STREAM_ABOVE) && !collected {
                let has_effects =
                    client.special.as_ref().is_some_and(|special| !special.effects.is_empty());
                let hold_back = upstream.queue.front().is_some_and(|front| {
                    front.flags.mute || (front.kind == PendingKind::Exec && has_effects)
                });
                if !hold_back {
                    if !std::mem::replace(&mut upstream.value.streamed, true) {
                        upstream.value.is_message = client.begins_message(upstream.value.first);
                    }
                    self.commit(key, client_key);
                }
            }
        }
        if complete {
            let Some(upstream) = self.upstreams.get_mut(key) else {
                return;
            };
            let value = std::mem::take(&mut upstream.value);
            self.value_complete(key, sink, value);
            if let Sink::Client(client_key) = sink
                && self.clients.get(client_key).is_some_and(|c| c.output.unsent() > STALL_ABOVE)
            {
                self.stall(key, client_key);
            }
        }
    }

    /// Whose value is this? `None`: nobody is owed one.
    fn sink(&mut self, key: Key) -> Option<Sink> {
        let upstream = self.upstreams.get(key)?;
        let client = match (upstream.value.first, upstream.owner()) {
            (b'>', owner) => owner,
            (_, Some(owner)) if upstream.queue.is_empty() => {
                // Messages of RESP2 and MONITOR come unasked.
                let special = self.clients.get(owner)?.special.as_ref()?;
                let expects = special.monitoring || special.listens_itself();
                return expects.then_some(Sink::Client(owner));
            }
            _ => upstream.queue.front()?.client,
        };
        Some(match client.filter(|client| self.clients.get(*client).is_some()) {
            Some(client) => Sink::Client(client),
            None => Sink::Nobody,
        })
    }

    fn value_complete(&mut self, key: Key, sink: Sink, value: Value) {
        let Some(upstream) = self.upstreams.get(key) else {
            return;
        };
        let owner = upstream.owner();
        let is_push = value.first == b'>';
        if is_push && owner.is_none() {
            self.pools[upstream.pool].counts.stray_pushes_total += 1;
            return;
        }
        if let (Sink::Client(client), Some(_)) = (sink, owner)
            && self.unasked(key, client, value)
        {
            self.commit(key, client);
            self.give_late(client);
            if self.clients.get(client).is_some_and(|own| own.parked == Parked::Answers) {
                self.queue(client);
            }
            return;
        }
        let Some(upstream) = self.upstreams.get_mut(key) else {
            return;
        };
        let Some(front) = upstream.queue.front_mut() else {
            return;
        };
        front.replies = match front.kind {
            // One error stands for all channels.
            PendingKind::Subscribe if value.first == b'-' => 0,
            _ => front.replies.saturating_sub(1),
        };
        let front = *front;
        match sink {
            Sink::Nobody if front.replies > 0 => {}
            Sink::Nobody => {
                self.pop_front(key);
            }
            Sink::Client(client) => self.answered(key, client, front, value),
        }
    }

    /// A reply, or one of several, to the command at the front of the queue has come.
    fn answered(&mut self, key: Key, client_key: Key, front: Pending, value: Value) {
        let is_error = value.first == b'-' && value.len <= ERROR_MAX && !value.streamed;
        if is_error {
            self.count_error(key);
        }
        let refused = if is_error && !front.flags.opaque {
            self.clients.get(client_key).and_then(|client| refusal(client.output.tail(value.len)))
        } else {
            None
        };
        if front.kind == PendingKind::Unit {
            if let Some(upstream) = self.upstreams.get_mut(key)
                && refused.is_some()
            {
                upstream.unit_refused = true;
            }
            if front.replies > 0 {
                return;
            }
            let unit_refused = self
                .upstreams
                .get_mut(key)
                .is_some_and(|upstream| std::mem::take(&mut upstream.unit_refused));
            // What was refused while it was queued makes EXEC abort; a DISCARD succeeds.
            if unit_refused {
                return self.refuse(key, client_key);
            }
        } else if let Some(refused) = refused {
            let pinned = self.upstreams.get(key).is_some_and(|upstream| upstream.owner().is_some());
            if refused != Refusal::Unblocked || front.kind == PendingKind::Blocking {
                if pinned {
                    self.take_back_tail(client_key, value.len);
                    return self.refused_pinned(key);
                }
                return self.refuse(key, client_key);
            }
        }
        if is_error
            && front.kind == PendingKind::Evalsha
            && self.repeat_with_script(key, client_key, front, value.len)
        {
            return;
        }
        if front.kind == PendingKind::Script && value.first != b'-' {
            self.note_script(key, front);
        }
        let collecting = self.clients.get(client_key).is_some_and(|client| client.is_collecting());
        if collecting && front.replies == 0 {
            return self.collect(key, client_key, front);
        }
        self.adjust(client_key, front, value, is_error);
        if !is_error && front.kind == PendingKind::Plain {
            self.note_latency(key, client_key, front);
        }
        if let Some(upstream) = self.upstreams.get_mut(key) {
            match front.kind {
                PendingKind::Multi | PendingKind::Watch => upstream.engaged |= !is_error,
                PendingKind::Exec | PendingKind::Discard => upstream.engaged = false,
                _ => {}
            }
        }
        if front.replies > 0 {
            return;
        }
        self.pop_front(key);
        self.settle_reply(key, client_key, front);
    }

    /// An error tells nothing of how fast a node works, and neither does the answer to a command that was held.
    fn note_latency(&mut self, key: Key, client_key: Key, front: Pending) {
        let held = self.clients.get(client_key).is_none_or(|client| client.trouble.is_some());
        let Some(upstream) = self.upstreams.get(key).filter(|_| !held) else {
            return;
        };
        let (pool, node) = (upstream.pool, upstream.node);
        if self.pools[pool].answered(node, self.now.since(front.at), self.now) {
            self.evidence(pool, node, Sighting::Slow);
        }
    }

    /// Something before this command is still to be sent: a read is repeated behind that, a reply keeps its place.
    fn collect(&mut self, key: Key, client_key: Key, front: Pending) {
        let bytes = self
            .upstreams
            .get(key)
            .map(|upstream| upstream.requests.slice(0, front.len as usize).to_vec())
            .unwrap_or_default();
        self.pop_front(key);
        let Some(client) = self.clients.get_mut(client_key) else {
            return;
        };
        let reply = client.output.uncommitted().to_vec();
        client.output.rollback();
        client.unanswered = client.unanswered.saturating_sub(1);
        client.behind_write |= front.flags.primary;
        let prefix = client.again_prefix(front.flags.mute);
        let trouble = client.trouble_mut();
        if front.flags.repeatable {
            trouble.again.extend_from_slice(prefix);
            trouble.again.extend_from_slice(&bytes);
        } else {
            let at = trouble.again.len();
            trouble.canned.push(Canned { at, reply, mute: front.flags.mute });
        }
        self.client_progressed(client_key);
    }

    /// The command at the front is answered and popped: its reply becomes the client's.
    pub(crate) fn settle_reply(&mut self, key: Key, client_key: Key, front: Pending) {
        let Some(client) = self.clients.get_mut(client_key) else {
            return;
        };
        if front.flags.mute || front.flags.swallow {
            client.output.rollback();
        }
        if front.flags.swallow {
            return;
        }
        client.unanswered = client.unanswered.saturating_sub(1);
        client.behind_write |= front.flags.primary;
        if let Some(trouble) = client.trouble.as_deref_mut() {
            trouble.progressed(self.now);
        }
        if client.unanswered == 0 {
            client.trouble.take_if(|trouble| trouble.is_over());
            client.special.take_if(|special| special.is_trivial());
        }
        let micros = self.now.since(front.at).as_micros() as u64;
        record(&mut self.pools[client.pool].counts.latency, micros);
        self.commit(key, client_key);
        self.client_progressed(client_key);
    }

    /// What came over `key` is the client's for good.
    fn commit(&mut self, key: Key, client_key: Key) {
        let Some(client) = self.clients.get_mut(client_key) else {
            return;
        };
        client.output.commit();
        let unsent = client.output.unsent();
        self.touch_client(client_key);
        if unsent > STALL_ABOVE {
            self.stall(key, client_key);
        }
    }

    /// A client has fewer unanswered commands than before.
    pub(crate) fn client_progressed(&mut self, client_key: Key) {
        self.give_late(client_key);
        let Some(client) = self.clients.get_mut(client_key) else {
            return;
        };
        // What was taken back makes room as well as what was read.
        if client.parked == Parked::Output && client.output.unsent() < OUTPUT_FULL / 2 {
            self.queue(client_key);
        }
        let Some(client) = self.clients.get_mut(client_key).filter(|own| own.unanswered == 0)
        else {
            return;
        };
        client.note_pipelined();
        if client.trouble.is_some() {
            self.settle(client_key);
        }
        let Some(client) = self.clients.get(client_key) else {
            return;
        };
        let pinned = client.bound.is_some_and(|bound| bound.pinned);
        if pinned || client.parked == Parked::Answers || client.ended || self.draining {
            self.queue(client_key);
        }
    }

    fn take_back_tail(&mut self, client_key: Key, len: usize) {
        if let Some(client) = self.clients.get_mut(client_key) {
            client.output.truncate_tail(len);
        }
    }

    /// Takes the answered command off the queue and counts it.
    pub(crate) fn pop_front(&mut self, key: Key) -> Option<Pending> {
        let upstream = self.upstreams.get_mut(key)?;
        let front = upstream.queue.pop_front()?;
        upstream.unit_refused = false;
        upstream.requests.release(front.len as usize, &mut self.buffers);
        let micros = self.now.since(front.at).as_micros() as u64;
        let counts = &mut self.pools[upstream.pool].nodes[upstream.node].counts;
        counts.in_flight = counts.in_flight.saturating_sub(1);
        record(&mut counts.latency, micros);
        Some(front)
    }

    fn count_error(&mut self, key: Key) {
        if let Some(upstream) = self.upstreams.get(key) {
            self.pools[upstream.pool].nodes[upstream.node].counts.errors_total += 1;
        }
    }

    /// After a node's bytes: whoever waited for room may go on, and a lane that is not wanted any more is closed.
    fn after_replies(&mut self, key: Key) {
        let Some(upstream) = self.upstreams.get_mut(key) else {
            return;
        };
        if !upstream.waiters.is_empty() && upstream.has_room() && upstream.is_ready() {
            self.wake_waiters(key);
        }
        let Some(upstream) = self.upstreams.get(key) else {
            return;
        };
        if upstream.stalled.is_some_and(|stall| stall.read_on) {
            return self.read_on_for_others(key);
        }
        if upstream.retired && upstream.is_lane() && !upstream.is_awaited() {
            self.close_upstream(key);
        } else if upstream.retired && !upstream.is_lane() && !upstream.awaits_sent() {
            self.upstream_lost(key, &Cause::Demoted);
        }
    }

    pub(crate) fn set_lost_transaction(&mut self, client_key: Key) {
        let transaction = self.transaction_of(client_key);
        let watching = self
            .clients
            .get(client_key)
            .and_then(|client| client.special.as_ref())
            .is_some_and(|special| special.watching);
        if transaction.is_open() {
            self.set_transaction(client_key, Transaction::Lost);
        } else if watching {
            self.set_transaction(client_key, Transaction::WatchLost);
        }
    }
}

/// Counts a latency; one beyond the histogram's range (71 minutes) counts as the longest.
pub(crate) fn record(histogram: &mut histogram::Histogram, micros: u64) {
    let _ = histogram.increment(micros.min(u64::from(u32::MAX)));
}

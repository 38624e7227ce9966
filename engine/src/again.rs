//! Back to the front of the client's input: what is sent again, and the replies that stand between such commands.

use topology::ErrorKind;

use crate::Engine;
use crate::client::{Canned, Trouble};
use crate::slots::Key;
use crate::upstream::{Pending, PendingKind, Upstream};

impl Engine {
    /// The command is to be sent again, before everything that its client sent after it.
    pub(crate) fn again(
        &mut self,
        client_key: Key,
        pending: &Pending,
        bytes: &[u8],
        upstream: &Upstream,
    ) {
        self.pools[upstream.pool].counts.retries_total += 1;
        let now = self.now;
        let Some(client) = self.clients.get_mut(client_key) else {
            return;
        };
        let prefix = client.again_prefix(pending.flags.mute);
        let trouble = client.trouble_mut();
        trouble.since.get_or_insert(pending.at);
        trouble.again.extend_from_slice(prefix);
        let bytes = match pending.kind {
            PendingKind::Wait => {
                bytes.strip_prefix(b"*1\r\n$4\r\nPING\r\n".as_slice()).unwrap_or(bytes)
            }
            _ => bytes,
        };
        if pending.kind == PendingKind::Blocking {
            let mut scanner = resp::RequestScanner::new();
            let limits = &self.pools[upstream.pool].limits;
            if scanner.scan(bytes, limits).is_ok() {
                let call = session::Call::new(bytes, scanner.args());
                session::with_remaining(call, now.since(pending.at), &mut trouble.again);
            }
        } else if pending.kind == PendingKind::Subscribe && pending.replies < pending.replies_in_all
        {
            let mut scanner = resp::RequestScanner::new();
            let limits = &self.pools[upstream.pool].limits;
            if scanner.scan(bytes, limits).is_ok() {
                let call = session::Call::new(bytes, scanner.args());
                let confirmed = pending.replies_in_all - pending.replies;
                session::without_confirmed(call, confirmed, &mut trouble.again);
            }
        } else {
            trouble.again.extend_from_slice(bytes);
        }
    }

    pub(crate) fn canned_error(
        &mut self,
        client_key: Key,
        pending: &Pending,
        kind: ErrorKind,
        text: &str,
    ) {
        if let Some(client) = self.clients.get(client_key) {
            self.pools[client.pool].counts.errors_total[kind as usize] += 1;
        }
        let mut reply = Vec::new();
        if pending.kind == PendingKind::Unit {
            unit_replies(&mut reply, pending.replies_in_all, text);
        } else {
            resp::write_error(&mut reply, text);
        }
        self.canned(client_key, pending, reply);
    }

    /// The command is answered with this, when everything before it is answered.
    pub(crate) fn canned(&mut self, client_key: Key, pending: &Pending, reply: Vec<u8>) {
        if let Some(client) = self.clients.get_mut(client_key) {
            let trouble = client.trouble_mut();
            let at = trouble.again.len();
            trouble.canned.push(Canned { at, reply, mute: pending.flags.mute });
        }
    }

    /// All that was unanswered is decided: what is to be sent again goes before what waits in the input.
    pub(crate) fn settle(&mut self, client_key: Key) {
        let Some(client) = self.clients.get_mut(client_key) else {
            return;
        };
        debug_assert_eq!(client.unanswered, 0, "settled only when nothing is unanswered");
        let Some(trouble) = client.trouble.as_deref_mut() else {
            return;
        };
        trouble.collecting = false;
        let Trouble { again, canned, tail, ready, .. } = trouble;
        if again.is_empty() && canned.is_empty() && tail.is_empty() {
            return;
        }
        let mut input = std::mem::take(again);
        input.append(tail);
        for later in ready.iter_mut() {
            later.at += input.len();
        }
        canned.append(ready);
        std::mem::swap(canned, ready);
        trouble.expired = if trouble.expired > 0 { trouble.expired + input.len() } else { 0 };
        trouble.concerned += input.len();
        if client.behind_write || client.for_primary > 0 {
            client.for_primary += input.len();
        }
        input.extend_from_slice(&client.input);
        self.buffers.give(std::mem::replace(&mut client.input, input));
        client.partial = None;
        if client.bound.is_some_and(|bound| !bound.pinned) {
            client.bound = None;
        }
        self.queue(client_key);
    }

    /// Takes back from a lane what has not been sent.
    pub(crate) fn take_back_unsent(&mut self, key: Key) {
        let Some(upstream) = self.upstreams.get_mut(key) else {
            return;
        };
        let sent = if upstream.is_ready() { upstream.requests.sent_len() } else { 0 };
        let mut offset = 0;
        let first_unsent = upstream.queue.iter().position(|pending| {
            let unsent = offset >= sent;
            if !unsent {
                offset += pending.len as usize;
            }
            unsent
        });
        let Some(first_unsent) = first_unsent else {
            return;
        };
        let taken = upstream.queue.split_off(first_unsent);
        let cut = offset;
        let mut clients = Vec::new();
        for pending in &taken {
            let bytes = upstream.requests.slice(offset, pending.len as usize);
            offset += pending.len as usize;
            let Some(client) = pending.client.and_then(|client| self.clients.get_mut(client))
            else {
                continue;
            };
            client.unanswered = client.unanswered.saturating_sub(1);
            let prefix = client.again_prefix(pending.flags.mute);
            let trouble = client.trouble_mut();
            trouble.since.get_or_insert(pending.at);
            trouble.tail.extend_from_slice(prefix);
            trouble.tail.extend_from_slice(bytes);
            clients.extend(pending.client);
        }
        upstream.requests.truncate(cut);
        let node = &mut self.pools[upstream.pool].nodes[upstream.node];
        // Among what was taken back may be scripts that it was to be given.
        node.scripts.clear();
        let counts = &mut node.counts;
        counts.in_flight = counts.in_flight.saturating_sub(taken.len() as u64);
        for client in clients {
            self.client_progressed(client);
        }
    }

    /// Sends elsewhere what `wanted` clients have unanswered on this lane, if all of it may be sent twice; its late
    /// replies will be discarded.
    pub(crate) fn abandon(&mut self, key: Key, wanted: impl Fn(Key) -> bool) {
        let Some(upstream) = self.upstreams.get_mut(key) else {
            return;
        };
        let mut fixed: Vec<Key> = Vec::new();
        if let (true, Some(front)) = (upstream.value.streamed, upstream.queue.front()) {
            fixed.extend(front.client);
        }
        for pending in upstream.queue.iter().filter(|pending| !pending.flags.repeatable) {
            fixed.extend(pending.client);
        }
        let mut offset = 0;
        let mut clients = Vec::new();
        for (position, pending) in upstream.queue.iter_mut().enumerate() {
            let bytes = upstream.requests.slice(offset, pending.len as usize);
            offset += pending.len as usize;
            let Some(client_key) =
                pending.client.filter(|client| wanted(*client) && !fixed.contains(client))
            else {
                continue;
            };
            let Some(client) = self.clients.get_mut(client_key) else {
                continue;
            };
            pending.client = None;
            client.unanswered = client.unanswered.saturating_sub(1);
            if position == 0 {
                client.output.rollback();
            }
            let prefix = client.again_prefix(pending.flags.mute);
            let trouble = client.trouble_mut();
            trouble.since.get_or_insert(pending.at);
            trouble.again.extend_from_slice(prefix);
            trouble.again.extend_from_slice(bytes);
            self.pools[upstream.pool].counts.retries_total += 1;
            clients.push(client_key);
        }
        for client in clients {
            self.client_progressed(client);
        }
    }
}

/// The replies to a whole transaction that ended with `error`: as many as its client waits for.
pub(crate) fn unit_replies(out: &mut Vec<u8>, replies: u32, error: &str) {
    resp::write_simple(out, b"OK");
    for _ in 2..replies {
        resp::write_simple(out, b"QUEUED");
    }
    resp::write_error(out, error);
}

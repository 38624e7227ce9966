//! Connections to the nodes: opened, greeted, ready, closed.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use proxy_protocol::Addresses;
use resp::{ReplyScanner, Skip};
use session::{Standing, error, refusal};
use topology::{ErrorKind, Time};

use crate::Engine;
use crate::buffer::Requests;
use crate::conn::{Action, ConnId};
use crate::dispatch::NoWay;
use crate::recover::Cause;
use crate::reply::ERROR_MAX;
use crate::slots::Key;
use crate::upstream::{Phase, Sharing, Silence, Upstream, Value};

/// Connections that nobody has used for this long are closed.
pub(crate) const IDLE: Duration = Duration::from_secs(60);

/// Redis, `shared.slowscripterr` and `shared.slowevalerr`.
pub(crate) const BUSY: &[u8] = b"-BUSY ";

impl Engine {
    /// A lane to `node` for clients of this standing; it may still be connecting. Scripts have lanes of their own: one that
    /// takes long holds up nobody else, who learns from the node that it is busy.
    pub(crate) fn lane(
        &mut self,
        pool: usize,
        node: usize,
        standing: &Rc<Standing>,
        scripts: bool,
    ) -> Result<Key, NoWay> {
        let wanted = self.pools[pool].settings.upstream.connections.max(1);
        let mut found = 0;
        let mut best: Option<(bool, usize, Key)> = None;
        for (lane_standing, key) in &self.pools[pool].nodes[node].lanes {
            if !Rc::ptr_eq(lane_standing, standing) && lane_standing != standing {
                continue;
            }
            let Some(upstream) = self.upstreams.get(*key) else {
                continue;
            };
            if upstream.retired || upstream.stalled.is_some() || upstream.scripts != scripts {
                continue;
            }
            found += 1;
            let queued = upstream.queue.len();
            let held_up = scripts && upstream.is_held_up(self.now);
            if best.is_none_or(|(held, least, _)| (held_up, queued) < (held, least)) {
                best = Some((held_up, queued, *key));
            }
        }
        // Several shared connections are opened only when the ones there are have something to do.
        match best {
            Some((false, queued, key)) if found >= wanted || queued == 0 => return Ok(key),
            // Behind a script that takes long there is no answer. One more connection is enough to get one.
            Some((true, _, key)) if found > wanted => return Ok(key),
            _ => {}
        }
        let limits = &self.pools[pool].settings.limits;
        let full = self.pools[pool].nodes[node].lanes.len() >= limits.max_lanes;
        if full && !self.close_idle_lane(pool, node) {
            let limits = &self.pools[pool].settings.limits;
            if let Some((_, _, key)) = best {
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
        if let Some(upstream) = self.upstreams.get_mut(key) {
            upstream.scripts = scripts;
        }
        let node = &mut self.pools[pool].nodes[node];
        node.lanes.push((Rc::clone(standing), key));
        node.counts.lanes += 1;
        Ok(key)
    }

    /// Makes room for another lane; false: all of the node's have something to do.
    pub(crate) fn close_idle_lane(&mut self, pool: usize, node: usize) -> bool {
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
            scripts: false,
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
            node_client: None,
            asked_node_client: false,
            stream_begun: false,
        });
        let node = &mut self.pools[pool].nodes[node];
        node.connections.push(key);
        node.counts.connects_total += 1;
        let (address, server) = (node.address.clone(), Arc::clone(&node.server));
        let preface = self.preface(pool, sharing);
        let (conn, pool) = (ConnId::upstream(key), self.pools[pool].id);
        self.actions.push(Action::Connect { conn, address, preface, pool, server });
        self.arm_upstream(key, deadline);
        key
    }

    /// On whose behalf a connection is: a lane is many clients', and nobody's.
    fn preface(&self, pool: usize, sharing: Sharing) -> Box<[u8]> {
        let Some(version) = self.pools[pool].settings.upstream.proxy_protocol else {
            return Box::default();
        };
        let caller = match sharing {
            Sharing::Raw(owner) => self.clients.get(owner).map(|client| &client.caller),
            Sharing::Lane | Sharing::Pinned(_) | Sharing::Hub(_) | Sharing::Receiver(_) => None,
        };
        let addresses = caller.and_then(|caller| {
            Some(Addresses { source: caller.source()?, destination: caller.destination()? })
        });
        version.header(addresses).into()
    }

    pub(crate) fn upstream_connected(&mut self, key: Key) {
        let now = self.now;
        let Some(upstream) = self.upstreams.get_mut(key) else {
            return;
        };
        let mut bytes = Vec::new();
        let replies = match upstream.sharing {
            Sharing::Raw(_) => 0,
            Sharing::Receiver(_) => {
                let replies = upstream.standing.handshake(&mut bytes);
                resp::write_command(&mut bytes, &[b"CLIENT", b"ID"]);
                replies + 1
            }
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

    pub(crate) fn handshake_reply(&mut self, key: Key, data: &[u8]) -> usize {
        let Some(upstream) = self.upstreams.get_mut(key) else {
            return data.len();
        };
        let Phase::Handshake { bytes, sent, replies, reply, .. } = &mut upstream.phase else {
            self.upstream_lost(key, &Cause::Garbage("a reply before any command".to_owned()));
            return data.len();
        };
        let (len, complete) = match upstream.scanner.scan(data) {
            Ok(Skip::Complete(len)) => (len, true),
            Ok(Skip::Incomplete) => (data.len(), false),
            Err(error) => {
                self.upstream_lost(key, &Cause::Garbage(error.to_string()));
                return data.len();
            }
        };
        reply.extend_from_slice(&data[..len.min(ERROR_MAX.saturating_sub(reply.len()))]);
        if !complete {
            return len;
        }
        let reply = std::mem::take(reply);
        // A push answers nothing.
        if reply.first() == Some(&b'>') {
            return len;
        }
        *replies = replies.saturating_sub(1);
        let done = *replies == 0;
        if done && *sent < bytes.len() {
            let cause = Cause::Garbage("a reply before its command".to_owned());
            self.upstream_lost(key, &cause);
            return data.len();
        }
        let (pool, node) = (upstream.pool, upstream.node);
        if reply.first() == Some(&b'-') {
            // A replica that is busy with a script refuses SELECT, not the client; the primary's word is passed on.
            let busy = reply.starts_with(BUSY) && self.pools[pool].primary != Some(node);
            let cause = if busy || refusal(&reply).is_some() {
                Cause::Refusal
            } else {
                Cause::Handshake(reply)
            };
            self.upstream_lost(key, &cause);
            return data.len();
        }
        if done {
            if let Sharing::Receiver(_) = upstream.sharing {
                upstream.node_client = client_id(&reply);
            }
            self.upstream_ready(key);
        }
        len
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
                    upstream.pass_through(sent);
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

    /// Closes a connection that owes nobody an answer. Who waited for room on it looks for another.
    pub(crate) fn close_upstream(&mut self, key: Key) {
        self.wake_waiters(key);
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
            Sharing::Hub(_) => node.counts.pinned = node.counts.pinned.saturating_sub(1),
            Sharing::Raw(_) | Sharing::Receiver(_) => {
                node.counts.pinned = node.counts.pinned.saturating_sub(1);
                pool.counts.pinned = pool.counts.pinned.saturating_sub(1);
            }
        }
        Some(upstream)
    }
}

/// The answer to CLIENT ID.
pub(crate) fn client_id(reply: &[u8]) -> Option<u64> {
    let digits = reply.trim_ascii().strip_prefix(b":")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

//! `tcp` listeners: bytes passed through to one node per client.

use config::{Mode, TcpRole};
use session::Target;

use crate::Engine;
use crate::choice::Wish;
use crate::client::{Bound, INPUT_FULL, Parked};
use crate::conn::{Action, ConnId};
use crate::slots::Key;
use crate::stall::STALL_ABOVE;
use crate::upstream::{LANE_FULL, Sharing, Stall};

impl Engine {
    /// Finds the client its node, or reads on from it when the node has room again.
    pub(crate) fn raw_go_on(&mut self, key: Key) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        client.parked = Parked::No;
        self.unhold(key);
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        if client.bound.is_none() && !self.raw_connect(key) {
            return;
        }
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let input = std::mem::take(&mut client.input);
        if client.paused {
            client.paused = false;
            self.actions.push(Action::Resume(ConnId::client(key)));
        }
        if !input.is_empty() {
            self.raw_from_client(key, &input);
        }
        self.buffers.give(input);
    }

    /// False: there is no node now; the client waits, or its time is up and it is closed.
    fn raw_connect(&mut self, key: Key) -> bool {
        let Some(client) = self.clients.get(key) else {
            return false;
        };
        let target = match client.mode {
            Mode::Tcp(TcpRole::Replica) => Target::Reads,
            _ => Target::Primary,
        };
        let expired = client.trouble.as_ref().is_some_and(|trouble| trouble.expired > 0);
        let (pool, standing) = (client.pool, std::rc::Rc::clone(&client.talk.standing));
        let wish = Wish { target, standing: &standing, key: None, avoid: None, now: self.now };
        let full = self.pools[pool].counts.pinned >= self.pools[pool].max_pinned as u64;
        let Some(node) = self.pools[pool].choose(&wish).filter(|_| !full) else {
            if expired || full {
                self.finish(key);
            } else {
                self.hold(key);
            }
            return false;
        };
        let upstream = self.open(pool, node, &standing, Sharing::Raw(key));
        self.pools[pool].counts.pinned += 1;
        self.pools[pool].nodes[node].counts.pinned += 1;
        if let Some(client) = self.clients.get_mut(key) {
            client.trouble = None;
            client.bound = Some(Bound { upstream, target, pinned: true });
        }
        true
    }

    pub(crate) fn raw_from_client(&mut self, key: Key, data: &[u8]) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let upstream_key = client.bound.map(|bound| bound.upstream);
        let Some(upstream) = upstream_key.and_then(|upstream| self.upstreams.get_mut(upstream))
        else {
            client.input.extend_from_slice(data);
            if client.input.len() > INPUT_FULL && !client.paused {
                client.paused = true;
                self.actions.push(Action::Pause(ConnId::client(key)));
            }
            return;
        };
        upstream.requests.append(data, &mut self.buffers);
        if upstream.requests.unsent().len() > LANE_FULL && !client.paused {
            client.paused = true;
            upstream.waiters.push(key);
            self.actions.push(Action::Pause(ConnId::client(key)));
        }
        if let Some(upstream_key) = upstream_key {
            self.touch_upstream(upstream_key);
        }
    }

    pub(crate) fn raw_from_node(&mut self, key: Key, owner: Key, data: &[u8]) {
        let now = self.now;
        let Some(client) = self.clients.get_mut(owner) else {
            return self.close_upstream(key);
        };
        client.output.append(data, &mut self.buffers);
        client.output.commit();
        if client.output.unsent() > STALL_ABOVE
            && let Some(upstream) = self.upstreams.get_mut(key)
            && upstream.stalled.is_none()
        {
            upstream.stalled =
                Some(Stall { client: owner, since: now, moved: true, read_on: false });
            client.special_mut().stalls = Some(key);
            self.actions.push(Action::Pause(ConnId::upstream(key)));
        }
        self.touch_client(owner);
    }
}

//! Commands for which there is no node now wait in their client's input, up to `hold`.

use std::time::Duration;

use config::Mode;
use resp::Scan;
use topology::Sighting;

use crate::Engine;
use crate::client::{HoldLimit, Parked, State};
use crate::conn::{Action, ConnId};
use crate::slots::Key;
use crate::upstream::PendingKind;

/// While commands are held, the control plane is reminded of suspected nodes at this interval.
pub(crate) const REMIND: Duration = Duration::from_millis(100);
/// An error or a QUIT is followed by FIN; for this long the client may take to close.
const LINGER: Duration = Duration::from_secs(1);

impl Engine {
    /// The client's next command waits for a node.
    pub(crate) fn hold(&mut self, key: Key) {
        let now = self.now;
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        client.parked = Parked::Hold;
        let pool = &mut self.pools[client.pool];
        let trouble = client.trouble_mut();
        trouble.since.get_or_insert(now);
        // A client that is looked at again, in vain, is still held for the first time.
        pool.counts.held_total += u64::from(trouble.held_since.is_none());
        let since = *trouble.held_since.get_or_insert(now);
        if !std::mem::replace(&mut trouble.held, true) {
            pool.counts.held += 1;
        }
        let until = since + pool.settings.timeouts.hold;
        self.arm_client(key, until.min(now + REMIND));
        self.await_snapshot(key);
    }

    /// The client goes on when there is a new Snapshot.
    pub(crate) fn await_snapshot(&mut self, key: Key) {
        if let Some(client) = self.clients.get_mut(key)
            && !std::mem::replace(&mut client.listed, true)
        {
            self.pools[client.pool].held.push(key);
        }
    }

    /// The client goes on, or is gone.
    pub(crate) fn unhold(&mut self, key: Key) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let pool = &mut self.pools[client.pool];
        if let Some(trouble) = client.trouble.as_deref_mut()
            && std::mem::take(&mut trouble.held)
        {
            pool.counts.held = pool.counts.held.saturating_sub(1);
            let bytes = std::mem::take(&mut trouble.held_bytes) as u64;
            pool.counts.held_bytes = pool.counts.held_bytes.saturating_sub(bytes);
            let requests = std::mem::take(&mut trouble.held_requests);
            pool.counts.held_requests = pool.counts.held_requests.saturating_sub(requests);
            trouble.held_until = 0;
        }
    }

    /// Keeps count of what a held client has waiting; above `hold_bytes` or `hold_requests` it waits no longer.
    pub(crate) fn count_held(&mut self, key: Key) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let pool = &mut self.pools[client.pool];
        let len = client.input.len();
        let Some(trouble) = client.trouble.as_deref_mut().filter(|trouble| trouble.held) else {
            return;
        };
        pool.counts.held_bytes =
            (pool.counts.held_bytes + len as u64).saturating_sub(trouble.held_bytes as u64);
        trouble.held_bytes = len;
        // What waits is only added to as long as it waits: each request is looked at once.
        self.ahead.reset();
        while let Some(rest) =
            client.input.get(trouble.held_until..).filter(|rest| !rest.is_empty())
            && let Ok(Scan::Complete { len, .. }) = self.ahead.scan(rest, &pool.limits)
        {
            trouble.held_until += len;
            trouble.held_requests += 1;
            pool.counts.held_requests += 1;
        }
        let over = if pool.counts.held_bytes > pool.hold_bytes {
            Some(HoldLimit::Bytes)
        } else if pool.counts.held_requests > pool.hold_requests {
            Some(HoldLimit::Requests)
        } else {
            None
        };
        if over.is_some() && trouble.expired == 0 {
            trouble.expired = len;
            trouble.over_limit = over;
            trouble.held_since = None;
            self.queue(key);
        }
    }

    pub(crate) fn client_timer(&mut self, key: Key) {
        let now = self.now;
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        client.armed = topology::Time::MAX;
        if let State::Lingering { until } = client.state {
            if now >= until {
                return self.close_client(key);
            }
            return self.arm_client(key, until);
        }
        let pool = client.pool;
        let timeouts = &self.pools[pool].settings.timeouts;
        let (hold, idle) = (timeouts.hold, timeouts.client_idle);
        if client.parked == Parked::Hold {
            let waiting = client.input.len();
            let trouble = client.trouble_mut();
            let until = trouble.held_since.unwrap_or(now) + hold;
            if now >= until {
                trouble.held_since = None;
                trouble.over_limit = None;
                trouble.expired = waiting.max(1);
                return self.queue(key);
            }
            self.remind(pool);
            return self.arm_client(key, until.min(now + REMIND));
        }
        if client.is_orphaned() || client.parked == Parked::Peers {
            return self.queue(key);
        }
        // A leg is idle as long as its client has nothing for it.
        if !idle.is_zero() && !client.is_leg() {
            let at = client.last_input.max(client.last_output) + idle;
            let waits = client.unanswered > 0 || client.parked == Parked::Pause;
            if now >= at && !waits && !client.is_subscribed() {
                return self.close_client(key);
            }
            self.arm_client(key, at.max(now + REMIND));
        }
    }

    /// Evidence may have been dropped on its way; without an answer to it, a suspected node would stay unused.
    fn remind(&mut self, pool: usize) {
        for node in 0..self.pools[pool].nodes.len() {
            let state = &mut self.pools[pool].nodes[node];
            if state.suspect.is_some_and(|since| self.now.since(since) >= REMIND) && !state.gone {
                state.suspect = Some(self.now);
                self.evidence(pool, node, Sighting::Silent);
            }
        }
    }

    /// The client is answered and told to go.
    pub(crate) fn finish(&mut self, key: Key) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        client.state = State::Closing;
        self.buffers.give(std::mem::take(&mut client.input));
        let is_answered = client.unanswered == 0;
        let is_drained = client.output.unsent() == 0;
        if is_answered {
            // It may linger here; for the node it has gone.
            self.drop_pin(key);
            self.drop_legs(key);
        }
        if is_drained {
            self.client_drained(key);
        }
    }

    /// The client has sent its last byte.
    pub(crate) fn client_ended(&mut self, key: Key) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        client.ended = true;
        for leg in self.legs_of(key) {
            if let Some(leg) = self.clients.get_mut(leg) {
                leg.ended = true;
            }
        }
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let raw = matches!(client.mode, Mode::Tcp(_));
        let pinned = client.bound.filter(|bound| bound.pinned);
        let queue =
            pinned.and_then(|bound| self.upstreams.get(bound.upstream)).map(|own| &own.queue);
        // As on a server: an element must not go to someone who is likely to have gone. Half a request is none.
        let blocked = queue
            .is_some_and(|queue| queue.iter().any(|pending| pending.kind == PendingKind::Blocking));
        let streaming =
            client.is_streaming() || client.front().is_some_and(|own| own.streaming.is_some());
        let blocked =
            blocked || self.clients.get(key).is_some_and(|own| self.front_is_blocked(own));
        if raw || blocked || streaming {
            return self.close_client(key);
        }
        self.close_if_served(key);
    }

    /// Closes a client that will send nothing more once it has all that it is owed.
    pub(crate) fn close_if_served(&mut self, key: Key) {
        let served = self.clients.get(key).is_some_and(|client| {
            let waits = client.state == State::Open && client.parked != Parked::No;
            !client.is_leg()
                && client.ended
                && client.unanswered == 0
                && client.output.unsent() == 0
                && !waits
        });
        if served {
            self.close_client(key);
        }
    }

    /// Everything written to the client has left.
    pub(crate) fn client_drained(&mut self, key: Key) {
        let Some(client) = self.clients.get_mut(key).filter(|client| !client.is_leg()) else {
            return;
        };
        if client.ended {
            self.close_if_served(key);
        } else if client.state == State::Closing {
            // Closing at once could destroy the last reply on its way, if the client is still sending.
            let until = self.now + LINGER;
            client.state = State::Lingering { until };
            self.actions.push(Action::ShutdownWrite(ConnId::client(key)));
            self.arm_client(key, until);
        } else if self.draining {
            self.close_if_idle(key);
        }
    }

    /// A client's connection is gone.
    pub(crate) fn client_closed(&mut self, key: Key) {
        self.drop_legs(key);
        self.forget_client(key);
    }

    pub(crate) fn forget_client(&mut self, key: Key) {
        self.unhold(key);
        self.unstall(key);
        self.leave_hub(key);
        let Some(client) = self.clients.remove(key) else {
            return;
        };
        let pool = &mut self.pools[client.pool];
        if client.is_leg() {
            self.legs -= 1;
        } else {
            pool.counts.clients = pool.counts.clients.saturating_sub(1);
        }
        if let Some(bound) = client.bound.filter(|bound| bound.pinned) {
            // Blocked, watching, subscribed or in a transaction: the node must forget that at once, lest it pop an
            // element for someone who has gone.
            self.close_upstream(bound.upstream);
        }
        if let Some(receiver) = client.special.and_then(|special| special.receiver) {
            self.close_upstream(receiver.upstream);
        }
        self.buffers.give(client.input);
        client.output.free(&mut self.buffers);
    }
}

//! A client that does not read its replies: its lane stops, others are served elsewhere, and at last it is closed.

use std::time::Duration;

use crate::Engine;
use crate::client::{OUTPUT_FULL, Parked, State};
use crate::conn::{Action, ConnId};
use crate::front::Side;
use crate::slots::Key;
use crate::upstream::Stall;

/// Unread replies of one client that stop the lane which answers it.
pub(crate) const STALL_ABOVE: usize = 1024 * 1024;
/// How long a reply may block its lane before what waits behind it is sent elsewhere.
pub(crate) const STALL_PATIENCE: Duration = Duration::from_millis(100);

impl Engine {
    /// The reply at the front cannot be handed over because its client does not read: its lane stops.
    pub(crate) fn stall(&mut self, key: Key, client_key: Key) {
        let subscribed = self.clients.get(client_key).is_some_and(|client| {
            client
                .special
                .as_ref()
                .is_some_and(|special| !special.subscriptions.is_empty() || special.monitoring)
        });
        let limit = self
            .clients
            .get(client_key)
            .map_or(u64::MAX, |client| self.pools[client.pool].settings.limits.client_output);
        let unsent = self.clients.get(client_key).map_or(0, |client| client.output.unsent());
        if unsent as u64 > limit {
            return self.close_slow(client_key);
        }
        // Messages come whether they are read or not: a slow subscriber ends by its limit alone.
        if subscribed {
            return;
        }
        let now = self.now;
        let Some(upstream) = self.upstreams.get_mut(key) else {
            return;
        };
        if upstream.stalled.is_none() {
            upstream.stalled =
                Some(Stall { client: client_key, since: now, moved: false, read_on: false });
            self.actions.push(Action::Pause(ConnId::upstream(key)));
            let patience = STALL_PATIENCE.saturating_sub(upstream.stalled_before);
            self.arm_upstream(key, now + patience);
            if let Some(client) = self.clients.get_mut(client_key) {
                client.special_mut().stalls = Some(key);
            }
        }
    }

    /// A reply that its client does not read: others are served elsewhere, and at last the client is closed.
    pub(crate) fn stalled(&mut self, key: Key) {
        let now = self.now;
        let Some(upstream) = self.upstreams.get_mut(key) else {
            return;
        };
        let Some(stall) = upstream.stalled.as_mut() else {
            return;
        };
        let client_key = stall.client;
        let patience = self.pools[upstream.pool].settings.timeouts.request;
        if !stall.moved && now.since(stall.since) + upstream.stalled_before >= STALL_PATIENCE {
            stall.moved = true;
            self.abandon(key, |client| client != client_key);
            self.wake_waiters(key);
            return self.read_on_for_others(key);
        }
        let others = upstream
            .queue
            .iter()
            .filter(|pending| pending.client.is_some_and(|other| other != client_key));
        let stuck = self
            .clients
            .get(client_key)
            .is_none_or(|client| now.since(client.last_output) >= patience);
        // Nobody's command expires because another does not read.
        if others.map(|pending| pending.due).min().is_some_and(|due| stuck || due <= now) {
            self.close_slow(client_key);
        }
    }

    /// A lane that its slow client has stopped is read while others have commands on it that cannot be sent elsewhere.
    pub(crate) fn read_on_for_others(&mut self, key: Key) {
        let Some(upstream) = self.upstreams.get_mut(key) else {
            return;
        };
        let Some(stall) = upstream.stalled.as_mut() else {
            return;
        };
        let slow = stall.client;
        let others = upstream
            .queue
            .iter()
            .any(|pending| pending.client.is_some_and(|client| client != slow));
        if others != std::mem::replace(&mut stall.read_on, others) {
            let conn = ConnId::upstream(key);
            self.actions.push(if others { Action::Resume(conn) } else { Action::Pause(conn) });
        }
    }

    /// The client reads again: so may its lane.
    pub(crate) fn unstall(&mut self, client_key: Key) {
        let lane = self
            .clients
            .get_mut(client_key)
            .and_then(|client| client.special.as_mut())
            .and_then(|special| special.stalls.take());
        let Some(lane) = lane else {
            return;
        };
        let Some(upstream) = self.upstreams.get_mut(lane) else {
            return;
        };
        if let Some(stall) = upstream.stalled.take() {
            // The time in which it was not read is nobody's silence.
            let unread = self.now.since(stall.since);
            for pending in &mut upstream.queue {
                pending.due = pending.due + unread;
            }
            let more = upstream.queue.iter().any(|pending| pending.client == Some(client_key));
            upstream.stalled_before =
                if more { upstream.stalled_before + unread } else { Duration::ZERO };
        }
        let (pool, node) = (upstream.pool, upstream.node);
        let (standing, scripts) = (std::rc::Rc::clone(&upstream.standing), upstream.scripts);
        self.actions.push(Action::Resume(ConnId::upstream(lane)));
        // Others have been given a fresh lane meanwhile: this one ends when it is empty.
        let replaced = self.pools[pool].nodes[node]
            .lanes
            .iter()
            .filter(|(own, other)| *own == standing && *other != lane)
            .filter(|(_, other)| self.upstreams.get(*other).is_some_and(|o| o.scripts == scripts))
            .count()
            >= self.pools[pool].settings.upstream.connections;
        if let Some(upstream) = self.upstreams.get_mut(lane)
            && upstream.is_lane()
        {
            upstream.retired |= replaced;
        }
    }

    pub(crate) fn close_slow(&mut self, client_key: Key) {
        if let Some(client) = self.clients.get(client_key) {
            self.pools[client.pool].counts.clients_slow_closed_total += 1;
            self.close_client(client_key);
        }
    }

    pub(crate) fn client_written(&mut self, key: Key, count: usize) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let is_front = match &mut client.side {
            Side::Whole => false,
            Side::Front(_) => true,
            Side::Leg(part) => {
                part.handed_over(count);
                false
            }
        };
        client.output.advance(count, &mut self.buffers);
        client.window.take(count);
        client.last_output = self.now;
        self.pools[client.pool].counts.client_bytes_out_total += count as u64;
        let unsent = client.output.unsent();
        let may_stall = client.special.is_some();
        let may_end = client.ended || client.state != State::Open || self.draining;
        // What its legs have, owed or unasked, waits for room as well.
        let has_room_again = is_front && unsent + count >= OUTPUT_FULL / 2;
        if (client.parked == Parked::Output || has_room_again) && unsent < OUTPUT_FULL / 2 {
            self.queue(key);
        }
        if may_stall && unsent < STALL_ABOVE / 4 {
            self.unstall(key);
        }
        if may_end && unsent == 0 {
            self.client_drained(key);
        }
    }
}

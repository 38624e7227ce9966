//! What must hold between two turns. For tests: the simulator asks after every turn.

use std::collections::HashMap;
use std::time::Duration;

use crate::Engine;
use crate::client::{Client, INPUT_FULL, OUTPUT_FULL, Parked, State};
use crate::conn::ConnId;
use crate::front::{Front, Owing, Side};
use crate::input::STREAM_ABOVE;
use crate::slots::Key;
use crate::stall::STALL_ABOVE;
use crate::upstream::{Pending, Sharing, Upstream};

/// Bytes that may come in one turn before a limit is looked at again.
const SLACK: usize = 256 * 1024;

impl Engine {
    /// # Panics
    ///
    /// If the engine contradicts itself.
    #[doc(hidden)]
    pub fn check(&self) {
        let mut owed: HashMap<Key, (u32, Key)> = HashMap::new();
        for key in self.upstreams.keys() {
            if let Some(upstream) = self.upstreams.get(key) {
                self.check_upstream(key, upstream, &mut owed);
            }
        }
        for key in self.clients.keys() {
            if let Some(client) = self.clients.get(key) {
                self.check_client(key, client, owed.remove(&key));
            }
        }
        self.check_gauges();
        assert!(self.ready.is_empty(), "clients are left to go on with");
    }

    /// Is it a connection to a node that many clients share?
    #[doc(hidden)]
    pub fn is_lane(&self, conn: ConnId) -> bool {
        conn.is_upstream() && self.upstreams.get(conn.key()).is_some_and(Upstream::is_lane)
    }

    /// Does the connection carry the bytes of a `tcp` listener's client, whatever they are?
    #[doc(hidden)]
    pub fn is_raw(&self, conn: ConnId) -> bool {
        let upstream = self.upstreams.get(conn.key()).filter(|_| conn.is_upstream());
        upstream.is_some_and(|upstream| matches!(upstream.sharing, Sharing::Raw(_)))
    }

    fn check_upstream(&self, key: Key, upstream: &Upstream, owed: &mut HashMap<Key, (u32, Key)>) {
        let node = &self.pools[upstream.pool].nodes[upstream.node];
        assert!(node.connections.contains(&key), "{key:?} is not in its node's list");
        let lane = node.lanes.iter().any(|(_, other)| *other == key);
        let spare = node.spare.iter().any(|(_, other)| *other == key);
        assert_eq!(lane, upstream.is_lane(), "{key:?} is in the list of lanes");
        assert_eq!(spare, upstream.sharing == Sharing::Pinned(None), "{key:?} is a spare one");
        if let Some(owner) = upstream.owner() {
            let client = self.clients.get(owner);
            let bound = client.and_then(|client| client.bound);
            let special = client.and_then(|client| client.special.as_ref());
            let receiver = special.and_then(|special| special.receiver.as_ref());
            let receives = receiver.is_some_and(|receiver| receiver.upstream == key);
            assert_eq!(receives, upstream.sharing == Sharing::Receiver(owner), "{key:?} receives");
            assert!(
                receives || bound.is_some_and(|bound| bound.pinned && bound.upstream == key),
                "{key:?} belongs to {owner:?}, which has {bound:?}"
            );
        }
        let mut kept = 0;
        for pending in &upstream.queue {
            kept += pending.len as usize;
            assert!(pending.replies > 0, "{key:?} waits for no reply: {pending:?}");
            if let Some(client) = counted(pending) {
                let entry = owed.entry(client).or_insert((0, key));
                entry.0 += 1;
                assert_eq!(entry.1, key, "{client:?} has commands on two connections");
            }
        }
        let streams = matches!(upstream.sharing, Sharing::Raw(_) | Sharing::Hub(_))
            || upstream.queue.iter().any(|pending| pending.kind.is_streamed());
        assert!(
            streams || upstream.requests.len() == kept,
            "{key:?} keeps {} bytes for {kept} bytes of commands",
            upstream.requests.len()
        );
        let due = upstream.queue.iter().filter(|p| p.client.is_some()).map(|p| p.due).min();
        if let Some(due) = due.filter(|_| upstream.is_ready() && upstream.stalled.is_none()) {
            // It sleeps a millisecond at least, also where it was stalled when that was due.
            let latest = due.max(self.now) + Duration::from_millis(1);
            assert!(upstream.armed <= latest, "{key:?} sleeps beyond {due:?}");
        }
        if let Some(stall) = upstream.stalled {
            let stalls = self.clients.get(stall.client).and_then(|c| c.special.as_ref()?.stalls);
            assert_eq!(stalls, Some(key), "{key:?} waits for a client that does not know");
        }
    }

    /// What a client of several shards is owed; how many replies.
    fn check_front(&self, key: Key, client: &Client, front: &Front) -> u32 {
        let legs = || front.legs.iter().flatten().filter_map(|leg| self.clients.get(leg.key));
        for leg in front.legs.iter().flatten() {
            let own = self.clients.get(leg.key);
            let back =
                own.is_some_and(|own| matches!(&own.side, Side::Leg(part) if part.front == key));
            assert!(back, "{key:?} has a leg that belongs to another");
        }
        let is_full = legs().any(|leg| leg.input.len() >= INPUT_FULL);
        assert!(!front.full || is_full, "{key:?} waits for a leg that has taken everything in");
        let has_room = client.output.unsent() <= OUTPUT_FULL;
        if front.amid.is_none() && has_room && client.state == State::Open {
            let first = front.owed.front().map(|owed| &owed.owing);
            assert!(!matches!(first, Some(Owing::Ours(_))), "{key:?} is owed what is there");
            let place = match first {
                Some(Owing::Reply(place) | Owing::Nothing(place)) => Some(*place),
                _ => None,
            };
            let ours = matches!(front.owed.front().map(|owed| &owed.owing), Some(Owing::Ours(_)));
            assert!(!ours, "{key:?} is owed what is there");
            let leg = place.and_then(|place| front.legs.get(place)?.as_ref());
            let waiting = leg.map_or(0, |leg| self.output(ConnId::client(leg.key)).len());
            assert_eq!(waiting, 0, "{key:?} is owed what its leg has");
        }
        u32::try_from(front.owed.len()).unwrap_or(u32::MAX)
    }

    fn check_client(&self, key: Key, client: &Client, owed: Option<(u32, Key)>) {
        let mut unanswered = owed.map_or(0, |(count, _)| count);
        if let Some(front) = client.front() {
            assert_eq!(unanswered, 0, "{key:?} has commands that only its legs may have");
            unanswered = self.check_front(key, client, front);
        }
        assert_eq!(client.unanswered, unanswered, "{key:?}: unanswered commands");
        if let Some((_, upstream)) = owed {
            let bound = client.bound.map(|bound| bound.upstream);
            assert_eq!(bound, Some(upstream), "{key:?} has commands elsewhere than it is bound to");
        }
        if let Some(bound) = client.bound.filter(|bound| bound.pinned) {
            let owner = self.upstreams.get(bound.upstream).and_then(Upstream::owner);
            assert_eq!(owner, Some(key), "{key:?} holds a pinned connection that is not its own");
        }
        let held = client.trouble.as_ref().is_some_and(|trouble| trouble.held);
        match client.parked {
            _ if client.state != State::Open => {}
            Parked::No => {
                let ready = client.trouble.as_ref().map_or(0, |trouble| trouble.ready.len());
                assert!(
                    ready == 0 || client.queued,
                    "{key:?} is owed {ready} replies for ever: {client:?}"
                );
            }
            Parked::Answers => assert!(
                unanswered > 0
                    || self.is_amid_message(key)
                    || client.queued
                    || client.front().is_some_and(|front| front.full || front.amid.is_some()),
                "{key:?} waits for answers that nobody owes: {:?} {:?}",
                client.trouble,
                client.special
            ),
            Parked::Output => {
                assert!(client.output.unsent() >= OUTPUT_FULL / 2, "{key:?} waits for room it has");
            }
            Parked::Hold => {
                assert!(held && client.listed, "{key:?} is held and not listed");
                assert!(client.armed != topology::Time::MAX, "{key:?} is held for ever");
            }
            Parked::Confirmation => {
                let hubs = self.pools[client.pool].hubs.iter();
                let waits =
                    hubs.flat_map(|hub| hub.topics.values()).any(|own| own.waiting.contains(&key));
                assert!(
                    waits || client.queued,
                    "{key:?} waits for a channel that nobody asked for"
                );
            }
            Parked::Peers => {
                let asks = client.special.as_ref().is_some_and(|own| own.inquiry.is_some());
                assert!(asks || client.queued, "{key:?} waits for others and has asked nothing");
            }
            Parked::Pause => assert!(client.listed || client.queued, "{key:?} is paused for ever"),
            Parked::Upstream => {
                let awaited = |upstream: &Upstream| upstream.waiters.contains(&key);
                let mut upstreams = self.upstreams.keys().filter_map(|key| self.upstreams.get(key));
                assert!(
                    upstreams.any(awaited),
                    "{key:?} waits for a connection that does not know"
                );
            }
        }
        let limit = self.pools[client.pool].settings.limits.client_output as usize;
        let most = limit.max(STALL_ABOVE) + STREAM_ABOVE as usize + SLACK;
        let unsent = client.output.unsent();
        assert!(unsent <= most, "{key:?} has {unsent} bytes of unread replies");
    }

    fn check_hubs(&self, index: usize) {
        for (place, hub) in self.pools[index].hubs.iter().enumerate() {
            let mut members = 0;
            for client in self.clients.keys().filter_map(|key| self.clients.get(key)) {
                let special = client.special.as_ref().filter(|own| own.hub == Some(place));
                members += u64::from(client.pool == index && special.is_some());
            }
            assert_eq!(hub.members, members, "clients that share a connection");
            let is_asked_for = !hub.misses() || self.pools[index].awaits_hubs;
            assert!(is_asked_for, "a channel that is wanted, and that nobody asks for");
            if let Some(upstream) = hub.upstream {
                let sharing = self.upstreams.get(upstream).map(|own| own.sharing);
                assert_eq!(sharing, Some(Sharing::Hub(place)), "a shared connection");
            }
            for ((space, name), topic) in &hub.topics {
                for key in &topic.members {
                    let special = self.clients.get(*key).and_then(|own| own.special.as_ref());
                    let listens = special.is_some_and(|own| {
                        own.subscriptions.names(*space).any(|own| *own == **name)
                    });
                    assert!(listens, "{key:?} gets messages that it does not want");
                }
            }
        }
    }

    fn check_gauges(&self) {
        for (index, pool) in self.pools.iter().enumerate() {
            let clients = self.clients.keys().filter_map(|key| self.clients.get(key));
            let clients: Vec<&Client> = clients.filter(|client| client.pool == index).collect();
            let own = clients.iter().filter(|client| !client.is_leg()).count();
            assert_eq!(pool.counts.clients, own as u64, "gauge of clients");
            let held: Vec<_> = clients
                .iter()
                .filter_map(|client| client.trouble.as_ref())
                .filter(|trouble| trouble.held)
                .collect();
            assert_eq!(pool.counts.held, held.len() as u64, "gauge of held clients");
            let bytes: u64 = held.iter().map(|trouble| trouble.held_bytes as u64).sum();
            assert_eq!(pool.counts.held_bytes, bytes, "gauge of held bytes");
            let requests: u64 = held.iter().map(|trouble| trouble.held_requests).sum();
            assert_eq!(pool.counts.held_requests, requests, "gauge of held commands");
            let mut pinned_in_use = 0;
            for node in &pool.nodes {
                let upstreams = node.connections.iter().filter_map(|key| self.upstreams.get(*key));
                let upstreams: Vec<&Upstream> = upstreams.collect();
                assert_eq!(upstreams.len(), node.connections.len(), "connections that are gone");
                let in_flight: usize = upstreams.iter().map(|upstream| upstream.queue.len()).sum();
                assert_eq!(node.counts.in_flight, in_flight as u64, "gauge of unanswered commands");
                let lanes = upstreams.iter().filter(|upstream| upstream.is_lane()).count();
                assert_eq!(node.counts.lanes, lanes as u64, "gauge of lanes");
                let pinned = upstreams.len() - lanes;
                assert_eq!(node.counts.pinned, pinned as u64, "gauge of pinned connections");
                pinned_in_use += upstreams.iter().filter(|own| own.owner().is_some()).count();
            }
            assert_eq!(pool.counts.pinned, pinned_in_use as u64, "gauge of pinned clients");
            self.check_hubs(index);
        }
    }
}

/// The client that waits for this command.
fn counted(pending: &Pending) -> Option<Key> {
    pending.client.filter(|_| !pending.flags.swallow)
}

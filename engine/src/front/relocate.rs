//! Shards are left out or are back, or routes have changed: what a client has set up on its shards is set up where its keys and
//! channels are now.

use std::collections::BTreeMap;

use commands::SubscribeKind;
use resp::Protocol;
use session::{Space, Tracking};

use crate::Engine;
use crate::client::{Client, State};
use crate::front::{Confirming, Front, Owed, Owing};
use crate::slots::Key;

/// Keys of other shards may be cached that are nobody's business there: in Redis' words (tracking.c `trackingInvalidateKeysOnFlush`).
const ALL_INVALID: &[u8] = b">2\r\n$10\r\ninvalidate\r\n_\r\n";

const TRACKING_OFF: &[u8] = b"*3\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$3\r\nOFF\r\n";

/// Names of channels, or patterns, by the places that are to be told of them.
type Named = BTreeMap<usize, Vec<Box<[u8]>>>;

impl Engine {
    /// Sees to all clients of a pool.
    pub(crate) fn relocate_all(&mut self, pool: usize) {
        let concerned = |key: &Key| {
            self.clients.get(*key).is_some_and(|client| {
                client.pool == pool
                    && client.front().is_some_and(|front| {
                        // What is owed may be a confirmation of something that is set up where it belonged until now.
                        client.is_subscribed()
                            || self.tracking_of(front).is_some()
                            || !front.owed.is_empty()
                            || front.streaming.is_some()
                    })
            })
        };
        let keys: Vec<Key> = self.clients.keys().filter(concerned).collect();
        for key in keys {
            self.relocate(key);
        }
    }

    /// Sees again to those to whom a shard refused something: it may have had no primary.
    pub(crate) fn relocate_refused(&mut self) {
        for key in std::mem::take(&mut self.refused) {
            self.relocate(key);
        }
    }

    /// Sees to one client; where it is amid something else, after that.
    pub(crate) fn relocate(&mut self, key: Key) {
        let client = self.clients.get_mut(key).filter(|client| client.state == State::Open);
        let Some(front) = client.and_then(Client::front_mut) else {
            return;
        };
        front.misplaced = !front.owed.is_empty() || !front.is_between_commands();
        if front.misplaced {
            return;
        }
        // Confirmations are told from replies while they are the oldest that is owed.
        self.relocate_subscriptions(key);
        self.relocate_tracking(key);
        self.queue(key);
    }

    /// What kept it from being seen to may have ended with nothing owed.
    pub(super) fn relocate_soon(&mut self, key: Key) {
        if self.clients.get(key).and_then(Client::front).is_some_and(|front| front.misplaced) {
            self.queue(key);
        }
    }

    /// What the client tracks by, if it does: the same on all legs.
    fn tracking_of(&self, front: &Front) -> Option<&Tracking> {
        front
            .legs
            .iter()
            .flatten()
            .find_map(|leg| self.clients.get(leg.key)?.special.as_ref()?.tracking.as_deref())
    }

    /// Where keys came from that are elsewhere now, nobody will say that they have changed: the client has to forget them all.
    fn relocate_tracking(&mut self, key: Key) {
        let Some(client) = self.clients.get(key) else {
            return;
        };
        let Some(tracking) = client.front().and_then(|front| self.tracking_of(front)) else {
            return;
        };
        if client.talk.standing.protocol != Protocol::Resp3 {
            return;
        }
        let command = tracking.command(None);
        let wanted = self.places_to_track(key);
        let present = self.places_that_track(key);
        for place in wanted.iter().filter(|place| !present.contains(place)) {
            self.feed_unasked(key, *place, &command);
        }
        let is_out = |place| self.territory(key).is_some_and(|territory| territory.is_out(place));
        let ends = |place: &usize| !wanted.contains(place) && !is_out(*place);
        let ended: Vec<usize> = present.into_iter().filter(ends).collect();
        for place in ended {
            self.feed_unasked(key, place, TRACKING_OFF);
        }
        self.give(key, ALL_INVALID, false);
    }

    fn feed_unasked(&mut self, key: Key, place: usize, command: &[u8]) {
        if self.is_reached(key, place) {
            self.feed(key, place, command);
            self.owe_nothing(key, Owing::Nothing(place));
        }
    }

    /// Can the shard be told something now? The client waits for none that cannot: that is for the next Snapshot.
    fn is_reached(&mut self, key: Key, place: usize) -> bool {
        let reached = self.clients.get(key).is_some_and(|client| self.can_answer(client, place));
        if !reached {
            self.refused.insert(key);
        }
        reached
    }

    /// What it tracks by is about to change: a shard that is left out will be told when it is back.
    pub(super) fn forget_tracking_left_out(&mut self, key: Key) {
        for place in self.places_that_track(key) {
            let is_out = self.territory(key).is_some_and(|territory| territory.is_out(place));
            if let Some(leg) = self.present_leg(key, place).filter(|_| is_out) {
                self.forget_tracking(leg);
                self.drop_pin(leg);
            }
        }
    }

    /// The legs that track.
    fn places_that_track(&self, key: Key) -> Vec<usize> {
        let front = self.clients.get(key).and_then(Client::front);
        let tracks = |place: &usize| {
            let leg = self.present_leg(key, *place).and_then(|leg| self.clients.get(leg));
            let special = leg.and_then(|leg| leg.special.as_ref());
            special.is_some_and(|special| special.tracking.is_some())
        };
        (0..front.map_or(0, |front| front.legs.len())).filter(tracks).collect()
    }

    /// What the client has not asked for: whether it wants replies, and which, is about others.
    fn owe_nothing(&mut self, key: Key, owing: Owing) {
        let at = self.now;
        self.owe_as(key, Owed { owing, mute: true, at });
    }

    /// The places whose keys the client may read now.
    pub(super) fn places_to_track(&self, key: Key) -> Vec<usize> {
        let Some(territory) = self.territory(key) else {
            return Vec::new();
        };
        let mut places = territory.answering();
        places.retain(|place| !territory.is_out(*place));
        places
    }

    /// Each channel is heard of where messages to it go now. At a shard that is left out nothing ends: there it will be heard of again.
    fn relocate_subscriptions(&mut self, key: Key) {
        let mut awaited = Vec::new();
        for space in [Space::Channels, Space::ShardChannels, Space::Patterns] {
            for (begins, places) in self.misplaced_names(key, space) {
                for (place, names) in places {
                    if !self.is_reached(key, place) {
                        continue;
                    }
                    awaited.push((place, u32::try_from(names.len()).unwrap_or(u32::MAX)));
                    let names: Vec<&[u8]> = names.iter().map(|name| &**name).collect();
                    self.feed_names(key, place, space.command(begins), &names);
                }
            }
        }
        if awaited.is_empty() {
            return;
        }
        self.look_at_nothing_more(key);
        let confirming = Confirming {
            kind: SubscribeKind::Subscribe,
            names: Vec::new(),
            awaited,
            error: None,
            refused: Vec::new(),
            silent: true,
        };
        self.owe_nothing(key, Owing::Confirmed(Box::new(confirming)));
    }

    /// At a shard that is left out subscriptions end without it: when it is back, it will not be told of them again.
    pub(super) fn end_left_out(&mut self, key: Key, space: Space, names: &[Box<[u8]>]) {
        for place in 0..self.territory(key).map_or(0, |territory| territory.groups.len()) {
            let is_out = self.territory(key).is_some_and(|territory| territory.is_out(place));
            let Some(leg) = self.present_leg(key, place).filter(|_| is_out) else {
                continue;
            };
            let client = self.clients.get_mut(leg).filter(|leg| !leg.is_sharing());
            let Some(special) = client.and_then(|client| client.special.as_deref_mut()) else {
                continue;
            };
            let mut ended = false;
            for name in names {
                ended |= special.subscriptions.remove(space, name);
            }
            if ended {
                self.drop_pin(leg);
            }
        }
    }

    /// What has to begin, and then what has to end, by place: so no message is missed between them.
    fn misplaced_names(&self, key: Key, space: Space) -> [(bool, Named); 2] {
        let (mut begin, mut end) = (Named::new(), Named::new());
        let special = self.clients.get(key).and_then(|client| client.special.as_ref());
        let is_out = |place| self.territory(key).is_some_and(|territory| territory.is_out(place));
        for name in special.into_iter().flat_map(|special| special.subscriptions.names(space)) {
            let wanted = self.places_to_hear(key, space, name);
            let present = self.places_that_hear(key, space, name);
            for place in wanted.iter().filter(|place| !present.contains(place)) {
                begin.entry(*place).or_default().push(name.into());
            }
            for place in present {
                if !wanted.contains(&place) && !is_out(place) {
                    end.entry(place).or_default().push(name.into());
                }
            }
        }
        // A pattern may have been refused by one shard after others had confirmed it.
        for place in 0..self.territory(key).map_or(0, |territory| territory.groups.len()) {
            let leg = self.present_leg(key, place).and_then(|leg| self.clients.get(leg));
            let hears =
                leg.and_then(|leg| leg.special.as_ref()).map(|special| &special.subscriptions);
            let hears = hears.filter(|_| !is_out(place));
            for name in hears.into_iter().flat_map(|own| own.names(space)) {
                if special.is_none_or(|special| !special.subscriptions.contains(space, name)) {
                    end.entry(place).or_default().push(name.into());
                }
            }
        }
        [(true, begin), (false, end)]
    }
}

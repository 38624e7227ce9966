//! The legs of a client.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use config::Auth;
use resp::ReplyScanner;
use session::{Conversation, Standing, Target, Way, Who};

use crate::Engine;
use crate::client::{Client, INPUT_FULL, Parked};
use crate::conn::{Action, ConnId};
use crate::dispatch::{Request, Source};
use crate::front::{Front, Owed, Owing, Part, Side};
use crate::slots::Key;

/// One leg, and how far its next value has come.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) key: Key,
    pub(crate) scanner: ReplyScanner,
    /// What has come of a value that is looked at whole.
    pub(crate) gathered: Vec<u8>,
}

/// How an ordinary command travels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    target: Target,
    repeatable: bool,
}

impl Lane {
    /// Scripts are looked at again: what they call may have to be sent before them.
    pub(crate) fn of(way: Way) -> Option<Self> {
        match way {
            Way::Lane { target, repeatable, opaque: false } => Some(Self { target, repeatable }),
            _ => None,
        }
    }
}

impl Client {
    pub(crate) fn front(&self) -> Option<&Front> {
        match &self.side {
            Side::Front(front) => Some(front),
            Side::Whole | Side::Leg(_) => None,
        }
    }

    pub(crate) fn front_mut(&mut self) -> Option<&mut Front> {
        match &mut self.side {
            Side::Front(front) => Some(front),
            Side::Whole | Side::Leg(_) => None,
        }
    }

    #[inline]
    pub(crate) fn is_front(&self) -> bool {
        matches!(self.side, Side::Front(_))
    }

    /// Were requests at the start of its input looked at before they got there?
    #[inline]
    pub(crate) fn has_staged(&self) -> bool {
        matches!(&self.side, Side::Leg(part) if !part.staged.is_empty())
    }

    #[inline]
    pub(crate) fn is_leg(&self) -> bool {
        matches!(self.side, Side::Leg(_))
    }
}

impl Engine {
    /// The client's leg at this place, if it has one.
    pub(crate) fn present_leg(&self, key: Key, place: usize) -> Option<Key> {
        let leg = self.clients.get(key)?.front()?.legs.get(place)?.as_ref()?;
        Some(leg.key)
    }

    /// All of its legs.
    pub(crate) fn legs_of(&self, key: Key) -> Vec<Key> {
        let front = self.clients.get(key).and_then(Client::front);
        front.map_or(Vec::new(), |front| front.legs.iter().flatten().map(|leg| leg.key).collect())
    }

    /// The client's leg at this place.
    pub(crate) fn leg(&mut self, key: Key, place: usize) -> Option<Key> {
        if let Some(leg) = self.present_leg(key, place) {
            return Some(leg);
        }
        let client = self.clients.get(key)?;
        let group = *self.pools[client.pool].territory.as_ref()?.groups.get(place)?;
        let talk = self.leg_talk(client, group);
        let mut leg =
            Client::new(client.id, group, client.mode, client.caller.clone(), talk, self.now);
        leg.side = Side::Leg(Box::new(Part {
            front: key,
            staged: Vec::new(),
            staged_len: 0,
            whole: VecDeque::new(),
            whole_len: 0,
            input_len: 0,
        }));
        leg.ended = client.ended;
        let leg = self.clients.insert(leg);
        self.legs += 1;
        let front = self.clients.get_mut(key)?.front_mut()?;
        if place >= front.legs.len() {
            front.legs.resize_with(place + 1, || None);
        }
        *front.legs.get_mut(place)? =
            Some(Leg { key: leg, scanner: ReplyScanner::new(), gathered: Vec::new() });
        Some(leg)
    }

    /// What a leg of this client is to its group.
    pub(crate) fn leg_talk(&self, client: &Client, group: usize) -> Conversation {
        // What the client may do was looked at before its commands get here.
        let mut talk = Conversation { who: Who::Anyone, ..client.talk.clone() };
        if self.pools[client.pool].settings.auth != Auth::PassThrough {
            // Each pool has its own credentials for its nodes.
            let login = self.pools[group].standing.login.clone();
            if talk.standing.login != login {
                talk.standing = Rc::new(Standing { login, ..(*talk.standing).clone() });
            }
        }
        talk
    }

    /// Gives bytes to the leg at this place, as a client would send them.
    pub(crate) fn feed(&mut self, key: Key, place: usize, bytes: &[u8]) {
        if let Some(leg) = self.leg(key, place) {
            if let Some(client) = self.clients.get_mut(leg) {
                self.buffers.append(&mut client.input, bytes);
            }
            self.fed_leg(key, leg);
        }
    }

    /// As [`Self::feed`], with a whole request for a lane that needs not be looked at again.
    pub(crate) fn feed_request(
        &mut self,
        key: Key,
        place: usize,
        bytes: Cow<'_, [u8]>,
        lane: Lane,
    ) {
        let Some(leg) = self.leg(key, place) else {
            return;
        };
        let Some(client) = self.clients.get_mut(leg) else {
            return;
        };
        let (at, len) = (client.input.len(), bytes.len());
        if let Side::Leg(part) = &mut client.side
            && part.staged_len == at
            && (at == 0 || part.input_len == at)
        {
            let source = Source::Input { at, len };
            part.staged.push(Request::ordinary(
                source,
                at,
                len,
                lane.target,
                lane.repeatable,
                false,
            ));
            part.staged_len += len;
        }
        match bytes {
            Cow::Owned(bytes) if client.input.capacity() == 0 => client.input = bytes,
            bytes => self.buffers.append(&mut client.input, &bytes),
        }
        self.fed_leg(key, leg);
    }

    /// A leg has something more to send.
    fn fed_leg(&mut self, key: Key, leg: Key) {
        let now = self.now;
        let Some(client) = self.clients.get_mut(leg) else {
            return;
        };
        client.last_input = now;
        if let Side::Leg(part) = &mut client.side {
            part.input_len = client.input.len();
        }
        let full = client.input.len() >= INPUT_FULL;
        if client.parked == Parked::No {
            self.queue(leg);
        } else {
            self.count_held(leg);
        }
        if full && let Some(front) = self.clients.get_mut(key).and_then(Client::front_mut) {
            front.full = true;
        }
    }

    /// A leg has taken in some of what it was given: its client may go on.
    pub(crate) fn leg_took(&mut self, leg: Key) {
        let Some(client) = self.clients.get_mut(leg) else {
            return;
        };
        let Side::Leg(part) = &mut client.side else {
            return;
        };
        part.staged.clear();
        part.staged_len = 0;
        let key = part.front;
        if client.input.len() >= INPUT_FULL
            || !self.clients.get(key).and_then(Client::front).is_some_and(|front| front.full)
        {
            return;
        }
        // Another one may be behind as well.
        let legs = self.legs_of(key);
        let mut legs = legs.iter().filter_map(|leg| self.clients.get(*leg));
        if legs.any(|leg| leg.input.len() >= INPUT_FULL) {
            return;
        }
        if let Some(front) = self.clients.get_mut(key).and_then(Client::front_mut) {
            front.full = false;
            self.queue(key);
        }
    }

    /// The client is to get this reply after those that it is owed already.
    pub(crate) fn owe(&mut self, key: Key, owing: Owing) {
        let now = self.now;
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let mute = client.is_mute();
        if let Some(special) = client.special.as_deref_mut()
            && special.reply_mode == session::ReplyMode::Skip
        {
            special.reply_mode = session::ReplyMode::On;
        }
        self.owe_as(key, Owed { owing, mute, at: now });
    }

    /// One of our own; whether the client wants it was looked at.
    pub(crate) fn owe_ours(&mut self, key: Key, bytes: Vec<u8>) {
        let at = self.now;
        self.owe_as(key, Owed { owing: Owing::Ours(bytes), mute: false, at });
    }

    pub(crate) fn owe_as(&mut self, key: Key, owed: Owed) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        if let Some(front) = client.front_mut() {
            front.owed.push_back(owed);
            client.unanswered += 1;
        }
    }

    /// A leg has been answered something.
    pub(crate) fn leg_is_fed(&mut self, leg: Key) {
        let Some(client) = self.clients.get_mut(leg) else {
            return;
        };
        client.dirty = false;
        let Side::Leg(part) = &client.side else {
            return;
        };
        let key = part.front;
        if client.output.pending().is_empty() {
            return;
        }
        if self.is_copying(key, leg) {
            let answered = self.output(ConnId::client(leg)).len();
            return self.client_written(leg, answered);
        }
        if let Some(front) = self.clients.get_mut(key).and_then(Client::front_mut)
            && !front.answered
        {
            front.answered = true;
            self.answered.push(key);
        }
    }

    /// The routes of these pools, all that there are, may be others than before; everything else is the same.
    pub fn reroute(&mut self, pools: &[Arc<config::Pool>]) {
        let mut changed = Vec::new();
        for (index, (own, pool)) in self.pools.iter_mut().zip(pools).enumerate() {
            if let Some(territory) = &mut own.territory
                && territory.route_by(pool, pools)
            {
                changed.push(index);
            }
        }
        self.update_territories();
        for index in changed {
            self.relocate_all(index);
        }
    }

    /// A new Snapshot: which shards there are to be had.
    pub(crate) fn update_territories(&mut self) {
        for index in 0..self.pools.len() {
            if let Some(mut territory) = self.pools[index].territory.take() {
                let changed = territory.update(&self.pools);
                self.pools[index].territory = Some(territory);
                if changed {
                    self.relocate_all(index);
                }
            }
        }
    }

    /// Closes a client's connection. A leg has none: its client's is closed.
    pub(crate) fn close_client(&mut self, key: Key) {
        let key = match self.clients.get(key).map(|client| &client.side) {
            Some(Side::Leg(part)) => part.front,
            _ => key,
        };
        self.actions.push(Action::Close(ConnId::client(key)));
        self.client_closed(key);
    }

    /// Ends all legs of a client.
    pub(crate) fn drop_legs(&mut self, key: Key) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let Some(front) = client.front_mut() else {
            return;
        };
        let legs: Vec<Key> =
            front.legs.iter_mut().filter_map(Option::take).map(|leg| leg.key).collect();
        for leg in legs {
            self.forget_client(leg);
        }
    }
}

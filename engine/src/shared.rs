//! Subscribers beyond the first few share a connection: what they send is answered here, what the node sends is given to
//! each of them.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use commands::SubscribeKind;
use resp::{Protocol, Skip};
use session::{Call, PubSubValue, Space, Standing, Target, message_topic, pubsub_value};
use topology::ErrorKind;

use crate::Engine;
use crate::choice::Wish;
use crate::client::Parked;
use crate::connect::IDLE;
use crate::dispatch::NoWay;
use crate::hold::REMIND;
use crate::hub::{Asked, Hub};
use crate::input::Step;
use crate::recover::Cause;
use crate::slots::Key;
use crate::timers::Timer;
use crate::upstream::Sharing;

/// After which a node that has refused a shared connection's credentials is asked again.
const REFUSED_WAIT: Duration = Duration::from_secs(1);

impl Engine {
    /// Does this client's subscription go over a connection that it shares?
    pub(crate) fn shares(&mut self, key: Key, kind: SubscribeKind, target: Target) -> bool {
        let Some(client) = self.clients.get(key) else {
            return false;
        };
        if client.is_sharing() {
            return true;
        }
        if client.bound.is_some_and(|bound| bound.pinned) || client.is_orphaned() {
            return false;
        }
        if !Space::of(kind).1 {
            // There is nothing to end, which needs no node.
            return true;
        }
        let pool = client.pool;
        let mut own = std::mem::take(&mut self.pools[pool].own_subscribers);
        own.retain(|other| {
            self.clients.get(*other).is_some_and(|other| {
                !other.is_sharing()
                    && (other.is_orphaned() || other.bound.is_some_and(|bound| bound.pinned))
            })
        });
        let login = &client.talk.standing.login;
        let alike = own.iter().filter_map(|other| self.clients.get(*other)).filter(|other| {
            let on = other.bound.map_or(target, |bound| bound.target);
            other.talk.standing.login == *login && on == target
        });
        let shares = alike.count() >= self.own_subscribers;
        if !shares && !own.contains(&key) {
            own.push(key);
        }
        self.pools[pool].own_subscribers = own;
        shares
    }

    /// One of the SUBSCRIBE family from a client that shares, for the first time or again.
    pub(crate) fn subscribe_shared(
        &mut self,
        key: Key,
        call: Call<'_>,
        kind: SubscribeKind,
        target: Target,
    ) -> Step {
        let (space, subscribes) = Space::of(kind);
        if !subscribes {
            return self.unsubscribe_shared(key, call, space);
        }
        let Some(client) = self.clients.get_mut(key) else {
            return Step::Done;
        };
        let pool = client.pool;
        let special = client.special_mut();
        if let Some(line) = special.hub_error.take() {
            self.pools[pool].counts.errors_total[ErrorKind::Command as usize] += 1;
            self.reply(key, |out, _| out.extend_from_slice(&line));
            return Step::Done;
        }
        let index = match special.hub {
            Some(index) => index,
            None => self.hub_for(key, pool, target),
        };
        if let Err(why) = self.connect_hub(pool, index) {
            return self.no_way(key, target, why);
        }
        let connection = self.pools[pool].hubs[index].upstream;
        let full =
            connection.and_then(|own| self.upstreams.get_mut(own)).filter(|own| !own.has_room());
        if let Some(upstream) = full {
            upstream.waiters.push(key);
            self.park(key, Parked::Upstream, 0);
            return Step::Wait;
        }
        let hub = &mut self.pools[pool].hubs[index];
        let mut news = VecDeque::new();
        let mut waits = false;
        for name in call.rest() {
            let place = (space, Box::from(name));
            let topic = hub.topics.entry(place).or_default();
            if !std::mem::replace(&mut topic.is_asked, true) {
                news.push_back(name.into());
            }
            if !topic.is_confirmed && !waits {
                topic.waiting.push(key);
                waits = true;
            }
        }
        if !news.is_empty() {
            self.ask_hub(pool, index, space, true, news);
        }
        if waits {
            self.park(key, Parked::Confirmation, 0);
            return Step::Wait;
        }
        self.join(key, call, space, pool, index);
        Step::Done
    }

    /// All that it names is confirmed: the client is subscribed, and told so.
    fn join(&mut self, key: Key, call: Call<'_>, space: Space, pool: usize, index: usize) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let protocol = client.talk.standing.protocol;
        let special = client.special_mut();
        let hub = &mut self.pools[pool].hubs[index];
        if special.hub.replace(index).is_none() {
            hub.members += 1;
        }
        let mut confirmations = Vec::new();
        for name in call.rest() {
            if special.subscriptions.insert(space, name)
                && let Some(topic) = hub.topics.get_mut(&(space, Box::from(name)))
            {
                topic.members.push(key);
            }
            let count = special.subscriptions.confirmed_count(space);
            confirm(&mut confirmations, space, true, Some(name), count, protocol);
        }
        self.confirm_shared(key, &confirmations);
    }

    fn unsubscribe_shared(&mut self, key: Key, call: Call<'_>, space: Space) -> Step {
        let Some(client) = self.clients.get_mut(key) else {
            return Step::Done;
        };
        let pool = client.pool;
        let protocol = client.talk.standing.protocol;
        let special = client.special_mut();
        let names: Vec<Box<[u8]>> = if call.len() > 1 {
            call.rest().map(Box::from).collect()
        } else {
            special.subscriptions.names(space).map(Box::from).collect()
        };
        let mut left = VecDeque::new();
        let mut confirmations = Vec::new();
        for name in &names {
            if special.subscriptions.remove(space, name)
                && let Some(index) = special.hub
                && self.pools[pool].hubs[index].leave(space, name, key)
            {
                left.push_back(name.clone());
            }
            let count = special.subscriptions.confirmed_count(space);
            confirm(&mut confirmations, space, false, Some(name), count, protocol);
        }
        if names.is_empty() {
            let count = special.subscriptions.confirmed_count(space);
            confirm(&mut confirmations, space, false, None, count, protocol);
        }
        let is_over = special.subscriptions.is_empty();
        let hub = if is_over { special.hub.take() } else { special.hub };
        if let Some(index) = hub {
            self.pools[pool].hubs[index].members -= u64::from(is_over);
            if !left.is_empty() {
                self.ask_hub(pool, index, space, false, left);
            }
        }
        self.confirm_shared(key, &confirmations);
        Step::Done
    }

    /// Confirmations as arrays, each of which becomes what the client's protocol has for it. Sent
    /// whatever CLIENT REPLY says, as Redis does.
    fn confirm_shared(&mut self, key: Key, confirmations: &[Vec<u8>]) {
        for confirmation in confirmations {
            self.give_message(key, confirmation);
        }
        if let Some(client) = self.clients.get_mut(key) {
            let special = client.special_mut();
            if special.reply_mode == session::ReplyMode::Skip {
                special.reply_mode = session::ReplyMode::On;
            }
            client.special.take_if(|special| special.is_trivial());
        }
    }

    /// The client is subscribed to nothing any more.
    pub(crate) fn leave_hub(&mut self, key: Key) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let pool = client.pool;
        let Some(special) = client.special.as_deref_mut() else {
            return;
        };
        let Some(index) = special.hub.take() else {
            return;
        };
        let subscriptions = std::mem::take(&mut special.subscriptions);
        self.pools[pool].hubs[index].members -= 1;
        for space in Space::ALL {
            let hub = &mut self.pools[pool].hubs[index];
            let left: VecDeque<Box<[u8]>> = subscriptions
                .names(space)
                .filter(|name| hub.leave(space, name, key))
                .map(Box::from)
                .collect();
            if !left.is_empty() {
                self.ask_hub(pool, index, space, false, left);
            }
        }
    }

    /// The shared connection for clients of this one's credentials.
    fn hub_for(&mut self, key: Key, pool: usize, target: Target) -> usize {
        let login = self.clients.get(key).and_then(|client| client.talk.standing.login.clone());
        let standing = self.intern(Standing { login, ..Standing::default() });
        let hubs = &mut self.pools[pool].hubs;
        let found = hubs.iter().position(|hub| hub.target == target && hub.standing == standing);
        // Credentials that nobody uses any more make room.
        let free = || {
            hubs.iter()
                .position(|hub| hub.upstream.is_none() && hub.members == 0 && !hub.is_wanted())
        };
        match found.or_else(free) {
            Some(index) => {
                if hubs[index].target != target || hubs[index].standing != standing {
                    hubs[index] = Hub::new(standing, target);
                }
                index
            }
            None => {
                hubs.push(Hub::new(standing, target));
                hubs.len() - 1
            }
        }
    }

    /// Makes sure that it has a connection; a new one is told of all its channels.
    fn connect_hub(&mut self, pool: usize, index: usize) -> Result<(), NoWay> {
        let hub = &self.pools[pool].hubs[index];
        if hub.upstream.is_some() {
            return Ok(());
        }
        let (standing, target) = (Rc::clone(&hub.standing), hub.target);
        let wish = Wish { target, standing: &standing, key: None, avoid: None, now: self.now };
        let node = self.pools[pool].choose(&wish).ok_or(NoWay::NoNode)?;
        let upstream = self.open(pool, node, &standing, Sharing::Hub(index));
        self.pools[pool].nodes[node].counts.pinned += 1;
        self.pools[pool].hubs[index].upstream = Some(upstream);
        self.ask_for_missing(pool, index);
        Ok(())
    }

    fn ask_for_missing(&mut self, pool: usize, index: usize) {
        for space in Space::ALL {
            for names in self.pools[pool].hubs[index].portions(space) {
                self.ask_hub(pool, index, space, true, names);
            }
        }
    }

    /// Subscribes to these, or ends it, if there is a connection.
    fn ask_hub(
        &mut self,
        pool: usize,
        index: usize,
        space: Space,
        subscribes: bool,
        names: VecDeque<Box<[u8]>>,
    ) {
        let hub = &mut self.pools[pool].hubs[index];
        let Some((key, upstream)) =
            hub.upstream.and_then(|key| Some((key, self.upstreams.get_mut(key)?)))
        else {
            return;
        };
        let mut words: Vec<&[u8]> = vec![space.command(subscribes).as_bytes()];
        words.extend(names.iter().map(|name| &**name));
        let mut command = Vec::new();
        resp::write_command(&mut command, &words);
        upstream.requests.append(&command, &mut self.buffers);
        upstream.last_used = self.now;
        hub.asked.push_back(Asked { space, subscribes, names });
        let due = self.now + self.pools[pool].settings.timeouts.request;
        self.arm_upstream(key, due);
        self.touch_upstream(key);
    }

    /// Hubs that have lost their connection get another, if there is a node for them.
    pub(crate) fn restore_hubs(&mut self, pool: usize) {
        let mut misses = false;
        for index in 0..self.pools[pool].hubs.len() {
            if self.pools[pool].hubs[index].is_wanted() {
                match self.connect_hub(pool, index) {
                    Ok(()) => self.ask_for_missing(pool, index),
                    Err(_) => misses = true,
                }
            }
        }
        if misses {
            self.restore_hubs_after(pool, REMIND);
        }
    }

    /// One timer of the kind is enough.
    fn restore_hubs_after(&mut self, pool: usize, wait: Duration) {
        if !std::mem::replace(&mut self.pools[pool].awaits_hubs, true) {
            self.timers.arm(self.now + wait, Timer::Hubs(pool));
        }
    }

    pub(crate) fn hubs_timer(&mut self, pool: usize) {
        self.pools[pool].awaits_hubs = false;
        self.restore_hubs(pool);
    }

    pub(crate) fn hub_lost(&mut self, pool: usize, index: usize, cause: &Cause) {
        for key in self.pools[pool].hubs[index].lost() {
            if let (Cause::Handshake(line), Some(client)) = (cause, self.clients.get_mut(key)) {
                client.special_mut().hub_error = Some(line.clone());
            }
            self.queue(key);
        }
        if matches!(cause, Cause::Handshake(_)) {
            // Its members were let in once: perhaps they will be again.
            self.restore_hubs_after(pool, REFUSED_WAIT);
        } else {
            self.restore_hubs(pool);
        }
    }

    /// A shared connection's node owes a confirmation for too long, or nobody needs the connection.
    pub(crate) fn hub_timer(&mut self, key: Key, pool: usize, index: usize) {
        let request = self.pools[pool].settings.timeouts.request;
        let Some(last_used) = self.upstreams.get(key).map(|upstream| upstream.last_used) else {
            return;
        };
        let hub = &mut self.pools[pool].hubs[index];
        if !hub.asked.is_empty() {
            return if self.now >= last_used + request {
                self.upstream_lost(key, &Cause::Silent)
            } else {
                self.arm_upstream(key, last_used + request)
            };
        }
        for (space, name) in hub.drop_unwanted() {
            self.ask_hub(pool, index, space, false, [name].into());
        }
        if self.now >= last_used + IDLE && !self.pools[pool].hubs[index].is_wanted() {
            self.pools[pool].hubs[index].upstream = None;
            return self.close_upstream(key);
        }
        self.arm_upstream(key, (last_used + IDLE).max(self.now + IDLE));
    }

    /// Bytes of a shared connection: returns how many were one value, or the part of it that has come.
    pub(crate) fn hub_value(&mut self, key: Key, pool: usize, index: usize, data: &[u8]) -> usize {
        let Some(upstream) = self.upstreams.get_mut(key) else {
            return data.len();
        };
        let scanned = upstream.scanner.scan(data);
        let most = self.pools[pool].limits.max_request;
        let hub = &mut self.pools[pool].hubs[index];
        match scanned {
            Ok(Skip::Complete(len)) if hub.partial.is_empty() => {
                self.hub_heard(pool, index, &data[..len]);
                len
            }
            Ok(Skip::Complete(len)) => {
                let mut value = std::mem::take(&mut hub.partial);
                value.extend_from_slice(&data[..len]);
                self.hub_heard(pool, index, &value);
                len
            }
            Ok(Skip::Incomplete) if (hub.partial.len() + data.len()) as u64 <= most => {
                hub.partial.extend_from_slice(data);
                data.len()
            }
            Ok(Skip::Incomplete) => {
                let what = "a message over max_request".to_owned();
                self.upstream_lost(key, &Cause::Garbage(what));
                data.len()
            }
            Err(error) => {
                self.upstream_lost(key, &Cause::Garbage(error.to_string()));
                data.len()
            }
        }
    }

    fn hub_heard(&mut self, pool: usize, index: usize, value: &[u8]) {
        match pubsub_value(value) {
            PubSubValue::Message => self.hand_out(pool, index, value),
            PubSubValue::Confirmation { kind, channel } => {
                let (space, subscribes) = Space::of(kind);
                let hub = &mut self.pools[pool].hubs[index];
                let waited = hub.confirmed(space, subscribes, channel.unwrap_or_default());
                if hub.gap && !hub.awaits_subscription() {
                    hub.gap = false;
                    let members = hub.members;
                    self.pools[pool].counts.subscription_gaps_total += members;
                }
                for key in waited {
                    self.queue(key);
                }
            }
            PubSubValue::Reply if value.first() == Some(&b'-') => {
                for key in self.pools[pool].hubs[index].refused() {
                    if let Some(client) = self.clients.get_mut(key) {
                        client.special_mut().hub_error = Some(value.to_vec());
                        self.queue(key);
                    }
                }
                if self.pools[pool].hubs[index].misses() {
                    self.restore_hubs_after(pool, REFUSED_WAIT);
                }
            }
            PubSubValue::Reply => {}
        }
    }

    /// Gives a message to everyone who wants it.
    fn hand_out(&mut self, pool: usize, index: usize, value: &[u8]) {
        let Some((space, name)) = message_topic(value) else {
            return;
        };
        let place = (space, Box::from(name));
        let Some(topic) = self.pools[pool].hubs[index].topics.get_mut(&place) else {
            return;
        };
        let members = std::mem::take(&mut topic.members);
        let limit = self.pools[pool].settings.limits.client_output;
        let mut slow = Vec::new();
        for key in &members {
            if self.give_message(*key, value) as u64 > limit {
                slow.push(*key);
            }
        }
        if let Some(topic) = self.pools[pool].hubs[index].topics.get_mut(&place) {
            topic.members = members;
        }
        for key in slow {
            self.close_slow(key);
        }
    }
}

/// A confirmation as an array; where it names nothing, that is written as the protocol has it.
fn confirm(
    out: &mut Vec<Vec<u8>>,
    space: Space,
    subscribes: bool,
    name: Option<&[u8]>,
    count: usize,
    protocol: Protocol,
) {
    let mut confirmation = Vec::new();
    resp::write_array_header(&mut confirmation, 3);
    resp::write_bulk(&mut confirmation, space.command(subscribes).to_ascii_lowercase().as_bytes());
    match name {
        Some(name) => resp::write_bulk(&mut confirmation, name),
        None => resp::write_null(&mut confirmation, protocol),
    }
    resp::write_integer(&mut confirmation, i64::try_from(count).unwrap_or(i64::MAX));
    out.push(confirmation);
}

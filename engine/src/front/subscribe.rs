//! Subscriptions over several shards: a channel is heard of at its shard, a pattern at every one. The client is confirmed here, with
//! the counts of all its subscriptions.

use std::collections::HashSet;

use commands::SubscribeKind;
use resp::Protocol;
use session::shards::Layout as _;
use session::{Call, Space, Subscriptions};

use crate::Engine;
use crate::client::Client;
use crate::front::{Confirming, Owing};
use crate::input::Step;
use crate::slots::Key;

impl Engine {
    pub(crate) fn front_subscribe(
        &mut self,
        key: Key,
        call: Call<'_>,
        kind: SubscribeKind,
    ) -> Step {
        if self.alone_from_now(key) == Step::Wait {
            return Step::Wait;
        }
        let (space, begins) = Space::of(kind);
        let mut names: Vec<Box<[u8]>> = call.rest().map(Into::into).collect();
        if names.is_empty() {
            let present = self.subscriptions_of(key).into_iter().flat_map(|own| own.names(space));
            names = present.map(Into::into).collect();
        }
        if !begins {
            self.end_left_out(key, space, &names);
        }
        let subscriptions = self.subscriptions_of(key);
        let places = self.territory(key).map_or(0, |territory| territory.groups.len());
        let has = |name: &[u8]| subscriptions.is_some_and(|own| own.contains(space, name));
        let mut seen = HashSet::new();
        let mut wanted: Vec<Vec<&[u8]>> = vec![Vec::new(); places];
        let mut awaited: Vec<(usize, u32)> = Vec::new();
        let mut confirmed: Vec<(Box<[u8]>, Option<usize>)> = Vec::new();
        for name in &names {
            // What is there already, or is not there, concerns no node.
            if !seen.insert(name) || has(name) == begins {
                confirmed.push((name.clone(), None));
                continue;
            }
            let named = match space {
                // It ends where it began, wherever the name would be heard of now.
                _ if !begins => self.places_that_hear(key, space, name),
                _ => self.places_to_hear(key, space, name),
            };
            for place in &named {
                if let Some(own) = wanted.get_mut(*place) {
                    own.push(name);
                }
            }
            confirmed.push((name.clone(), named.first().copied()));
        }
        let command = space.command(begins);
        for (place, own) in wanted.into_iter().enumerate().filter(|(_, own)| !own.is_empty()) {
            awaited.push((place, u32::try_from(own.len()).unwrap_or(u32::MAX)));
            self.feed_names(key, place, command, &own);
        }
        let confirming = Confirming {
            kind,
            names: confirmed,
            awaited,
            error: None,
            refused: Vec::new(),
            silent: false,
        };
        self.owe(key, Owing::Confirmed(Box::new(confirming)));
        self.queue(key);
        Step::Done
    }

    fn subscriptions_of(&self, key: Key) -> Option<&Subscriptions> {
        let special = self.clients.get(key)?.special.as_ref()?;
        Some(&special.subscriptions)
    }

    pub(super) fn feed_names(&mut self, key: Key, place: usize, command: &str, names: &[&[u8]]) {
        let mut words = vec![command.as_bytes()];
        words.extend(names);
        let mut request = Vec::new();
        resp::write_command(&mut request, &words);
        self.feed(key, place, &request);
    }

    /// Where it has to be subscribed to: a channel at its shard, a pattern at all that are not left out.
    pub(super) fn places_to_hear(&self, key: Key, space: Space, name: &[u8]) -> Vec<usize> {
        let Some(territory) = self.territory(key) else {
            return Vec::new();
        };
        match space {
            Space::Patterns => territory.present(),
            Space::Channels | Space::ShardChannels => vec![territory.view(false).shard(name)],
        }
    }

    /// The legs that have subscribed to it.
    pub(super) fn places_that_hear(&self, key: Key, space: Space, name: &[u8]) -> Vec<usize> {
        let front = self.clients.get(key).and_then(Client::front);
        let hears = |place: &usize| {
            let leg = self.present_leg(key, *place).and_then(|leg| self.clients.get(leg));
            let special = leg.and_then(|leg| leg.special.as_ref());
            special.is_some_and(|special| special.subscriptions.contains(space, name))
        };
        (0..front.map_or(0, |front| front.legs.len())).filter(hears).collect()
    }

    /// All legs have answered: so is the client. Returns what it gets.
    pub(crate) fn confirm(&mut self, key: Key, confirming: &Confirming) -> Vec<u8> {
        let mut out = Vec::new();
        if confirming.silent {
            if !confirming.refused.is_empty() {
                self.refused.insert(key);
            }
            return out;
        }
        let Some(client) = self.clients.get_mut(key) else {
            return out;
        };
        let protocol = client.talk.standing.protocol;
        let (space, begins) = Space::of(confirming.kind);
        let name = space.command(begins).to_ascii_lowercase();
        let special = client.special_mut();
        for (channel, place) in &confirming.names {
            let refused = match space {
                // It would be heard of in part.
                Space::Patterns => place.is_some() && !confirming.refused.is_empty(),
                _ => place.is_some_and(|place| confirming.refused.contains(&place)),
            };
            if refused {
                continue;
            }
            special.subscriptions.confirm(confirming.kind, Some(channel));
            let count = special.subscriptions.confirmed_count(space);
            write_confirmation(&mut out, &name, Some(channel), count, protocol);
        }
        if confirming.names.is_empty() {
            let count = special.subscriptions.confirmed_count(space);
            write_confirmation(&mut out, &name, None, count, protocol);
        }
        out.extend_from_slice(confirming.error.as_deref().unwrap_or_default());
        client.special.take_if(|special| special.is_trivial());
        out
    }
}

fn write_confirmation(
    out: &mut Vec<u8>,
    name: &str,
    channel: Option<&[u8]>,
    count: usize,
    protocol: Protocol,
) {
    resp::write_push_header(out, 3, protocol);
    resp::write_bulk(out, name.as_bytes());
    match channel {
        Some(channel) => resp::write_bulk(out, channel),
        None => resp::write_null(out, protocol),
    }
    resp::write_integer(out, i64::try_from(count).unwrap_or(i64::MAX));
}

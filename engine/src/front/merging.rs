//! One reply of several legs: its parts are awaited, and put together where they leave.

use session::shards::{Merge, merge};
use topology::ErrorKind;

use crate::Engine;
use crate::buffer::Output;
use crate::front::hand_over::next_value;
use crate::front::{Come, Front, Merging};
use crate::reply::ERROR_MAX;
use crate::slots::Key;

/// A longer part of a reply is taken from its leg at once, so that its lane goes on.
const IN_PLACE: usize = 64 * 1024;

impl Engine {
    /// Takes what has come of a command's parts; true: all of them.
    pub(super) fn gather_parts(
        &mut self,
        key: Key,
        front: &mut Front,
        merging: &mut Merging,
    ) -> bool {
        let mut all = true;
        let mut size = 0;
        for (place, come) in &mut merging.parts {
            if matches!(come, Come::NotYet) {
                *come = self.look_at_part(key, front, *place);
            }
            let leg = front.legs.get(*place).and_then(Option::as_ref);
            size += match come {
                Come::NotYet => leg.map_or(0, |leg| leg.gathered.len()),
                Come::InPlace(len) => *len,
                Come::Taken(value) => value.len(),
            };
            all &= !matches!(come, Come::NotYet);
        }
        front.too_much |= size as u64 > self.client_output(key);
        all
    }

    /// How much may be there for the client that it has not read.
    pub(super) fn client_output(&self, key: Key) -> u64 {
        let client = self.clients.get(key);
        client.map_or(u64::MAX, |client| self.pools[client.pool].settings.limits.client_output)
    }

    /// A small part is left where it is until all have come: so it is copied once.
    fn look_at_part(&mut self, key: Key, front: &mut Front, place: usize) -> Come {
        if self.next_is_push(front, place) {
            return Come::NotYet;
        }
        let Some(leg) = front.legs.get_mut(place).and_then(Option::as_mut) else {
            return Come::NotYet;
        };
        let Some(from) = self.clients.get(leg.key) else {
            return Come::NotYet;
        };
        if leg.gathered.is_empty() && leg.scanner.is_idle() {
            let pending = from.output.pending();
            let (len, whole) = next_value(leg, from);
            if whole && len <= IN_PLACE {
                return Come::InPlace(len);
            }
            // What was looked at has to leave: the scanner goes on behind it.
            leg.gathered.extend_from_slice(pending.get(..len).unwrap_or_default());
            let value = whole.then(|| std::mem::take(&mut leg.gathered));
            let leg = leg.key;
            self.client_written(leg, len);
            return value.map_or(Come::NotYet, Come::Taken);
        }
        self.take_value(key, front, place).map_or(Come::NotYet, Come::Taken)
    }

    /// Gives one reply of several; an error, where some shards have not done their part.
    pub(super) fn give_merged(&mut self, key: Key, front: &Front, merging: Merging, mute: bool) {
        let Merging { how, name, parts, order } = merging;
        let places: Vec<usize> = parts.iter().map(|(place, _)| *place).collect();
        // Out of their places, so that they can be read while the client's output is written.
        let mut in_place: Vec<(Key, usize, Output)> = Vec::new();
        for (place, come) in &parts {
            if let Come::InPlace(len) = come
                && let Some(leg) = front.legs.get(*place).and_then(Option::as_ref)
                && let Some(own) = self.clients.get_mut(leg.key)
            {
                in_place.push((leg.key, *len, std::mem::take(&mut own.output)));
            }
        }
        let mut outputs = in_place.iter();
        let replies: Vec<&[u8]> = parts
            .iter()
            .map(|(_, come)| match come {
                Come::InPlace(_) => {
                    outputs.next().and_then(|(_, len, output)| output.pending().get(..*len))
                }
                Come::Taken(value) => Some(value.as_slice()),
                Come::NotYet => None,
            })
            .map(Option::unwrap_or_default)
            .collect();
        self.give_replies(key, front.turn, how, name, &places, &replies, &order, mute);
        for (leg, len, output) in in_place {
            if let Some(own) = self.clients.get_mut(leg) {
                own.output = output;
            }
            self.client_written(leg, len);
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what a command over shards is, and what came of it"
    )]
    fn give_replies(
        &mut self,
        key: Key,
        turn: u64,
        how: Merge,
        name: &str,
        places: &[usize],
        replies: &[&[u8]],
        order: &[u32],
        mute: bool,
    ) {
        let is_error = |reply: &&&[u8]| reply.first() == Some(&b'-');
        let errors = replies.iter().filter(is_error).count();
        if errors == replies.len() && replies.windows(2).all(|two| two[0] == two[1]) {
            return self.give(key, replies.first().copied().unwrap_or_default(), mute);
        }
        if how == Merge::AnyDone
            && let Some(done) = replies.iter().find(|reply| !is_error(reply))
        {
            return self.give(key, done, mute);
        }
        if errors > 0 {
            let text = self.partly(key, name, places, replies);
            return self.give_error(key, &text, mute);
        }
        if mute {
            return;
        }
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let protocol = client.talk.standing.protocol;
        let len = replies.iter().map(|reply| reply.len()).sum();
        let out = client.output.buffer(len, &mut self.buffers);
        if merge(how, replies, order, turn, protocol, out).is_err() {
            let text = format!(
                "ERR redkeel: the shards of pool {} gave '{}' replies of different kinds",
                self.pool_name(key),
                name.to_ascii_lowercase()
            );
            self.count_own_error(key, ErrorKind::Command);
            return self.give_error(key, &text, mute);
        }
        client.output.commit();
        self.touch_client(key);
    }

    pub(super) fn give_error(&mut self, key: Key, text: &str, mute: bool) {
        let mut out = Vec::new();
        resp::write_error(&mut out, text);
        self.give(key, &out, mute);
    }

    /// Says which shards have done their part, and what the first other one says.
    fn partly(&mut self, key: Key, what: &str, places: &[usize], replies: &[&[u8]]) -> String {
        let names =
            self.territory(key).map(|territory| territory.names.clone()).unwrap_or_default();
        let name = |place: usize| names.get(place).map_or("", |name| &**name).to_owned();
        let parts = || places.iter().zip(replies);
        let failed = |reply: &[u8]| reply.first() == Some(&b'-');
        let done: Vec<String> =
            parts().filter(|(_, reply)| !failed(reply)).map(|(place, _)| name(*place)).collect();
        let (first, line) = parts()
            .find(|(_, reply)| failed(reply))
            .map(|(place, reply)| (name(*place), *reply))
            .unwrap_or_default();
        let line = line.strip_prefix(b"-").unwrap_or(line);
        let line = line.get(..line.len().min(ERROR_MAX)).unwrap_or(line);
        let line = String::from_utf8_lossy(line).trim_end().to_owned();
        let (code, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let rest = rest.strip_prefix("redkeel: ").unwrap_or(rest);
        let what = what.to_ascii_lowercase();
        self.count_own_error(key, ErrorKind::CrossShard);
        let pool = self.pool_name(key);
        let (count, all, names) = (done.len(), places.len(), done.join(", "));
        if count == 0 {
            return format!(
                "{code} redkeel: '{what}' was done on no shard of pool {pool}; {first}: {rest}"
            );
        }
        format!(
            "{code} redkeel: '{what}' was done on {count} of {all} shards ({names}) of pool {pool}, but not on {first}: {rest}"
        )
    }

    pub(super) fn count_own_error(&mut self, key: Key, kind: ErrorKind) {
        if let Some(client) = self.clients.get(key) {
            self.pools[client.pool].counts.errors_total[kind as usize] += 1;
        }
    }
}

//! One reply of several: put together, or an error that says which shards have done their part.

use session::shards::{Merge, merge};
use topology::ErrorKind;

use crate::Engine;
use crate::front::{Front, Merging};
use crate::reply::ERROR_MAX;
use crate::slots::Key;

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
        for (place, reply) in &mut merging.parts {
            if reply.is_none() {
                *reply = self.take_reply(front, *place);
            }
            let leg = front.legs.get(*place).and_then(Option::as_ref);
            let begun = leg.map_or(0, |leg| leg.gathered.len());
            size += reply.as_ref().map_or(begun, Vec::len);
            all &= reply.is_some();
        }
        let limit = self
            .clients
            .get(key)
            .map_or(u64::MAX, |client| self.pools[client.pool].settings.limits.client_output);
        front.too_much |= size as u64 > limit;
        all
    }

    /// Gives one reply of several; an error, where some shards have not done their part.
    pub(super) fn give_merged(&mut self, key: Key, turn: u64, merging: Merging, mute: bool) {
        let Merging { how, name, parts, order } = merging;
        let (places, replies): (Vec<usize>, Vec<Vec<u8>>) =
            parts.into_iter().map(|(place, reply)| (place, reply.unwrap_or_default())).unzip();
        let is_error = |reply: &&Vec<u8>| reply.first() == Some(&b'-');
        let errors = replies.iter().filter(is_error).count();
        if errors == replies.len() && replies.windows(2).all(|two| two[0] == two[1]) {
            return self.give(key, replies.first().map_or(&[], Vec::as_slice), mute);
        }
        if how == Merge::AnyDone
            && let Some(done) = replies.iter().find(|reply| !is_error(reply))
        {
            return self.give(key, done, mute);
        }
        if errors > 0 {
            let text = self.partly(key, name, &places, &replies);
            return self.give_error(key, &text, mute);
        }
        if mute {
            return;
        }
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let protocol = client.talk.standing.protocol;
        let out = client.output.buffer(&mut self.buffers);
        if merge(how, &replies, &order, turn, protocol, out).is_err() {
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

    fn give_error(&mut self, key: Key, text: &str, mute: bool) {
        let mut out = Vec::new();
        resp::write_error(&mut out, text);
        self.give(key, &out, mute);
    }

    /// Says which shards have done their part, and what the first other one says.
    fn partly(&mut self, key: Key, what: &str, places: &[usize], replies: &[Vec<u8>]) -> String {
        let names =
            self.territory(key).map(|territory| territory.names.clone()).unwrap_or_default();
        let name = |place: usize| names.get(place).map_or("", |name| &**name).to_owned();
        let parts = || places.iter().zip(replies);
        let failed = |reply: &[u8]| reply.first() == Some(&b'-');
        let done: Vec<String> =
            parts().filter(|(_, reply)| !failed(reply)).map(|(place, _)| name(*place)).collect();
        let (first, line) = parts()
            .find(|(_, reply)| failed(reply))
            .map(|(place, reply)| (name(*place), reply.as_slice()))
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

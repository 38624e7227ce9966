//! What the legs were answered is handed to the client: in the order of its commands, merged where there were several.

use resp::{Protocol, Skip};
use session::PubSubValue;
use session::shards::Merge;
use topology::ErrorKind;

use crate::Engine;
use crate::client::{Client, OUTPUT_FULL, Parked};
use crate::conn::ConnId;
use crate::front::{Amid, Confirming, Front, Leg, Merging, OWED_MAX, Owing, Side, Territory};
use crate::reply::record;
use crate::slots::Key;

impl Engine {
    /// Gives the client what it can be given now.
    pub(crate) fn hand_over(&mut self, key: Key) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let Side::Front(mut front) = std::mem::take(&mut client.side) else {
            return;
        };
        front.answered = false;
        let before = front.owed.len();
        self.hand_over_from(key, &mut front);
        let paid = before.saturating_sub(front.owed.len());
        let is_empty = front.owed.is_empty() && front.amid.is_none();
        if is_empty {
            front.alone = false;
        }
        let room = front.owed.len() <= OWED_MAX / 2;
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        client.unanswered = u32::try_from(front.owed.len()).unwrap_or(u32::MAX);
        // Commands that the end of this one sent were noted meanwhile.
        let too_much = front.too_much;
        client.side = Side::Front(front);
        if too_much {
            return self.close_slow(key);
        }
        let may_relocate = |front: &Front| front.misplaced && front.is_between_commands();
        if is_empty && client.front().is_some_and(may_relocate) {
            return self.relocate(key);
        }
        let waits = client.parked == Parked::Answers;
        let ends = (client.ended || self.draining) && paid > 0;
        if (waits && (is_empty || (room && paid > 0))) || (ends && is_empty) {
            self.queue(key);
        }
    }

    fn hand_over_from(&mut self, key: Key, front: &mut Front) {
        loop {
            let Some(client) = self.clients.get(key) else {
                return;
            };
            if client.output.unsent() > OUTPUT_FULL {
                return;
            }
            if let Some(amid) = front.amid {
                let mute = !amid.unasked && front.owed.front().is_some_and(|owed| owed.mute);
                if !self.pass(key, front, amid.place, mute) {
                    return;
                }
                front.amid = None;
                if !amid.unasked {
                    self.paid(key, front);
                }
                continue;
            }
            if self.hears(key, front) && self.hand_over_unasked(key, front) {
                if front.amid.is_some() {
                    return;
                }
                continue;
            }
            let Some(owed) = front.owed.front_mut() else {
                return;
            };
            let mute = owed.mute;
            let done = match &mut owed.owing {
                Owing::Ours(bytes) => {
                    let bytes = std::mem::take(bytes);
                    self.give(key, &bytes, mute);
                    true
                }
                Owing::Reply(place) => {
                    let place = *place;
                    if self.next_is_push(front, place) {
                        return;
                    }
                    let whole = self.pass(key, front, place, mute);
                    if !whole && self.has_begun(front, place) {
                        front.amid = Some(Amid { place, unasked: false });
                    }
                    whole
                }
                Owing::Nothing(place) => {
                    let place = *place;
                    let value = self.take_reply(key, front, place);
                    if value.as_ref().is_some_and(|value| value.starts_with(b"-")) {
                        self.refused.insert(key);
                    }
                    value.is_some()
                }
                Owing::Cursor(place, cursor) => {
                    let (place, cursor) = (*place, *cursor);
                    self.take_reply(key, front, place).is_some_and(|value| {
                        let reply = self.rewritten(key, cursor, value);
                        self.give(key, &reply, mute);
                        true
                    })
                }
                Owing::Begun(place) => {
                    let place = *place;
                    match self.take_reply(key, front, place) {
                        Some(value) => {
                            front.owed.pop_front();
                            self.with_front(key, front, |engine| {
                                engine.block_begun(key, place, &value);
                            });
                            continue;
                        }
                        None => false,
                    }
                }
                Owing::Standing(place) => {
                    let place = *place;
                    match self.take_reply(key, front, place) {
                        Some(value) => {
                            self.with_front(key, front, |engine| {
                                engine.adopt_standing(key, place, &value);
                            });
                            self.give(key, &value, mute);
                            true
                        }
                        None => false,
                    }
                }
                Owing::Permission(place) => {
                    let place = *place;
                    match self.take_reply(key, front, place) {
                        Some(value) => {
                            self.permission_of(key, &value);
                            true
                        }
                        None => false,
                    }
                }
                Owing::Merged(merging) => {
                    let mut merging = std::mem::replace(merging, empty_merging());
                    let all = self.gather_parts(key, front, &mut merging);
                    if all {
                        front.turn += 1;
                        self.give_merged(key, front, *merging, mute);
                    } else if let Some(owed) = front.owed.front_mut() {
                        owed.owing = Owing::Merged(merging);
                    }
                    all
                }
                Owing::Confirmed(confirming) if confirming.awaited.is_empty() => {
                    let mut own = Confirming {
                        kind: confirming.kind,
                        names: Vec::new(),
                        awaited: Vec::new(),
                        error: None,
                        refused: Vec::new(),
                        silent: confirming.silent,
                    };
                    std::mem::swap(&mut own, confirming);
                    // Others may have done what one has refused.
                    front.misplaced |= !own.silent && !own.refused.is_empty();
                    let bytes = self.confirm(key, &own);
                    // Confirmations come even where replies are off (Redis, `addReplyPubsubSubscribed`).
                    self.give(key, &bytes, false);
                    true
                }
                Owing::Confirmed(_) => false,
            };
            if !done {
                return;
            }
            self.paid(key, front);
        }
    }

    /// Lets `work` find the client whole, with what there is of it on the stack put back meanwhile.
    fn with_front(&mut self, key: Key, front: &mut Front, work: impl FnOnce(&mut Self)) {
        let own = Box::new(std::mem::take(front));
        if let Some(client) = self.clients.get_mut(key) {
            client.side = Side::Front(own);
        }
        work(self);
        if let Some(client) = self.clients.get_mut(key)
            && let Side::Front(own) = std::mem::take(&mut client.side)
        {
            *front = *own;
        }
    }

    /// The oldest that was owed is given.
    fn paid(&mut self, key: Key, front: &mut Front) {
        let Some(owed) = front.owed.pop_front() else {
            return;
        };
        let micros = self.now.since(owed.at).as_micros() as u64;
        if let Some(client) = self.clients.get_mut(key) {
            record(&mut self.pools[client.pool].counts.latency, micros);
            if !client.is_subscribed() {
                client.special.take_if(|special| special.is_trivial());
            }
        }
    }

    pub(super) fn give(&mut self, key: Key, bytes: &[u8], mute: bool) {
        if let Some(client) = self.clients.get_mut(key).filter(|_| !mute && !bytes.is_empty()) {
            client.output.append(bytes, &mut self.buffers);
            client.output.commit();
            self.touch_client(key);
        }
    }

    /// May values come from its legs that answer none of its commands?
    fn hears(&self, key: Key, front: &Front) -> bool {
        self.clients.get(key).is_some_and(|client| {
            client.talk.standing.protocol == Protocol::Resp3 || is_listening(client, front)
        })
    }

    /// Hands over one push or message, or counts one confirmation; false: there is none.
    fn hand_over_unasked(&mut self, key: Key, front: &mut Front) -> bool {
        let Some(client) = self.clients.get(key) else {
            return false;
        };
        let listens = is_listening(client, front);
        let resp3 = client.talk.standing.protocol == Protocol::Resp3;
        let confirms =
            |front: &Front, place: usize| match front.owed.front().map(|owed| &owed.owing) {
                Some(Owing::Confirmed(own)) => own.awaited.iter().any(|(own, _)| *own == place),
                _ => false,
            };
        let mirrors = self.territory(key).is_some_and(Territory::mirrors);
        for place in 0..front.legs.len() {
            let Some(leg) = front.legs[place].as_ref() else {
                continue;
            };
            if mirrors && self.territory(key).is_some_and(|own| own.is_mirror(place)) {
                continue;
            }
            let output = self.output(ConnId::client(leg.key));
            let first = leg.gathered.first().or(output.first()).copied();
            let unasked = match first {
                Some(b'>') => true,
                Some(_) => listens && !resp3,
                None => false,
            };
            let refusal = first == Some(b'-') && confirms(front, place);
            if !unasked && !refusal {
                continue;
            }
            if listens {
                // A confirmation has to be told from a message: it is looked at whole.
                let Some(value) = self.take_value(key, front, place) else {
                    continue;
                };
                self.heard(key, front, place, &value);
                return true;
            }
            if self.pass(key, front, place, false) {
                return true;
            }
            if self.has_begun(front, place) {
                front.amid = Some(Amid { place, unasked: true });
                return true;
            }
        }
        false
    }

    fn heard(&mut self, key: Key, front: &mut Front, place: usize, value: &[u8]) {
        if let Some(Owing::Confirmed(confirming)) =
            front.owed.front_mut().map(|owed| &mut owed.owing)
        {
            let oldest = confirming.awaited.iter().position(|(own, _)| *own == place);
            if let Some(oldest) = oldest.filter(|_| value.starts_with(b"-")) {
                confirming.awaited.remove(oldest);
                confirming.refused.push(place);
                confirming.error.get_or_insert_with(|| value.to_vec());
                return;
            }
            if let Some(oldest) = oldest
                && matches!(session::pubsub_value(value), PubSubValue::Confirmation { .. })
            {
                let count = &mut confirming.awaited[oldest].1;
                *count = count.saturating_sub(1);
                if *count == 0 {
                    confirming.awaited.remove(oldest);
                }
                return;
            }
        }
        self.give(key, value, false);
    }

    /// Hands over what has come of the leg's next value; true: that was all of it.
    fn pass(&mut self, key: Key, front: &mut Front, place: usize, mute: bool) -> bool {
        let Some(leg) = front.legs.get_mut(place).and_then(Option::as_mut) else {
            return false;
        };
        let Some(from) = self.clients.get_mut(leg.key) else {
            return false;
        };
        let (len, whole) = next_value(leg, from);
        let begun = std::mem::take(&mut leg.gathered);
        let leg_key = leg.key;
        if len == 0 && begun.is_empty() {
            return false;
        }
        // Out of its place, so that it can be read while the client's is written.
        let output = std::mem::take(&mut from.output);
        if let Some(client) = self.clients.get_mut(key).filter(|_| !mute) {
            client.output.append(&begun, &mut self.buffers);
            let bytes = output.pending().get(..len).unwrap_or_default();
            client.output.append(bytes, &mut self.buffers);
            client.output.commit();
        }
        if let Some(from) = self.clients.get_mut(leg_key) {
            from.output = output;
        }
        if !mute {
            self.touch_client(key);
        }
        self.client_written(leg_key, len);
        whole
    }

    /// Was a part of the leg's value handed over?
    fn has_begun(&self, front: &Front, place: usize) -> bool {
        front.legs.get(place).and_then(Option::as_ref).is_some_and(|leg| !leg.scanner.is_idle())
    }

    /// Is the leg's next value a push? What answers a command comes behind it.
    pub(super) fn next_is_push(&self, front: &Front, place: usize) -> bool {
        let Some(leg) = front.legs.get(place).and_then(Option::as_ref) else {
            return false;
        };
        match leg.gathered.first() {
            Some(first) => *first == b'>',
            None if leg.scanner.is_idle() => {
                self.output(ConnId::client(leg.key)).first() == Some(&b'>')
            }
            None => false,
        }
    }

    /// Takes the leg's next value, if that is a reply and all of it has come.
    fn take_reply(&mut self, key: Key, front: &mut Front, place: usize) -> Option<Vec<u8>> {
        if self.next_is_push(front, place) { None } else { self.take_value(key, front, place) }
    }

    /// Takes the leg's next value, if all of it has come; else what there is of it, so that the leg's node can go on.
    pub(super) fn take_value(
        &mut self,
        key: Key,
        front: &mut Front,
        place: usize,
    ) -> Option<Vec<u8>> {
        let leg = front.legs.get_mut(place)?.as_mut()?;
        let from = self.clients.get(leg.key)?;
        let (len, whole) = next_value(leg, from);
        leg.gathered.extend_from_slice(from.output.pending().get(..len)?);
        front.too_much |= leg.gathered.len() as u64 > self.client_output(key);
        let value = whole.then(|| std::mem::take(&mut leg.gathered));
        let leg = leg.key;
        self.client_written(leg, len);
        value
    }

    fn rewritten(&mut self, key: Key, cursor: session::shards::Cursor, value: Vec<u8>) -> Vec<u8> {
        if value.starts_with(b"-") {
            return value;
        }
        let mut out = Vec::new();
        let shards = self.shards_of(key);
        if cursor.rewrite(&value, shards, &mut out).is_none() {
            let text = format!(
                "ERR redkeel: a shard of pool {} answers SCAN with a cursor that is too large to be told from another shard's",
                self.pool_name(key)
            );
            self.count_own_error(key, ErrorKind::Command);
            resp::write_error(&mut out, &text);
        }
        out
    }
}

/// Is it subscribed to something, or about to be?
fn is_listening(client: &Client, front: &Front) -> bool {
    let confirms =
        || matches!(front.owed.front().map(|owed| &owed.owing), Some(Owing::Confirmed(_)));
    client.is_subscribed() || confirms()
}

fn empty_merging() -> Box<Merging> {
    Box::new(Merging { how: Merge::Same, name: "", parts: Vec::new(), order: Vec::new() })
}

/// How much of what the leg has to hand over belongs to its present value, and whether that is all of it. What the engine has
/// given to a leg was scanned before, so that nothing in it is broken.
pub(super) fn next_value(leg: &mut Leg, client: &Client) -> (usize, bool) {
    let pending = client.output.pending();
    if pending.is_empty() {
        return (0, false);
    }
    if let Side::Leg(part) = &client.side
        && let Some(len) = part.whole.front()
        && leg.scanner.is_idle()
    {
        return (*len, true);
    }
    match leg.scanner.scan(pending) {
        Ok(Skip::Complete(len)) => (len, true),
        Ok(Skip::Incomplete) | Err(_) => (pending.len(), false),
    }
}

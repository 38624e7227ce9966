//! From a client's bytes to batches and single commands: the first half of a request's way.

use config::Mode;
use resp::RequestError;
use topology::ErrorKind;

use crate::Engine;
use crate::client::{INPUT_FULL, Parked, State};
use crate::conn::{Action, ConnId};
use crate::dispatch::Dispatched;
use crate::gather::Stop;
use crate::slots::Key;

/// A request that announces more than this is not gathered: it passes through a connection of its own.
pub(crate) const STREAM_ABOVE: u64 = 1024 * 1024;
/// An incomplete request longer than this keeps its scanner; a shorter one is scanned again from its start.
const KEEP_SCANNER_ABOVE: usize = 4096;

/// What became of a command that is handled alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It was handled; its bytes are used up.
    Done,
    /// It waits; the client is parked.
    Wait,
}

impl Engine {
    pub(crate) fn client_received(&mut self, key: Key, data: &[u8]) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        client.last_input = self.now;
        self.pools[client.pool].counts.client_bytes_in_total += data.len() as u64;
        if client.state != State::Open {
            return;
        }
        if let Mode::Tcp(_) = client.mode {
            return self.raw_from_client(key, data);
        }
        let is_front = client.is_front();
        if client.input.is_empty() && client.parked == Parked::No && !client.is_orphaned() {
            let used =
                if is_front { self.front_consume(key, data) } else { self.consume(key, data) };
            if let (Some(client), Some(rest)) = (self.clients.get_mut(key), data.get(used..))
                && !rest.is_empty()
            {
                self.buffers.append(&mut client.input, rest);
            }
        } else {
            self.buffers.append(&mut client.input, data);
            if client.parked == Parked::No {
                self.go_on(key);
            }
        }
        self.balance_reading(key);
    }

    /// Goes on with what a client has sent, now that it may.
    pub(crate) fn go_on(&mut self, key: Key) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        client.queued = false;
        if client.state != State::Open {
            return;
        }
        if let Mode::Tcp(_) = client.mode {
            return self.raw_go_on(key);
        }
        if let (Parked::Hold, Some(trouble)) = (client.parked, client.trouble.as_deref_mut()) {
            trouble.concerned = client.input.len();
        }
        if client.is_front() {
            return self.front_go_on(key);
        }
        client.parked = Parked::No;
        self.unhold(key);
        // What it is owed waits for no connection.
        if self.owes_canned(key) && self.canned_before(key, &mut 0, 0).is_none() {
            return;
        }
        if !self.adopt_orphan(key) {
            return;
        }
        self.release_if_done(key);
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let mut input = std::mem::take(&mut client.input);
        let used = self.consume(key, &input).min(input.len());
        match self.clients.get_mut(key) {
            Some(client) => {
                debug_assert!(client.input.is_empty(), "consume never adds input");
                if used == input.len() {
                    self.buffers.give(input);
                } else {
                    input.drain(..used);
                    client.input = input;
                }
            }
            None => self.buffers.give(input),
        }
        self.balance_reading(key);
        self.close_if_served(key);
        self.leg_took(key);
    }

    /// Handles what can be handled of `input`; returns how many bytes are used up.
    fn consume(&mut self, key: Key, input: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let Some(client) = self.clients.get_mut(key) else {
                return input.len();
            };
            if client.state != State::Open {
                return input.len();
            }
            let pool = client.pool;
            let is_staged = at == 0 && client.has_staged();
            if client.is_streaming() {
                let used = self.stream_on(key, &input[at..]);
                self.used(key, &mut at, used);
                if at < input.len() && self.is_open(key) && !self.is_parked(key) {
                    continue;
                }
                return at;
            }
            let mut end = input.len();
            if client.trouble.is_some() {
                match self.canned_before(key, &mut at, input.len()) {
                    Some(next) => end = next,
                    None => return at,
                }
            }
            if self.pools[pool].pause.is_some() && self.is_paused(key, &input[at..end]) {
                self.await_snapshot(key);
                return self.park(key, Parked::Pause, at);
            }
            let base = at;
            let stop = if is_staged && self.gather_staged(key, input) {
                Stop::More
            } else {
                self.gather(key, &input[base..end])
            };
            if !self.batch.is_empty() {
                match self.dispatch(key, &input[base..end]) {
                    Dispatched::All(used) => self.used(key, &mut at, used),
                    Dispatched::Some(used) => {
                        self.used(key, &mut at, used);
                        continue;
                    }
                    Dispatched::Parked => return at,
                }
            }
            match stop {
                Stop::More => {}
                Stop::End if end < input.len() => {
                    let rest = end - at;
                    self.used(key, &mut at, rest);
                }
                Stop::End if self.owes_canned(key) => {}
                Stop::End => return self.keep_scanner(key, at, input.len()),
                // What it could not follow may have been answered here.
                Stop::Unfit if !self.is_answered(key) => {
                    return self.park(key, Parked::Answers, at);
                }
                Stop::Unfit => {}
                Stop::Unread => return self.park(key, Parked::Output, at),
                Stop::Single { way, kind, source, len } => {
                    match self.single(key, &input[base..end], way, kind, source) {
                        Step::Done => self.used(key, &mut at, len),
                        Step::Wait => return at,
                    }
                }
                // Half a request is none, and the rest will not come.
                Stop::Large { .. } if self.clients.get(key).is_some_and(|own| own.ended) => {
                    return at;
                }
                Stop::Large { known } => match self.stream_begin(key, &input[at..end], known) {
                    Step::Done => {
                        let rest = input.len() - at;
                        self.used(key, &mut at, rest);
                        return at;
                    }
                    Step::Wait => return at,
                },
                Stop::Broken(error) => return self.broken(key, &error, at, input.len()),
            }
        }
    }

    fn is_open(&self, key: Key) -> bool {
        self.clients.get(key).is_some_and(|client| client.state == State::Open)
    }

    fn is_answered(&self, key: Key) -> bool {
        self.clients.get(key).is_none_or(|client| client.unanswered == 0)
    }

    /// Is a reply of ours the next that the client is to get?
    fn owes_canned(&self, key: Key) -> bool {
        let trouble = self.clients.get(key).and_then(|client| client.trouble.as_ref());
        trouble.and_then(|trouble| trouble.ready.first()).is_some_and(|canned| canned.at == 0)
    }

    fn is_parked(&self, key: Key) -> bool {
        self.clients.get(key).is_some_and(|client| client.parked != Parked::No)
    }

    fn used(&mut self, key: Key, at: &mut usize, used: usize) {
        *at += used;
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        client.for_primary = client.for_primary.saturating_sub(used);
        let Some(trouble) = client.trouble.as_mut() else {
            return;
        };
        trouble.expired = trouble.expired.saturating_sub(used);
        trouble.concerned = trouble.concerned.saturating_sub(used);
        for canned in &mut trouble.ready {
            canned.at = canned.at.saturating_sub(used);
        }
        // What was in trouble is answered: what follows begins anew.
        if client.unanswered == 0 {
            client.trouble.take_if(|trouble| trouble.is_over());
        }
    }

    /// Gives the replies that stand before the rest of the input. `Some(end)`: the input may be used up to there;
    /// `None`: nothing can be done now.
    fn canned_before(&mut self, key: Key, at: &mut usize, len: usize) -> Option<usize> {
        loop {
            let amid = self.is_amid_message(key);
            let client = self.clients.get_mut(key)?;
            let unanswered = client.unanswered;
            let trouble = client.trouble.as_mut()?;
            if trouble.collecting || !trouble.tail.is_empty() {
                client.parked = Parked::Answers;
                return None;
            }
            if trouble.is_over() {
                // What was in trouble is answered before anything newer is sent, which begins anew.
                if unanswered > 0 {
                    client.parked = Parked::Answers;
                    return None;
                }
                client.trouble = None;
                return Some(len);
            }
            // Places are relative to `at`: `used` keeps them so.
            match trouble.ready.first() {
                Some(canned) if canned.at > 0 => return Some(len.min(*at + canned.at)),
                None => return Some(len),
                Some(_) if unanswered > 0 || amid => {
                    client.parked = Parked::Answers;
                    return None;
                }
                Some(_) => {
                    let canned = trouble.ready.remove(0);
                    let over = trouble.is_over();
                    if !canned.mute {
                        client.output.append(&canned.reply, &mut self.buffers);
                        client.output.commit();
                    }
                    client.trouble.take_if(|_| over);
                    self.touch_client(key);
                    if over {
                        return Some(len);
                    }
                }
            }
        }
    }

    pub(crate) fn park(&mut self, key: Key, why: Parked, at: usize) -> usize {
        if let Some(client) = self.clients.get_mut(key) {
            client.parked = why;
        }
        at
    }

    /// The rest of the input is no complete request: it has not come yet, and is in no trouble.
    fn keep_scanner(&mut self, key: Key, at: usize, len: usize) -> usize {
        if let Some(client) = self.clients.get_mut(key) {
            if let Some(trouble) = client.trouble.as_deref_mut() {
                trouble.concerned = 0;
                trouble.expired = 0;
            }
            if len - at > KEEP_SCANNER_ABOVE {
                client.partial = Some(Box::new(std::mem::take(&mut self.scanner)));
            }
        }
        at
    }

    /// A broken frame: everything before it is answered, then the client is told and closed, as Redis does.
    fn broken(&mut self, key: Key, error: &RequestError, at: usize, len: usize) -> usize {
        let amid = self.is_amid_message(key);
        let Some(client) = self.clients.get_mut(key) else {
            return len;
        };
        if client.unanswered > 0 || amid {
            client.parked = Parked::Answers;
            return at;
        }
        let line = format!("ERR {error}");
        self.reply_error(key, ErrorKind::Protocol, &line);
        self.finish(key);
        len
    }

    /// Reads on or stops reading, by how much of the client's input waits.
    pub(crate) fn balance_reading(&mut self, key: Key) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let full = client.parked != Parked::No && client.input.len() >= INPUT_FULL;
        let may_be_held = client.trouble.is_some();
        // What a leg has waiting holds up its client, which looks at that itself.
        if full != client.paused && !client.is_leg() {
            client.paused = full;
            let conn = ConnId::client(key);
            self.actions.push(if full { Action::Pause(conn) } else { Action::Resume(conn) });
        }
        if may_be_held {
            self.count_held(key);
        }
    }
}

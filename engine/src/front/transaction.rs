//! WATCH and MULTI: all keys of a transaction are on one shard, and its leg runs it.

use resp::Scan;
use session::shards::Plan;
use session::{Call, Local, Way};
use topology::ErrorKind;

use crate::Engine;
use crate::client::{Client, INPUT_FULL};
use crate::command::EXEC_ABORT;
use crate::front::{Owed, Owing};
use crate::input::Step;
use crate::slots::Key;

/// How far a client's transaction has come.
#[derive(Debug, Default)]
pub(crate) enum Block {
    #[default]
    None,
    /// Keys of this shard are watched.
    Watching(usize),
    /// Between MULTI and EXEC.
    Open(Open),
}

/// An open transaction.
#[derive(Debug, Default)]
pub(crate) struct Open {
    /// The shard whose leg has been sent MULTI.
    place: Option<usize>,
    /// The shard that it has to be, as keys of it are watched.
    watched: Option<usize>,
    /// Commands without keys, that came before the first with one.
    early: Vec<u8>,
    early_count: usize,
    /// The leg has refused MULTI: how.
    refused: Option<Vec<u8>>,
    /// Something was refused here: EXEC aborts.
    spoilt: bool,
    /// One of its commands may write.
    writes: bool,
}

impl Block {
    /// Does EXEC run something that may write?
    pub(crate) fn writes(&self) -> bool {
        matches!(self, Self::Open(open) if open.writes)
    }
}

/// May a command for a shard be sent, as far as MULTI and WATCH are concerned?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    Ready,
    Wait,
    /// The client has been told.
    Refused,
}

impl Engine {
    pub(crate) fn block_is_open(&self, key: Key) -> bool {
        let front = self.clients.get(key).and_then(Client::front);
        front.is_some_and(|front| matches!(front.block, Block::Open(_)))
    }

    fn block_mut(&mut self, key: Key) -> Option<&mut Block> {
        Some(&mut self.clients.get_mut(key)?.front_mut()?.block)
    }

    fn open_mut(&mut self, key: Key) -> Option<&mut Open> {
        match self.block_mut(key)? {
            Block::Open(open) => Some(open),
            Block::None | Block::Watching(_) => None,
        }
    }

    pub(crate) fn spoil_block(&mut self, key: Key) {
        if let Some(open) = self.open_mut(key) {
            open.spoilt = true;
        }
    }

    /// The shard whose keys are watched.
    pub(crate) fn watched_place(&self, key: Key) -> Option<usize> {
        match self.clients.get(key)?.front()?.block {
            Block::Watching(place) => Some(place),
            Block::None | Block::Open(_) => None,
        }
    }

    pub(crate) fn block_writes(&mut self, key: Key) {
        if let Some(open) = self.open_mut(key) {
            open.writes = true;
        }
    }

    /// A command that cannot be queued.
    pub(crate) fn not_in_block(&mut self, key: Key, name: &str) -> Step {
        self.spoil_block(key);
        let text = session::error(
            ErrorKind::CrossShard,
            format_args!(
                "'{name}' is not possible in a transaction of pool {}, which has several shards",
                self.pool_name(key)
            ),
        );
        self.reply_error(key, ErrorKind::CrossShard, &text);
        Step::Done
    }

    /// MULTI; `input` begins with it. Where its EXEC has come as well, and all between them is for one shard, it travels as it is.
    pub(crate) fn front_multi(
        &mut self,
        key: Key,
        bytes: &[u8],
        input: &[u8],
        len: usize,
    ) -> Option<usize> {
        let watched = match self.block_mut(key)? {
            Block::None => None,
            Block::Watching(place) => Some(*place),
            Block::Open(open) => {
                if let Some(place) = open.place {
                    self.front_one(key, place, bytes);
                } else {
                    let text = "ERR MULTI calls can not be nested";
                    self.reply_error(key, ErrorKind::Command, text);
                }
                return Some(len);
            }
        };
        if let Some((used, replies, place)) = self.whole_block(key, input, watched) {
            self.feed(key, place, &input[..used]);
            for _ in 0..replies {
                self.owe(key, Owing::Reply(place));
            }
            *self.block_mut(key)? = Block::None;
            return Some(used);
        }
        *self.block_mut(key)? = Block::Open(Open { watched, ..Open::default() });
        self.reply_simple(key, "OK");
        Some(len)
    }

    /// A MULTI with its EXEC or DISCARD: its length, its replies, and its shard. `None`: it is not whole, or not for one shard.
    fn whole_block(
        &mut self,
        key: Key,
        input: &[u8],
        watched: Option<usize>,
    ) -> Option<(usize, usize, usize)> {
        let pool = self.clients.get(key)?.pool;
        let mut scanner = std::mem::take(&mut self.ahead);
        scanner.reset();
        let mut at = 0;
        let mut replies = 0;
        let mut place = watched;
        let whole = loop {
            let rest = &input[at..];
            let Ok(Scan::Complete { len, inline: false }) =
                scanner.scan(rest, &self.pools[pool].limits)
            else {
                break None;
            };
            let call = Call::new(&rest[..len], scanner.args());
            at += len;
            if call.is_empty() {
                continue;
            }
            replies += 1;
            if replies == 1 {
                // The MULTI itself.
                continue;
            }
            match self.front_plan(key, call, true) {
                Some((Way::Local(Local::Exec | Local::Discard), ..)) => break Some(at),
                Some((Way::Lane { .. }, _, Plan::One(own)))
                    if place.is_none_or(|place| place == own) =>
                {
                    place = Some(own);
                }
                Some((Way::Lane { .. }, _, Plan::Any)) => {}
                _ => break None,
            }
        };
        self.ahead = scanner;
        let place = place.unwrap_or_else(|| self.any_place(key));
        whole.map(|len| (len, replies, place))
    }

    /// A command between MULTI and EXEC.
    pub(crate) fn front_queued(
        &mut self,
        key: Key,
        call: Call<'_>,
        bytes: &[u8],
        plan: Plan,
    ) -> Step {
        let place = match plan {
            Plan::One(place) => place,
            Plan::Any => return self.keyless_queued(key, call, bytes),
            Plan::Crosses { one, other } => {
                self.spoil_block(key);
                let text = self.crosses(key, call, one, other);
                self.reply_error(key, ErrorKind::CrossShard, &text);
                return Step::Done;
            }
            Plan::Split { step, .. } => {
                self.spoil_block(key);
                let other = self.other_key(key, call, step);
                let text = self.crosses(key, call, 1, other);
                self.reply_error(key, ErrorKind::CrossShard, &text);
                return Step::Done;
            }
            Plan::All(_) | Plan::Scan | Plan::Written | Plan::OneServer => {
                return self.not_in_block(key, &super::command::name_of(call));
            }
        };
        self.queue_at(key, place, bytes)
    }

    fn queue_at(&mut self, key: Key, place: usize, bytes: &[u8]) -> Step {
        match self.block_place(key, place) {
            Ground::Ready => {
                self.front_one(key, place, bytes);
                Step::Done
            }
            Ground::Wait => Step::Wait,
            Ground::Refused => Step::Done,
        }
    }

    /// The first key that is not on the shard of the first one.
    fn other_key(&self, key: Key, call: Call<'_>, step: usize) -> usize {
        use session::shards::Layout as _;
        let Some(territory) = self.territory(key) else {
            return 1;
        };
        let view = territory.view(false);
        let first = view.shard(call.arg(1));
        (1..call.len())
            .step_by(step)
            .find(|index| view.shard(call.arg(*index)) != first)
            .unwrap_or(1)
    }

    fn keyless_queued(&mut self, key: Key, call: Call<'_>, bytes: &[u8]) -> Step {
        // What a node will not queue it has to say itself, and to abort EXEC for.
        let accepted = commands::lookup(call.name()).is_some_and(|own| own.accepts(call.len()));
        let Some(open) = self.open_mut(key) else {
            return Step::Done;
        };
        match open.place {
            Some(place) => self.front_one(key, place, bytes),
            None if open.refused.is_some() => return self.refused_block(key),
            // It has to be somewhere: there is room for it.
            None if !accepted || open.early.len() + bytes.len() > INPUT_FULL => {
                let place = open.watched.unwrap_or_else(|| self.any_place(key));
                return self.queue_at(key, place, bytes);
            }
            None => {
                open.early.extend_from_slice(bytes);
                open.early_count += 1;
                self.reply_simple(key, "QUEUED");
            }
        }
        Step::Done
    }

    /// The leg has said why it begins no transaction: so is every command of it told.
    fn refused_block(&mut self, key: Key) -> Step {
        let Some(open) = self.open_mut(key) else {
            return Step::Done;
        };
        open.spoilt = true;
        let line = open.refused.clone().unwrap_or_default();
        self.owe(key, Owing::Ours(line));
        self.queue(key);
        Step::Done
    }

    /// A command for this shard: is MULTI, if there is one, begun there?
    pub(crate) fn block_place(&mut self, key: Key, place: usize) -> Ground {
        let Some(open) = self.open_mut(key) else {
            return Ground::Ready;
        };
        if open.refused.is_some() {
            self.refused_block(key);
            return Ground::Refused;
        }
        let bound = open.place.or(open.watched);
        if bound.is_some_and(|bound| bound != place) {
            open.spoilt = true;
            let names = self.territory(key).map(|territory| {
                let name = |place: usize| territory.names.get(place).map_or("", |name| &**name);
                (name(bound.unwrap_or_default()).to_owned(), name(place).to_owned())
            });
            let (bound, own) = names.unwrap_or_default();
            let text = session::error(
                ErrorKind::CrossShard,
                format_args!(
                    "a transaction of pool {} runs on one shard: this one on {bound}, and the command has keys of {own} (a hash tag keeps keys together)",
                    self.pool_name(key)
                ),
            );
            self.reply_error(key, ErrorKind::CrossShard, &text);
            return Ground::Refused;
        }
        if open.place.is_some() {
            return Ground::Ready;
        }
        self.begin_block(key, place);
        Ground::Wait
    }

    /// Sends MULTI to the leg, once everything before it is answered; what comes behind waits for its answer.
    fn begin_block(&mut self, key: Key, place: usize) {
        if self.alone_from_now(key) == Step::Wait {
            return;
        }
        self.feed(key, place, b"*1\r\n$5\r\nMULTI\r\n");
        let at = self.now;
        self.owe_as(key, Owed { owing: Owing::Begun(place), mute: true, at });
        self.wait_for_answers(key);
    }

    /// The leg has answered MULTI.
    pub(crate) fn block_begun(&mut self, key: Key, place: usize, reply: &[u8]) {
        let Some(open) = self.open_mut(key) else {
            return;
        };
        if reply.starts_with(b"-") {
            open.refused = Some(reply.to_vec());
            return;
        }
        open.place = Some(place);
        let early = std::mem::take(&mut open.early);
        let count = std::mem::take(&mut open.early_count);
        self.feed(key, place, &early);
        let at = self.now;
        for _ in 0..count {
            self.owe_as(key, Owed { owing: Owing::Nothing(place), mute: true, at });
        }
    }

    /// EXEC or DISCARD.
    pub(crate) fn front_end_block(&mut self, key: Key, bytes: &[u8], local: Local) -> Step {
        let Some(open) = self.open_mut(key) else {
            let name = if local == Local::Exec { "EXEC" } else { "DISCARD" };
            self.reply_error(key, ErrorKind::Command, &format!("ERR {name} without MULTI"));
            return Step::Done;
        };
        let (place, watched, spoilt) = (open.place, open.watched, open.spoilt);
        let empty = open.early_count == 0;
        if local == Local::Exec && !spoilt && place.is_none() && open.refused.is_none() {
            if empty && watched.is_none() {
                self.end_block(key);
                self.reply(key, |out, _| resp::write_array_header(out, 0));
                return Step::Done;
            }
            let place = watched.unwrap_or_else(|| self.any_place(key));
            self.begin_block(key, place);
            return Step::Wait;
        }
        self.end_block(key);
        match place {
            Some(place) if local == Local::Discard || !spoilt => self.front_one(key, place, bytes),
            bound => {
                // Its leg forgets what it has queued, and what it watches.
                let at = self.now;
                if let Some(place) = bound {
                    self.feed(key, place, b"*1\r\n$7\r\nDISCARD\r\n");
                    self.owe_as(key, Owed { owing: Owing::Nothing(place), mute: true, at });
                } else if let Some(place) = watched {
                    self.feed(key, place, b"*1\r\n$7\r\nUNWATCH\r\n");
                    self.owe_as(key, Owed { owing: Owing::Nothing(place), mute: true, at });
                }
                if local == Local::Exec {
                    self.reply_error(key, ErrorKind::ExecAbort, EXEC_ABORT);
                } else {
                    self.reply_simple(key, "OK");
                }
            }
        }
        Step::Done
    }

    fn end_block(&mut self, key: Key) {
        if let Some(block) = self.block_mut(key) {
            *block = Block::None;
        }
        self.relocate_soon(key);
    }

    /// WATCH: the keys of one shard.
    pub(crate) fn front_watch(
        &mut self,
        key: Key,
        bytes: &[u8],
        call: Call<'_>,
        plan: Plan,
    ) -> Step {
        let Some(block) = self.block_mut(key) else {
            return Step::Done;
        };
        let present = match block {
            Block::None => None,
            Block::Watching(place) => Some(*place),
            Block::Open(_) => {
                self.reply_error(key, ErrorKind::Command, "ERR WATCH inside MULTI is not allowed");
                return Step::Done;
            }
        };
        match plan {
            Plan::One(place) if present.is_none_or(|present| present == place) => {
                if let Some(block) = self.block_mut(key) {
                    *block = Block::Watching(place);
                }
                self.front_one(key, place, bytes);
            }
            Plan::One(_) => {
                let text = session::error(
                    ErrorKind::CrossShard,
                    format_args!(
                        "a client of pool {} watches keys of one shard at a time; UNWATCH first",
                        self.pool_name(key)
                    ),
                );
                self.reply_error(key, ErrorKind::CrossShard, &text);
            }
            Plan::Crosses { one, other } => {
                let text = self.crosses(key, call, one, other);
                self.reply_error(key, ErrorKind::CrossShard, &text);
            }
            _ => {
                let place = self.any_place(key);
                self.front_one(key, place, bytes);
            }
        }
        Step::Done
    }

    pub(crate) fn front_unwatch(&mut self, key: Key, bytes: &[u8]) -> Step {
        match self.block_mut(key) {
            Some(block @ Block::Watching(_)) => {
                let Block::Watching(place) = std::mem::take(block) else {
                    return Step::Done;
                };
                self.front_one(key, place, bytes);
                Step::Done
            }
            _ => self.reply_simple(key, "OK"),
        }
    }
}

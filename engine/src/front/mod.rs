//! A client of a pool with several shards: its commands are given to legs, one for each shard that it uses, and what the legs are
//! answered is put together and in order again.
//!
//! A leg is to a shard what any client is to a pool of one replication group: it holds, repeats, pins and streams as all
//! do. Only what concerns several shards is here.

mod command;
mod hand_over;
mod input;
mod legs;
mod merging;
mod mirror;
mod owed;
mod relocate;
mod standing;
mod subscribe;
mod territory;
mod transaction;

use std::collections::VecDeque;

use resp::ReplyScanner;

pub(crate) use legs::{Lane, Leg};
pub(crate) use owed::{Come, Confirming, Merging, Owed, Owing};
pub use territory::{Located, Territory, View};
pub(crate) use transaction::Block;

use crate::dispatch::Request;
use crate::slots::Key;

/// What a client is to other clients.
#[derive(Debug, Default)]
pub(crate) enum Side {
    /// Of a pool of one replication group.
    #[default]
    Whole,
    /// Of a pool with several.
    Front(Box<Front>),
    /// A leg of another client.
    Leg(Box<Part>),
}

/// What a leg is to its client.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) front: Key,
    /// Requests at the start of the input that were looked at before they got there.
    pub(crate) staged: Vec<Request>,
    /// So many bytes they are.
    pub(crate) staged_len: usize,
    /// How long the replies are that stand, whole, at the front of the output; further ones may stand behind them.
    pub(crate) whole: VecDeque<usize>,
    pub(crate) whole_len: usize,
    /// How long the input was when something was last added here: what it is now may be something else.
    pub(crate) input_len: usize,
}

/// What there is of a client of several shards besides its legs.
#[derive(Debug, Default)]
pub(crate) struct Front {
    /// By the shard's place; made when first needed.
    pub(crate) legs: Vec<Option<Leg>>,
    /// Replies that are still to be given, in order.
    pub(crate) owed: VecDeque<Owed>,
    /// A value of which a part has been handed over.
    pub(crate) amid: Option<Amid>,
    /// MULTI and WATCH.
    pub(crate) block: Block,
    /// A request over the streaming threshold is passing through.
    pub(crate) streaming: Option<Stream>,
    /// Nothing more is looked at before all that is owed was given.
    pub(crate) alone: bool,
    /// Its legs have something to hand over before the turn ends.
    pub(crate) answered: bool,
    /// What it has set up may have to be set up elsewhere.
    pub(crate) misplaced: bool,
    /// It waits for a leg to take in what it has.
    pub(crate) full: bool,
    /// More was gathered for one reply than a client may have unread.
    pub(crate) too_much: bool,
    /// Counts random choices.
    pub(crate) turn: u64,
}

/// Whose value is being handed over as it comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amid {
    pub(crate) place: usize,
    /// A push: nothing owed is paid by it.
    pub(crate) unasked: bool,
}

/// A large request on its way to a leg, or to nobody.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) scanner: ReplyScanner,
    pub(crate) place: Option<usize>,
    pub(crate) len: u64,
}

/// How many replies may be owed before more is looked at.
pub(crate) const OWED_MAX: usize = 1024;

impl Part {
    /// A whole reply is appended to so many bytes of output.
    pub(crate) fn add_whole(&mut self, behind: usize, len: usize) {
        if self.whole_len == behind {
            self.whole.push_back(len);
            self.whole_len += len;
        }
    }

    /// So much of the output was handed over.
    pub(crate) fn handed_over(&mut self, len: usize) {
        if self.whole.front() == Some(&len) {
            self.whole.pop_front();
            self.whole_len -= len;
        } else if len > 0 {
            self.whole.clear();
            self.whole_len = 0;
        }
    }
}

impl Front {
    pub(crate) fn of(shards: usize) -> Box<Self> {
        let mut front = Box::<Self>::default();
        front.legs.resize_with(shards, || None);
        front
    }

    /// Must more wait until some of what is owed was given?
    pub(crate) fn is_busy(&self) -> bool {
        let alone = self.alone || (self.misplaced && self.is_between_commands());
        (alone && !self.owed.is_empty()) || self.owed.len() >= OWED_MAX || self.full
    }

    /// Is it neither within a transaction nor within a request or a reply?
    pub(crate) fn is_between_commands(&self) -> bool {
        !matches!(self.block, Block::Open(_)) && self.streaming.is_none() && self.amid.is_none()
    }
}

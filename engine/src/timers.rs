//! When to be woken. An entry says who wanted to be looked at, not what is due: the owner decides when it is looked at,
//! so nothing needs to be cancelled.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use topology::Time;

use crate::slots::Key;

/// Everybody is looked at after this time at the latest, whatever is due then: an entry stays as long, also when its owner has
/// gone, and a blocked client may have waited for ever.
pub(crate) const FARTHEST: Duration = Duration::from_secs(60);

/// Who is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    Client(Key),
    Upstream(Key),
    /// The pool of this index lets more of its waiting clients go on.
    Release(usize),
    /// Shared subscriber connections of the pool of this index are missing.
    Hubs(usize),
    /// The CLIENT PAUSE of the pool of this index ends.
    Pause(usize),
}

/// The armed timers of one worker.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Time, Timer)>>,
}

impl Timers {
    pub(crate) fn arm(&mut self, at: Time, timer: Timer) {
        self.heap.push(Reverse((at, timer)));
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// The next timer that is due, with the time it was armed for: its owner has been armed anew if that is not its own.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<(Time, Timer)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

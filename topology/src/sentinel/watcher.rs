//! One Sentinel, as the reducers remember it.

use std::sync::Arc;
use std::time::Duration;

use super::{SentinelAnswer, SentinelEvent, SentinelId};
use crate::Time;

/// Between two polls of one that answers.
const INTERVAL: Duration = Duration::from_secs(1);
/// Between two polls, however much happens.
const MIN_GAP: Duration = Duration::from_millis(20);
/// The first wait after a second failure; doubled with each further one, up to [`MAX_BACKOFF`].
const BACKOFF: Duration = Duration::from_millis(250);
const MAX_BACKOFF: Duration = Duration::from_secs(2);
/// Failures in a row after which the failover that it announced is forgotten.
const FORGET_AFTER: u32 = 3;

/// One address at which a Sentinel is asked.
#[derive(Clone, Debug)]
pub(crate) struct Watcher {
    pub(crate) id: SentinelId,
    /// `host:port`
    pub(crate) name: Arc<str>,
    /// It stands in the configuration; else another Sentinel knows it.
    pub(crate) configured: bool,
    /// Its identifier, once it or another has told.
    pub(crate) identifier: Option<Arc<str>>,
    /// Since when no Sentinel knows it any more.
    pub(crate) unknown_since: Option<Time>,
    heard: Heard,
    tilt: bool,
    failover: Option<Failover>,
    polls: Polls,
}

/// Its last answer.
#[derive(Clone, Debug)]
enum Heard {
    NotYet,
    Answer { sent: Time, answer: SentinelAnswer },
    Silent { why: Arc<str> },
}

/// It published that it replaces the primary of this name.
#[derive(Clone, Debug)]
struct Failover {
    primary: Arc<str>,
    since: Time,
}

#[derive(Clone, Debug, Default)]
struct Polls {
    last_sent: Option<Time>,
    in_flight: bool,
    /// In a row.
    failures: u32,
    /// The newest thing that makes it worth asking.
    wanted: Option<Time>,
}

impl Watcher {
    pub(crate) fn new(id: SentinelId, name: Arc<str>, configured: bool) -> Self {
        Self {
            id,
            name,
            configured,
            identifier: None,
            unknown_since: None,
            heard: Heard::NotYet,
            tilt: false,
            failover: None,
            polls: Polls::default(),
        }
    }

    /// Are both addresses those of one Sentinel?
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.identifier.is_some() && self.identifier == other.identifier
    }

    /// Its last answer, while it answers.
    pub(crate) fn answer(&self) -> Option<&SentinelAnswer> {
        match &self.heard {
            Heard::Answer { answer, .. } => Some(answer),
            Heard::NotYet | Heard::Silent { .. } => None,
        }
    }

    /// Its answer, where that counts: in TILT it does not trust itself.
    pub(crate) fn vote(&self) -> Option<&SentinelAnswer> {
        self.answer().filter(|_| !self.tilt)
    }

    pub(crate) fn is_in_tilt(&self) -> bool {
        self.answer().is_some() && self.tilt
    }

    /// Has it answered, or failed to, at least once?
    pub(crate) fn is_heard(&self) -> bool {
        !matches!(self.heard, Heard::NotYet)
    }

    /// Why it does not answer; `None`: it does.
    pub(crate) fn silence(&self) -> Option<Arc<str>> {
        match &self.heard {
            Heard::Answer { .. } => None,
            Heard::NotYet => Some("has not answered yet".into()),
            Heard::Silent { why } => Some(Arc::clone(why)),
        }
    }

    /// When the poll was sent that it answered last.
    pub(crate) fn asked_at(&self) -> Option<Time> {
        match &self.heard {
            Heard::Answer { sent, .. } => Some(*sent),
            Heard::NotYet | Heard::Silent { .. } => None,
        }
    }

    /// Is it about to replace this primary?
    pub(crate) fn replaces(&self, primary: &str) -> bool {
        let published =
            self.failover.as_ref().is_some_and(|failover| &*failover.primary == primary);
        let answered = self.vote().is_some_and(|answer| {
            answer.failing_over && &*answer.booked == primary && &*answer.primary == primary
        });
        !self.tilt && (published || answered)
    }

    /// A poll sent at `sent` has ended.
    pub(crate) fn answered(&mut self, sent: Time, outcome: Result<SentinelAnswer, Box<str>>) {
        self.polls.in_flight = false;
        match outcome {
            Ok(answer) => {
                self.polls.failures = 0;
                self.tilt = answer.tilt;
                if answer.id.is_some() {
                    self.identifier.clone_from(&answer.id);
                }
                // What it published after the poll was sent is newer than the answer.
                let over = !answer.failing_over;
                if over && self.failover.as_ref().is_some_and(|failover| failover.since < sent) {
                    self.failover = None;
                }
                self.heard = Heard::Answer { sent, answer };
            }
            Err(why) => {
                self.polls.failures = self.polls.failures.saturating_add(1);
                // One that died as it began: what it had set off is visible by now, or did not happen.
                if self.polls.failures >= FORGET_AFTER {
                    self.failover = None;
                }
                self.heard = Heard::Silent { why: why.into() };
            }
        }
    }

    /// It published something, which makes it worth asking.
    pub(crate) fn published(&mut self, event: SentinelEvent, now: Time) {
        match event {
            SentinelEvent::FailoverBegan(primary) => {
                self.failover = Some(Failover { primary, since: now });
            }
            SentinelEvent::FailoverAborted => self.failover = None,
            SentinelEvent::Tilt(tilt) => self.tilt = tilt,
            SentinelEvent::Other => {}
        }
        self.want_poll(now);
    }

    /// Something happened at `at` that it may know of.
    pub(crate) fn want_poll(&mut self, at: Time) {
        self.polls.wanted = self.polls.wanted.max(Some(at));
    }

    /// When it is to be asked next; never while it is.
    pub(crate) fn due(&self) -> Time {
        let Some(last) = self.polls.last_sent else { return Time::ZERO };
        if self.polls.in_flight {
            return Time::MAX;
        }
        match self.polls.failures {
            // A connection that was lost is dialled again at once.
            0 | 1 if self.polls.wanted.is_some_and(|at| at >= last) => last + MIN_GAP,
            1 => last + MIN_GAP,
            0 => last + INTERVAL,
            failures => {
                let factor = 1 << (failures - 2).min(8);
                last + (BACKOFF * factor).min(MAX_BACKOFF)
            }
        }
    }

    pub(crate) fn sent(&mut self, now: Time) {
        self.polls.last_sent = Some(now);
        self.polls.in_flight = true;
    }
}

//! The ways by which a primary hands over.
//!
//! - `FAILOVER`: the primary does it itself. It waits until the replica has told it that it has everything, which a replica
//!   does once a second, unless it is nudged.
//! - `PAUSE`: where that is denied, or the replica cannot be nudged: writes wait at the primary (`CLIENT PAUSE`), until the
//!   replica has as much; then the primary is demoted before the replica is promoted, so that there are never two.
//! - `SENTINEL`: where Sentinels watch the nodes; in [`super::elected`].

use std::time::Duration;

use super::Ending;
use super::ask::Ask;
use super::machine::{Do, Outcome, State, Switchover, Taken, taken, told};
use crate::Time;

/// After which the primary gives up by itself. It looks at it every 100 ms.
const FAILOVER_TIMEOUT: Duration = Duration::from_millis(300);
/// In which the target must say that it is the primary.
const PROMOTION: Duration = Duration::from_millis(500);
/// Between two looks at the target.
const POLL: Duration = Duration::from_millis(1);
/// In which the target must have as much as the paused primary.
pub(super) const CATCH_UP: Duration = Duration::from_millis(500);
/// After which writes go on by themselves, should nobody let them.
pub(super) const PAUSE: Duration = Duration::from_secs(2);

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Failover,
    Pause,
    Sentinel,
}

impl Way {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Failover => "FAILOVER",
            Self::Pause => "PAUSE",
            Self::Sentinel => "SENTINEL",
        }
    }
}

/// Where the second way is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pausing {
    /// May the target be told whom to follow? It is told whom it follows already.
    TriesTarget,
    Pauses,
    AsksPrimary {
        until: Time,
    },
    AsksTarget {
        until: Time,
        offset: u64,
    },
    Rests {
        until: Time,
    },
    Demotes,
    Promotes,
    /// Writes go on; then it is over, for this reason.
    Unpauses {
        ending: Ending,
        why: String,
    },
}

impl Switchover {
    /// Writes are held and answered.
    pub(super) fn take_a_way(&mut self, now: Time) -> Do {
        if self.cast.elector.is_some() {
            return self.begin_election();
        }
        if !self.nudges {
            return self.pause("REPLCONF is denied".to_owned());
        }
        self.way(Way::Failover);
        self.changed_at = Some(now);
        let (host, port) = self.place.clone();
        self.go(State::HandsOver, Ask::Failover { host, port, timeout: FAILOVER_TIMEOUT })
    }

    pub(super) fn handed_over(&mut self, outcome: Outcome, now: Time) -> Do {
        match taken(outcome) {
            Taken::Yes => self.nudge(now + PROMOTION),
            Taken::Denied(text) => self.pause(text),
            Taken::Refused(text) => {
                let why = format!("{} refuses FAILOVER: {text}", self.cast.from.name);
                self.leave(Ending::Refused, why, now)
            }
            Taken::Unknown(_) => self.look(),
        }
    }

    fn nudge(&mut self, until: Time) -> Do {
        self.ask(State::Awaits { until, asked: true }, self.cast.to.node, Ask::Nudge)
    }

    pub(super) fn awaited(&mut self, until: Time, asked: bool, outcome: Outcome, now: Time) -> Do {
        if !asked {
            return self.nudge(until);
        }
        match told(outcome) {
            Ok(state) if state.is_primary() => self.promoted(now),
            _ if now >= until => self.look(),
            _ => self.wait(State::Awaits { until, asked: false }, POLL),
        }
    }

    /// The second way, because of `why`.
    fn pause(&mut self, why: String) -> Do {
        self.way(Way::Pause);
        self.changed_at = None;
        self.note(format!("FAILOVER cannot be used: {why}"));
        let (host, port) = self.old_place.clone();
        self.ask(State::Pauses(Pausing::TriesTarget), self.cast.to.node, Ask::Follow { host, port })
    }

    fn pausing_at(&mut self, pausing: Pausing, ask: Ask) -> Do {
        let node = match pausing {
            Pausing::TriesTarget | Pausing::AsksTarget { .. } | Pausing::Promotes => {
                self.cast.to.node
            }
            _ => self.cast.from.node,
        };
        self.ask(State::Pauses(pausing), node, ask)
    }

    pub(super) fn pausing(&mut self, pausing: Pausing, outcome: Outcome, now: Time) -> Do {
        match pausing {
            Pausing::TriesTarget => match taken(outcome) {
                Taken::Yes => {
                    self.changed_at = Some(now);
                    self.pausing_at(Pausing::Pauses, Ask::Pause { time: PAUSE })
                }
                denied => self.denied(self.cast.to.node, "REPLICAOF", &denied, now),
            },
            Pausing::Pauses => match taken(outcome) {
                Taken::Yes => {
                    self.pausing_at(Pausing::AsksPrimary { until: now + CATCH_UP }, Ask::State)
                }
                denied => self.denied(self.cast.from.node, "CLIENT PAUSE", &denied, now),
            },
            Pausing::AsksPrimary { until } => match told(outcome) {
                Ok(state) => {
                    let offset = state.replication.offset;
                    self.pausing_at(Pausing::AsksTarget { until, offset }, Ask::State)
                }
                Err(why) => self.undo_pause(format!("{} {why}", self.cast.from.name), now),
            },
            Pausing::AsksTarget { until, offset } => match told(outcome) {
                Ok(state) if state.is_linked() && state.replication.offset == offset => {
                    self.step("catch up", now);
                    let (host, port) = self.place.clone();
                    self.pausing_at(Pausing::Demotes, Ask::Demote { host, port })
                }
                _ if now >= until => {
                    let (from, to) = (&self.cast.from.name, &self.cast.to.name);
                    let why = format!("{to} did not catch up with {from} within {CATCH_UP:?}");
                    self.undo_pause(why, now)
                }
                _ => self.wait(State::Pauses(Pausing::Rests { until }), POLL),
            },
            Pausing::Rests { until } => self.pausing_at(Pausing::AsksPrimary { until }, Ask::State),
            Pausing::Demotes => match taken(outcome) {
                Taken::Yes => {
                    self.step("demote", now);
                    self.pausing_at(Pausing::Promotes, Ask::Promote)
                }
                Taken::Unknown(_) => self.look(),
                Taken::Denied(text) | Taken::Refused(text) => {
                    let why = format!("{} refuses REPLICAOF: {text}", self.cast.from.name);
                    self.unpause(Ending::Refused, why)
                }
            },
            Pausing::Promotes => match taken(outcome) {
                Taken::Yes => self.promoted(now),
                _ => self.look(),
            },
            Pausing::Unpauses { ending, why } => self.leave(ending, why, now),
        }
    }

    /// A command of the second way is denied before it has changed anything.
    fn denied(&mut self, node: crate::NodeId, what: &str, taken: &Taken, now: Time) -> Do {
        let name = self.name_of(node);
        match taken {
            Taken::Unknown(why) => {
                self.undo_pause(format!("{name} did not answer {what}: it {why}"), now)
            }
            Taken::Denied(text) | Taken::Refused(text) => {
                let why = format!(
                    "{name} allows neither FAILOVER nor {what} ({text}); \
                     where a provider runs the servers, ask it to change the primary"
                );
                self.leave(Ending::Refused, why, now)
            }
            Taken::Yes => self.look(),
        }
    }

    pub(super) fn unpause(&mut self, ending: Ending, why: String) -> Do {
        self.pausing_at(Pausing::Unpauses { ending, why }, Ask::Unpause)
    }

    /// The primary is the primary: lets its writes go on, where they wait.
    pub(super) fn undo_pause(&mut self, why: String, now: Time) -> Do {
        match self.state {
            State::Pauses(Pausing::TriesTarget) => self.leave(Ending::Aborted, why, now),
            State::Pauses(_) => self.unpause(Ending::Aborted, why),
            _ if self.is_pausing() => self.unpause(Ending::Aborted, why),
            _ => self.leave(Ending::Aborted, why, now),
        }
    }
}

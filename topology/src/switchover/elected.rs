//! The way where Sentinels watch the nodes: one of them is told to replace the primary, and chooses by whom.
//!
//! The bare `SENTINEL FAILOVER` promotes while the old primary takes writes, and demotes it seconds later: what was
//! written to it meanwhile is lost. So writes wait at the primary (`CLIENT PAUSE`) before the order is given, until every
//! replica that could be chosen has as much as it; and it is demoted as soon as one of them is promoted. A failover
//! cannot be taken back from a Sentinel: where it promotes nobody in time, the primary takes writes again, and what it
//! does later is followed like anything that it does by itself.

use std::sync::Arc;
use std::time::Duration;

use resp::Value;

use super::Ending;
use super::ask::Ask;
use super::cast::{Elector, Party, still_busy};
use super::machine::{Do, Outcome, State, Switchover, Taken, taken, told};
use super::state::NodeState;
use super::ways::{CATCH_UP, PAUSE, Way};
use crate::sentinel::candidates;
use crate::{Address, NodeId, Time};

/// In which somebody must have been promoted. A Sentinel does one step of it in 50 to 100 ms (sentinelTimer); measured
/// it takes 160 to 250 ms.
const PROMOTION: Duration = Duration::from_secs(1);
/// Between two looks at the replicas.
const POLL: Duration = Duration::from_millis(2);
/// For one look at one of them: the others are not to wait for it.
const GLANCE: Duration = Duration::from_millis(50);
/// For one answer of the Sentinel.
const SENTINEL_ANSWER: Duration = Duration::from_millis(500);

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Electing {
    /// Whom could the Sentinel choose?
    AsksSentinel {
        primary: Box<NodeState>,
    },
    /// Is each of them in step?
    Checks {
        primary: Box<NodeState>,
        at: usize,
    },
    /// Would the primary let itself be demoted?
    Rehearses,
    Pauses,
    AsksPrimary {
        until: Time,
    },
    /// Has each of them as much?
    Compares {
        until: Time,
        offset: u64,
        at: usize,
    },
    CatchesUp {
        until: Time,
    },
    Orders,
    /// Is one of them promoted?
    Polls {
        until: Time,
        at: usize,
    },
    Rests {
        until: Time,
    },
    Demotes,
}

/// A replica that the Sentinel may have promoted.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    node: NodeId,
    /// Where its replicas can reach it: as the primary lists it, if it does.
    place: (String, u16),
}

impl Switchover {
    /// The primary is fit to hand over.
    pub(super) fn ask_electorate(&mut self, elector: &Elector, primary: NodeState) -> Do {
        let ask = Ask::Candidates { master: Arc::clone(&elector.master) };
        self.ask_sentinel(Electing::AsksSentinel { primary: Box::new(primary) }, ask)
    }

    /// Writes are held and answered.
    pub(super) fn begin_election(&mut self) -> Do {
        self.way(Way::Sentinel);
        self.electing_at(Electing::Pauses, self.cast.from.node, Ask::Pause { time: PAUSE })
    }

    pub(super) fn elect(
        &mut self,
        elector: &Elector,
        electing: Electing,
        outcome: Outcome,
        now: Time,
    ) -> Do {
        match electing {
            Electing::AsksSentinel { primary } => {
                self.electorate_told(elector, primary, outcome, now)
            }
            Electing::Checks { primary, at } => self.candidate_told(primary, at, outcome, now),
            Electing::Rehearses => self.rehearsed(outcome, now),
            Electing::Pauses => self.primary_paused(outcome, now),
            Electing::AsksPrimary { until } => match told(outcome) {
                Ok(state) if state.is_primary() => self.compare(until, state.replication.offset, 0),
                Ok(_) => {
                    let why = format!("{} is not the primary any more", self.cast.from.name);
                    self.unpause(Ending::Aborted, why)
                }
                Err(why) => self.unpause(Ending::Aborted, format!("{} {why}", self.cast.from.name)),
            },
            Electing::Compares { until, offset, at } => {
                self.compared(elector, until, offset, at, outcome, now)
            }
            Electing::CatchesUp { until } => self.ask_offset(until),
            Electing::Orders => self.ordered(elector, outcome, now),
            Electing::Polls { until, at } => self.polled(elector, until, at, outcome, now),
            Electing::Rests { until } => self.poll(until, 0),
            Electing::Demotes => self.demoted(outcome, now),
        }
    }

    // === preparation: nothing is changed, nobody notices ===

    fn electorate_told(
        &mut self,
        elector: &Elector,
        primary: Box<NodeState>,
        outcome: Outcome,
        now: Time,
    ) -> Do {
        match self.candidates(elector, &primary, outcome) {
            Ok(candidates) => self.candidates = candidates,
            Err(why) => return self.leave(Ending::Refused, why, now),
        }
        // One that is down in the Sentinel's eyes may come back at any moment.
        let parties = self.cast.all().skip(1);
        let is_candidate = |party: &Party| self.candidates.iter().any(|it| it.node == party.node);
        let bystanders = parties.filter(|party| !is_candidate(party));
        self.bystanders = bystanders.filter_map(Candidate::by_address).collect();
        self.check(primary, 0)
    }

    /// Who could be chosen; or why nobody should be.
    fn candidates(
        &self,
        elector: &Elector,
        primary: &NodeState,
        outcome: Outcome,
    ) -> Result<Vec<Candidate>, String> {
        let (from, sentinel) = (&self.cast.from.name, &elector.sentinel);
        let reply = match outcome {
            Outcome::Answered(values) => values.into_iter().next_back().unwrap_or(Value::Null),
            Outcome::Failed(failure) => return Err(format!("Sentinel {sentinel} {failure}")),
            _ => return Err(format!("Sentinel {sentinel} was not asked")),
        };
        let names = candidates(&reply)
            .map_err(|why| format!("Sentinel {sentinel} {}", why.of_sentinel(&elector.master)))?;
        if names.is_empty() {
            return Err(format!(
                "Sentinel {sentinel} knows no replica of {from} that it could promote: \
                 each is down in its eyes, or has replica-priority 0"
            ));
        }
        // It told us the new primary, but keeps the books of the old one until it has re-pointed all replicas.
        if names.iter().any(|name| self.cast.from.is_called(name)) {
            return Err(still_busy(sentinel));
        }
        if elector.wanted {
            let wanted = &self.cast.to;
            if !names.iter().any(|name| wanted.is_called(name)) {
                return Err(format!(
                    "Sentinel {sentinel} would not promote {}: it is down in its eyes, or has replica-priority 0",
                    wanted.name
                ));
            }
            if names.len() > 1 {
                return Err(format!(
                    "Sentinel chooses who becomes the primary, among {}: leave the node out (--to), \
                     or set replica-priority to 0 at the others for as long, which Sentinel sees within 10 s",
                    names.join(", ")
                ));
            }
        }
        let candidate = |name: &String| {
            let Some(party) = self.cast.all().skip(1).find(|party| party.is_called(name)) else {
                return Err(format!(
                    "Sentinel {sentinel} may promote {name}, which is no node of this pool (yet): try again later, or set its replica-priority to 0"
                ));
            };
            let Some(place) = primary.place_of(party, names.len() == 1).cloned() else {
                return Err(format!(
                    "{from} does not list {name} among its replicas that are in step, and Sentinel may promote it: \
                     try again when it is, or set its replica-priority to 0"
                ));
            };
            Ok(Candidate { node: party.node, place })
        };
        names.iter().map(candidate).collect()
    }

    fn check(&mut self, primary: Box<NodeState>, at: usize) -> Do {
        match self.candidates.get(at) {
            Some(candidate) => {
                let node = candidate.node;
                self.electing_at(Electing::Checks { primary, at }, node, Ask::State)
            }
            None => {
                self.electing_at(Electing::Rehearses, self.cast.from.node, Ask::RehearseDemotion)
            }
        }
    }

    /// Found out after the promotion it would be too late: two would take writes.
    fn rehearsed(&mut self, outcome: Outcome, now: Time) -> Do {
        let from = &self.cast.from.name;
        let why = match taken(outcome) {
            Taken::Yes => {
                return self.hold(format!("Sentinel is to replace {from} (switchover)"), now);
            }
            Taken::Unknown(why) => format!("{from} {why}"),
            Taken::Denied(text) | Taken::Refused(text) => format!(
                "{from} would not let itself be demoted ({text}), and would go on taking writes beside whom Sentinel \
                 promotes: allow the user of upstream +multi, +replicaof, +client|unpause and +exec"
            ),
        };
        self.leave(Ending::Refused, why, now)
    }

    fn candidate_told(
        &mut self,
        primary: Box<NodeState>,
        at: usize,
        outcome: Outcome,
        now: Time,
    ) -> Do {
        let name = self.candidate_name(at);
        let why = match told(outcome) {
            Ok(state)
                if state.is_linked()
                    && state.replication.lineage.id == primary.replication.lineage.id =>
            {
                return self.check(primary, at + 1);
            }
            Ok(_) => format!("is not in step with {}", self.cast.from.name),
            Err(why) => why,
        };
        let why = format!(
            "{name} {why}, and Sentinel may promote it: try again when it is in step, or set its replica-priority to 0"
        );
        self.leave(Ending::Refused, why, now)
    }

    // === writes wait at the primary ===

    fn primary_paused(&mut self, outcome: Outcome, now: Time) -> Do {
        let from = &self.cast.from.name;
        match taken(outcome) {
            Taken::Yes => self.ask_offset(now + CATCH_UP),
            Taken::Unknown(why) => {
                let why = format!("{from} did not answer CLIENT PAUSE: it {why}");
                self.unpause(Ending::Aborted, why)
            }
            Taken::Denied(text) | Taken::Refused(text) => {
                let why = format!(
                    "{from} does not allow CLIENT PAUSE ({text}), without which a failover by Sentinel loses \
                     writes: allow the user of upstream +client|pause and +client|unpause"
                );
                self.leave(Ending::Refused, why, now)
            }
        }
    }

    fn ask_offset(&mut self, until: Time) -> Do {
        self.electing_at(Electing::AsksPrimary { until }, self.cast.from.node, Ask::State)
    }

    fn compare(&mut self, until: Time, offset: u64, at: usize) -> Do {
        match self.candidates.get(at) {
            Some(candidate) => {
                let node = candidate.node;
                self.electing_at(Electing::Compares { until, offset, at }, node, Ask::State)
            }
            None => self.ask_offset(until),
        }
    }

    fn compared(
        &mut self,
        elector: &Elector,
        until: Time,
        offset: u64,
        at: usize,
        outcome: Outcome,
        now: Time,
    ) -> Do {
        let has_all = told(outcome)
            .is_ok_and(|state| state.is_linked() && state.replication.offset == offset);
        if has_all && at + 1 < self.candidates.len() {
            return self.compare(until, offset, at + 1);
        }
        if has_all {
            self.step("catch up", now);
            let ask = Ask::Elect { master: Arc::clone(&elector.master) };
            return self.ask_sentinel(Electing::Orders, ask);
        }
        if now >= until {
            let (from, name) = (&self.cast.from.name, self.candidate_name(at));
            let why = format!("{name} did not catch up with {from} within {CATCH_UP:?}");
            return self.unpause(Ending::Aborted, why);
        }
        self.wait(State::Elects(Electing::CatchesUp { until }), POLL)
    }

    // === the Sentinel acts ===

    fn ordered(&mut self, elector: &Elector, outcome: Outcome, now: Time) -> Do {
        let sentinel = &elector.sentinel;
        match taken(outcome) {
            Taken::Yes => {}
            Taken::Denied(text) | Taken::Refused(text) => {
                let why = format!("Sentinel {sentinel} refuses SENTINEL FAILOVER: {text}");
                return self.unpause(Ending::Refused, why);
            }
            // It may have begun.
            Taken::Unknown(why) => self.note(format!("Sentinel {sentinel} {why} when ordered to")),
        }
        self.poll(now + PROMOTION, 0)
    }

    fn poll(&mut self, until: Time, at: usize) -> Do {
        let Some(node) = self.promotable(at).map(|candidate| candidate.node) else {
            return self.wait(State::Elects(Electing::Rests { until }), POLL);
        };
        self.state = State::Elects(Electing::Polls { until, at });
        Do::Ask { node, ask: Ask::State, within: GLANCE }
    }

    fn polled(
        &mut self,
        elector: &Elector,
        until: Time,
        at: usize,
        outcome: Outcome,
        now: Time,
    ) -> Do {
        // A Sentinel cuts the connections of whom it promotes: no answer means nothing yet.
        let promoted = told(outcome).is_ok_and(|state| state.is_primary());
        if let Some(candidate) = self.promotable(at).filter(|_| promoted) {
            return self.elected(candidate.clone(), now);
        }
        let was_last = self.promotable(at + 1).is_none();
        if was_last && now >= until {
            let why = format!(
                "no replica was promoted within {PROMOTION:?} of the order to Sentinel {}; {} takes writes again. \
                 A Sentinel cannot be told to stop: it may still promote one, which is followed as any failover; \
                 SENTINEL MASTER {} says failover_in_progress for as long",
                elector.sentinel, self.cast.from.name, elector.master
            );
            return self.unpause(Ending::Unclear, why);
        }
        self.poll(until, at + 1)
    }

    fn elected(&mut self, Candidate { node, place }: Candidate, now: Time) -> Do {
        self.cast.elect(node);
        self.target_known();
        self.step("promote", now);
        let (host, port) = place.clone();
        self.place = place;
        self.electing_at(Electing::Demotes, self.cast.from.node, Ask::Demote { host, port })
    }

    fn demoted(&mut self, outcome: Outcome, now: Time) -> Do {
        match taken(outcome) {
            Taken::Yes => self.step("demote", now),
            Taken::Denied(why) | Taken::Refused(why) | Taken::Unknown(why) => {
                // The pause ends by itself: until then nobody can write there.
                let from = &self.cast.from.name;
                self.note(format!(
                    "{from} was not made a replica at once ({why}): Sentinel does that within some ten seconds; \
                     what other clients write to it from {PAUSE:?} after the hold until then is lost"
                ));
            }
        }
        self.adopt()
    }

    // === helpers ===

    fn ask_sentinel(&mut self, electing: Electing, ask: Ask) -> Do {
        self.state = State::Elects(electing);
        Do::AskSentinel { ask, within: SENTINEL_ANSWER }
    }

    fn electing_at(&mut self, electing: Electing, node: NodeId, ask: Ask) -> Do {
        self.ask(State::Elects(electing), node, ask)
    }

    fn promotable(&self, at: usize) -> Option<&Candidate> {
        self.candidates.iter().chain(&self.bystanders).nth(at)
    }

    fn candidate_name(&self, at: usize) -> Arc<str> {
        let party = self.candidates.get(at).map(|candidate| self.name_of(candidate.node));
        party.unwrap_or_default()
    }
}

impl Candidate {
    fn by_address(party: &Party) -> Option<Self> {
        match &party.address {
            Address::Tcp(address) => {
                let place = (address.ip().to_string(), address.port());
                Some(Self { node: party.node, place })
            }
            Address::Unix(_) => None,
        }
    }
}

impl Party {
    fn is_called(&self, name: &str) -> bool {
        *self.name == *name || self.address.to_string() == name
    }
}

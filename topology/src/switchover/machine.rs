//! The way from one primary to the next, step by step, and the ways back.

use std::sync::Arc;
use std::time::Duration;

use resp::Value;

use super::ask::Ask;
use super::cast::{Cast, Party};
use super::elected::{Candidate, Electing};
use super::state::{NodeState, is_at};
use super::tidy::Tidy;
use super::ways::{Pausing, Way};
use super::{Ending, SwitchoverReport};
use crate::{Failure, NodeId, Refusal, Time, printable};

/// For one answer of a node.
const ANSWER: Duration = Duration::from_millis(200);
/// In which every worker's unanswered writes must be answered.
const DRAIN: Duration = Duration::from_millis(100);
/// In which the new primary must be recognized by the usual rules.
const ADOPT: Duration = Duration::from_secs(2);
/// For what depends on the nodes once the way back is not certain: then somebody must look.
const GIVE_UP: Duration = Duration::from_secs(10);
/// The same while the old primary says nothing: whoever is the primary then is found out as after any failure.
const GIVE_UP_SILENT: Duration = Duration::from_secs(2);
/// Between two looks while it is not certain.
const LOOK: Duration = Duration::from_millis(50);

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Do {
    /// Ask a node; [`Outcome::Answered`] or [`Outcome::Failed`] tells what came.
    Ask {
        /// This one.
        node: NodeId,
        /// This.
        ask: Ask,
        /// After which it counts as not answered.
        within: Duration,
    },
    /// Ask the Sentinel that chooses; it answers as a node does.
    AskSentinel {
        /// This.
        ask: Ask,
        /// After which it counts as not answered.
        within: Duration,
    },
    /// Publish that writes are held, and wait for all workers: [`Outcome::Drained`] or [`Outcome::Undrained`].
    Hold {
        /// For clients whose time is up meanwhile.
        why: Arc<str>,
        /// After which it is given up.
        within: Duration,
    },
    /// Wait: [`Outcome::Waited`].
    Wait(Duration),
    /// Look at all nodes at once until this one is the primary: [`Outcome::Adopted`] or [`Outcome::NotAdopted`].
    Adopt {
        /// This one.
        node: NodeId,
        /// After which it is given up.
        within: Duration,
    },
    /// Publish that writes are no longer held: [`Outcome::Released`].
    Release,
    /// It is over.
    End(SwitchoverReport),
}

/// How it ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Nothing has been done yet.
    Begun,
    /// The node answered.
    Answered(Vec<Value>),
    /// It did not.
    Failed(Failure),
    /// No worker has an unanswered write.
    Drained,
    /// Some have not answered in time, or have unanswered writes: how many; `None`: unknown.
    Undrained(Option<usize>),
    /// The time has passed.
    Waited,
    /// The node is the primary.
    Adopted,
    /// It is not, in the control plane's words.
    NotAdopted(String),
    /// Writes go on.
    Released,
}

/// One switchover.
#[derive(Debug)]
pub struct Switchover {
    pub(super) cast: Cast,
    pub(super) state: State,
    report: SwitchoverReport,
    step_began: Time,
    held_since: Option<Time>,
    /// When the first command left that changes something.
    pub(super) changed_at: Option<Time>,
    /// The target as the primary lists it: what FAILOVER and REPLICAOF take.
    pub(super) place: (String, u16),
    /// The primary as the target knows it.
    pub(super) old_place: (String, u16),
    /// The target can be made to tell at once how far it is.
    pub(super) nudges: bool,
    /// How often in a row the target was seen not to be promoted while nothing could change that any more.
    seen_unpromoted: u32,
    /// Whom the Sentinel could choose.
    pub(super) candidates: Vec<Candidate>,
    /// The other nodes, which it could not.
    pub(super) bystanders: Vec<Candidate>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Begins,
    Claims,
    CountsClaims,
    AsksPrimary,
    AsksTarget { primary: Box<NodeState> },
    TriesNudge,
    Drains,
    HandsOver,
    Awaits { until: Time, asked: bool },
    Pauses(Pausing),
    Elects(Electing),
    LooksAtTarget,
    LooksAtPrimary { unpromoted: bool },
    Undoes,
    LooksAgain,
    Adopts,
    Releases,
    Tidies(Tidy),
    Over,
}

impl Switchover {
    /// Of `pool`, with these parts.
    pub fn new(pool: Arc<str>, cast: Cast, now: Time) -> Self {
        let report = SwitchoverReport {
            ending: Ending::Refused,
            pool,
            from: Some(Arc::clone(&cast.from.name)),
            to: cast.target().map(|party| Arc::clone(&party.name)),
            way: "",
            steps: Vec::new(),
            held: None,
            why: None,
            notes: Vec::new(),
        };
        Self {
            cast,
            state: State::Begins,
            report,
            step_began: now,
            held_since: None,
            changed_at: None,
            place: (String::new(), 0),
            old_place: (String::new(), 0),
            nudges: false,
            seen_unpromoted: 0,
            candidates: Vec::new(),
            bystanders: Vec::new(),
        }
    }

    /// Who takes part.
    pub fn cast(&self) -> &Cast {
        &self.cast
    }

    /// What is to be done after this. Not to be asked again once it is over.
    pub fn next(&mut self, outcome: Outcome, now: Time) -> Do {
        match self.state.clone() {
            State::Begins => self.go(State::Claims, Ask::Claim),
            State::Claims => self.claimed(&outcome, now),
            State::CountsClaims => self.claims_counted(&outcome, now),
            State::AsksPrimary => self.primary_told(outcome, now),
            State::AsksTarget { primary } => self.target_told(&primary, outcome, now),
            State::TriesNudge => self.nudge_tried(outcome, now),
            State::Drains => self.drained(outcome, now),
            State::HandsOver => self.handed_over(outcome, now),
            State::Awaits { until, asked } => self.awaited(until, asked, outcome, now),
            State::Pauses(pausing) => self.pausing(pausing, outcome, now),
            State::Elects(electing) => match self.cast.elector.clone() {
                Some(elector) => self.elect(&elector, electing, outcome, now),
                None => self.end(),
            },
            State::LooksAtTarget => self.looked_at_target(outcome, now),
            State::LooksAtPrimary { unpromoted } => {
                self.looked_at_primary(unpromoted, outcome, now)
            }
            State::Undoes => self.wait(State::LooksAgain, LOOK),
            State::LooksAgain => self.go(State::LooksAtTarget, Ask::State),
            State::Adopts => self.adopted(outcome, now),
            State::Releases => self.released(now),
            State::Tidies(tidy) => self.tidy(tidy, outcome, now),
            State::Over => self.end(),
        }
    }

    // === preparation: nothing is changed, nobody notices ===

    fn primary_told(&mut self, outcome: Outcome, now: Time) -> Do {
        let name = Arc::clone(&self.cast.from.name);
        let state = match told(outcome) {
            Ok(state) => state,
            Err(why) => return self.leave(Ending::Refused, format!("{name} {why}"), now),
        };
        if !state.is_primary() || state.failover != super::state::Failover::None {
            let why = format!("{name} is about to hand over to another already");
            return self.leave(Ending::Refused, why, now);
        }
        if let Some(elector) = self.cast.elector.clone() {
            return self.ask_electorate(&elector, state);
        }
        self.go(State::AsksTarget { primary: Box::new(state) }, Ask::State)
    }

    fn target_told(&mut self, primary: &NodeState, outcome: Outcome, now: Time) -> Do {
        let name = Arc::clone(&self.cast.to.name);
        let state = match told(outcome) {
            Ok(state) => state,
            Err(why) => return self.leave(Ending::Refused, format!("{name} {why}"), now),
        };
        let (from, to) = (&self.cast.from, &self.cast.to);
        let in_step =
            state.is_linked() && state.replication.lineage.id == primary.replication.lineage.id;
        let Some(old_place) = state.master.clone().filter(|_| in_step) else {
            let why = format!("{name} is not in step with {}", from.name);
            return self.leave(Ending::Refused, why, now);
        };
        let follows_it = is_at(from, &old_place.0, old_place.1);
        let Some(place) = primary.place_of(to, follows_it).cloned() else {
            let why = format!(
                "{} does not list {name} among its replicas that are in step: \
                 where {name} follows another replica, make it follow {} (REPLICAOF); \
                 where it announces another address, set replica-announce-ip and replica-announce-port",
                from.name, from.name
            );
            return self.leave(Ending::Refused, why, now);
        };
        (self.place, self.old_place) = (place, old_place);
        self.go(State::TriesNudge, Ask::Nudge)
    }

    fn nudge_tried(&mut self, outcome: Outcome, now: Time) -> Do {
        // Refused, one error more comes than commands have a reply.
        self.nudges = matches!(&outcome, Outcome::Answered(values) if values.len() == 2);
        if let Outcome::Failed(failure) = outcome {
            let why = format!("{} {failure}", self.cast.to.name);
            return self.leave(Ending::Refused, why, now);
        }
        let (from, to) = (&self.cast.from.name, &self.cast.to.name);
        self.hold(format!("{from} hands over to {to} (switchover)"), now)
    }

    /// All is as it should be.
    pub(super) fn hold(&mut self, why: String, now: Time) -> Do {
        self.step("check", now);
        self.held_since = Some(now);
        self.state = State::Drains;
        Do::Hold { why: why.into(), within: DRAIN }
    }

    fn drained(&mut self, outcome: Outcome, now: Time) -> Do {
        match outcome {
            Outcome::Drained => self.step("hold", now),
            Outcome::Undrained(unanswered) => {
                let what = match unanswered {
                    Some(1) => "a write is".to_owned(),
                    Some(count) => format!("{count} writes are"),
                    None => "writes may be".to_owned(),
                };
                let why = format!(
                    "{what} still unanswered {DRAIN:?} after writes were held; \
                     try again when no command takes that long"
                );
                return self.leave(Ending::Aborted, why, now);
            }
            _ => return self.leave(Ending::Aborted, "writes could not be held".to_owned(), now),
        }
        self.take_a_way(now)
    }

    // === what is common to all ways ===

    pub(super) fn way(&mut self, way: Way) {
        self.report.way = way.as_str();
    }

    pub(super) fn is_pausing(&self) -> bool {
        self.report.way == Way::Pause.as_str()
    }

    /// Who becomes the primary is known by now.
    pub(super) fn target_known(&mut self) {
        self.report.to = Some(Arc::clone(&self.cast.to.name));
    }

    pub(super) fn note(&mut self, text: String) {
        self.report.notes.push(text);
    }

    /// The target says that it is a primary.
    pub(super) fn promoted(&mut self, now: Time) -> Do {
        self.step("promote", now);
        self.adopt()
    }

    pub(super) fn adopt(&mut self) -> Do {
        self.state = State::Adopts;
        Do::Adopt { node: self.cast.to.node, within: ADOPT }
    }

    fn adopted(&mut self, outcome: Outcome, now: Time) -> Do {
        if let Outcome::NotAdopted(why) = outcome {
            let why = format!(
                "{} was promoted, but is not taken for the primary: {why}; see the status",
                self.cast.to.name
            );
            return self.leave(Ending::Unclear, why, now);
        }
        self.report.ending = Ending::Done;
        self.state = State::Releases;
        Do::Release
    }

    fn released(&mut self, now: Time) -> Do {
        self.step("release", now);
        self.report.held = self.held_since.take().map(|since| now.since(since));
        if self.report.ending == Ending::Done {
            return self.begin_tidying();
        }
        self.end()
    }

    /// It does not come about.
    pub(super) fn leave(&mut self, ending: Ending, why: String, now: Time) -> Do {
        self.report.ending = ending;
        self.report.why = Some(why);
        if self.held_since.is_some() {
            self.step("give up", now);
            self.state = State::Releases;
            return Do::Release;
        }
        self.end()
    }

    pub(super) fn end(&mut self) -> Do {
        self.state = State::Over;
        Do::End(self.report.clone())
    }

    pub(super) fn step(&mut self, name: &'static str, now: Time) {
        self.report.steps.push((name, now.since(self.step_began)));
        self.step_began = now;
    }

    pub(super) fn ask(&mut self, state: State, node: NodeId, ask: Ask) -> Do {
        self.state = state;
        Do::Ask { node, ask, within: ANSWER }
    }

    /// The next state with the node that it is about.
    pub(super) fn go(&mut self, state: State, ask: Ask) -> Do {
        let node = match state {
            State::AsksTarget { .. } | State::TriesNudge | State::LooksAtTarget => {
                self.cast.to.node
            }
            _ => self.cast.from.node,
        };
        self.ask(state, node, ask)
    }

    pub(super) fn wait(&mut self, state: State, time: Duration) -> Do {
        self.state = state;
        Do::Wait(time)
    }

    // === it is not certain: who is what now? ===

    /// Finds out what became of it. Nothing is undone before the target was proven not to be promoted.
    pub(super) fn look(&mut self) -> Do {
        self.seen_unpromoted = 0;
        self.go(State::LooksAtTarget, Ask::State)
    }

    fn looked_at_target(&mut self, outcome: Outcome, now: Time) -> Do {
        // A process that is gone takes no writes, and none were let go to it by us.
        let gone = outcome == Outcome::Failed(Failure::Refused);
        let unpromoted = match told(outcome) {
            Ok(state) if state.is_primary() => return self.promoted(now),
            Ok(_) => true,
            Err(_) => gone,
        };
        self.go(State::LooksAtPrimary { unpromoted }, Ask::State)
    }

    fn looked_at_primary(&mut self, unpromoted: bool, outcome: Outcome, now: Time) -> Do {
        use super::state::Failover;
        let begun = self.changed_at.unwrap_or(now);
        let gone = outcome == Outcome::Failed(Failure::Refused);
        let state = match told(outcome) {
            Ok(state) => state,
            Err(why) if gone || now.since(begun) >= GIVE_UP_SILENT => {
                let why = format!("{} {why}; see the status", self.cast.from.name);
                return self.leave(Ending::Unclear, why, now);
            }
            Err(_) => return self.wait(State::LooksAgain, LOOK),
        };
        let (from, to) = (Arc::clone(&self.cast.from.name), Arc::clone(&self.cast.to.name));
        if state.is_primary() {
            if state.failover == Failover::Waiting {
                // It gives up by itself, by its TIMEOUT.
                return self.wait(State::LooksAgain, LOOK);
            }
            let why = format!("{to} did not take over in time; {from} is still the primary");
            return self.undo_pause(why, now);
        }
        if now.since(begun) >= GIVE_UP {
            let why = format!(
                "{from} has stepped down and {to} does not say that it took over: where {to} is no primary, \
                 send FAILOVER ABORT (or REPLICAOF NO ONE) to {from}"
            );
            return self.leave(Ending::Unclear, why, now);
        }
        // Seen once it may be on its way there.
        self.seen_unpromoted = if unpromoted { self.seen_unpromoted + 1 } else { 0 };
        if self.seen_unpromoted < 2 {
            return self.wait(State::LooksAgain, LOOK);
        }
        self.seen_unpromoted = 0;
        match state.failover {
            Failover::Handing => self.go(State::Undoes, Ask::FailoverAbort),
            Failover::None if self.is_pausing() => self.go(State::Undoes, Ask::Promote),
            // Somebody has taken over, or is about to.
            _ => self.wait(State::LooksAgain, LOOK),
        }
    }
}

/// The state that a node told, or why not, to stand behind its name.
pub(super) fn told(outcome: Outcome) -> Result<NodeState, String> {
    match outcome {
        Outcome::Answered(values) => {
            // Behind the reply stands a PONG where it was a nudge, before it a refusal.
            let reply = values.iter().rev().find(|value| !matches!(value, Value::Simple(_)));
            NodeState::parse(reply.unwrap_or(&Value::Null)).map_err(|why| why.to_string())
        }
        Outcome::Failed(failure) => Err(failure.to_string()),
        _ => Err("was not asked".to_owned()),
    }
}

/// How a node took a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Yes,
    /// It does not have the command, or does not let this user send it.
    Denied(String),
    /// Another error: it did nothing.
    Refused(String),
    /// No answer: it may have done it.
    Unknown(String),
}

pub(super) fn taken(outcome: Outcome) -> Taken {
    let values = match outcome {
        Outcome::Answered(values) => values,
        Outcome::Failed(failure) => return Taken::Unknown(failure.to_string()),
        _ => return Taken::Unknown("was not asked".to_owned()),
    };
    let inner = values.last().and_then(Value::as_array).unwrap_or_default();
    let errors = values.iter().chain(inner).filter_map(|value| match value {
        Value::Error(text) => Some(text),
        _ => None,
    });
    match errors.into_iter().next() {
        None => Taken::Yes,
        Some(text) => {
            let denied = text.starts_with(b"ERR unknown command")
                || text.starts_with(b"ERR unknown subcommand")
                || Refusal::from_error(text) == Refusal::NoPermission;
            let text = printable(text).into_string();
            if denied { Taken::Denied(text) } else { Taken::Refused(text) }
        }
    }
}

impl Switchover {
    pub(super) fn name_of(&self, node: NodeId) -> Arc<str> {
        let party = self.cast.all().find(|party: &&Party| party.node == node);
        party.map_or_else(|| "".into(), |party| Arc::clone(&party.name))
    }
}

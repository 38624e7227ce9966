//! One node as the reducers remember it: what its probes said, put together.

use std::sync::Arc;

use crate::lineage::{Lineage, ReplId};
use crate::observation::{Answer, Failure, Serving};
use crate::probe_times::ProbeTimes;
use crate::pulse::Pulse;
use crate::role_reply::Link;
use crate::schedule::Schedule;
use crate::{Address, Lag, NodeId, Process, Refusal, Replication, Role, RoleReply, Time};

/// One node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) name: Arc<str>,
    pub(crate) address: Address,
    /// Index into the pool's servers.
    pub(crate) server: usize,
    /// Takes reads only while no other replica can.
    pub(crate) backup: bool,
    /// Share of the traffic; 0: none.
    pub(crate) weight: u32,
    pub(crate) probe_times: ProbeTimes,
    pub(crate) pulse: Pulse,
    pub(crate) schedule: Schedule,
    /// Why the last probe failed, while it did.
    pub(crate) failure: Option<Failure>,
    /// The process that answered last.
    pub(crate) process: Option<Arc<Process>>,
    pub(crate) serving: Serving,
    pub(crate) claim: Claim,
    pub(crate) followed: Option<Followed>,
    /// This process says master and was seen to be wrong.
    pub(crate) stray: Option<Stray>,
    /// Since when (the sending of the probe) a replica's link is not up.
    pub(crate) link_lost: Option<Time>,
    /// This process was seen with its link up.
    pub(crate) was_linked: bool,
    pub(crate) lag: Option<Lag>,
    pub(crate) proven_at: Time,
    /// When the probe was sent whose answer last had `INFO replication`.
    pub(crate) told_at: Time,
    /// When the probe was sent that first had the role, link and history of now.
    pub(crate) news_at: Time,
}

/// Why a process that says master is not believed until it has been a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stray {
    /// There was a true primary beside it.
    Unproven,
    /// A replica of it was promoted in its place.
    Succeeded,
}

/// What a node says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Has never answered.
    Unheard,
    /// Answers, but does not say.
    Refused(Refusal),
    /// `master`.
    Primary(Position),
    /// `slave`.
    Replica(Position, Link),
}

/// Where in which history a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) offset: u64,
    /// `None` until INFO has told it for this role.
    pub(crate) lineage: Option<Lineage>,
}

/// The replica that a node was seen to be: what makes its promotion provable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Followed {
    pub(crate) run_id: Arc<str>,
    pub(crate) id: ReplId,
    /// The highest offset seen at this node in this history, by whatever process.
    pub(crate) highest: u64,
    /// The node has not been down since.
    pub(crate) in_sight: bool,
}

impl Node {
    pub(crate) fn new(id: NodeId, name: Arc<str>, address: Address, server: usize) -> Self {
        Self {
            id,
            name,
            address,
            server,
            backup: false,
            weight: 1,
            probe_times: ProbeTimes::default(),
            pulse: Pulse::default(),
            schedule: Schedule::default(),
            failure: None,
            process: None,
            serving: Serving::Yes,
            claim: Claim::Unheard,
            followed: None,
            stray: None,
            link_lost: None,
            was_linked: false,
            lag: None,
            proven_at: Time::ZERO,
            told_at: Time::ZERO,
            news_at: Time::ZERO,
        }
    }

    /// The role for the view: what it said last.
    pub(crate) fn role(&self) -> Role {
        match self.claim {
            Claim::Unheard | Claim::Refused(_) => Role::Unknown,
            Claim::Primary(_) => Role::Primary,
            Claim::Replica(..) => Role::Replica,
        }
    }

    pub(crate) fn run_id(&self) -> Option<&Arc<str>> {
        self.process.as_ref().map(|process| &process.run_id)
    }

    /// Do both addresses lead to one process?
    pub(crate) fn is_same_process(&self, other: &Self) -> bool {
        self.run_id().is_some() && self.run_id() == other.run_id()
    }

    /// Its history and its place there, where both are known.
    pub(crate) fn position(&self) -> Option<(Lineage, u64)> {
        match &self.claim {
            Claim::Primary(position) | Claim::Replica(position, _) => {
                Some((position.lineage?, position.offset))
            }
            Claim::Unheard | Claim::Refused(_) => None,
        }
    }

    pub(crate) fn is_stray(&self) -> bool {
        self.stray.is_some()
    }

    /// Is it up and says that it is a primary?
    pub(crate) fn claims_primary(&self) -> bool {
        self.pulse.is_up() && matches!(self.claim, Claim::Primary(_))
    }

    /// A probe sent at `sent` failed.
    pub(crate) fn failed(&mut self, failure: Failure, fall: u32) {
        self.schedule.ended(false);
        self.pulse.failed(failure == Failure::Refused, fall);
        if !self.pulse.is_up() {
            self.lag = None;
            self.probe_times.clear();
            self.schedule.drop_suspicion();
            if let Some(followed) = &mut self.followed {
                followed.in_sight = false;
            }
        }
        self.failure = Some(failure);
    }

    /// A probe sent at `sent` was answered.
    pub(crate) fn answered(&mut self, sent: Time, answer: Answer, rise: u32) {
        self.schedule.ended(answer.replication.is_some());
        self.schedule.note_role(answer.role.is_err());
        self.pulse.answered(rise);
        self.failure = None;
        self.serving = answer.serving;
        let before = self.news();
        if let Ok(process) = &answer.process {
            self.meet(process);
        }
        let confirmed = match statement(answer) {
            Statement::Full(replication) => {
                self.hear_all(replication);
                self.told_at = self.told_at.max(sent);
                true
            }
            Statement::Role(reply) => {
                self.hear_role(reply);
                true
            }
            Statement::Refused(refusal) => {
                self.claim = Claim::Refused(refusal);
                true
            }
            // The same process as before: no role changes while a script runs.
            Statement::Busy { known_process } => known_process && self.claim != Claim::Unheard,
            Statement::AskAll => {
                self.schedule.want_full();
                false
            }
        };
        self.note_link(sent);
        if self.news() != before {
            self.news_at = sent;
        }
        if confirmed {
            self.proven_at = self.proven_at.max(sent);
        }
    }

    /// Notices a new process at this address: what the old one said is void.
    fn meet(&mut self, process: &Arc<Process>) {
        if self.run_id() != Some(&process.run_id) {
            self.claim = Claim::Unheard;
            self.stray = None;
            self.link_lost = None;
            self.was_linked = false;
        }
        self.process = Some(Arc::clone(process));
    }

    fn hear_all(&mut self, replication: Replication) {
        let position = Position { offset: replication.offset, lineage: Some(replication.lineage) };
        let Some(link) = replication.link else {
            self.claim = Claim::Primary(position);
            return;
        };
        self.claim = Claim::Replica(position, link);
        self.stray = None;
        let Some(run_id) = self.run_id().cloned() else { return };
        let id = replication.lineage.id;
        let before = self.followed.as_ref().filter(|followed| followed.id == id);
        let highest = before.map_or(0, |followed| followed.highest).max(replication.offset);
        self.followed = Some(Followed { run_id, id, highest, in_sight: true });
    }

    /// ROLE alone: keeps the history that INFO told as long as the role is the same; asks again where anything else
    /// than a growing offset is new.
    fn hear_role(&mut self, reply: RoleReply) {
        let (claim, as_before) = match (reply, &self.claim) {
            (RoleReply::Sentinel, _) => (Claim::Refused(Refusal::Sentinel), true),
            (RoleReply::Primary { offset }, Claim::Primary(before)) => {
                (Claim::Primary(Position { offset, ..*before }), offset >= before.offset)
            }
            (RoleReply::Primary { offset }, _) => {
                (Claim::Primary(Position { offset, lineage: None }), false)
            }
            (RoleReply::Replica { link, offset }, Claim::Replica(before, link_before)) => {
                let offset = offset.unwrap_or(before.offset);
                let as_before = link == *link_before && offset >= before.offset;
                // Newly linked, it may have been given another history, by whomever.
                let lineage = before.lineage.filter(|_| as_before || link != Link::Up);
                (Claim::Replica(Position { offset, lineage }, link), as_before)
            }
            (RoleReply::Replica { link, offset }, _) => {
                let position = Position { offset: offset.unwrap_or(0), lineage: None };
                (Claim::Replica(position, link), false)
            }
        };
        self.claim = claim;
        if !as_before {
            self.schedule.want_full();
        }
    }

    /// What makes an answer news.
    fn news(&self) -> (Role, Option<Link>, Option<ReplId>) {
        let link = match self.claim {
            Claim::Replica(_, link) => Some(link),
            _ => None,
        };
        (self.role(), link, self.position().map(|(lineage, _)| lineage.id))
    }

    fn note_link(&mut self, sent: Time) {
        match self.claim {
            Claim::Replica(_, link) if link != Link::Up => {
                self.link_lost.get_or_insert(sent);
            }
            Claim::Replica(..) => (self.link_lost, self.was_linked) = (None, true),
            _ => self.link_lost = None,
        }
    }
}

/// What an answer amounts to.
enum Statement {
    Full(Replication),
    Role(RoleReply),
    Refused(Refusal),
    Busy {
        known_process: bool,
    },
    /// ROLE is refused, and INFO was not asked for.
    AskAll,
}

fn statement(answer: Answer) -> Statement {
    let known_process = match answer.process {
        Ok(_) => true,
        Err(Refusal::Busy) => return Statement::Busy { known_process: false },
        Err(refusal) => {
            return match answer.role {
                Ok(RoleReply::Sentinel) => Statement::Role(RoleReply::Sentinel),
                _ => Statement::Refused(refusal),
            };
        }
    };
    match (answer.replication, answer.role) {
        (_, Ok(RoleReply::Sentinel)) => Statement::Role(RoleReply::Sentinel),
        (Some(Ok(replication)), _) => Statement::Full(replication),
        (Some(Err(Refusal::Busy)), _) | (None, Err(Refusal::Busy)) => {
            Statement::Busy { known_process }
        }
        (Some(Err(refusal)), _) => Statement::Refused(refusal),
        (None, Ok(reply)) => Statement::Role(reply),
        (None, Err(_)) => Statement::AskAll,
    }
}

//! A switchover under way: does what the machine in `topology` says, and tells it how that ended.

use std::sync::Arc;
use std::time::Duration;

use resp::Value;
use tokio::sync::mpsc;
use topology::{
    Ask, Cast, Do, Ending, Failure, NodeId, Outcome, Switchover, SwitchoverOrder, SwitchoverReport,
    Time,
};
use tracing::{info, warn};

use crate::hands::{Errand, Hands, Whom};
use crate::pool::{Pool, Tasks};

/// Where commands are held for less, clients would get errors.
const LEAST_HOLD: Duration = Duration::from_secs(1);
/// The same where a Sentinel replaces the primary.
const LEAST_HOLD_BY_SENTINEL: Duration = Duration::from_secs(2);

/// One that is under way.
pub(crate) struct Running {
    machine: Switchover,
    errands: mpsc::Sender<Errand>,
    awaits: Awaits,
    workers: usize,
    answer: Box<dyn FnOnce(SwitchoverReport) + Send>,
}

/// What is being waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Awaits {
    Answer,
    /// The workers' word; `version` is known once the Snapshot is published.
    Workers {
        version: Option<u64>,
        unanswered: Vec<Option<usize>>,
        until: Time,
    },
    Time(Time),
    Primary {
        node: NodeId,
        until: Time,
    },
}

impl Running {
    /// One errand at a time: there is room, unless the process ends.
    fn send(&self, errand: Errand) -> bool {
        self.errands.try_send(errand).is_ok()
    }

    /// When it goes on without any news.
    pub(crate) fn due(&self) -> Time {
        match self.awaits {
            // The errand has a limit of its own.
            Awaits::Answer => Time::MAX,
            Awaits::Workers { until, .. } | Awaits::Time(until) | Awaits::Primary { until, .. } => {
                until
            }
        }
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("machine", &self.machine)
            .field("awaits", &self.awaits)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// Begins, or says why not.
    pub(crate) fn switch_over(
        &mut self,
        order: SwitchoverOrder,
        workers: usize,
        tasks: &mut Tasks,
        now: Time,
    ) {
        let cast = match self.cast(order.to.as_deref()) {
            Ok(cast) => cast,
            Err(why) => {
                info!(pool = &*self.name, "no switchover: {why}");
                return (order.answer)(SwitchoverReport::refused(self.name.clone(), why));
            }
        };
        let to = cast.target().map(|party| &*party.name);
        let sentinel = cast.elector.as_ref().map(|elector| Arc::clone(&elector.sentinel));
        let by = sentinel.as_deref();
        info!(pool = &*self.name, from = &*cast.from.name, to, sentinel = by, "switchover");
        let hands = Hands {
            pool: self.id,
            ways: cast
                .all()
                .map(|party| (party.node, self.way(party.node, &party.address)))
                .collect(),
            credentials: self.credentials.clone(),
            sentinel,
            sentinel_credentials: self.sentinel_credentials.clone(),
            sentinel_tls: self.tls.sentinels.clone(),
            resolver: self.resolver.clone(),
            reports: tasks.reports.clone(),
        };
        let (errands, receiver) = mpsc::channel(1);
        tasks.set.spawn(hands.run(receiver));
        self.switchover = Some(Running {
            machine: Switchover::new(self.name.clone(), cast, now),
            errands,
            awaits: Awaits::Answer,
            workers,
            answer: order.answer,
        });
        self.go_on(Outcome::Begun, now);
    }

    fn cast(&self, to: Option<&str>) -> Result<Cast, String> {
        if self.switchover.is_some() {
            return Err("another switchover of this pool is under way".to_owned());
        }
        let view = self.state.view();
        let least = match view.sentinels {
            Some(_) => LEAST_HOLD_BY_SENTINEL,
            None => LEAST_HOLD,
        };
        if self.hold < least {
            return Err(format!(
                "timeouts.hold is {:?}: set it to {least:?} at least, or clients get errors meanwhile",
                self.hold
            ));
        }
        let shard = view.shards.first().ok_or("the pool has no nodes")?;
        match &view.sentinels {
            Some(sentinels) => Cast::by_sentinel(shard, sentinels, to),
            None => Cast::choose(shard, to),
        }
    }

    /// A node has answered an errand, or not.
    pub(crate) fn asked(&mut self, answer: Result<Vec<Value>, Failure>, now: Time) {
        if self.awaits() != Some(&Awaits::Answer) {
            return;
        }
        match answer {
            Ok(values) => self.go_on(Outcome::Answered(values), now),
            Err(failure) => self.go_on(Outcome::Failed(failure), now),
        }
    }

    /// A Snapshot with this pool's view is about to be published.
    pub(crate) fn published(&mut self, snapshot: u64) {
        if let Some(Running { awaits: Awaits::Workers { version, .. }, .. }) = &mut self.switchover
        {
            version.get_or_insert(snapshot);
        }
    }

    /// A worker holds writes.
    pub(crate) fn writes_held(&mut self, worker: usize, snapshot: u64, count: usize, now: Time) {
        let Some(Running { awaits: Awaits::Workers { version, unanswered, .. }, .. }) =
            &mut self.switchover
        else {
            return;
        };
        if version.is_none_or(|version| snapshot < version) {
            return;
        }
        if let Some(known) = unanswered.get_mut(worker) {
            *known = Some(count);
        }
        if unanswered.iter().all(|count| *count == Some(0)) {
            self.go_on(Outcome::Drained, now);
        }
    }

    /// Is the node that was promoted the primary by now? Until it is, everybody is asked again and again.
    pub(crate) fn look_for_primary(&mut self, now: Time) {
        let Some(Awaits::Primary { node, .. }) = self.awaits() else { return };
        if self.state.primary() == Some(*node) {
            return self.go_on(Outcome::Adopted, now);
        }
        self.state.look_at_all();
    }

    /// Goes on where the time is up.
    pub(crate) fn switchover_due(&mut self, now: Time) {
        let Some(running) = self.switchover.as_ref().filter(|running| running.due() <= now) else {
            return;
        };
        let outcome = match &running.awaits {
            Awaits::Answer => return,
            Awaits::Workers { unanswered, .. } => {
                Outcome::Undrained(unanswered.iter().copied().sum())
            }
            Awaits::Time(_) => Outcome::Waited,
            Awaits::Primary { .. } => {
                let why = self.state.view().shards.first().map(|shard| shard.why.to_string());
                Outcome::NotAdopted(why.unwrap_or_default())
            }
        };
        self.go_on(outcome, now);
    }

    fn awaits(&self) -> Option<&Awaits> {
        self.switchover.as_ref().map(|running| &running.awaits)
    }

    fn go_on(&mut self, outcome: Outcome, now: Time) {
        let mut outcome = outcome;
        while let Some(running) = &mut self.switchover {
            running.awaits = match running.machine.next(outcome, now) {
                Do::Ask { node, ask, within } => {
                    let whom = match ask {
                        Ask::Claim => Whom::Claimed(node),
                        _ => Whom::Node(node),
                    };
                    if !running.send(Errand { whom, ask, within }) {
                        outcome = Outcome::Failed(Failure::Lost);
                        continue;
                    }
                    Awaits::Answer
                }
                Do::AskSentinel { ask, within } => {
                    if !running.send(Errand { whom: Whom::Sentinel, ask, within }) {
                        outcome = Outcome::Failed(Failure::Lost);
                        continue;
                    }
                    Awaits::Answer
                }
                Do::Hold { why, within } => {
                    self.state.hold_writes(Some(why));
                    let unanswered = vec![None; running.workers];
                    Awaits::Workers { version: None, unanswered, until: now + within }
                }
                Do::Wait(time) => Awaits::Time(now + time),
                Do::Adopt { node, within } => {
                    self.state.look_at_all();
                    Awaits::Primary { node, until: now + within }
                }
                Do::Release => {
                    self.state.hold_writes(None);
                    outcome = Outcome::Released;
                    continue;
                }
                Do::End(report) => return self.switched_over(report),
            };
            return;
        }
    }

    fn switched_over(&mut self, report: SwitchoverReport) {
        self.state.hold_writes(None);
        let Some(running) = self.switchover.take() else { return };
        let (pool, from, to) = (&*self.name, report.from.as_deref(), report.to.as_deref());
        let why = report.why.as_deref().unwrap_or_default();
        let held = report.held.unwrap_or_default();
        match report.ending {
            Ending::Done => info!(pool, from, to, ?held, way = report.way, "switchover done"),
            Ending::Refused => info!(pool, from, to, ?held, "switchover refused: {why}"),
            Ending::Aborted => warn!(pool, from, to, ?held, "switchover aborted: {why}"),
            Ending::Unclear => warn!(pool, from, to, ?held, "switchover unclear: {why}"),
        }
        for note in &report.notes {
            info!(pool, "switchover: {note}");
        }
        (running.answer)(report);
    }
}

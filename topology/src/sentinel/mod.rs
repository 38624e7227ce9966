//! Redis Sentinels as the authority of a pool, and as the source of its nodes.
//!
//! What they answer and publish goes in; which of them to ask, which nodes there are, whom a majority names, and
//! whether one of them is about to replace the primary come out.

mod answer;
mod belief;
mod event;
mod listed;
mod view;
mod watcher;

use std::sync::Arc;
use std::time::Duration;

pub use answer::SentinelAnswer;
pub(crate) use answer::candidates;
use belief::Belief;
pub(crate) use belief::Word;
pub use event::SentinelEvent;
use listed::ListedNodes;
pub use view::{SentinelView, SentinelsView};
use watcher::Watcher;

use crate::event::{Event, EventKind};
use crate::{Server, Time};

/// Sentinels that are asked, configured and found.
const MAX_SENTINELS: usize = 32;
/// One that was found, and that no other knows any more, is forgotten after this time.
const FORGET_AFTER: Duration = Duration::from_secs(10);
/// How long a pool is looked at closely after something was published about it.
const ALARM: Duration = Duration::from_secs(2);

/// One address of a Sentinel, for as long as it is asked. Never reused within its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SentinelId(pub u32);

/// What the reducers are told of a pool's Sentinels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentinelSettings {
    /// What they call the primary.
    pub master: Arc<str>,
    /// Their addresses, as configured.
    pub sentinels: Vec<Arc<str>>,
    /// How long a write may wait for a primary.
    pub hold: Duration,
    /// What is configured for nodes that they may list, by name.
    pub nodes: Vec<Server>,
}

/// Something about one Sentinel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SentinelObservation {
    /// A poll has ended.
    Answered {
        /// When it was sent.
        sent: Time,
        /// What it said, or why that cannot be used.
        outcome: Result<SentinelAnswer, Box<str>>,
    },
    /// It published something.
    Published(SentinelEvent),
    /// It is worth asking: a connection to it was lost, or what it publishes is heard from now on.
    Stirred,
}

/// The Sentinels of a pool.
#[derive(Debug)]
pub(crate) struct Sentinels {
    settings: SentinelSettings,
    watchers: Vec<Watcher>,
    next_id: u32,
    listed: ListedNodes,
    belief: Belief,
    alarmed: Option<Time>,
    hold: Option<Hold>,
    view: Arc<SentinelsView>,
}

/// Writes wait because a Sentinel is about to replace this primary.
#[derive(Debug)]
struct Hold {
    primary: Arc<str>,
    since: Time,
    why: Arc<str>,
    over: bool,
}

impl Sentinels {
    pub(crate) fn new(settings: SentinelSettings) -> Self {
        let names = settings.sentinels.iter().take(MAX_SENTINELS);
        let watchers: Vec<_> = (0..)
            .zip(names)
            .map(|(id, name)| Watcher::new(SentinelId(id), Arc::clone(name), true))
            .collect();
        let next_id = watchers.len() as u32;
        let belief = Belief::of(&watchers, watchers.len());
        let view = Arc::new(view::of(&settings.master, &watchers, &belief));
        Self {
            settings,
            watchers,
            next_id,
            listed: ListedNodes::default(),
            belief,
            alarmed: None,
            hold: None,
            view,
        }
    }

    /// Those that are asked.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (SentinelId, &Arc<str>)> {
        self.watchers.iter().map(|watcher| (watcher.id, &watcher.name))
    }

    pub(crate) fn master(&self) -> &Arc<str> {
        &self.settings.master
    }

    pub(crate) fn view(&self) -> &Arc<SentinelsView> {
        &self.view
    }

    /// Whom a majority names, or why nobody.
    pub(crate) fn word(&self) -> Result<&Word, &Arc<str>> {
        self.belief.word.as_ref()
    }

    /// Is it known what nodes there are, or at least that nobody says?
    pub(crate) fn are_heard(&self) -> bool {
        self.belief.word.is_ok() || self.watchers.iter().all(Watcher::is_heard)
    }

    /// The nodes, with what is configured for them.
    pub(crate) fn servers(&self) -> Vec<Server> {
        let known = |name: &Arc<str>| self.settings.nodes.iter().find(|node| node.name == *name);
        let server = |name| known(name).cloned().unwrap_or_else(|| Server::of(Arc::clone(name)));
        self.listed.names().map(server).collect()
    }

    /// Takes in what was observed. What is new of the nodes it says by [`Self::relist`].
    pub(crate) fn observe(
        &mut self,
        id: SentinelId,
        observation: SentinelObservation,
        now: Time,
        events: &mut Vec<Event>,
    ) {
        let Some(watcher) = self.watchers.iter_mut().find(|watcher| watcher.id == id) else {
            return;
        };
        match observation {
            SentinelObservation::Answered { sent, outcome } => {
                let (heard, answered) = (watcher.is_heard(), watcher.answer().is_some());
                let name = Arc::clone(&watcher.name);
                match &outcome {
                    Ok(_) if heard && !answered => {
                        events.push(about(name, EventKind::SentinelAnswers));
                    }
                    Err(why) if answered || !heard => {
                        let why = Arc::from(&**why);
                        events.push(about(name, EventKind::SentinelSilent { why }));
                    }
                    _ => {}
                }
                watcher.answered(sent, outcome);
            }
            SentinelObservation::Published(event) => {
                watcher.published(event, now);
                self.alarmed = Some(now);
                // Whoever publishes is not the only one who knows.
                self.want_polls(now);
            }
            SentinelObservation::Stirred => watcher.want_poll(now),
        }
        self.meet_others(now, events);
        self.believe(events);
    }

    /// Something happened to a node at `at` that the Sentinels may know of.
    pub(crate) fn want_polls(&mut self, at: Time) {
        for watcher in &mut self.watchers {
            watcher.want_poll(at);
        }
    }

    /// Finds the Sentinels that the known ones know, and forgets those that nobody does.
    fn meet_others(&mut self, now: Time, events: &mut Vec<Event>) {
        let answers = || self.watchers.iter().filter_map(Watcher::answer);
        if answers().next().is_none() {
            return;
        }
        let peers: Vec<_> = answers().flat_map(|answer| answer.peers.iter().cloned()).collect();
        for (name, identifier) in &peers {
            let by_name = self.watchers.iter_mut().find(|watcher| watcher.name == *name);
            if let Some(watcher) = by_name {
                if watcher.answer().is_none_or(|answer| answer.id.is_none()) {
                    watcher.identifier = Some(Arc::clone(identifier));
                }
                continue;
            }
            let is_it = |watcher: &Watcher| watcher.identifier.as_ref() == Some(identifier);
            if !self.watchers.iter().any(is_it) && self.watchers.len() < MAX_SENTINELS {
                let mut found = Watcher::new(SentinelId(self.next_id), Arc::clone(name), false);
                found.identifier = Some(Arc::clone(identifier));
                self.next_id += 1;
                self.watchers.push(found);
                events.push(about(Arc::clone(name), EventKind::SentinelFound));
            }
        }
        for watcher in self.watchers.iter_mut().filter(|watcher| !watcher.configured) {
            let known = peers.iter().any(|(_, id)| watcher.identifier.as_ref() == Some(id));
            watcher.unknown_since = match watcher.unknown_since {
                _ if known => None,
                since => Some(since.unwrap_or(now)),
            };
        }
        self.watchers.retain(|watcher| {
            let stays = watcher.unknown_since.is_none_or(|since| now < since + FORGET_AFTER);
            if !stays {
                events.push(about(Arc::clone(&watcher.name), EventKind::SentinelForgotten));
            }
            stays
        });
    }

    fn believe(&mut self, events: &mut Vec<Event>) {
        let belief = Belief::of(&self.watchers, self.settings.sentinels.len());
        let said = |belief: &Belief| {
            let word = belief.word.as_ref();
            word.map(|word| (Arc::clone(&word.primary), word.epoch)).map_err(Arc::clone)
        };
        let (before, after) = (said(&self.belief), said(&belief));
        self.belief = belief;
        // At the start nothing is news before all were asked.
        if after != before {
            match after {
                Ok((primary, epoch)) => {
                    events.push(about(primary, EventKind::Named { epoch }));
                }
                Err(why) if before.is_ok() || self.are_heard() => {
                    let kind = EventKind::NobodyNamed { why };
                    events.push(Event { node: None, kind });
                }
                Err(_) => {}
            }
        }
        let view = view::of(&self.settings.master, &self.watchers, &self.belief);
        if view != *self.view {
            self.view = Arc::new(view);
        }
    }

    /// Takes in which nodes are listed. Are they others than before?
    pub(crate) fn relist(&mut self, now: Time) -> bool {
        let word = self.belief.word.as_ref();
        // Without a majority, what a few list serves to begin with.
        if word.is_err() && !self.listed.is_empty() {
            return false;
        }
        let votes = self.watchers.iter().filter_map(Watcher::vote);
        let counts = votes.filter(|vote| {
            word.as_ref().is_ok_and(|word| word.primary == vote.primary) || word.is_err()
        });
        let mut listed: Vec<Arc<str>> = Vec::new();
        for vote in counts {
            let names = [&vote.booked, &vote.primary].into_iter().chain(&vote.replicas);
            for name in names {
                if !listed.contains(name) {
                    listed.push(Arc::clone(name));
                }
            }
        }
        !listed.is_empty() && self.listed.update(&listed, now)
    }

    /// Is something going on that calls for fast probes?
    pub(crate) fn is_alarmed(&self, now: Time) -> bool {
        self.alarmed.is_some_and(|at| now < at + ALARM)
            || self.belief.word.as_ref().is_ok_and(|word| word.failover)
    }

    /// Whether writes to this primary are held, and why.
    pub(crate) fn hold(
        &mut self,
        primary: Option<&Arc<str>>,
        now: Time,
        events: &mut Vec<Event>,
    ) -> Option<Arc<str>> {
        // Where nothing may wait, nothing is held.
        let primary = primary.filter(|_| !self.settings.hold.is_zero());
        let replacing = primary.and_then(|primary| Some((primary, self.replacing(primary)?)));
        let Some((primary, sentinel)) = replacing else {
            if let Some(hold) = self.hold.take().filter(|hold| !hold.over) {
                events.push(about(hold.primary, EventKind::HoldEnds));
            }
            return None;
        };
        let limit = self.hold_limit();
        if self.hold.as_ref().is_none_or(|hold| hold.primary != *primary) {
            let why: Arc<str> = format!("Sentinel {sentinel} is about to replace {primary}").into();
            let kind = EventKind::HoldBegins { why: Arc::clone(&why) };
            events.push(about(Arc::clone(primary), kind));
            let primary = Arc::clone(primary);
            self.hold = Some(Hold { primary, since: now, why, over: false });
        }
        let hold = self.hold.as_mut().filter(|hold| !hold.over)?;
        if now >= hold.since + limit {
            hold.over = true;
            events.push(about(Arc::clone(primary), EventKind::HoldExpires));
            return None;
        }
        Some(Arc::clone(&hold.why))
    }

    /// Who is about to replace this primary.
    fn replacing(&self, primary: &str) -> Option<Arc<str>> {
        let word = self.belief.word.as_ref().ok();
        let watcher = self.watchers.iter().find(|watcher| {
            let overtakes = watcher.vote().zip(word).is_some_and(|(vote, word)| {
                &*word.primary == primary && vote.primary != word.primary && vote.epoch > word.epoch
            });
            overtakes || watcher.replaces(primary)
        });
        watcher.map(|watcher| Arc::clone(&watcher.name))
    }

    /// A little less than a write may wait: what waits is to be sent, not refused.
    fn hold_limit(&self) -> Duration {
        self.settings.hold - self.settings.hold / 8
    }

    /// The Sentinels to ask now. The caller asks them all.
    pub(crate) fn take_polls(&mut self, now: Time) -> Vec<SentinelId> {
        let due = self.watchers.iter_mut().filter(|watcher| watcher.due() <= now);
        due.map(|watcher| {
            watcher.sent(now);
            watcher.id
        })
        .collect()
    }

    /// When something of this is due next.
    pub(crate) fn next_due(&self) -> Time {
        let polls = self.watchers.iter().map(Watcher::due).min().unwrap_or(Time::MAX);
        polls.min(self.next_change())
    }

    /// When something changes by itself.
    pub(crate) fn next_change(&self) -> Time {
        let hold = self.hold.as_ref().filter(|hold| !hold.over);
        let hold = hold.map_or(Time::MAX, |hold| hold.since + self.hold_limit());
        hold.min(self.listed.next_due())
    }
}

fn about(node: Arc<str>, kind: EventKind) -> Event {
    Event { node: Some(node), kind }
}

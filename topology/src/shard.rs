//! One replication group: its nodes, and what they amount to.

use std::sync::Arc;

use crate::authority::Authority;
use crate::event::{Event, EventKind};
use crate::fitness::Judge;
use crate::lag::OffsetSamples;
use crate::lineage::Lineage;
use crate::node::{Claim, Node, Stray};
use crate::observation::{Failure, Observation, Probed};
use crate::primary::{Question, Routed, successors};
use crate::role_reply::Link;
use crate::schedule::Pace;
use crate::shown::Shown;
use crate::verdict::{Ground, HoldKind, Verdict};
use crate::{NodeId, NodeView, Server, Settings, ShardView, Sighting, Time};

/// The state of a shard. Nothing in it changes but by what is observed.
#[derive(Clone, Debug)]
pub(crate) struct Shard {
    pub(crate) nodes: Vec<Node>,
    shown: Vec<Shown>,
    primary: Option<NodeId>,
    why: Arc<str>,
    since: Time,
    hold: Option<HoldKind>,
    pub(crate) writes_held: Option<Arc<str>>,
    /// As `writes_held`, on the word of a Sentinel.
    pub(crate) failover_held: Option<Arc<str>>,
    pub(crate) authority: Option<Authority>,
    /// Something goes on that calls for fast probes.
    pub(crate) alarmed: bool,
    routed: Option<Routed>,
    moved_at: Option<Time>,
    samples: OffsetSamples,
}

impl Shard {
    pub(crate) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            shown: Vec::new(),
            primary: None,
            why: "starts".into(),
            since: Time::ZERO,
            hold: None,
            writes_held: None,
            failover_held: None,
            authority: None,
            alarmed: false,
            routed: None,
            moved_at: None,
            samples: OffsetSamples::default(),
        }
    }

    /// Takes in one observation. Does an outstanding suspicion count as settled by it?
    pub(crate) fn observe(&mut self, observation: Observation, settings: &Settings) -> bool {
        match observation {
            Observation::Probed(probed) => self.probed(probed, settings),
            Observation::ProbeConnectionLost { node } => {
                if let Some(node) = self.node_mut(node) {
                    node.schedule.hurry();
                }
                false
            }
            Observation::Sighted { node, sighting, at } => {
                if let Some(node) = self.node_mut(node) {
                    match sighting {
                        // Nothing is in doubt but its speed.
                        Sighting::Slow => node.schedule.hurry(),
                        _ => node.schedule.suspect(at),
                    }
                }
                false
            }
        }
    }

    fn probed(&mut self, probed: Probed, settings: &Settings) -> bool {
        let doubt = self.is_in_doubt();
        let Some(index) = self.nodes.iter().position(|node| node.id == probed.node) else {
            return false;
        };
        let node = &mut self.nodes[index];
        if matches!(probed.outcome, Ok(_) | Err(Failure::TimedOut)) {
            node.probe_times.record(probed.answered.since(probed.sent));
        }
        let answer = match probed.outcome {
            Ok(answer) => answer,
            Err(failure) => {
                node.failed(failure, settings.fall);
                return false;
            }
        };
        let proven_before = node.proven_at;
        node.answered(probed.sent, answer, if doubt { 1 } else { settings.rise });
        let settled = node.proven_at > proven_before && node.schedule.settle(probed.sent);
        self.measure(index, probed.answered);
        settled
    }

    /// Samples the offset of whoever is most advanced, and takes a replica's lag.
    fn measure(&mut self, index: usize, at: Time) {
        let node = &self.nodes[index];
        let position = node
            .position()
            .zip(self.lineage())
            .filter(|((own, offset), lineage)| node.pulse.is_up() && lineage.covers(own, *offset));
        let Some(((own, offset), lineage)) = position else {
            self.nodes[index].lag = None;
            return;
        };
        let leads = match self.primary {
            Some(primary) => primary == node.id,
            None => own.id == lineage.id && self.most_advanced(&lineage) <= offset,
        };
        let is_replica = matches!(node.claim, Claim::Replica(..));
        if leads {
            self.samples.record(offset, at);
        }
        self.nodes[index].lag = is_replica.then(|| self.samples.lag(offset, at));
    }

    fn most_advanced(&self, lineage: &Lineage) -> u64 {
        let living = self.nodes.iter().filter(|node| node.pulse.is_up());
        let of_the_line = living.filter_map(|node| {
            let (own, offset) = node.position()?;
            (own.id == lineage.id).then_some(offset)
        });
        of_the_line.max().unwrap_or(0)
    }

    /// The history that reads are served from: the primary's, else the last primary's, else the best replica's.
    fn lineage(&self) -> Option<Lineage> {
        if let Some(routed) = &self.routed {
            return Some(routed.lineage);
        }
        let replicas = self.nodes.iter().filter_map(|node| match node.claim {
            Claim::Replica(position, link) if node.pulse.is_up() => {
                Some((link == Link::Up, position.offset, position.lineage?))
            }
            _ => None,
        });
        replicas.max_by_key(|(linked, offset, _)| (*linked, *offset)).map(|(.., lineage)| lineage)
    }

    /// Is there no usable primary, or is a failover suspected?
    fn is_in_doubt(&self) -> bool {
        let primary = self.nodes.iter().find(|node| Some(node.id) == self.primary);
        self.alarmed
            || primary.is_none_or(|node| !node.pulse.is_steady() || node.schedule.is_suspected())
    }

    /// When the node is to be probed next.
    pub(crate) fn due(&self, node: &Node, settings: &Settings) -> Time {
        let pace = if self.is_in_doubt() || node.schedule.is_suspected() || !node.pulse.is_steady()
        {
            Pace::Fast
        } else if node.pulse.is_up() {
            Pace::Calm
        } else {
            Pace::Down
        };
        node.schedule.due(pace, settings)
    }

    /// Is the node's next probe to ask for everything?
    pub(crate) fn asks_all(&self, node: &Node) -> bool {
        node.schedule.asks_all() || self.is_in_doubt()
    }

    pub(crate) fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|node| node.id == id)
    }

    /// The primary.
    pub(crate) fn primary(&self) -> Option<&Node> {
        self.nodes.iter().find(|node| Some(node.id) == self.primary)
    }

    /// The primary, else any node that is up.
    pub(crate) fn anyone(&self) -> Option<NodeId> {
        let up = || self.nodes.iter().find(|node| node.pulse.is_up()).map(|node| node.id);
        self.primary.or_else(up)
    }

    /// Draws the conclusions from what was observed, and says what is new.
    pub(crate) fn conclude(
        &mut self,
        settings: &Settings,
        names_settled: bool,
        now: Time,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        let verdict = self.question(settings, names_settled, now).decide();
        self.rule(verdict, now, &mut events);
        self.mark_strays();
        self.remember_primary();
        self.look_closer();
        self.compare_speeds();
        self.show(settings, now, &mut events);
        events
    }

    fn question(&self, settings: &Settings, names_settled: bool, now: Time) -> Question<'_> {
        Question {
            nodes: &self.nodes,
            primary: self.primary,
            routed: self.routed.as_ref(),
            moved_at: self.moved_at,
            anti_flap: settings.anti_flap,
            authority: self.authority.as_ref(),
            names_settled,
            now,
        }
    }

    fn rule(&mut self, verdict: Verdict, now: Time, events: &mut Vec<Event>) {
        match verdict {
            Verdict::Primary { node, ground: Ground::Continues } if self.primary == Some(node) => {
                // What confirms where the writes are is heeded by leaving them there.
                if let Some(authority) = self.authority.as_mut().filter(|it| it.names(node)) {
                    authority.note();
                }
            }
            Verdict::Primary { node, ground } => self.install(node, ground, now, events),
            Verdict::Hold { kind, why } => self.vacate(kind, why.into(), now, events),
        }
    }

    fn install(&mut self, id: NodeId, ground: Ground, now: Time, events: &mut Vec<Event>) {
        let Some(node) = self.nodes.iter().find(|node| node.id == id) else { return };
        let name = Some(Arc::clone(&node.name));
        let why: Arc<str> = ground.why(self.routed.as_ref()).into();
        let moved_from =
            self.routed.as_ref().filter(|routed| node.run_id() != Some(&routed.run_id));
        let kind = match moved_from {
            Some(routed) if routed.node != id => {
                EventKind::PrimaryMoved { from: Arc::clone(&routed.name), why: Arc::clone(&why) }
            }
            _ => EventKind::PrimaryFound { why: Arc::clone(&why) },
        };
        events.push(Event { node: name.clone(), kind });
        if let Some(kind) = moved_from.and_then(|routed| loss(routed, node)) {
            events.push(Event { node: name, kind });
        }
        let goes_on =
            node.position().zip(self.routed.as_ref()).is_some_and(|((own, _), routed)| {
                own.id == routed.lineage.id || own.branched_from(&routed.lineage)
            });
        if !goes_on {
            self.samples.clear();
        }
        if ground.is_own_decision() {
            self.moved_at = Some(now);
        }
        if let Some(authority) = &mut self.authority {
            authority.note();
        }
        self.primary = Some(id);
        self.why = why;
        self.since = now;
        self.hold = None;
        if let Some(node) = self.node_mut(id) {
            node.stray = None;
        }
    }

    fn vacate(&mut self, kind: HoldKind, why: Arc<str>, now: Time, events: &mut Vec<Event>) {
        let lost = self.primary.take();
        let is_new = self.hold != Some(kind) || self.why != why;
        // Whoever follows it may have been promoted already, and what is waited for may be known.
        if lost.is_some() || (is_new && kind == HoldKind::Waiting) {
            for node in &mut self.nodes {
                node.schedule.hurry();
            }
        }
        if let Some(lost) = lost {
            self.since = now;
            let node = self.shown.iter().find(|shown| shown.node == lost);
            let node = node.map(|shown| Arc::clone(&shown.name));
            events.push(Event { node, kind: EventKind::PrimaryLost { why: Arc::clone(&why) } });
        }
        let told = match kind {
            HoldKind::Ambiguous if is_new => Some(EventKind::Ambiguous { why: Arc::clone(&why) }),
            HoldKind::Vacant if lost.is_none() && self.routed.is_none() && is_new => {
                Some(EventKind::NoPrimary { why: Arc::clone(&why) })
            }
            _ => None,
        };
        events.extend(told.map(|kind| Event { node: None, kind }));
        self.hold = Some(kind);
        self.why = why;
    }

    /// Whoever says master beside the primary, or was succeeded, is not believed again until it is a replica.
    fn mark_strays(&mut self) {
        let Some(primary) = self.nodes.iter().find(|node| Some(node.id) == self.primary) else {
            self.mark_succeeded();
            return;
        };
        let (run_id, told_at) = (primary.run_id().cloned(), primary.told_at);
        let routed = self.routed.as_ref().map(|routed| Arc::clone(&routed.run_id));
        for node in self.nodes.iter_mut().filter(|node| node.claims_primary()) {
            // Judged by what the primary said of its history after the other first made its claim.
            let known = node.position().is_some() && node.news_at < told_at;
            if known && node.run_id() != run_id.as_ref() {
                let succeeded = node.run_id() == routed.as_ref();
                let stray = if succeeded { Stray::Succeeded } else { Stray::Unproven };
                node.stray.get_or_insert(stray);
            }
        }
    }

    fn mark_succeeded(&mut self) {
        let Some(routed) = &self.routed else { return };
        // An authority may yet say that the promotion was none.
        if self.authority.as_ref().is_some_and(|authority| authority.saying.is_ok()) {
            return;
        }
        if successors(&self.nodes, routed).is_empty() {
            return;
        }
        let run_id = Arc::clone(&routed.run_id);
        let old = self.nodes.iter_mut().filter(|node| node.run_id() == Some(&run_id));
        for node in old.filter(|node| node.claims_primary()) {
            node.stray.get_or_insert(Stray::Succeeded);
        }
    }

    fn remember_primary(&mut self) {
        let Some(node) = self.nodes.iter().find(|node| Some(node.id) == self.primary) else {
            return;
        };
        let (Some((lineage, offset)), Some(run_id)) = (node.position(), node.run_id()) else {
            return;
        };
        let same = self.routed.as_ref().filter(|routed| routed.lineage.id == lineage.id);
        let offset = same.map_or(0, |routed| routed.offset).max(offset);
        self.routed = Some(Routed {
            node: node.id,
            name: Arc::clone(&node.name),
            run_id: Arc::clone(run_id),
            lineage,
            offset,
        });
    }

    /// Any news from another node may mean that the primary's history is not what it was: asks it once.
    fn look_closer(&mut self) {
        let Some(primary) = self.nodes.iter().find(|node| Some(node.id) == self.primary) else {
            return;
        };
        let (id, told_at) = (primary.id, primary.told_at);
        let others = self.nodes.iter().filter(|node| node.id != id && node.pulse.is_up());
        let news = others.map(|node| node.news_at).max();
        if let (Some(news), Some(primary)) = (news.filter(|at| *at >= told_at), self.node_mut(id)) {
            primary.schedule.suspect(news);
        }
    }

    fn compare_speeds(&mut self) {
        let medians: Vec<_> = self.nodes.iter().map(|node| node.probe_times.median()).collect();
        for (index, node) in self.nodes.iter_mut().enumerate() {
            let peers = medians.iter().enumerate().filter(|(peer, _)| *peer != index);
            node.probe_times.judge(peers.filter_map(|(_, median)| *median).collect());
        }
    }

    /// Brings what is shown up to date, and reports the differences.
    fn show(&mut self, settings: &Settings, now: Time, events: &mut Vec<Event>) {
        let promoted = self.routed.as_ref().filter(|_| self.primary.is_none());
        let promoted = promoted.map_or_else(Vec::new, |routed| successors(&self.nodes, routed));
        let judge = Judge {
            nodes: &self.nodes,
            primary: self.primary,
            lineage: self.lineage(),
            successors: promoted.iter().map(|node| node.id).collect(),
            max_lag: settings.max_lag,
            primary_takes_reads: settings.primary_takes_reads,
        };
        let mut before = std::mem::take(&mut self.shown);
        let mut after = Vec::with_capacity(self.nodes.len());
        for (node, fitness) in self.nodes.iter().zip(judge.judge_all()) {
            let mut shown = match before.iter().position(|shown| shown.node == node.id) {
                Some(index) => before.swap_remove(index),
                None => Shown::new(node, now),
            };
            shown.update(node, fitness, self.fenced_why(node), now, events);
            after.push(shown);
        }
        self.shown = after;
    }

    /// Why a node that says master is not believed.
    fn fenced_why(&self, node: &Node) -> Option<&str> {
        let routed = self.routed.as_ref()?;
        if !node.claims_primary() || node.position().is_none() {
            return None;
        }
        match node.stray {
            Some(Stray::Succeeded) => Some("a replica of it was promoted in its place"),
            Some(Stray::Unproven) => Some(
                "it was not seen to be promoted from the primary's data; \
                 make it a replica again (REPLICAOF)",
            ),
            // It restarted, or it is new.
            None => {
                let decided = self.primary.is_none() && self.hold != Some(HoldKind::Waiting);
                (decided && node.run_id() != Some(&routed.run_id)).then_some(&*self.why)
            }
        }
    }

    pub(crate) fn view(&self, servers: &[Server]) -> ShardView {
        let nodes = self.nodes.iter().zip(&self.shown).map(|(node, shown)| {
            let server = &servers[node.server];
            let process = node.process.as_ref();
            NodeView {
                id: node.id,
                name: Arc::clone(&node.name),
                address: node.address.clone(),
                server: Arc::clone(&server.name),
                health: shown.health,
                role: shown.role,
                readable: shown.readable,
                why: Arc::clone(&shown.why),
                since: shown.since,
                proven_at: node.proven_at,
                lag: node.lag,
                run_id: process.map_or_else(|| "".into(), |process| Arc::clone(&process.run_id)),
                version: process.map_or_else(|| "".into(), |process| Arc::clone(&process.version)),
                weight: node.weight,
                backup: node.backup,
                zone: server.zone.clone(),
            }
        });
        ShardView {
            primary: self.primary,
            writes_held: self.writes_held.clone().or_else(|| self.failover_held.clone()),
            why: Arc::clone(&self.why),
            since: self.since,
            nodes: nodes.collect(),
        }
    }
}

/// What the new primary may lack of the old one's data.
fn loss(routed: &Routed, node: &Node) -> Option<EventKind> {
    let (lineage, _) = node.position()?;
    if lineage.id == routed.lineage.id {
        return None;
    }
    match lineage.parent {
        Some(parent) if parent.id == routed.lineage.id => {
            let bytes = routed.offset.saturating_sub(parent.shared);
            (bytes > 0).then_some(EventKind::PossibleLoss { bytes: Some(bytes) })
        }
        _ => Some(EventKind::PossibleLoss { bytes: None }),
    }
}

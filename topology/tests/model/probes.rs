//! The probes, what they saw, and what must hold without an authority.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use topology::{
    Address, Answer, Failure, Health, NodeIds, Observation, PoolState, PoolView, Probed, Role,
    Server, Settings, Time,
};

use crate::watch::Watch;
use crate::world::{NODES, Running, World};

/// A process as it was last seen, in full.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seen {
    Answered(Running),
    Failed,
}

/// The end of a probe: when that was sent, and the process that answered.
pub(crate) type Coming = (Time, Result<Answer, Failure>, Option<Running>);

pub(crate) struct Probes {
    pub(crate) world: World,
    pub(crate) pool: PoolState,
    pub(crate) now: Time,
    /// Answers on their way: when they arrive.
    pub(crate) coming: BTreeMap<(Time, usize), Coming>,
    pub(crate) seen: Vec<Option<Seen>>,
    /// By run: the last answer that told its history.
    pub(crate) told: BTreeMap<u64, Running>,
    /// By run: the last history that it told as a master.
    pub(crate) ruled: BTreeMap<u64, u64>,
    /// By run: the histories it was seen to follow.
    pub(crate) followed: BTreeMap<u64, BTreeSet<u64>>,
    /// By run: the highest offset that it told as a master.
    pub(crate) highest: BTreeMap<u64, u64>,
    pub(crate) view: PoolView,
    /// The last primary: its node, and how it was last seen as such.
    pub(crate) last: Option<(usize, Running)>,
    /// The Sentinels, where there are some.
    pub(crate) watch: Option<Watch>,
}

impl Probes {
    pub(crate) fn new() -> Self {
        let mut ids = NodeIds::default();
        let servers = (0..NODES).map(|node| Server {
            name: format!("n{node}").into(),
            address: Some(Address::Tcp(([10, 0, 0, node as u8], 6379).into())),
            weight: 1,
            backup: false,
            zone: None,
        });
        let settings = Settings { anti_flap: Duration::from_secs(2), ..Settings::default() };
        let pool = PoolState::new("p".into(), settings, servers.collect(), &mut ids, 1);
        Self::of(pool, None)
    }

    pub(crate) fn of(mut pool: PoolState, watch: Option<Watch>) -> Self {
        let view = pool.publish(Time::ZERO).unwrap();
        Self {
            world: World::new(),
            pool,
            now: Time::from_millis(1),
            coming: BTreeMap::new(),
            seen: vec![None; NODES],
            told: BTreeMap::new(),
            ruled: BTreeMap::new(),
            followed: BTreeMap::new(),
            highest: BTreeMap::new(),
            view,
            last: None,
            watch,
        }
    }

    pub(crate) fn primary(&self) -> Option<usize> {
        self.view.shards[0].primary.map(|id| id.0 as usize)
    }

    pub(crate) fn pass(&mut self, millis: u64) {
        for _ in 0..millis {
            if self.watch.is_some() {
                self.poll();
            }
            for order in self.pool.take_probes(self.now) {
                let node = order.node.0 as usize;
                let outcome = self.world.answer(node, order.all);
                let takes = if outcome == Err(Failure::TimedOut) { 200 } else { 1 };
                let arrives = self.now + Duration::from_millis(takes);
                let process = self.world.machines[node].process.filter(|_| outcome.is_ok());
                self.coming.insert((arrives, node), (self.now, outcome, process));
            }
            self.now = self.now + Duration::from_millis(1);
            while let Some(entry) =
                self.coming.first_entry().filter(|entry| entry.key().0 <= self.now)
            {
                let ((_, node), (sent, outcome, process)) = entry.remove_entry();
                self.arrive(node, sent, outcome, process);
            }
        }
    }

    pub(crate) fn arrive(
        &mut self,
        node: usize,
        sent: Time,
        outcome: Result<Answer, Failure>,
        process: Option<Running>,
    ) {
        self.see(node, outcome.as_ref().ok(), process);
        let id = self.pool.nodes().nth(node).unwrap().0;
        let probed = Probed { node: id, sent, answered: self.now, outcome };
        self.pool.observe(Observation::Probed(probed), self.now);
        self.renew();
    }

    pub(crate) fn renew(&mut self) {
        let view = self.pool.publish(self.now);
        let is_new = view.is_some();
        if let Some(view) = view {
            self.view = view;
        }
        if self.watch.is_some() {
            self.check_watched();
        } else if is_new {
            self.check();
        }
    }

    /// What the reducer was told: ROLE alone does not tell the history.
    pub(crate) fn see(&mut self, node: usize, answer: Option<&Answer>, process: Option<Running>) {
        let Some((answer, mut process)) = answer.zip(process) else {
            self.seen[node] = Some(Seen::Failed);
            return;
        };
        if answer.replication.is_some() {
            self.told.insert(process.run, process);
            if process.follows.is_none() {
                self.ruled.insert(process.run, process.id);
            }
        } else if let Some(told) = self.told.get(&process.run) {
            process = Running { id: told.id, parent: told.parent, ..process };
        }
        if answer.replication.is_some() && process.follows.is_some() {
            self.followed.entry(process.run).or_default().insert(process.id);
        }
        if process.follows.is_none() {
            let highest = self.highest.entry(process.run).or_default();
            *highest = process.offset.max(*highest);
        }
        self.seen[node] = Some(Seen::Answered(process));
    }

    // What must hold.

    pub(crate) fn check(&mut self) {
        let shard = self.view.shards[0].clone();
        let Some(primary) = self.primary() else {
            self.check_hold();
            return;
        };
        let view = &shard.nodes[primary];
        assert_eq!((view.health, view.role, view.readable), (Health::Up, Role::Primary, true));
        let Some(Seen::Answered(process)) = self.seen[primary] else {
            // Up to `fall` silent probes a primary stays.
            assert!(self.last.is_some_and(
                |(node, last)| node == primary && *view.run_id == *last.run.to_string()
            ));
            return;
        };
        assert_eq!(*view.run_id, *process.run.to_string());
        assert!(process.follows.is_none(), "a replica is primary");
        if let Some((old, last)) = self.last.filter(|(_, last)| last.run != process.run) {
            self.check_move(old, last, primary, process);
        }
        self.last = Some((primary, process));
    }

    /// A primary that says master in the same process is given up only for somebody who was promoted from it.
    pub(crate) fn check_hold(&self) {
        let Some((node, last)) = self.last else { return };
        let Some(Seen::Answered(process)) = self.seen[node] else { return };
        if process.run != last.run || process.follows.is_some() {
            return;
        }
        if self.view.shards[0].nodes[node].health != Health::Up {
            return;
        }
        let promoted = self.followed.iter().any(|(run, ids)| *run != last.run && !ids.is_empty());
        assert!(promoted, "given up for nothing: {}", self.view.shards[0].why);
    }

    /// Was it seen to be promoted from the old primary's history, or does that follow it?
    pub(crate) fn is_proven(&self, last: Running, process: Running) -> bool {
        let old_run = last.run;
        let followed = self.followed.get(&process.run);
        let promoted = followed.is_some_and(|ids| {
            ids.iter().any(|id| process.parent.is_some_and(|(parent, _)| parent == *id))
        });
        let succeeds = promoted
            && process.parent.is_some_and(|(parent, _)| {
                // Its history as the primary; it may have begun another since.
                parent == last.id || self.ruled.get(&old_run) == Some(&parent)
            });
        let deferred = (0..NODES).any(|node| {
            matches!(self.seen[node], Some(Seen::Answered(other))
                if other.run == old_run && other.follows.is_some() && other.id == process.id)
        });
        succeeds || deferred
    }

    pub(crate) fn check_move(&self, old: usize, last: Running, new: usize, process: Running) {
        let old_run = last.run;
        if self.is_proven(last, process) {
            return;
        }
        for other in (0..NODES).filter(|other| *other != new) {
            let Some(seen) = self.seen[other] else { panic!("moved before all were heard") };
            let Seen::Answered(seen) = seen else {
                assert!(new == old || other != old, "moved while the old primary is away");
                continue;
            };
            if seen.follows.is_none() {
                let kept =
                    |of: Running| of.parent.filter(|(id, _)| self.ruled.get(&old_run) == Some(id));
                let (ours, theirs) = (kept(process), kept(seen));
                let had = theirs.map_or(self.highest[&old_run], |(_, shared)| shared);
                assert!(
                    ours.is_some_and(|(_, shared)| shared >= had),
                    "moved while another says master: {seen:?} {process:?}"
                );
                continue;
            }
            let covered = process
                .parent
                .is_some_and(|(parent, shared)| parent == seen.id && seen.offset <= shared);
            assert!(
                seen.id == process.id || covered || seen.offset == 0,
                "moved while a replica has newer data: {seen:?} {process:?}"
            );
        }
    }

    /// Repairs the world, and expects the pool to follow.
    pub(crate) fn settle(&mut self) {
        let chosen = self.repair();
        self.pass(5000);
        self.check_settled(chosen);
    }

    /// Puts the world in order around the node that is alive.
    pub(crate) fn repair(&mut self) -> usize {
        for node in 0..NODES {
            (self.world.machines[node].frozen, self.world.machines[node].cut) = (false, false);
        }
        let masters = |world: &World| {
            (0..NODES).find(|node| {
                world.machines[*node].process.is_some_and(|process| process.follows.is_none())
            })
        };
        let chosen = self.primary().filter(|node| self.world.machines[*node].process.is_some());
        let chosen = chosen.or_else(|| masters(&self.world)).unwrap_or(0);
        if self.world.machines[chosen].process.is_none() {
            self.world.start(chosen, None, false);
        }
        self.world.promote(chosen);
        for node in (0..NODES).filter(|node| *node != chosen) {
            if self.world.machines[node].process.is_none() {
                self.world.start(node, Some(chosen), false);
            }
            self.world.demote(node, chosen);
            self.world.sync(node);
        }
        chosen
    }

    pub(crate) fn check_settled(&self, chosen: usize) {
        let shard = &self.view.shards[0];
        assert_eq!(self.primary(), Some(chosen), "{}", shard.why);
        assert!(shard.nodes.iter().all(|node| node.readable), "{shard:?}");
    }
}

//! A small world of servers that replicate, crash, restart, freeze and are promoted at random, probed as the reducer
//! asks. Whatever happens: no node takes writes that had not earned it, and when the world is in order again, so is
//! the pool.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use topology::{
    Address, Answer, Failure, Health, Lineage, Link, NodeIds, Observation, Parent, PoolState,
    PoolView, Probed, Process, ReplId, Replication, Role, RoleReply, Server, Serving, Settings,
    Time,
};

const NODES: usize = 3;

// The world.

#[derive(Clone, Debug, Default)]
struct Machine {
    process: Option<Running>,
    /// What a restart finds: history and offset.
    saved: Option<(u64, u64)>,
    frozen: bool,
    /// Cannot be reached by the probes, but by the other servers.
    cut: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Running {
    run: u64,
    /// `None`: master.
    follows: Option<usize>,
    linked: bool,
    id: u64,
    parent: Option<(u64, u64)>,
    offset: u64,
}

#[derive(Clone, Debug)]
enum Action {
    Write(u64),
    Sync(usize),
    Save(usize),
    Kill(usize),
    Start { node: usize, follows: Option<usize>, empty: bool },
    Promote(usize),
    Demote { node: usize, to: usize },
    Freeze(usize),
    Thaw(usize),
    Cut(usize),
    Heal(usize),
    Pass(u64),
}

struct World {
    machines: Vec<Machine>,
    next_name: u64,
}

impl World {
    /// A primary and its replicas.
    fn new() -> Self {
        let mut world = Self { machines: vec![Machine::default(); NODES], next_name: 1 };
        for node in 0..NODES {
            world.start(node, (node > 0).then_some(0), true);
            world.sync(node);
        }
        world
    }

    fn name(&mut self) -> u64 {
        self.next_name += 1;
        self.next_name
    }

    fn act(&mut self, action: &Action, primary: Option<usize>) {
        match *action {
            Action::Write(bytes) => self.write(primary, bytes),
            Action::Sync(node) => self.sync(node),
            Action::Save(node) => {
                let process = self.machines[node].process;
                self.machines[node].saved = process.map(|process| (process.id, process.offset));
            }
            Action::Kill(node) => {
                self.machines[node].process = None;
                self.machines[node].frozen = false;
            }
            Action::Start { node, follows, empty } => {
                if self.machines[node].process.is_none() {
                    self.start(node, follows.filter(|to| *to != node), empty);
                }
            }
            Action::Promote(node) => self.promote(node),
            Action::Demote { node, to } => self.demote(node, to),
            Action::Freeze(node) => self.machines[node].frozen = true,
            Action::Thaw(node) => self.machines[node].frozen = false,
            Action::Cut(node) => self.machines[node].cut = true,
            Action::Heal(node) => self.machines[node].cut = false,
            Action::Pass(_) => {}
        }
        self.break_links();
    }

    /// Clients write where the view says; only a master takes it.
    fn write(&mut self, primary: Option<usize>, bytes: u64) {
        let process = primary.and_then(|node| self.machines[node].process.as_mut());
        if let Some(process) = process.filter(|process| process.follows.is_none()) {
            process.offset += bytes;
        }
    }

    fn start(&mut self, node: usize, follows: Option<usize>, empty: bool) {
        let (run, id) = (self.name(), self.name());
        let saved = self.machines[node].saved.filter(|_| !empty);
        let fresh = Running { run, follows, linked: false, id, parent: None, offset: 0 };
        let process = match (saved, follows) {
            (None, _) => fresh,
            // loadDataFromDisk: a replica goes on with the identifier, a master keeps it as its second.
            (Some((id, offset)), Some(_)) => Running { id, offset, ..fresh },
            (Some((id, offset)), None) => Running { parent: Some((id, offset)), offset, ..fresh },
        };
        self.machines[node].process = Some(process);
    }

    fn promote(&mut self, node: usize) {
        let id = self.name();
        let process = self.machines[node].process.as_mut();
        if let Some(process) = process.filter(|process| process.follows.is_some()) {
            process.parent = Some((process.id, process.offset));
            (process.follows, process.id, process.linked) = (None, id, false);
        }
    }

    fn demote(&mut self, node: usize, to: usize) {
        if let Some(process) = self.machines[node].process.as_mut().filter(|_| node != to) {
            (process.follows, process.linked) = (Some(to), false);
        }
    }

    /// The replica catches up with its master, by a partial resync if the master's history allows.
    fn sync(&mut self, node: usize) {
        let Some(own) = self.machines[node].process.filter(|_| !self.machines[node].frozen) else {
            return;
        };
        let Some(to) = own.follows.filter(|to| !self.machines[*to].frozen) else { return };
        let Some(master) = self.machines[to].process else { return };
        let partial =
            master.parent.is_some_and(|(id, shared)| id == own.id && own.offset <= shared);
        let parent = if own.id == master.id {
            own.parent
        } else if partial {
            Some((own.id, own.offset))
        } else {
            None
        };
        let synced = Running { id: master.id, offset: master.offset, parent, linked: true, ..own };
        self.machines[node].process = Some(synced);
    }

    fn break_links(&mut self) {
        let alive: Vec<bool> =
            self.machines.iter().map(|machine| machine.process.is_some()).collect();
        for process in self.machines.iter_mut().filter_map(|machine| machine.process.as_mut()) {
            process.linked &= process.follows.is_some_and(|to| alive[to]);
        }
    }

    fn answer(&self, node: usize, all: bool) -> Result<Answer, Failure> {
        let machine = &self.machines[node];
        if machine.cut {
            return Err(Failure::TimedOut);
        }
        let process = machine.process.ok_or(Failure::Refused)?;
        if machine.frozen {
            return Err(Failure::TimedOut);
        }
        Ok(process.answer(all))
    }
}

impl Running {
    fn answer(&self, all: bool) -> Answer {
        let link = self.follows.map(|_| if self.linked { Link::Up } else { Link::Down });
        let role = match link {
            None => RoleReply::Primary { offset: self.offset },
            Some(link) => RoleReply::Replica { link, offset: self.linked.then_some(self.offset) },
        };
        let lineage = Lineage {
            id: repl_id(self.id),
            parent: self.parent.map(|(id, shared)| Parent { id: repl_id(id), shared }),
        };
        let replication = Replication { link, offset: self.offset, lineage };
        let process = Process { run_id: self.run.to_string().into(), version: "7.0.15".into() };
        Answer {
            process: Ok(Arc::new(process)),
            serving: Serving::Yes,
            role: Ok(role),
            replication: all.then_some(Ok(replication)),
        }
    }
}

fn repl_id(name: u64) -> ReplId {
    ReplId::parse(&format!("{name:040}")).unwrap()
}

// The probes, and what they saw.

/// A process as it was last seen, in full.
#[derive(Clone, Copy, Debug)]
enum Seen {
    Answered(Running),
    Failed,
}

/// The end of a probe: when that was sent, and the process that answered.
type Coming = (Time, Result<Answer, Failure>, Option<Running>);

struct Probes {
    world: World,
    pool: PoolState,
    now: Time,
    /// Answers on their way: when they arrive.
    coming: BTreeMap<(Time, usize), Coming>,
    seen: Vec<Option<Seen>>,
    /// By run: the last answer that told its history.
    told: BTreeMap<u64, Running>,
    /// By run: the last history that it told as a master.
    ruled: BTreeMap<u64, u64>,
    /// By run: the histories it was seen to follow.
    followed: BTreeMap<u64, BTreeSet<u64>>,
    /// By run: the highest offset that it told as a master.
    highest: BTreeMap<u64, u64>,
    view: PoolView,
    /// The last primary: its node, and how it was last seen as such.
    last: Option<(usize, Running)>,
}

impl Probes {
    fn new() -> Self {
        let mut ids = NodeIds::default();
        let servers = (0..NODES).map(|node| Server {
            name: format!("n{node}").into(),
            address: Some(Address::Tcp(([10, 0, 0, node as u8], 6379).into())),
            weight: 1,
            backup: false,
            zone: None,
        });
        let settings = Settings { anti_flap: Duration::from_secs(2), ..Settings::default() };
        let mut pool = PoolState::new("p".into(), settings, servers.collect(), &mut ids, 1);
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
        }
    }

    fn primary(&self) -> Option<usize> {
        self.view.shards[0].primary.map(|id| id.0 as usize)
    }

    fn pass(&mut self, millis: u64) {
        for _ in 0..millis {
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

    fn arrive(
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
        if let Some(view) = self.pool.publish(self.now) {
            self.view = view;
            self.check();
        }
    }

    /// What the reducer was told: ROLE alone does not tell the history.
    fn see(&mut self, node: usize, answer: Option<&Answer>, process: Option<Running>) {
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

    fn check(&mut self) {
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
            self.check_move(old, last.run, primary, process);
        }
        self.last = Some((primary, process));
    }

    /// A primary that says master in the same process is given up only for somebody who was promoted from it.
    fn check_hold(&self) {
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

    fn check_move(&self, old: usize, old_run: u64, new: usize, process: Running) {
        let followed = self.followed.get(&process.run);
        let promoted = followed.is_some_and(|ids| {
            ids.iter().any(|id| process.parent.is_some_and(|(parent, _)| parent == *id))
        });
        let succeeds = promoted
            && process.parent.is_some_and(|(parent, _)| self.ruled.get(&old_run) == Some(&parent));
        let deferred = (0..NODES).any(|node| {
            matches!(self.seen[node], Some(Seen::Answered(other))
                if other.run == old_run && other.follows.is_some() && other.id == process.id)
        });
        if succeeds || deferred {
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

    /// Repairs the world around the node that is alive, and expects the pool to follow.
    fn settle(&mut self) {
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
        self.pass(5000);
        let shard = &self.view.shards[0];
        assert_eq!(self.primary(), Some(chosen), "{}", shard.why);
        assert!(shard.nodes.iter().all(|node| node.readable), "{shard:?}");
    }
}

fn action() -> impl Strategy<Value = Action> {
    let node = || 0..NODES;
    prop_oneof![
        6 => (1u64..600).prop_map(Action::Pass),
        3 => (1u64..100).prop_map(Action::Write),
        4 => node().prop_map(Action::Sync),
        1 => node().prop_map(Action::Save),
        2 => node().prop_map(Action::Kill),
        3 => (node(), proptest::option::of(node()), any::<bool>())
            .prop_map(|(node, follows, empty)| Action::Start { node, follows, empty }),
        2 => node().prop_map(Action::Promote),
        2 => (node(), node()).prop_map(|(node, to)| Action::Demote { node, to }),
        1 => node().prop_map(Action::Freeze),
        1 => node().prop_map(Action::Thaw),
        1 => node().prop_map(Action::Cut),
        1 => node().prop_map(Action::Heal),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn writes_go_only_where_they_may(actions in proptest::collection::vec(action(), 1..60)) {
        let mut probes = Probes::new();
        probes.pass(300);
        prop_assert_eq!(probes.primary(), Some(0));
        for action in &actions {
            let primary = probes.primary();
            probes.world.act(action, primary);
            if let Action::Pass(millis) = action {
                probes.pass(*millis);
            }
        }
        probes.settle();
    }
}

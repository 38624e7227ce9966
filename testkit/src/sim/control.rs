//! The control plane: the real reducers, fed by simulated probes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use topology::{
    Answer, Evidence, Failure, NodeId, NodeIds, Observation, PoolState, ProbeOrder, Probed, Server,
    Snapshot, Time,
};

use super::agenda::Event;
use super::plan::Plan;
use super::world::World;

/// Its state.
#[derive(Debug)]
pub(crate) struct Control {
    pool: PoolState,
    probes: BTreeMap<u64, Probe>,
    next_probe: u64,
    pub(crate) version: u64,
    /// When the probe was sent that each node last answered.
    heard: BTreeMap<NodeId, Time>,
    holds: bool,
    /// When it looks next.
    armed: Time,
}

#[derive(Debug)]
struct Probe {
    order: ProbeOrder,
    sent: Time,
    outcome: Option<Result<Answer, Failure>>,
}

impl Control {
    pub(crate) fn new(plan: &Plan, addresses: &[topology::Address], seed: u64) -> Self {
        let servers = addresses.iter().map(|address| Server {
            name: address.to_string().into(),
            address: Some(address.clone()),
            weight: 1,
            backup: false,
            zone: None,
        });
        let mut ids = NodeIds::default();
        let pool =
            PoolState::new("main".into(), plan.topology(), servers.collect(), &mut ids, seed);
        let (probes, heard) = (BTreeMap::new(), BTreeMap::new());
        Self { pool, probes, next_probe: 0, version: 0, heard, holds: false, armed: Time::ZERO }
    }

    /// Has every node answered a probe that was sent after `since`?
    pub(crate) fn has_looked(&self, since: Time) -> bool {
        self.pool.nodes().all(|(node, _)| self.heard.get(&node).is_some_and(|sent| *sent > since))
    }
}

impl World {
    /// Sends the probes that are due, and publishes what is new.
    pub(crate) fn control(&mut self) {
        if self.control.armed > self.now {
            return;
        }
        self.control.armed = Time::MAX;
        for order in self.control.pool.take_probes(self.now) {
            let id = self.control.next_probe;
            self.control.next_probe += 1;
            self.control.probes.insert(id, Probe { order, sent: self.now, outcome: None });
            let way = self.probe_way();
            self.agenda.put(self.now + way, Event::Probe(id));
            let timeout = self.plan.pool.health.timeout;
            self.agenda.put(self.now + timeout, Event::ProbeEnd { probe: id, timed_out: true });
        }
        self.publish();
        self.arm_control();
    }

    fn arm_control(&mut self) {
        let due = self.control.pool.next_due().max(self.now);
        if due < self.control.armed {
            self.control.armed = due;
            self.agenda.put(due, Event::Control);
        }
    }

    fn probe_way(&mut self) -> Duration {
        Duration::from_micros(self.rng.u64(50..1500))
    }

    /// A probe reaches its server: at a stopped one it waits.
    pub(crate) fn probe(&mut self, id: u64) {
        let Some(probe) = self.control.probes.get(&id) else { return };
        let (node, all) = (probe.order.node, probe.order.all);
        let index = self.server_of(node);
        let server = &self.servers[index];
        if server.alive && server.frozen {
            return self.agenda.put(self.now + Duration::from_millis(2), Event::Probe(id));
        }
        let outcome =
            if server.alive { Ok(server.answer(index, all)) } else { Err(Failure::Refused) };
        if let Some(probe) = self.control.probes.get_mut(&id) {
            probe.outcome = Some(outcome);
        }
        let at = self.now + self.probe_way();
        self.agenda.put(at, Event::ProbeEnd { probe: id, timed_out: false });
    }

    pub(crate) fn probe_end(&mut self, id: u64, timed_out: bool) {
        let Some(probe) = self.control.probes.remove(&id) else { return };
        let outcome = match probe.outcome {
            Some(outcome) if !timed_out => outcome,
            _ => Err(Failure::TimedOut),
        };
        if outcome.is_ok() {
            self.control.heard.insert(probe.order.node, probe.sent);
        }
        let probed =
            Probed { node: probe.order.node, sent: probe.sent, answered: self.now, outcome };
        let events = self.control.pool.observe(Observation::Probed(probed), self.now);
        for event in events {
            self.note(|| {
                let node = event.node.as_deref().unwrap_or("pool");
                format!("control: {node} {}", event.kind)
            });
        }
        self.publish();
        self.arm_control();
    }

    /// What a worker saw has arrived.
    pub(crate) fn evidence(&mut self, evidence: Evidence) {
        if let Evidence::Node { node, sighting, at, .. } = evidence {
            self.control.pool.observe(Observation::Sighted { node, sighting, at }, self.now);
            self.arm_control();
        }
    }

    /// Holds the writes for a while that is shorter than any command waits, or lets them go.
    pub(crate) fn toggle_hold(&mut self) {
        let holds = !self.control.holds;
        if holds && !self.is_busy() {
            return;
        }
        self.control.holds = holds;
        self.note(|| format!("control: holds writes: {holds}"));
        self.control.pool.hold_writes(holds.then(|| "a test".into()));
        self.publish();
        let longest = self.plan.pool.timeouts.hold.as_millis() as u64 / 3;
        let millis = if holds { self.rng.u64(1..longest.min(250)) } else { self.rng.u64(50..1000) };
        self.agenda.put(self.now + Duration::from_millis(millis), Event::Hold);
    }

    fn publish(&mut self) {
        let Some(view) = self.control.pool.publish(self.now) else { return };
        self.control.version += 1;
        let version = self.control.version;
        self.note(|| {
            let shard = &view.shards[0];
            let nodes: Vec<_> = shard
                .nodes
                .iter()
                .map(|node| {
                    let readable = if node.readable { " readable" } else { "" };
                    format!("{} {} {}{readable}", node.name, node.health.as_str(), node.role)
                })
                .collect();
            format!("snapshot {version}: primary {:?} [{}]", shard.primary, nodes.join(", "))
        });
        let snapshot = Arc::new(Snapshot { version, pools: vec![Arc::new(view)] });
        for worker in 0..self.workers.len() {
            let longest = self.plan.snapshot_delay.as_nanos() as u64;
            let delay = Duration::from_nanos(self.rng.u64(0..=longest));
            let snapshot = Arc::clone(&snapshot);
            self.agenda.put(self.now + delay, Event::Published { worker, snapshot });
        }
    }

    /// Nodes are named in the order of the servers.
    pub(crate) fn server_of(&self, node: NodeId) -> usize {
        node.0 as usize
    }
}

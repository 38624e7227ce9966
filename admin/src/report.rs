//! Builds a [`Status`] from the Snapshot and two samples of the counters. Pure.

use histogram::Histogram;
use topology::{
    ErrorKind, NodeCounts, NodeView, PoolCounts, PoolId, PoolView, SentinelView, SentinelsView,
    Time,
};

use crate::counts;
use crate::latency::{between, percentiles};
use crate::sampler::Window;
use crate::serve::BoundListener;
use crate::serving::takes_writes;
use crate::status::{
    ClientsStatus, HeldStatus, LatencyStatus, ListenerStatus, NodeStatus, PoolStatus,
    SentinelStatus, SentinelsStatus, Status, WorkerStatus,
};

/// What a report is made from, besides the counters.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) snapshot: &'a topology::Snapshot,
    pub(crate) listeners: &'a [BoundListener],
    pub(crate) worker_clients: &'a [usize],
    pub(crate) version: &'a str,
    pub(crate) draining: bool,
    pub(crate) now: Time,
}

/// The status at `facts.now`.
pub(crate) fn report(facts: &Facts<'_>, window: &Window) -> Status {
    let nothing = PoolCounts::default();
    let pools = facts.snapshot.pools.iter().enumerate().map(|(index, view)| {
        let change = Change {
            earlier: window.earlier.pools.get(index).unwrap_or(&nothing),
            later: window.later.sum.pools.get(index).unwrap_or(&nothing),
            seconds: window.seconds,
        };
        pool(facts, PoolId(index as u32), view, &change)
    });
    Status {
        version: facts.version.to_owned(),
        uptime_seconds: seconds(facts.now, Time::ZERO),
        draining: facts.draining,
        snapshot_version: facts.snapshot.version,
        window_seconds: rounded(window.seconds),
        workers: std::iter::zip(&window.later.answered, facts.worker_clients)
            .map(|(up, clients)| WorkerStatus { up: *up, clients: *clients })
            .collect(),
        pools: pools.collect(),
    }
}

/// The same counters at two moments.
struct Change<'a, T> {
    earlier: &'a T,
    later: &'a T,
    seconds: f64,
}

impl<T> Change<'_, T> {
    fn per_second(&self, counter: impl Fn(&T) -> u64) -> f64 {
        let grown = counter(self.later).saturating_sub(counter(self.earlier));
        if self.seconds > 0.0 { rounded(grown as f64 / self.seconds) } else { 0.0 }
    }

    fn latency(&self, histogram: impl Fn(&T) -> &Histogram) -> LatencyStatus {
        let later = histogram(self.later);
        LatencyStatus {
            recent: percentiles(&between(histogram(self.earlier), later)),
            since_start: percentiles(later),
        }
    }
}

fn pool(
    facts: &Facts<'_>,
    id: PoolId,
    view: &PoolView,
    change: &Change<'_, PoolCounts>,
) -> PoolStatus {
    let counts = change.later;
    let listeners = facts.listeners.iter().filter(|listener| listener.pool == id);
    let is_front = !view.groups.is_empty();
    let shard = view.shards.first().filter(|_| !is_front);
    let primary = shard.and_then(|shard| shard.node(shard.primary?));
    PoolStatus {
        name: view.name.to_string(),
        listeners: listeners
            .map(|listener| ListenerStatus {
                address: listener.address.clone(),
                mode: listener.mode.as_str().to_owned(),
            })
            .collect(),
        source: match &view.sentinels {
            _ if is_front => "pools",
            Some(_) => "sentinel",
            None => "servers",
        }
        .to_owned(),
        groups: view
            .groups
            .iter()
            .filter_map(|group| facts.snapshot.pool(*group))
            .map(|group| group.name.to_string())
            .collect(),
        sentinels: view.sentinels.as_deref().map(sentinels),
        primary: primary.map(|node| node.name.to_string()),
        why: shard.map_or_else(|| serving(view), |shard| shard.why.to_string()),
        writes_held: shard.and_then(|shard| shard.writes_held.as_deref().map(str::to_owned)),
        since_seconds: shard.map_or(0.0, |shard| seconds(facts.now, shard.since)),
        clients: ClientsStatus {
            connected: counts.clients,
            accepted: counts.clients_total,
            refused: counts.clients_refused_total,
            slow_closed: counts.clients_slow_closed_total,
        },
        held: HeldStatus {
            clients: counts.held,
            bytes: counts.held_bytes,
            commands: counts.held_total,
        },
        pinned: counts.pinned,
        reads_per_second: change.per_second(|pool| pool.reads_total),
        writes_per_second: change.per_second(|pool| pool.writes_total),
        errors_per_second: change.per_second(|pool| pool.errors_total.iter().sum()),
        errors: std::iter::zip(ErrorKind::ALL, counts.errors_total)
            .map(|(kind, count)| (kind.as_str().to_owned(), count))
            .collect(),
        retries: counts.retries_total,
        latency: change.latency(|pool| &pool.latency),
        nodes: if is_front { Vec::new() } else { nodes(facts.now, view, change) },
    }
}

fn sentinels(view: &SentinelsView) -> SentinelsStatus {
    let one = |view: &SentinelView| SentinelStatus {
        name: view.name.to_string(),
        configured: view.configured,
        answers: view.answers,
        agrees: view.agrees,
        tilt: view.tilt,
        primary: view.primary.as_ref().map(ToString::to_string),
        epoch: view.epoch,
        why: view.why.to_string(),
    };
    SentinelsStatus {
        master: view.master.to_string(),
        primary: view.primary.as_ref().map(ToString::to_string),
        epoch: view.epoch,
        known: view.known,
        needed: view.needed,
        why: view.why.to_string(),
        sentinels: view.sentinels.iter().map(one).collect(),
    }
}

/// How many of the groups take writes, where a pool has several.
fn serving(view: &PoolView) -> String {
    if view.groups.is_empty() {
        return String::new();
    }
    let serving = view.shards.iter().filter(|shard| takes_writes(shard)).count();
    format!("{serving} of {} groups take writes", view.shards.len())
}

fn nodes(now: Time, view: &PoolView, change: &Change<'_, PoolCounts>) -> Vec<NodeStatus> {
    let nothing = NodeCounts::default();
    let status = view.shards.iter().flat_map(|shard| &shard.nodes).map(|view| {
        let change = Change {
            earlier: counts::node(change.earlier, view.id).unwrap_or(&nothing),
            later: counts::node(change.later, view.id).unwrap_or(&nothing),
            seconds: change.seconds,
        };
        node(now, view, &change)
    });
    status.collect()
}

fn node(now: Time, view: &NodeView, change: &Change<'_, NodeCounts>) -> NodeStatus {
    let counts = change.later;
    NodeStatus {
        name: view.name.to_string(),
        address: view.address.to_string(),
        role: view.role.as_str().to_owned(),
        health: view.health.as_str().to_owned(),
        readable: view.readable,
        why: view.why.to_string(),
        since_seconds: seconds(now, view.since),
        lag_seconds: view.lag.map(|lag| rounded(lag.time.as_secs_f64())),
        lag_bytes: view.lag.map(|lag| lag.bytes),
        run_id: view.run_id.to_string(),
        version: view.version.to_string(),
        weight: view.weight,
        backup: view.backup,
        lanes: counts.lanes,
        pinned: counts.pinned,
        in_flight: counts.in_flight,
        commands_per_second: change.per_second(|node| node.commands_total),
        errors_per_second: change.per_second(|node| node.errors_total),
        connection_failures: counts.connect_failures_total + counts.lost_total,
        latency: change.latency(|node| &node.latency),
    }
}

/// To the millisecond: more would suggest a precision that probes and sampling do not have.
fn seconds(now: Time, earlier: Time) -> f64 {
    rounded(now.since(earlier).as_secs_f64())
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

//! The loop that owns the pools.

use std::fmt;
use std::panic;
use std::sync::Arc;
use std::time::Instant;

use config::Config;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use topology::{
    Evidence, NodeIds, PoolId, PoolView, Published, Snapshot, SwitchoverDesk, SwitchoverOrder,
    SwitchoverReport, Time,
};

use crate::clock::Clock;
use crate::evidence::EvidenceSender;
use crate::pool::{Pool, Tasks};
use crate::prober::Report;
use crate::resolver::Resolver;

/// Reports that may wait to be read; the tasks wait when there are more.
const REPORTS: usize = 256;
/// Orders that may wait to be read.
const ORDERS: usize = 16;
/// Reports and sightings taken in before the views are renewed.
const BATCH: usize = 256;

/// The control plane: call [`Control::run`].
pub struct Control {
    clock: Clock,
    published: Arc<Published>,
    version: u64,
    pools: Vec<Pool>,
    /// Pools without nodes of their own, and the groups that serve their clients, as indices of `pools`.
    fronts: Fronts,
    rerouted: watch::Receiver<Fronts>,
    rerouter: Arc<watch::Sender<Fronts>>,
    ids: NodeIds,
    evidence: mpsc::Receiver<Evidence>,
    /// How many data-plane threads tell that they hold writes.
    workers: usize,
    orders: mpsc::Receiver<SwitchoverOrder>,
    order_sender: mpsc::Sender<SwitchoverOrder>,
    /// Keeps the channel open where nobody has anything to tell.
    _evidence_sender: EvidenceSender,
}

/// Pools by their indices, each with those of its groups.
type Fronts = Vec<(usize, Vec<usize>)>;

impl Control {
    /// Publishes a first Snapshot, in which no node has been heard yet. `origin` is the start of the clock that all
    /// [`Time`]s of the process count from.
    pub fn new(
        config: &Config,
        tls: &tls::Pools,
        published: Arc<Published>,
        origin: Instant,
    ) -> (Self, EvidenceSender) {
        let clock = Clock::new(origin);
        let mut ids = NodeIds::default();
        let pools = (0..).zip(&config.pools);
        let resolver = Resolver::new(config.dns.servers.clone());
        let pool = |(id, pool)| {
            let tls = tls.get(id as usize);
            Pool::new(PoolId(id), pool, tls, resolver.clone(), &mut ids)
        };
        let pools = pools.map(pool).collect();
        let (rerouter, rerouted) = watch::channel(fronts(config));
        let (sender, evidence) = EvidenceSender::channel();
        let version = published.version();
        let _evidence_sender = sender.clone();
        let (order_sender, orders) = mpsc::channel(ORDERS);
        let mut control = Self {
            clock,
            published,
            version,
            pools,
            fronts: fronts(config),
            rerouted,
            rerouter: Arc::new(rerouter),
            ids,
            evidence,
            workers: config.workers.max(1),
            orders,
            order_sender,
            _evidence_sender,
        };
        control.publish();
        (control, sender)
    }

    /// Where switchovers are ordered.
    pub fn switchovers(&self) -> SwitchoverDesk {
        let orders = self.order_sender.clone();
        Arc::new(move |order| orders.try_send(order).is_ok())
    }

    /// Where it is told that the pools' routes have changed, and nothing else of the configuration.
    pub fn rerouter(&self) -> impl Fn(&Config) + Send + use<> {
        let rerouter = Arc::clone(&self.rerouter);
        move |config| _ = rerouter.send_replace(fronts(config))
    }

    /// Probes, resolves and publishes until it is dropped.
    pub async fn run(mut self) {
        let (reports, mut reported) = mpsc::channel(REPORTS);
        let mut tasks = Tasks { set: JoinSet::new(), reports, clock: self.clock };
        let mut sightings = Vec::with_capacity(BATCH);
        loop {
            let now = self.clock.now();
            for pool in &mut self.pools {
                pool.drive(&mut tasks, &mut self.ids, now);
            }
            self.renew(now);
            let due = self.pools.iter().map(Pool::next_due).min().unwrap_or(Time::MAX);
            tokio::select! {
                Some((pool, report)) = reported.recv() => {
                    self.report(pool, report);
                    for _ in 1..BATCH {
                        let Ok((pool, report)) = reported.try_recv() else { break };
                        self.report(pool, report);
                    }
                }
                _ = self.evidence.recv_many(&mut sightings, BATCH) => {
                    for evidence in sightings.drain(..) {
                        self.heed(evidence);
                    }
                }
                Ok(()) = self.rerouted.changed() => {
                    self.fronts = self.rerouted.borrow_and_update().clone();
                    self.publish();
                }
                Some(order) = self.orders.recv() => self.switch_over(order, &mut tasks),
                Some(ended) = tasks.set.join_next() => pass_on_panic(ended),
                () = self.clock.sleep_until(due) => {}
            }
        }
    }

    fn report(&mut self, pool: PoolId, report: Report) {
        let now = self.clock.now();
        if let Some(pool) = self.pools.get_mut(pool.0 as usize) {
            pool.reported(report, &mut self.ids, now);
        }
    }

    fn switch_over(&mut self, order: SwitchoverOrder, tasks: &mut Tasks) {
        let now = self.clock.now();
        let workers = self.workers;
        if let Some(pool) = self.pools.iter_mut().find(|pool| *pool.name == *order.pool) {
            return pool.switch_over(order, workers, tasks, now);
        }
        let known: Vec<&str> = self.pools.iter().map(|pool| &*pool.name).collect();
        let why = format!("there is no pool {}; the pools are {}", order.pool, known.join(", "));
        (order.answer)(SwitchoverReport::refused(order.pool.as_str().into(), why));
    }

    fn heed(&mut self, evidence: Evidence) {
        let now = self.clock.now();
        match evidence {
            Evidence::Node { pool, node, sighting, at } => {
                if let Some(pool) = self.pools.get_mut(pool.0 as usize) {
                    pool.sighted(node, sighting, at, now);
                }
            }
            Evidence::UnknownCommand { pool, name } => {
                if let Some(pool) = self.pools.get_mut(pool.0 as usize) {
                    pool.unknown_command(name, now);
                }
            }
            Evidence::WritesHeld { worker, pool, version, unanswered } => {
                if let Some(pool) = self.pools.get_mut(pool.0 as usize) {
                    pool.writes_held(worker, version, unanswered, now);
                }
            }
        }
    }

    /// Publishes if any pool's view is another.
    fn renew(&mut self, now: Time) {
        let mut is_new = false;
        for pool in &mut self.pools {
            is_new |= pool.renew_view(now);
        }
        if is_new {
            self.publish();
        }
    }

    fn publish(&mut self) {
        self.version += 1;
        for pool in &mut self.pools {
            pool.published(self.version);
        }
        let mut pools: Vec<_> = self.pools.iter().map(|pool| Arc::clone(pool.view())).collect();
        for (front, groups) in &self.fronts {
            pools[*front] = Arc::new(joined(&pools, *front, groups));
        }
        self.published.publish(Arc::new(Snapshot { version: self.version, pools }));
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("version", &self.version).finish_non_exhaustive()
    }
}

/// A task that panicked is our own fault, and the process must not go on without it.
fn pass_on_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        panic::resume_unwind(error.into_panic());
    }
}

fn fronts(config: &Config) -> Fronts {
    let fronts = (0..config.pools.len()).map(|front| (front, config.groups_of(front)));
    fronts.filter(|(_, groups)| !groups.is_empty()).collect()
}

/// The view of a pool whose clients these groups serve.
fn joined(pools: &[Arc<PoolView>], front: usize, groups: &[usize]) -> PoolView {
    let views = || groups.iter().map(|group| &pools[*group]);
    PoolView {
        name: Arc::clone(&pools[front].name),
        shards: views().flat_map(|view| view.shards.iter().cloned()).collect(),
        groups: groups.iter().map(|group| PoolId(*group as u32)).collect(),
        sentinels: None,
        learned: views().next().map_or_else(Arc::default, |view| Arc::clone(&view.learned)),
    }
}

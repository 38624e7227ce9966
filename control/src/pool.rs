//! One pool: its reducer, and the tasks that act for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use config::{Credentials, Source};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use topology::{
    Address, Event, NodeId, NodeIds, Observation, PoolId, PoolState, PoolView, SentinelId, Server,
    Sighting, Time,
};
use tracing::debug;

use crate::clock::Clock;
use crate::connection::Way;
use crate::log::log;
use crate::prober::{Order, Prober, Report, Reports};
use crate::resolver::Resolver;
use crate::sentinel::Sentinel;
use crate::settings;
use crate::switchover::Running;

/// Orders that may wait for a prober: a probe and a question.
const ORDERS: usize = 2;

/// A pool at work.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) id: PoolId,
    pub(crate) name: Arc<str>,
    pub(crate) state: PoolState,
    pub(crate) resolver: Resolver,
    pub(crate) credentials: Option<Arc<Credentials>>,
    /// What connections to the nodes begin with: a header of the PROXY protocol, or nothing.
    preface: Arc<[u8]>,
    pub(crate) tls: tls::PoolTls,
    probe_timeout: Duration,
    probers: HashMap<NodeId, mpsc::Sender<Order>>,
    pub(crate) sentinel_credentials: Option<Arc<Credentials>>,
    sentinels: HashMap<SentinelId, SentinelTasks>,
    /// The reducer may have other nodes, or Sentinels, than there are tasks for.
    nodes_changed: bool,
    view: Arc<PoolView>,
    /// How long a client's command is held.
    pub(crate) hold: Duration,
    /// The one that is under way.
    pub(crate) switchover: Option<Running>,
}

/// The tasks of a Sentinel; they end when this is dropped.
#[derive(Debug)]
struct SentinelTasks {
    polls: mpsc::Sender<()>,
    listener: AbortHandle,
}

impl Drop for SentinelTasks {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// What a pool needs to start tasks.
pub(crate) struct Tasks {
    pub(crate) set: JoinSet<()>,
    pub(crate) reports: Reports,
    pub(crate) clock: Clock,
}

impl Pool {
    pub(crate) fn new(
        id: PoolId,
        config: &config::Pool,
        tls: tls::PoolTls,
        resolver: Resolver,
        ids: &mut NodeIds,
    ) -> Self {
        let name: Arc<str> = config.name.as_str().into();
        let settings = settings::settings(config);
        let seed = fastrand::u64(..);
        let (state, sentinel_credentials) = match &config.source {
            Source::Servers(servers) => {
                let servers = settings::servers(config, servers);
                (PoolState::new(Arc::clone(&name), settings, servers, ids, seed), None)
            }
            // Its groups have the nodes.
            Source::Shards(_) | Source::Routes => {
                (PoolState::new(Arc::clone(&name), settings, Vec::new(), ids, seed), None)
            }
            Source::Sentinel(sentinel) => {
                let sentinels = settings::sentinels(config, sentinel);
                let state =
                    PoolState::of_sentinels(Arc::clone(&name), settings, sentinels, ids, seed);
                (state, sentinel.credentials.clone().map(Arc::new))
            }
        };
        let view = Arc::new(state.view());
        Self {
            id,
            name,
            state,
            resolver,
            credentials: config.upstream.credentials.clone().map(Arc::new),
            preface: config
                .upstream
                .proxy_protocol
                .map_or_else(Vec::new, |version| version.header(None))
                .into(),
            tls,
            probe_timeout: config.health.timeout,
            probers: HashMap::new(),
            sentinel_credentials,
            sentinels: HashMap::new(),
            nodes_changed: true,
            view,
            hold: config.timeouts.hold,
            switchover: None,
        }
    }

    pub(crate) fn view(&self) -> &Arc<PoolView> {
        &self.view
    }

    pub(crate) fn next_due(&self) -> Time {
        let switchover = self.switchover.as_ref().map_or(Time::MAX, Running::due);
        self.state.next_due().min(switchover)
    }

    /// Takes a new view from the reducer, if there is one.
    pub(crate) fn renew_view(&mut self, now: Time) -> bool {
        let view = self.state.publish(now);
        let is_new = view.is_some();
        if let Some(view) = view {
            self.view = Arc::new(view);
        }
        is_new
    }

    pub(crate) fn sighted(&mut self, node: NodeId, sighting: Sighting, at: Time, now: Time) {
        debug!(pool = &*self.name, node = node.0, ?sighting, "the data plane asks for a probe");
        let events = self.state.observe(Observation::Sighted { node, sighting, at }, now);
        self.log(&events);
    }

    pub(crate) fn unknown_command(&mut self, name: Box<[u8]>, now: Time) {
        self.state.unknown_command(name, now);
    }

    pub(crate) fn reported(&mut self, report: Report, ids: &mut NodeIds, now: Time) {
        let events = match report {
            Report::Observed(observation) => self.state.observe(observation, now),
            Report::Resolved { server, answer } => {
                let index = self.state.servers().iter().position(|known| known.name == server);
                // Sentinel may have ceased to list it meanwhile.
                let Some(index) = index else { return };
                self.nodes_changed = true;
                self.state.resolved(index, answer, ids, now)
            }
            Report::Sentinel { sentinel, observation } => {
                self.nodes_changed = true;
                self.state.observe_sentinel(sentinel, observation, ids, now)
            }
            Report::Described { names, answer } => {
                self.state.described(names, answer, now);
                Vec::new()
            }
            Report::Asked(answer) => return self.asked(answer, now),
        };
        self.log(&events);
        self.look_for_primary(now);
    }

    fn log(&self, events: &[Event]) {
        log(&self.name, events, self.switchover.is_some());
    }

    /// Does what is due.
    pub(crate) fn drive(&mut self, tasks: &mut Tasks, ids: &mut NodeIds, now: Time) {
        self.switchover_due(now);
        let events = self.state.elapse(ids, now);
        self.nodes_changed |= !events.is_empty();
        self.log(&events);
        if std::mem::take(&mut self.nodes_changed) {
            self.reconcile(tasks);
        }
        for order in self.state.take_probes(now) {
            self.order(order.node, Order::Probe { all: order.all });
        }
        for server in self.state.take_lookups(now) {
            self.look_up(&self.state.servers()[server], tasks);
        }
        for sentinel in self.state.take_polls(now) {
            // The reducer has at most one poll on its way: there is room.
            let sent = self.sentinels.get(&sentinel).map(|tasks| tasks.polls.try_send(()));
            debug_assert!(matches!(sent, Some(Ok(()))), "{sentinel:?} cannot be told: {sent:?}");
        }
        if let Some((node, names)) = self.state.take_question() {
            self.order(node, Order::Describe(names));
        }
    }

    fn order(&self, node: NodeId, order: Order) {
        // The reducer has at most one probe and one question on their way: there is room.
        let sent = self.probers.get(&node).map(|orders| orders.try_send(order));
        debug_assert!(matches!(sent, Some(Ok(()))), "{node:?} cannot be told: {sent:?}");
    }

    /// Starts probers for new nodes, and ends those of nodes that are gone.
    fn reconcile(&mut self, tasks: &mut Tasks) {
        let nodes: Vec<_> = self.state.nodes().map(|(id, address)| (id, address.clone())).collect();
        self.probers.retain(|id, _| nodes.iter().any(|(node, _)| node == id));
        for (node, address) in nodes {
            if self.probers.contains_key(&node) {
                continue;
            }
            let prober = Prober {
                pool: self.id,
                node,
                way: self.way(node, &address),
                credentials: self.credentials.clone(),
                timeout: self.probe_timeout,
                clock: tasks.clock,
                reports: tasks.reports.clone(),
            };
            let (orders, receiver) = mpsc::channel(ORDERS);
            tasks.set.spawn(prober.run(receiver));
            self.probers.insert(node, orders);
        }
        self.reconcile_sentinels(tasks);
    }

    /// How a node is reached.
    pub(crate) fn way(&self, node: NodeId, address: &Address) -> Way {
        let server = self.state.server_of(node).cloned().unwrap_or_else(|| "".into());
        Way {
            address: address.clone(),
            server,
            tls: self.tls.nodes.clone(),
            preface: Arc::clone(&self.preface),
        }
    }

    /// The same for the Sentinels.
    fn reconcile_sentinels(&mut self, tasks: &mut Tasks) {
        let Some(master) = self.state.master().cloned() else { return };
        let known: Vec<_> =
            self.state.sentinels().map(|(id, name)| (id, Arc::clone(name))).collect();
        self.sentinels.retain(|id, _| known.iter().any(|(sentinel, _)| sentinel == id));
        for (id, name) in known {
            if self.sentinels.contains_key(&id) {
                continue;
            }
            let sentinel = Sentinel {
                pool: self.id,
                id,
                name,
                master: Arc::clone(&master),
                credentials: self.sentinel_credentials.clone(),
                resolver: self.resolver.clone(),
                tls: self.tls.sentinels.clone(),
                clock: tasks.clock,
                reports: tasks.reports.clone(),
            };
            let (polls, receiver) = mpsc::channel(1);
            tasks.set.spawn(sentinel.clone().ask(receiver));
            let listener = tasks.set.spawn(sentinel.listen());
            self.sentinels.insert(id, SentinelTasks { polls, listener });
        }
    }

    fn look_up(&self, server: &Server, tasks: &mut Tasks) {
        let (pool, reports, resolver) = (self.id, tasks.reports.clone(), self.resolver.clone());
        let server = Arc::clone(&server.name);
        tasks.set.spawn(async move {
            let answer = resolver.resolve(&server).await;
            // Nobody reads any more when the control plane ends.
            let _ = reports.send((pool, Report::Resolved { server, answer })).await;
        });
    }
}

//! One pool's state: observations go in; probes to send, events and views come out.

use std::sync::Arc;
use std::time::Duration;

use crate::authority::{Authority, Saying};
use crate::event::{Event, EventKind};
use crate::learning::Learning;
use crate::names::Names;
use crate::node::Node;
use crate::sentinel::Sentinels;
use crate::shard::Shard;
use crate::{
    Address, Learned, NodeId, NodeView, Observation, PoolView, Resolved, SentinelId,
    SentinelObservation, SentinelSettings, Server, Settings, ShardView, Target, Time,
};

/// At most so often is a view published only because a replica's lag is another.
const LAG_EVERY: Duration = Duration::from_secs(1);

/// Hands out [`NodeId`]s: dense, and each once in the life of the process.
#[derive(Debug, Default)]
pub struct NodeIds(u32);

impl NodeIds {
    fn take(&mut self) -> NodeId {
        let id = NodeId(self.0);
        self.0 += 1;
        id
    }
}

/// A probe to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeOrder {
    /// To this node.
    pub node: NodeId,
    /// Ask for `INFO replication` too.
    pub all: bool,
}

/// The reducer of one pool. It does nothing by itself: whoever drives it sends the probes and lookups that it
/// asks for, tells it how they ended, and publishes the views.
#[derive(Debug)]
pub struct PoolState {
    name: Arc<str>,
    settings: Settings,
    servers: Vec<Server>,
    names: Names,
    shard: Shard,
    sentinels: Option<Sentinels>,
    /// When something was last new at a node.
    news_at: Time,
    learning: Learning,
    /// State of the random numbers that spread the probes.
    random: u64,
    published: Option<PoolView>,
    published_at: Time,
    /// Something that a worker waits for was settled.
    settled: bool,
}

impl PoolState {
    /// A pool of which nothing is known yet. `seed` spreads its probes in time.
    pub fn new(
        name: Arc<str>,
        settings: Settings,
        servers: Vec<Server>,
        ids: &mut NodeIds,
        seed: u64,
    ) -> Self {
        let names = Names::new(&servers);
        let mut pool = Self {
            name,
            settings,
            servers,
            names,
            shard: Shard::new(),
            sentinels: None,
            news_at: Time::ZERO,
            learning: Learning::default(),
            random: seed,
            published: None,
            published_at: Time::ZERO,
            settled: false,
        };
        pool.reconcile(ids);
        pool.conclude(Time::ZERO);
        pool
    }

    /// A pool whose nodes Sentinels will list.
    pub fn of_sentinels(
        name: Arc<str>,
        settings: Settings,
        sentinels: SentinelSettings,
        ids: &mut NodeIds,
        seed: u64,
    ) -> Self {
        let mut pool = Self::new(name, settings, Vec::new(), ids, seed);
        pool.sentinels = Some(Sentinels::new(sentinels));
        pool.conclude(Time::ZERO);
        pool
    }

    /// The nodes, in configuration order.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Address)> {
        self.shard.nodes.iter().map(|node| (node.id, &node.address))
    }

    /// The server, as configured or as Sentinel lists it, that this node belongs to.
    pub fn server_of(&self, node: NodeId) -> Option<&Arc<str>> {
        let node = self.shard.nodes.iter().find(|known| known.id == node)?;
        self.servers.get(node.server).map(|server| &server.name)
    }

    /// Takes in what was observed, and says what is worth a line in the log.
    pub fn observe(&mut self, observation: Observation, now: Time) -> Vec<Event> {
        let concludes = matches!(observation, Observation::Probed(_));
        self.settled |= self.shard.observe(observation, &self.settings);
        if concludes { self.conclude(now) } else { Vec::new() }
    }

    /// Takes in how a lookup that [`Self::take_lookups`] asked for has ended.
    pub fn resolved(
        &mut self,
        server: usize,
        answer: Result<Resolved, Box<str>>,
        ids: &mut NodeIds,
        now: Time,
    ) -> Vec<Event> {
        let (answer, error) = match answer {
            Ok(answer) if answer.targets.is_empty() => (None, Some("no addresses".into())),
            Ok(answer) => (Some(answer), None),
            Err(error) => (None, Some(error)),
        };
        let mut events = Vec::new();
        if self.names.answered(server, answer) {
            let node = self.servers.get(server).map(|server| Arc::clone(&server.name));
            let kind = match error {
                Some(why) => EventKind::Unresolved { why },
                None => EventKind::Resolved,
            };
            events.push(Event { node, kind });
        }
        events.extend(self.reconcile(ids));
        events.extend(self.conclude(now));
        events
    }

    /// The Sentinels to ask, and to listen to.
    pub fn sentinels(&self) -> impl Iterator<Item = (SentinelId, &Arc<str>)> {
        self.sentinels.iter().flat_map(Sentinels::addresses)
    }

    /// What the Sentinels call the primary.
    pub fn master(&self) -> Option<&Arc<str>> {
        self.sentinels.as_ref().map(Sentinels::master)
    }

    /// The servers, as they are configured or as Sentinels list them.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Takes in what was observed of a Sentinel. The nodes, the servers and the Sentinels may be others afterwards.
    pub fn observe_sentinel(
        &mut self,
        sentinel: SentinelId,
        observation: SentinelObservation,
        ids: &mut NodeIds,
        now: Time,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(sentinels) = &mut self.sentinels {
            sentinels.observe(sentinel, observation, now, &mut events);
        }
        events.extend(self.relist(ids, now));
        events.extend(self.conclude(now));
        events
    }

    /// Lets happen what time alone brings. The nodes and the servers may be others afterwards.
    pub fn elapse(&mut self, ids: &mut NodeIds, now: Time) -> Vec<Event> {
        let change = self.sentinels.as_ref().map_or(Time::MAX, Sentinels::next_change);
        if change > now {
            return Vec::new();
        }
        let mut events = self.relist(ids, now);
        events.extend(self.conclude(now));
        events
    }

    /// The Sentinels that are to be asked now. The caller asks them all.
    pub fn take_polls(&mut self, now: Time) -> Vec<SentinelId> {
        self.sentinels.as_mut().map_or_else(Vec::new, |sentinels| sentinels.take_polls(now))
    }

    /// Holds the writes because the primary is about to be replaced, for the reason given; `None`: lets them go.
    pub fn hold_writes(&mut self, why: Option<Arc<str>>) {
        self.shard.writes_held = why;
    }

    /// Asks all nodes for everything, at once.
    pub fn look_at_all(&mut self) {
        for node in &mut self.shard.nodes {
            node.schedule.want_full();
        }
    }

    /// The primary, as it is now.
    pub fn primary(&self) -> Option<NodeId> {
        self.shard.primary().map(|node| node.id)
    }

    /// A client sent a command that nobody has described; its name in upper case.
    pub fn unknown_command(&mut self, name: Box<[u8]>, now: Time) {
        self.learning.want(name, now);
    }

    /// Takes in the end of a question from [`Self::take_question`].
    pub fn described(
        &mut self,
        names: Vec<Box<[u8]>>,
        answer: Option<Vec<Option<Learned>>>,
        now: Time,
    ) {
        self.learning.described(names, answer, now);
    }

    /// The probes that are due. The caller sends them all.
    pub fn take_probes(&mut self, now: Time) -> Vec<ProbeOrder> {
        let mut orders = Vec::new();
        for index in 0..self.shard.nodes.len() {
            let node = &self.shard.nodes[index];
            if self.shard.due(node, &self.settings) <= now {
                orders.push(ProbeOrder { node: node.id, all: self.shard.asks_all(node) });
                let draw = self.draw();
                self.shard.nodes[index].schedule.sent(now, draw);
            }
        }
        orders
    }

    /// The names that are to be looked up now, as indices into the servers. The caller looks them all up.
    pub fn take_lookups(&mut self, now: Time) -> Vec<usize> {
        let servers = 0..self.servers.len();
        let due: Vec<_> = servers.filter(|server| self.lookup_due(*server) <= now).collect();
        for server in &due {
            self.names.sent(*server, now);
        }
        due
    }

    /// The commands to ask a node about now, if any. The caller asks.
    pub fn take_question(&mut self) -> Option<(NodeId, Vec<Box<[u8]>>)> {
        let node = self.shard.anyone().filter(|_| self.learning.is_due())?;
        Some((node, self.learning.ask()))
    }

    /// When something of this is due next.
    pub fn next_due(&self) -> Time {
        let probes = self.shard.nodes.iter().map(|node| self.shard.due(node, &self.settings));
        let lookups = (0..self.servers.len()).map(|server| self.lookup_due(server));
        let sentinels = self.sentinels.iter().map(Sentinels::next_due);
        probes.chain(lookups).chain(sentinels).min().unwrap_or(Time::MAX)
    }

    /// The view as it is now, whether or not anybody needs a new one.
    pub fn view(&self) -> PoolView {
        PoolView {
            name: Arc::clone(&self.name),
            shards: vec![self.shard.view(&self.servers)],
            groups: Vec::new(),
            sentinels: self.sentinels.as_ref().map(|sentinels| Arc::clone(sentinels.view())),
            learned: Arc::clone(self.learning.learned()),
        }
    }

    /// The view, if the workers need a new one.
    pub fn publish(&mut self, now: Time) -> Option<PoolView> {
        let view = self.view();
        let wanted = match &self.published {
            None => true,
            Some(old) => {
                self.settled
                    || !acts_alike(old, &view)
                    || (now.since(self.published_at) >= LAG_EVERY && !lags_alike(old, &view))
            }
        };
        if !wanted {
            return None;
        }
        self.settled = false;
        self.published_at = now;
        self.published = Some(view.clone());
        Some(view)
    }

    fn conclude(&mut self, now: Time) -> Vec<Event> {
        let sentinels_heard = self.sentinels.as_ref().is_none_or(Sentinels::are_heard);
        self.shard.authority = self.authority();
        self.shard.alarmed =
            self.sentinels.as_ref().is_some_and(|sentinels| sentinels.is_alarmed(now));
        let settled = self.names.are_heard() && sentinels_heard;
        let mut events = self.shard.conclude(&self.settings, settled, now);
        self.tell_sentinels(now, &mut events);
        events
    }

    /// What the Sentinels say of the shard.
    fn authority(&mut self) -> Option<Authority> {
        let sentinels = self.sentinels.as_ref()?;
        let saying = sentinels.word().map_err(Arc::clone).map(|word| {
            let server = self.servers.iter().position(|server| server.name == word.primary);
            let addresses: Vec<&Address> =
                server.into_iter().flat_map(|server| self.names.addresses_of(server)).collect();
            let named = self.shard.nodes.iter().filter(|node| addresses.contains(&&node.address));
            Saying { word: word.clone(), nodes: named.map(|node| node.id).collect() }
        });
        let noted = self.shard.authority.take().and_then(|before| before.noted);
        Some(Authority { saying, noted })
    }

    /// What follows for the Sentinels from what the shard is like now.
    fn tell_sentinels(&mut self, now: Time, events: &mut Vec<Event>) {
        let Some(sentinels) = &mut self.sentinels else { return };
        let news_at = self.shard.nodes.iter().map(|node| node.news_at).max();
        if news_at.is_some_and(|at| at > self.news_at) {
            self.news_at = news_at.unwrap_or(self.news_at);
            sentinels.want_polls(now);
        }
        let primary = self.shard.primary().map(|node| &self.servers[node.server].name);
        self.shard.failover_held = sentinels.hold(primary, now, events);
    }

    /// Makes the servers those that the Sentinels list.
    fn relist(&mut self, ids: &mut NodeIds, now: Time) -> Vec<Event> {
        let Some(sentinels) = &mut self.sentinels else { return Vec::new() };
        if !sentinels.relist(now) {
            return Vec::new();
        }
        let servers = sentinels.servers();
        self.names = self.names.renewed(&self.servers, &servers);
        self.servers = servers;
        self.reconcile(ids)
    }

    fn lookup_due(&self, server: usize) -> Time {
        let mut nodes = self.shard.nodes.iter().filter(|node| node.server == server);
        self.names.due(server, nodes.any(|node| node.failure.is_some()))
    }

    /// Makes the nodes those of the names' addresses.
    fn reconcile(&mut self, ids: &mut NodeIds) -> Vec<Event> {
        let (added, removed) = match self.sentinels {
            Some(_) => (EventKind::Listed, EventKind::Unlisted),
            None => (EventKind::Added, EventKind::Removed),
        };
        let wanted = self.names.targets();
        let mut old = std::mem::take(&mut self.shard.nodes);
        let mut events = Vec::new();
        for (server, Target { address, backup }) in &wanted {
            let shared = wanted.iter().filter(|(other, _)| other == server).count() > 1;
            let configured = Arc::clone(&self.servers[*server].name);
            let backup = *backup || self.servers[*server].backup;
            let weight = self.servers[*server].weight;
            let name = if shared { address.to_string().into() } else { configured };
            let node = match old.iter().position(|node| node.address == *address) {
                Some(index) => Node { server: *server, name, backup, weight, ..old.remove(index) },
                None => {
                    if self.published.is_some() {
                        let node = Some(Arc::clone(&name));
                        events.push(Event { node, kind: added.clone() });
                    }
                    Node { backup, weight, ..Node::new(ids.take(), name, address.clone(), *server) }
                }
            };
            self.shard.nodes.push(node);
        }
        let gone = old.into_iter().map(|node| node.name);
        events.extend(gone.map(|node| Event { node: Some(node), kind: removed.clone() }));
        events
    }

    /// splitmix64.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.random;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

/// Would a worker, or whoever reads the status, do the same by both?
fn acts_alike(a: &PoolView, b: &PoolView) -> bool {
    let shard = |(a, b): (&ShardView, &ShardView)| {
        a.primary == b.primary
            && a.writes_held == b.writes_held
            && a.why == b.why
            && a.nodes.len() == b.nodes.len()
            && a.nodes.iter().zip(&b.nodes).all(|(a, b)| node_alike(a, b))
    };
    Arc::ptr_eq(&a.learned, &b.learned)
        && a.sentinels == b.sentinels
        && a.shards.iter().zip(&b.shards).all(shard)
}

fn node_alike(a: &NodeView, b: &NodeView) -> bool {
    a.id == b.id
        && a.name == b.name
        && a.health == b.health
        && a.role == b.role
        && a.readable == b.readable
        && a.why == b.why
        && a.backup == b.backup
        && a.run_id == b.run_id
        && a.version == b.version
}

fn lags_alike(a: &PoolView, b: &PoolView) -> bool {
    let nodes = |view: &PoolView| -> Vec<_> {
        view.shards.iter().flat_map(|shard| &shard.nodes).map(|node| node.lag).collect()
    };
    nodes(a) == nodes(b)
}

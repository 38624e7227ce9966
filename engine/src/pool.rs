//! What one worker knows of a pool: its nodes as the Snapshot has them, and what it saw of them since.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use routing::{Balance, Balancer, Candidate, Latency};
use session::{Access, Conversation, Standing, Target, Who};
use topology::{
    Address, Health, LearnedCommands, NodeCounts, NodeId, NodeView, PoolCounts, PoolId, PoolView,
    Role, Time,
};

use crate::budget::Budget;
use crate::front::Territory;
use crate::hub::Hub;
use crate::pause::Pause;
use crate::release::Release;
use crate::scripts::{Scripts, Sha};
use crate::slots::Key;

/// One pool in one worker.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) id: PoolId,
    pub(crate) settings: Arc<config::Pool>,
    pub(crate) limits: resp::Limits,
    /// Of clients that have yet to log in.
    pub(crate) stranger_limits: resp::Limits,
    pub(crate) nodes: Vec<Node>,
    /// Index of the node that takes writes.
    pub(crate) primary: Option<usize>,
    /// The last one that did; its connections are kept until another follows it.
    pub(crate) last_primary: Option<usize>,
    /// The primary is about to be replaced and takes no writes for now: why.
    pub(crate) writes_held: Option<Arc<str>>,
    /// The Snapshot that holds them, until the control plane knows that none is unanswered.
    pub(crate) drain: Option<Drain>,
    pub(crate) learned: Arc<LearnedCommands>,
    pub(crate) counts: PoolCounts,
    pub(crate) held: Vec<Key>,
    pub(crate) release: Release,
    pub(crate) budget: Budget,
    pub(crate) scripts: Scripts,
    /// Shared subscriber connections.
    pub(crate) hubs: Vec<Hub>,
    /// A timer is set that looks for missing ones.
    pub(crate) awaits_hubs: bool,
    /// Subscribed clients with a connection of their own, and some that were.
    pub(crate) own_subscribers: Vec<Key>,
    /// CLIENT PAUSE.
    pub(crate) pause: Option<Pause>,
    /// The functions that only read, in lower case: as a node has said since the pause began.
    pub(crate) reading_functions: Option<HashSet<Box<[u8]>>>,
    /// This worker's share of `hold_bytes`.
    pub(crate) hold_bytes: u64,
    /// The same of `hold_requests`.
    pub(crate) hold_requests: u64,
    /// This worker's share of `max_pinned`.
    pub(crate) max_pinned: usize,
    /// What a new client's connection is.
    pub(crate) standing: Rc<Standing>,
    pub(crate) balancer: Balancer,
    pub(crate) candidates: Vec<Candidate>,
    /// Where its commands go, if not to nodes of its own.
    pub(crate) territory: Option<Territory>,
}

/// One node in one worker.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) name: Arc<str>,
    pub(crate) address: Address,
    /// Whom its certificate must be for.
    pub(crate) server: Arc<str>,
    pub(crate) health: Health,
    pub(crate) role: Role,
    pub(crate) readable: bool,
    /// When one of these three last changed.
    pub(crate) since: Time,
    pub(crate) weight: u32,
    pub(crate) backup: bool,
    /// In another zone than this proxy.
    pub(crate) far: bool,
    /// What its answers took; known where the pool balances by it.
    pub(crate) latency: Latency,
    /// When the control plane was last told that it is slow.
    pub(crate) told_slow: Option<Time>,
    pub(crate) version: Arc<str>,
    pub(crate) run_id: Arc<str>,
    /// It was given these scripts, or has run them.
    pub(crate) scripts: HashSet<Sha>,
    /// Something was seen that a probe has not settled yet: no new commands.
    pub(crate) suspect: Option<Time>,
    /// When the probe was sent that it answered last, as far as the Snapshots say.
    pub(crate) proven_at: Time,
    /// No longer in the Snapshot; its place is free once its connections are closed.
    pub(crate) gone: bool,
    pub(crate) lanes: Vec<(Rc<Standing>, Key)>,
    pub(crate) spare: Vec<(Rc<Standing>, Key)>,
    /// All its connections of this worker.
    pub(crate) connections: Vec<Key>,
    /// Standings whose credentials this node refuses, and since when.
    pub(crate) refuses: Vec<(Rc<Standing>, Time)>,
    pub(crate) counts: NodeCounts,
}

/// An answer that takes longer is reason to look whether the node is slow.
pub(crate) const SLOW: Duration = Duration::from_millis(50);
/// No more often than this, whatever the commands are.
const SLOW_EVERY: Duration = Duration::from_millis(100);
/// For this long a node that refused a client's credentials is not asked again on that client's behalf.
const REFUSAL_MEMORY: Duration = Duration::from_secs(5);

/// What a client may send before it has logged in, as on a server (networking.c `processMultibulkBuffer`).
const STRANGER_ARGS: u32 = 10;
const STRANGER_BULK: u64 = 16 * 1024;

impl Node {
    fn new(view: &NodeView, zone: Option<&str>) -> Self {
        Self {
            id: view.id,
            name: Arc::clone(&view.name),
            address: view.address.clone(),
            server: Arc::clone(&view.server),
            health: view.health,
            role: view.role,
            readable: view.readable,
            since: view.since,
            weight: view.weight,
            backup: view.backup,
            far: is_far(view, zone),
            latency: Latency::default(),
            told_slow: None,
            version: Arc::clone(&view.version),
            run_id: Arc::clone(&view.run_id),
            scripts: HashSet::new(),
            suspect: None,
            proven_at: view.proven_at,
            gone: false,
            lanes: Vec::new(),
            spare: Vec::new(),
            connections: Vec::new(),
            refuses: Vec::new(),
            counts: NodeCounts::default(),
        }
    }

    /// May it be given new commands at all?
    pub(crate) fn is_usable(&self) -> bool {
        self.health == Health::Up && self.suspect.is_none() && !self.gone
    }

    pub(crate) fn refuses(&self, standing: &Standing, now: Time) -> bool {
        self.refuses
            .iter()
            .any(|(refused, since)| **refused == *standing && now.since(*since) < REFUSAL_MEMORY)
    }

    fn update(&mut self, view: &NodeView, zone: Option<&str>) {
        self.name = Arc::clone(&view.name);
        if self.health != Health::Up {
            // What it took to fail is not what it takes to answer.
            self.latency = Latency::default();
        }
        self.health = view.health;
        self.role = view.role;
        self.readable = view.readable;
        self.since = view.since;
        self.weight = view.weight;
        self.backup = view.backup;
        self.far = is_far(view, zone);
        self.version = Arc::clone(&view.version);
        if view.health != Health::Up || self.run_id != view.run_id {
            self.run_id = Arc::clone(&view.run_id);
            self.scripts.clear();
        }
        self.gone = false;
        self.proven_at = view.proven_at;
        if self.suspect.is_some_and(|since| view.proven_at > since) {
            self.suspect = None;
        }
    }
}

fn is_far(view: &NodeView, zone: Option<&str>) -> bool {
    zone.is_some() && zone != view.zone.as_deref()
}

/// What a new Snapshot changed for a node's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Does not answer, and nothing is to be hoped for from it.
    Lost(usize),
    /// Is no longer in the pool, but answered: what it was sent is awaited.
    Left(usize),
    /// The primary does not answer, and nobody has followed it: what was sent may yet be answered.
    Frozen(usize),
    /// The frozen primary answers again.
    Thawed(usize),
    /// Answers, but may no longer take what it took.
    Unfit(usize),
}

/// Writes are held, and the control plane waits until none is unanswered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drain {
    /// The Snapshot that says so.
    pub(crate) version: u64,
    /// It has been told how many are unanswered, and is owed the news that none is.
    pub(crate) told: bool,
}

impl Pool {
    pub(crate) fn new(id: PoolId, settings: Arc<config::Pool>, workers: usize, seed: u64) -> Self {
        let limits = resp::Limits {
            max_bulk: settings.limits.max_bulk,
            max_request: settings.limits.max_request,
            max_args: settings.limits.max_args,
            max_inline: 64 * 1024,
        };
        let workers = workers.max(1);
        let login = match settings.auth {
            config::Auth::PassThrough => None,
            config::Auth::None | config::Auth::Users => {
                settings.upstream.credentials.as_ref().map(|own| session::Login {
                    username: own.username.as_ref().map(|name| name.as_bytes().into()),
                    password: (&own.password).into(),
                })
            }
        };
        Self {
            id,
            stranger_limits: resp::Limits {
                max_bulk: limits.max_bulk.min(STRANGER_BULK),
                max_args: limits.max_args.min(STRANGER_ARGS),
                ..limits.clone()
            },
            limits,
            nodes: Vec::new(),
            primary: None,
            last_primary: None,
            writes_held: None,
            drain: None,
            learned: Arc::default(),
            counts: PoolCounts::default(),
            held: Vec::new(),
            release: Release::default(),
            budget: Budget::new(),
            scripts: Scripts::default(),
            hubs: Vec::new(),
            awaits_hubs: false,
            own_subscribers: Vec::new(),
            pause: None,
            reading_functions: None,
            hold_bytes: settings.limits.hold_bytes / workers as u64,
            hold_requests: (settings.limits.hold_requests / workers).max(1) as u64,
            max_pinned: (settings.limits.max_pinned / workers).max(1),
            standing: Rc::new(Standing { login, ..Standing::default() }),
            balancer: Balancer::new(settings.balance, seed),
            candidates: Vec::new(),
            territory: None,
            settings,
        }
    }

    /// What a client is that has just connected.
    pub(crate) fn newcomer(&self) -> Conversation {
        let who = match self.settings.auth {
            config::Auth::Users => Who::Stranger,
            config::Auth::PassThrough | config::Auth::None => Who::Anyone,
        };
        Conversation::new(Rc::clone(&self.standing), who)
    }

    /// The rights of such a client.
    pub(crate) fn access(&self, who: Who) -> Access<'_> {
        match who {
            Who::Anyone => Access::Open,
            Who::Stranger => Access::Stranger,
            Who::User(user) => self.settings.users.get(user).map_or(Access::Stranger, Access::User),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.settings.name
    }

    /// Takes over a Snapshot's picture and says what that means for the connections there are.
    pub(crate) fn update(&mut self, view: &PoolView) -> Vec<Change> {
        let mut changes = Vec::new();
        self.learned = Arc::clone(&view.learned);
        let Some(shard) = view.shards.first() else {
            return changes;
        };
        let before: Vec<(Health, Role, bool)> =
            self.nodes.iter().map(|node| (node.health, node.role, node.readable)).collect();
        let was_primary = self.primary;
        for node in &mut self.nodes {
            node.gone = true;
        }
        for view in &shard.nodes {
            match self.nodes.iter_mut().find(|node| node.id == view.id) {
                Some(node) => node.update(view, self.settings.zone.as_deref()),
                None => self.insert(view),
            }
        }
        self.primary = shard
            .primary
            .and_then(|id| self.nodes.iter().position(|node| node.id == id && !node.gone));
        if self.primary.is_some() {
            self.last_primary = self.primary;
        }
        self.writes_held.clone_from(&shard.writes_held);
        for (index, (health, role, readable)) in before.into_iter().enumerate() {
            let node = &self.nodes[index];
            let hopeless = node.gone || node.health != Health::Up;
            if node.gone && node.health == Health::Up {
                if !node.connections.is_empty() {
                    changes.push(Change::Left(index));
                }
            } else if hopeless && !node.connections.is_empty() {
                let awaited = !node.gone && self.last_primary == Some(index);
                changes.push(if awaited { Change::Frozen(index) } else { Change::Lost(index) });
            } else if !hopeless && health != Health::Up {
                changes.push(Change::Thawed(index));
                // It may come back as something else.
                if self.primary != Some(index) {
                    changes.push(Change::Unfit(index));
                }
            } else if !hopeless {
                let demoted = was_primary == Some(index) && self.primary != Some(index);
                if demoted || role != node.role || (readable && !node.readable) {
                    changes.push(Change::Unfit(index));
                }
            }
        }
        changes
    }

    fn insert(&mut self, view: &NodeView) {
        let node = Node::new(view, self.settings.zone.as_deref());
        let free = self.nodes.iter().position(|node| node.gone && node.connections.is_empty());
        match free {
            Some(index) if self.last_primary != Some(index) => self.nodes[index] = node,
            _ => self.nodes.push(node),
        }
    }

    /// A node has answered a command in so long: does it take remarkably long?
    pub(crate) fn answered(&mut self, index: usize, taken: Duration, now: Time) -> bool {
        let node = &mut self.nodes[index];
        if self.settings.balance == Balance::Latency {
            node.latency.answered(taken, now);
        }
        let is_news =
            taken > SLOW && node.told_slow.is_none_or(|told| now.since(told) > SLOW_EVERY);
        if is_news {
            node.told_slow = Some(now);
        }
        is_news
    }

    /// May commands of this target go to this node now?
    pub(crate) fn fits(&self, index: usize, target: Target) -> bool {
        let Some(node) = self.nodes.get(index) else {
            return false;
        };
        let is_primary = self.primary == Some(index);
        let by_role = match target {
            Target::Primary => is_primary,
            Target::Replica => node.readable && !is_primary && node.role == Role::Replica,
            Target::Reads | Target::First => node.readable || is_primary,
        };
        by_role && node.is_usable()
    }

    /// As [`Self::fits`], and what may write is not held.
    pub(crate) fn takes(&self, index: usize, target: Target) -> bool {
        let held = target == Target::Primary && self.writes_held.is_some();
        !held && self.fits(index, target)
    }

    /// Something was seen of a node: it gets nothing new until a probe has settled it.
    pub(crate) fn suspect(&mut self, index: usize, now: Time) {
        if let Some(node) = self.nodes.get_mut(index) {
            node.suspect = Some(now);
            node.latency.failed(now);
        }
    }

    pub(crate) fn forget_old_refusals(&mut self, now: Time) {
        for node in &mut self.nodes {
            node.refuses.retain(|(_, since)| now.since(*since) < REFUSAL_MEMORY);
        }
    }
}

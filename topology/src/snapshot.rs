//! The published picture: pools, shards, nodes, and who takes writes.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{Address, SentinelsView, Time};

/// A pool's place in the configuration; an index into [`Snapshot::pools`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolId(pub u32);

/// One node of one pool, for as long as the process lives. Never reused; dense from 0, so that
/// a worker may keep its own state per node in a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// Everything the data plane knows of the world, at one version.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Grows by at least one with each published Snapshot.
    pub version: u64,
    /// In configuration order: `pools[PoolId.0]`.
    pub pools: Vec<Arc<PoolView>>,
}

impl Snapshot {
    /// The pool with this identifier, if the Snapshot has it.
    pub fn pool(&self, pool: PoolId) -> Option<&Arc<PoolView>> {
        self.pools.get(pool.0 as usize)
    }
}

/// One pool: its shards, and the commands that its nodes taught us.
#[derive(Clone, Debug)]
pub struct PoolView {
    /// The name in the configuration.
    pub name: Arc<str>,
    /// One for plain replication.
    pub shards: Vec<ShardView>,
    /// The pools whose nodes these are, where this one has none itself: they serve its clients.
    pub groups: Vec<PoolId>,
    /// What the Sentinels say, where they are the authority.
    pub sentinels: Option<Arc<SentinelsView>>,
    /// Commands that the built-in table does not have, as the nodes described them.
    pub learned: Arc<LearnedCommands>,
}

/// One replication group.
#[derive(Clone, Debug)]
pub struct ShardView {
    /// The only node that may be sent writes. `None`: writes are held.
    pub primary: Option<NodeId>,
    /// The primary is about to be replaced, and takes no writes for now: why. They wait, as without a primary.
    pub writes_held: Option<Arc<str>>,
    /// Why the primary is who it is, or why there is none; for an operator.
    pub why: Arc<str>,
    /// When `primary` last changed.
    pub since: Time,
    /// In configuration order.
    pub nodes: Vec<NodeView>,
}

impl ShardView {
    /// The node with this identifier, if it belongs to the shard.
    pub fn node(&self, id: NodeId) -> Option<&NodeView> {
        self.nodes.iter().find(|node| node.id == id)
    }
}

/// One node, as last observed.
#[derive(Clone, Debug)]
pub struct NodeView {
    /// Stable for the life of the process.
    pub id: NodeId,
    /// What logs, status and error texts call it: the configured name, or its address where a name has several.
    pub name: Arc<str>,
    /// Where to connect.
    pub address: Address,
    /// The entry of `servers` that it belongs to, or its name with Sentinel: whom a certificate must be for.
    pub server: Arc<str>,
    /// Does it answer?
    pub health: Health,
    /// What does it say it is?
    pub role: Role,
    /// May it be sent reads now, as a replica or (if it is the shard's primary) as primary? Health, role,
    /// lineage, lag and loading are already weighed in.
    pub readable: bool,
    /// Why it is up or down, readable or not; for an operator.
    pub why: Arc<str>,
    /// When `health`, `role` or `readable` last changed.
    pub since: Time,
    /// When the probe was *sent* whose answer last confirmed this node's state. What a worker saw before
    /// this is settled.
    pub proven_at: Time,
    /// How far behind the most advanced living node of its lineage; `None` for a primary or where unknown.
    pub lag: Option<Lag>,
    /// The server process's `run_id`; empty until known.
    pub run_id: Arc<str>,
    /// The server's version, `redis_version` of INFO (or Valkey's `valkey_version`); empty until known.
    pub version: Arc<str>,
    /// Share of the traffic relative to its peers; 0: none.
    pub weight: u32,
    /// Takes reads only while no other replica can.
    pub backup: bool,
    /// The zone that the configuration gives it.
    pub zone: Option<Arc<str>>,
}

/// Does the node answer?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// No probe has been answered yet: takes no commands.
    Unproven,
    /// Answers.
    Up,
    /// Does not.
    Down,
}

impl Health {
    /// As written in status and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unproven => "unproven",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// What the node says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Not known: never answered, or refuses to say.
    Unknown,
    /// Says `master`. Whether it takes writes is for [`ShardView::primary`] to say.
    Primary,
    /// Says `slave`.
    Replica,
}

impl Role {
    /// As written in status and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Primary => "primary",
            Self::Replica => "replica",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a replica is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Bytes of the replication stream.
    pub bytes: u64,
    /// Age of the newest primary offset that was sampled and that the replica has reached.
    pub time: Duration,
}

/// Commands learned from the nodes, by upper-case name.
pub type LearnedCommands = HashMap<Box<[u8]>, Learned>;

/// What a node's `COMMAND INFO` said of a command that the built-in table lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learned {
    /// Of COMMAND's flags, those that routing needs.
    pub flags: CommandFlags,
    /// Number of arguments with the name; negative: at least that many.
    pub arity: i32,
    /// Index of the first key, 0 for none.
    pub first_key: i32,
    /// Index of the last key; negative: counted from the end.
    pub last_key: i32,
    /// Distance between keys.
    pub key_step: i32,
}

/// The flags of `COMMAND` that decide how a command travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandFlags {
    /// Never changes data.
    pub readonly: bool,
    /// May change data.
    pub write: bool,
    /// May wait.
    pub blocking: bool,
    /// Comes from a module.
    pub module: bool,
}

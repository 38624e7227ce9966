//! What `shards` and `routes` of a pool mean.

use routing::{Member, Sharding};

use crate::model::ServerName;

/// The shards of a pool, and how keys find them.
#[derive(Clone, Debug, PartialEq)]
pub struct Shards {
    /// How keys are spread over them.
    pub sharding: Sharding,
    /// At least one, in file order, each name once.
    pub members: Vec<ShardConfig>,
    /// What becomes of the keys of a shard that is down.
    pub on_shard_down: OnShardDown,
    /// Is MSETNX over several shards run, though not as one?
    pub msetnx: bool,
}

/// One shard: a replication group.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardConfig {
    /// What the distribution calls it: with its weight this decides which keys are its.
    pub name: String,
    /// Its share of the keys relative to the others; at least 1.
    pub weight: u32,
    /// At least one. A name stands for every address that it resolves to.
    pub servers: Vec<ServerName>,
}

impl ShardConfig {
    /// As the distribution knows it.
    pub fn member(&self) -> Member {
        Member { name: self.name.clone(), weight: self.weight }
    }
}

/// What becomes of the keys of a shard none of whose nodes answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnShardDown {
    /// Their commands wait, then fail.
    Fail,
    /// They go to the other shards until it is back.
    Rehash {
        /// No shard is taken out where fewer would be left.
        min_shards: usize,
    },
}

/// What goes elsewhere by the beginning of its key.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Keys that begin with it; empty: all that no other route is for.
    pub prefix: String,
    /// Where their commands go.
    pub pool: RouteTarget,
    /// Where those go that only read; mostly as `pool`.
    pub reads: RouteTarget,
    /// What is sent to another pool as well, and not waited for.
    pub mirror: Option<Mirror>,
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RouteTarget {
    /// To the nodes of the pool that has the route.
    Own,
    /// To the pool of this name, which has no routes itself.
    Pool(String),
}

/// What is sent to another pool as well.
#[derive(Clone, Debug, PartialEq)]
pub struct Mirror {
    /// The name of that pool, which has no routes itself.
    pub pool: String,
    /// How many of them.
    pub share: Share,
    /// Which commands.
    pub commands: Mirrored,
}

/// A share of the commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u32);

/// Which commands are mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mirrored {
    /// Those that may write.
    Writes,
    /// Those that only read.
    Reads,
    /// All.
    All,
}

impl Share {
    /// All of them.
    pub const ALL: Self = Self(1_000_000);

    /// `None`: more than all.
    pub fn of_million(number: u32) -> Option<Self> {
        (number <= Self::ALL.0).then_some(Self(number))
    }

    /// How many of a million.
    pub fn per_million(self) -> u32 {
        self.0
    }
}

//! The replication groups of pools with shards or routes. Each is a pool of its own, without listeners: it is probed, shown
//! and switched over as any other.

use std::time::Duration;

use crate::model::{Auth, Config, Pool, RouteTarget, Source};

/// What the group of a shard is called.
pub fn group_name(pool: &str, shard: &str) -> String {
    format!("{pool}/{shard}")
}

/// What the group is called that a pool with routes has besides them.
pub fn own_group_name(pool: &str) -> String {
    group_name(pool, "own")
}

impl Pool {
    /// Is it one whose commands go to groups, and not to nodes of its own?
    pub fn is_front(&self) -> bool {
        matches!(self.source, Source::Shards(_) | Source::Routes)
    }
}

impl Config {
    /// Where the pools are, of the configuration with its groups, that serve this one's clients; none for a pool with nodes of
    /// its own.
    pub fn groups_of(&self, pool: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let Some(pool) = self.pools.get(pool).filter(|pool| pool.is_front()) else {
            return found;
        };
        let mut add = |name: &str| {
            let target = self.pool_index(name).map(|index| &self.pools[index]);
            let names = match target.map(|target| &target.source) {
                Some(Source::Shards(shards)) => {
                    shards.members.iter().map(|shard| group_name(name, &shard.name)).collect()
                }
                Some(Source::Routes) => vec![own_group_name(name)],
                Some(Source::Servers(_) | Source::Sentinel(_)) => vec![name.to_owned()],
                None => Vec::new(),
            };
            for index in names.iter().filter_map(|name| self.pool_index(name)) {
                if !found.contains(&index) {
                    found.push(index);
                }
            }
        };
        add(&pool.name);
        for route in &pool.routes {
            for target in [&route.pool, &route.reads] {
                match target {
                    RouteTarget::Own => {}
                    RouteTarget::Pool(name) => add(name),
                }
            }
        }
        found
    }

    /// With the groups behind the pools of the file, so that those keep their places. A pool that has some has no nodes
    /// of its own ([`Pool::is_front`]).
    #[must_use]
    pub fn with_groups(mut self) -> Self {
        let groups: Vec<Pool> = self.pools.iter().flat_map(groups).collect();
        for pool in self.pools.iter_mut().filter(|pool| !pool.routes.is_empty()) {
            if !matches!(pool.source, Source::Shards(_)) {
                pool.source = Source::Routes;
            }
        }
        self.pools.extend(groups);
        self
    }
}

fn groups(pool: &Pool) -> Vec<Pool> {
    match &pool.source {
        Source::Shards(shards) => {
            let shards = shards.members.iter().map(|shard| {
                let source = Source::Servers(shard.servers.clone());
                group(pool, group_name(&pool.name, &shard.name), source)
            });
            shards.collect()
        }
        Source::Servers(_) | Source::Sentinel(_) if !pool.routes.is_empty() => {
            vec![group(pool, own_group_name(&pool.name), pool.source.clone())]
        }
        Source::Servers(_) | Source::Sentinel(_) | Source::Routes => Vec::new(),
    }
}

/// As its pool, but for what concerns clients: they are the pool's.
fn group(pool: &Pool, name: String, source: Source) -> Pool {
    let mut group = pool.clone();
    group.name = name;
    group.source = source;
    group.listeners = Vec::new();
    group.routes = Vec::new();
    group.refuse = Vec::new();
    group.users = Vec::new();
    group.tls = None;
    group.timeouts.client_idle = Duration::ZERO;
    if group.auth == Auth::Users {
        group.auth = Auth::None;
    }
    group
}

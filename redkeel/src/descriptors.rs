//! File descriptors: the limit is raised as far as it goes, and the pools' limits fit into it.

use config::{Config, Limits, Source};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Log, event loops, wakers, administration endpoint and its connections, probes, resolver.
const OTHERS: u64 = 128;
/// Of what is left for clients when there are not enough for all: this part of it again for pinned connections.
const PINNED_SHARE: u64 = 10;

/// Raises the soft limit to the hard one. Where that is too low for `max_clients` of all pools, these
/// are lowered, with a warning: a proxy that cannot open a connection to a node is worse than one that
/// turns a client away.
pub(crate) fn provide(config: &mut Config) {
    let wanted = wanted(config);
    let limit = getrlimit(Resource::Nofile);
    let available = match limit.maximum {
        Some(hard) => hard,
        None => wanted.max(limit.current.unwrap_or(wanted)),
    };
    if limit.current.is_some_and(|soft| soft < available) {
        let raised = Rlimit { current: Some(available), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, limit = available, "the limit of file descriptors could not be raised");
        }
    }
    let available = getrlimit(Resource::Nofile).current.unwrap_or(available);
    fit(config, available);
}

/// Nodes and Sentinels of a pool whose nodes Sentinels list: more than most have.
const LISTED_NODES: usize = 8;
const SENTINELS: usize = 8;

/// What all pools need if every limit is reached.
fn wanted(config: &Config) -> u64 {
    let clients = served(config).map(|pool| clients_and_pinned(&pool.limits));
    clients.sum::<u64>() + fixed(config)
}

/// The pools that have clients: not those that only routes lead to.
fn served(config: &Config) -> impl Iterator<Item = &config::Pool> {
    config.pools.iter().filter(|pool| !pool.listeners.is_empty())
}

fn clients_and_pinned(limits: &Limits) -> u64 {
    // A client has at most one pinned connection.
    (limits.max_clients + limits.max_pinned.min(limits.max_clients)) as u64
}

/// What is needed beside clients and their pinned connections: twice the lanes (a new one may be opened
/// before the old one is closed), a probe for each node, two connections for each Sentinel, listeners.
fn fixed(config: &Config) -> u64 {
    let pools = config.pools.iter().map(|pool| {
        let lanes = config.workers * pool.upstream.connections * 2;
        let (nodes, sentinels) = match &pool.source {
            Source::Servers(servers) => (servers.len(), 0),
            Source::Shards(shards) => {
                (shards.members.iter().map(|shard| shard.servers.len()).sum(), 0)
            }
            Source::Sentinel(_) => (LISTED_NODES, SENTINELS),
            Source::Routes => (0, 0),
        };
        (nodes * (lanes + 1) + 2 * sentinels + pool.listeners.len()) as u64
    });
    OTHERS + pools.sum::<u64>()
}

/// Lowers `max_pinned`, and where that does not suffice `max_clients`, until all fits into `available`.
fn fit(config: &mut Config, available: u64) {
    let wanted = wanted(config);
    if wanted <= available {
        return;
    }
    let left = available.saturating_sub(fixed(config));
    let clients: u64 = served(config).map(|pool| pool.limits.max_clients as u64).sum();
    let for_clients = clients.min(left * PINNED_SHARE / (PINNED_SHARE + 1));
    let for_pinned = left - for_clients;
    let pinned: u64 = served(config).map(|pool| pool.limits.max_pinned as u64).sum();
    for pool in config.pools.iter_mut().filter(|pool| !pool.listeners.is_empty()) {
        let before = pool.limits.clone();
        let limits = &mut pool.limits;
        limits.max_clients = share(before.max_clients, for_clients, clients);
        limits.max_pinned = share(before.max_pinned, for_pinned, pinned).min(before.max_pinned);
        if limits.max_clients < before.max_clients {
            tracing::warn!(
                pool = pool.name,
                limit = available,
                needed = wanted,
                max_clients = limits.max_clients,
                configured = before.max_clients,
                "max_clients lowered: too few file descriptors; raise the hard limit (ulimit -Hn, LimitNOFILE=)"
            );
        } else if limits.max_pinned < before.max_pinned {
            tracing::info!(
                pool = pool.name,
                limit = available,
                max_pinned = limits.max_pinned,
                configured = before.max_pinned,
                "max_pinned lowered to what the limit of file descriptors leaves"
            );
        }
    }
}

/// `part` of `whole`, of `budget`; at least 1.
fn share(part: usize, budget: u64, whole: u64) -> usize {
    let share = u128::from(budget) * part as u128 / u128::from(whole.max(1));
    usize::try_from(share).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::of_pool;

    fn config(max_clients: usize, max_pinned: usize) -> Config {
        let [listen, server] = ["127.0.0.1:6379", "127.0.0.1:6380"].map(str::to_owned);
        let mut config = of_pool(&[listen], &[server], None).unwrap();
        config.workers = 2;
        config.pools[0].limits.max_clients = max_clients;
        config.pools[0].limits.max_pinned = max_pinned;
        config
    }

    /// `(max_clients, max_pinned)` that are left of `config` with so many descriptors.
    fn fitted(mut config: Config, available: u64) -> (usize, usize) {
        fit(&mut config, available);
        assert!(wanted(&config) <= available.max(fixed(&config) + 2), "{config:?}");
        (config.pools[0].limits.max_clients, config.pools[0].limits.max_pinned)
    }

    #[test]
    fn enough_descriptors_change_nothing() {
        let config = config(10_000, 10_000);
        assert_eq!(wanted(&config), 20_000 + fixed(&config));
        assert_eq!(fitted(config.clone(), wanted(&config)), (10_000, 10_000));
    }

    #[test]
    fn pinned_connections_give_way_before_clients_do() {
        let config = config(10_000, 10_000);
        let available = 12_000 + fixed(&config);
        assert_eq!(fitted(config, available), (10_000, 2_000));
    }

    #[test]
    fn clients_give_way_where_even_a_tenth_of_them_could_not_be_pinned() {
        let config = config(10_000, 10_000);
        let available = 1_100 + fixed(&config);
        assert_eq!(fitted(config, available), (1_000, 100));
    }

    #[test]
    fn more_pinned_connections_than_clients_are_not_counted() {
        let config = config(100, 10_000);
        assert_eq!(wanted(&config), 200 + fixed(&config));
    }

    #[test]
    fn pools_give_way_in_proportion_and_keep_one_client_at_least() {
        let mut config = config(900, 0);
        let mut small = config.pools[0].clone();
        small.limits.max_clients = 100;
        config.pools.push(small);
        let available = 110 + fixed(&config);
        fit(&mut config, available);
        let left: Vec<usize> = config.pools.iter().map(|pool| pool.limits.max_clients).collect();
        assert_eq!(left, [90, 10]);
        fit(&mut config, 1);
        assert!(config.pools.iter().all(|pool| pool.limits.max_clients == 1));
    }
}

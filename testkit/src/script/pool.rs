//! The pool of a script: what is configured, and its limits, which are low enough to be hit.

use std::sync::Arc;
use std::time::Duration;

use config::{Balance, Context, Reads, RetryWrites};

use super::Script;

pub(super) const NODES: usize = 3;

pub(super) fn pool(script: &mut Script<'_>) -> Arc<config::Pool> {
    let context = Context { secrets: &config::NoSecrets, default_workers: 1 };
    let addresses: Vec<String> =
        (0..NODES).map(|node| format!("10.0.0.{}:6379", node + 1)).collect();
    let config =
        config::from_command_line(&["127.0.0.1:6379".to_owned()], &addresses, None, &context)
            .unwrap_or_else(|error| panic!("the pool of the script: {error:?}"));
    let mut pool = config.pools.into_iter().next().unwrap_or_else(|| panic!("one pool"));
    pool.timeouts.connect = Duration::from_millis(300);
    pool.timeouts.request = Duration::from_secs(1);
    pool.timeouts.hold = Duration::from_secs(1);
    pool.limits.max_bulk = 2 << 20;
    pool.limits.max_request = 3 << 20;
    let shape = script.byte();
    pool.reads = [Reads::PreferReplica, Reads::Replica, Reads::PreferPrimary, Reads::Any]
        [usize::from(shape & 3)];
    pool.balance = [Balance::LeastConn, Balance::RoundRobin, Balance::First, Balance::Hash]
        [usize::from(shape >> 2 & 3)];
    if shape & 16 != 0 {
        pool.retry_writes = RetryWrites::Idempotent;
    }
    if shape & 32 != 0 {
        pool.limits.hold_bytes = 300;
        pool.limits.max_pinned = 2;
        pool.limits.max_lanes = 1;
        pool.limits.retries = 0;
    }
    if shape & 64 != 0 {
        pool.upstream.connections = 2;
        pool.limits.client_output = 1 << 20;
        pool.refuse = vec!["FLUSHALL".to_owned(), "CONFIG SET".to_owned()];
    }
    if shape & 128 != 0 {
        pool.timeouts.client_idle = Duration::from_secs(4);
    }
    Arc::new(pool)
}

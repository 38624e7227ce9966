//! Where keys are: the rings of `routing` against the programs whose rings they are, with real servers behind them.
//!
//! Each comparison goes both ways. What a proxy wrote must lie on the shards that the ring names, on each shard exactly its own
//! keys; and what was written to the shards that the ring names must be found through the proxy.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod configured;
mod envoy;
mod fleet;
mod keys;
mod pool;
mod twemproxy;

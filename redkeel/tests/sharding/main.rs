//! Where keys are: the rings of `routing` against the programs whose rings they are, with real servers behind them.
//!
//! Each comparison goes both ways. What the other proxy wrote must lie on the shards that the ring names, on each shard exactly
//! its own keys, and be found through Redkeel; what was written through Redkeel must lie there too, and be found through the
//! other proxy.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod configured;
mod envoy;
mod fleet;
mod keys;
mod pool;
mod through;
mod twemproxy;

//! Clients of several pools: what must not happen, turn by turn.

#![expect(clippy::panic, reason = "a test fails by panicking")]

mod ending;
mod limits;
mod messages;
mod mirrors;
mod relocation;
mod requests;
mod scene;
mod transactions;

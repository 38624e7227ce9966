//! What everyday clients and hostile ones see: the real binary before real servers that stay well.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and measures what a client waits for"
)]

mod behaviour;
mod blocking;
mod busy;
mod common;
mod connection;
mod conversations;
mod hostile;
mod neighbours;
mod paused;
mod pubsub;
mod read_endpoint;
mod registry;
mod shared_subscribers;
mod tracking;

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../scene/mod.rs"]
mod scene;

//! What clients see while nodes die, freeze, restart and change roles: the real binary before real servers.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and measures what a client waits for"
)]

mod common;
mod drain;
mod frozen;
mod hold;
mod loading;
mod mixed_replies;
mod ordering;
mod primary_failures;
mod replica_failures;
mod restarts;
mod role_changes;
mod scripts;
mod sessions;
mod slow_replica;
mod sockets;
mod tcp_mode;

#[path = "../scene/mod.rs"]
mod scene;

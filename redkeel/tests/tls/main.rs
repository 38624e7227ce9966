//! TLS towards clients, nodes and Sentinels: the real binary before real servers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod certificates;
mod common;
mod crowd;
mod nodes;
mod renewed;
mod sentinels;
mod traffic;
mod versions;

#[path = "../scene/mod.rs"]
mod scene;

//! A pool whose nodes Sentinels list, while primaries die, freeze and are replaced: the real binary before real servers
//! and Sentinels.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and measures what a client waits for"
)]

mod common;
mod failover;
mod followed;
mod measure;
mod minority;
mod partition;

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../scene/mod.rs"]
mod scene;

//! Planned changes of the primary, as clients and operators see them: the real binary before real servers.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and measures what a client waits for"
)]

mod aborted;
mod common;
mod done;
mod ordered;
mod refused;
mod watched;

#[path = "../scene/mod.rs"]
mod scene;

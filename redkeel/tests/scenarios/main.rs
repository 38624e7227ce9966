//! Bad days of an operator, and what clients see of them; `docs/failures.md` says the same in words.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and measures what a client waits for"
)]

mod balanced;
mod broken_link;
mod common;
mod flapping;
mod history;
mod managed;
mod outage;
mod passed_on;
mod strays;
mod unreachable;

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../scene/mod.rs"]
mod scene;

//! Who may connect, who may log in, and what they may do: the real binary before real servers.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod acl;
mod logins;
mod matrix;
mod networks;
mod proxy_protocol;
mod ways;

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../scene/mod.rs"]
mod scene;

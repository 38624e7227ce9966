//! Values as large as Redis takes, replies of millions of elements, thousands of clients: the real binary before a real server.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crowd;
mod values;

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../scene/mod.rs"]
mod scene;

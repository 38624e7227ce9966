//! What every Redis and Valkey command is: its arity and flags, where its keys are, whether it may
//! wait, its ACL categories, and how it travels through the proxy; and what a list of ACL rules grants of it.
//!
//! Two sources make one table at compile time: `table.rs` is generated from a running server's
//! `COMMAND` by `cargo xtask commands`; `added.rs` is written by hand and has what newer servers
//! added. `overlay.rs` completes both with what no server tells, and `Kind::of` is the one rule that
//! says how a command travels.

mod added;
mod blocks;
mod categories;
mod command;
mod flags;
mod grants;
mod idempotent;
mod keys;
mod kind;
mod lookup;
mod overlay;
mod streams;
mod table;

pub use blocks::{Block, Unit, blocks};
pub use categories::Categories;
pub use command::Command;
pub use flags::Flags;
pub use grants::{Grants, Rule, RuleError};
pub use idempotent::idempotent;
pub use keys::{KeyError, KeySpec, Keys, first_key, keys, only_key, visit_keys};
pub use kind::{Kind, SubscribeKind};
pub use lookup::{all, lookup};

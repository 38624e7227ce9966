//! Commands over several shards: which shard a command is for, how it is split, and how the parts' replies become one.
//!
//! Pure, and linear in the number of keys and replies. A shard is an index here; who it is, the caller knows.

mod cursor;
mod info;
mod merge;
mod pairs;
mod parts;
mod plan;
mod split;

pub use cursor::{Cursor, with_cursor};
pub use merge::{Merge, Unmergeable, merge};
pub use plan::{Layout, Plan, plan};
pub use split::{Part, Split, split};

//! Why there is no ring.

use super::{LONGEST_NAME, MOST_POINTS};

/// Why shards make no ring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// None is live and has a weight.
    #[error("no shard is up that has a weight above 0")]
    NoShard,
    /// Two would have the same points.
    #[error("two shards are called \"{0}\": give them different names")]
    SameName(String),
    /// A ring hashes names, and an empty one names nothing.
    #[error("a shard has an empty name")]
    NoName,
    /// A name is longer than twemproxy allows.
    #[error("the shard's name \"{0}…\" is longer than {LONGEST_NAME} bytes")]
    LongName(String),
    /// The sum of the weights does not fit.
    #[error("the shards' weights are over 4,294,967,295 together: divide them by a common factor")]
    Weights,
    /// The ring would take too much memory.
    #[error(
        "the ring would have {0} points, of which there may be {MOST_POINTS}: divide the weights by a common factor"
    )]
    TooLarge(u64),
    /// Maglev's table would not be filled.
    #[error("a Maglev table of {0} places: it takes a prime number from 2 to {MOST_POINTS}")]
    Table(u32),
}

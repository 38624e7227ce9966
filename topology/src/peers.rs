//! What workers tell each other: a pool's clients and scripts are one pool's to its users, whichever worker has them.

use std::sync::Arc;

use crate::PoolId;

/// A letter from one worker to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerMail {
    /// A node has accepted a script that was not known.
    Script {
        /// Of this pool.
        pool: PoolId,
        /// Its text.
        text: Arc<[u8]>,
    },
    /// SCRIPT FLUSH.
    NoScripts {
        /// Of this pool.
        pool: PoolId,
    },
}

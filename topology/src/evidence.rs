//! What the data plane saw of a node: it asks for a probe, and never changes health or role by itself.

use crate::{NodeId, PoolId, Time};

/// One thing a worker saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Something happened at a node.
    Node {
        /// Of this pool.
        pool: PoolId,
        /// This node.
        node: NodeId,
        /// What was seen.
        sighting: Sighting,
        /// When.
        at: Time,
    },
    /// A client sent a command that neither the table nor the nodes have described.
    UnknownCommand {
        /// Of this pool.
        pool: PoolId,
        /// The name in upper case, at most 64 bytes.
        name: Box<[u8]>,
    },
    /// A worker has applied a Snapshot that holds a pool's writes: it sends the primary nothing more that may write.
    /// Told once for each such Snapshot, and once more when the last write is answered.
    WritesHeld {
        /// This worker, counted from 0.
        worker: usize,
        /// Of this pool.
        pool: PoolId,
        /// The Snapshot.
        version: u64,
        /// Writes that it had sent before and that are not answered.
        unanswered: usize,
    },
}

/// What was seen of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sighting {
    /// A connect was refused: proof that nothing listens there.
    Refused,
    /// A connection was reset or closed by the node.
    Lost,
    /// A connect or a request was not answered in time.
    Silent,
    /// A reply said READONLY, LOADING, MASTERDOWN, CLUSTERDOWN or TRYAGAIN.
    RefusedCommand,
    /// An ordinary command took remarkably long: the node may be slow, or the command was.
    Slow,
}

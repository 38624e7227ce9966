//! Letters to a worker, read once a turn.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use crate::{PeerMail, WorkerCounts};

/// What a worker can be asked or told.
#[derive(Debug)]
pub enum Mail {
    /// Send a copy of your counters.
    Counts(Sender<WorkerCounts>),
    /// From another worker.
    Peer(PeerMail),
    /// Stop: answer what is in flight, close idle clients, close the rest when told [`Mail::Stop`].
    Drain,
    /// The drain is over: close everything and return.
    Stop,
}

/// A worker as the other threads see it: something that takes mail.
pub trait WorkerHandle: Send + Sync {
    /// Queues a letter and wakes the worker. A letter to a worker that has ended is dropped.
    fn send(&self, mail: Mail);
    /// How many clients the worker has now.
    fn clients(&self) -> usize;
}

/// All workers of the process.
pub type Workers = Vec<Arc<dyn WorkerHandle>>;

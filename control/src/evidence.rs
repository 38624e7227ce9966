//! What the data plane saw, on its way to the control plane.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use topology::Evidence;

/// Sightings that may wait to be read.
const QUEUE: usize = 1024;

/// Tells the control plane what was seen, from any thread, without ever waiting.
#[derive(Clone, Debug)]
pub struct EvidenceSender {
    queue: mpsc::Sender<Evidence>,
    dropped: Arc<AtomicU64>,
}

impl EvidenceSender {
    pub(crate) fn channel() -> (Self, mpsc::Receiver<Evidence>) {
        let (queue, receiver) = mpsc::channel(QUEUE);
        (Self { queue, dropped: Arc::default() }, receiver)
    }

    /// Queues `evidence`. Where the queue is full it is dropped and counted: what fills the queue has asked for the
    /// same probes already.
    pub fn send(&self, evidence: Evidence) {
        if self.queue.try_send(evidence).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use topology::PoolId;

    use super::*;

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let (sender, mut receiver) = EvidenceSender::channel();
        let evidence = Evidence::UnknownCommand { pool: PoolId(0), name: (*b"FOO").into() };
        for _ in 0..QUEUE + 3 {
            sender.send(evidence.clone());
        }
        assert_eq!(sender.clone().dropped(), 3);
        let mut received = 0;
        while receiver.try_recv().is_ok() {
            received += 1;
        }
        assert_eq!(received, QUEUE);
        drop(receiver);
        sender.send(evidence);
        assert_eq!(sender.dropped(), 4);
    }
}

//! Where the newest Snapshot stands, and who is woken when it changes.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::Snapshot;

type Waker = Box<dyn Fn() + Send + Sync>;

/// The newest [`Snapshot`]: written by the control plane, read by each worker once a turn.
#[derive(Default)]
pub struct Published {
    current: ArcSwap<Snapshot>,
    wakers: Mutex<Vec<Waker>>,
}

impl Published {
    /// Starts with `snapshot`.
    pub fn new(snapshot: Snapshot) -> Self {
        Self { current: ArcSwap::from_pointee(snapshot), wakers: Mutex::default() }
    }

    /// The newest Snapshot.
    pub fn load(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// The newest Snapshot's version, without taking a share in it.
    pub fn version(&self) -> u64 {
        self.current.load().version
    }

    /// Replaces the Snapshot and wakes everyone who asked for it.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        self.current.store(snapshot);
        for wake in self.wakers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            wake();
        }
    }

    /// Calls `wake` after each publication.
    pub fn on_publish(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(wake));
    }
}

impl std::fmt::Debug for Published {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Published").field("version", &self.version()).finish_non_exhaustive()
    }
}

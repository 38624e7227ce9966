//! Clients that waited for a node go on, a few at first and then more: the node that has just become the primary is not
//! met by all of them at once.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Engine;
use crate::slots::Key;
use crate::timers::Timer;

/// Clients that go on at once.
const FIRST: usize = 32;
/// After which twice as many go on as before: 10,000 clients take nine steps.
const STEP: Duration = Duration::from_millis(1);

/// Clients of a pool that may go on, in the order in which they began to wait.
#[derive(Debug)]
pub(crate) struct Release {
    waiting: VecDeque<Key>,
    next: usize,
}

impl Default for Release {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), next: FIRST }
    }
}

impl Engine {
    /// There is a new Snapshot: whoever waits for a node of this pool looks again.
    pub(crate) fn release_held(&mut self, pool: usize) {
        let held = std::mem::take(&mut self.pools[pool].held);
        let is_under_way = !self.pools[pool].release.waiting.is_empty();
        self.pools[pool].release.waiting.extend(held);
        if !is_under_way {
            self.pools[pool].release.next = FIRST;
            self.release_some(pool);
        }
    }

    /// The next step.
    pub(crate) fn release_some(&mut self, pool: usize) {
        let release = &mut self.pools[pool].release;
        let count = release.next.min(release.waiting.len());
        release.next = release.next.saturating_mul(2);
        for _ in 0..count {
            let Some(key) = self.pools[pool].release.waiting.pop_front() else {
                break;
            };
            if let Some(client) = self.clients.get_mut(key) {
                client.listed = false;
                self.queue(key);
            }
        }
        if !self.pools[pool].release.waiting.is_empty() {
            self.timers.arm(self.now + STEP, Timer::Release(pool));
        }
    }
}

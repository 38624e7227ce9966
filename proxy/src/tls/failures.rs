//! Failed handshakes in the log: all of them while they are few, so that a scanner cannot flood it.

use std::time::Duration;

use topology::Time;

/// Lines within [`WINDOW`].
const LINES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(10);

/// What was logged of late.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    since: Time,
    lines: u32,
    silent: u64,
}

impl Failures {
    /// May this one be logged?
    pub(crate) fn admits(&mut self, now: Time) -> bool {
        self.settle(now);
        if self.lines == 0 {
            self.since = now;
        }
        let admitted = self.lines < LINES;
        if admitted {
            self.lines += 1;
        } else {
            self.silent += 1;
        }
        admitted
    }

    /// When [`Self::settle`] has something to say.
    pub(crate) fn due(&self) -> Option<Time> {
        (self.silent > 0).then(|| self.since + WINDOW)
    }

    /// Says how many were left out, once the time has passed.
    pub(crate) fn settle(&mut self, now: Time) {
        if self.lines == 0 || now.since(self.since) < WINDOW {
            return;
        }
        if self.silent > 0 {
            tracing::info!(
                count = self.silent,
                "further TLS handshakes with clients failed, and were not logged"
            );
        }
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted() {
        let mut failures = Failures::default();
        let at = Time::from_millis;
        let admitted = (0..100).filter(|n| failures.admits(at(*n))).count();
        assert_eq!((admitted, failures.silent), (10, 90));
        assert_eq!(failures.due(), Some(at(10_000)));
        assert!(failures.admits(at(10_000)));
        assert_eq!(failures.due(), None);
    }
}

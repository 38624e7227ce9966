//! How long a node's probes took lately: is it slow?
//!
//! Redis answers a probe when its turn comes, like any other command, and over the same network: a node whose probes
//! take long keeps its clients waiting too. The middle one of the last few counts, so that one that was held up by a slow
//! command says nothing.

use std::time::Duration;

/// Probes that are remembered.
const LAST: usize = 5;
/// Fewer than these say nothing.
const ENOUGH: usize = 3;
/// A node that answers faster than this is not slow, however fast the others are.
const SLOW: Duration = Duration::from_millis(50);
/// One that is slow takes so many times as long as its peers.
const TIMES: u32 = 5;

/// The last probes of one node.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProbeTimes {
    /// Oldest first.
    last: Vec<Duration>,
    slow: bool,
}

impl ProbeTimes {
    /// A probe was answered, or given up, after so long.
    pub(crate) fn record(&mut self, took: Duration) {
        if self.last.len() == LAST {
            self.last.remove(0);
        }
        self.last.push(took);
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn median(&self) -> Option<Duration> {
        (self.last.len() >= ENOUGH).then(|| median(self.last.clone()))?
    }

    pub(crate) fn is_slow(&self) -> bool {
        self.slow
    }

    /// Compares it with its peers. What was slow must be twice as good as that to be so no longer.
    pub(crate) fn judge(&mut self, peers: Vec<Duration>) {
        let (Some(own), Some(peers)) = (self.median(), median(peers)) else {
            self.slow = false;
            return;
        };
        let bound = (peers * TIMES).max(SLOW);
        self.slow = own > if self.slow { bound / 2 } else { bound };
    }
}

/// The upper one where there are two in the middle: what half of them take is not slow.
fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn times(of: &[u64]) -> ProbeTimes {
        let mut times = ProbeTimes::default();
        of.iter().for_each(|took| times.record(ms(*took)));
        times
    }

    #[test]
    fn slow_is_far_above_the_peers_in_most_of_the_last_probes() {
        for (own, peers, slow) in [
            (&[200, 200, 200][..], &[1, 1][..], true),
            (&[1, 1, 200, 200, 200], &[1, 1], true),
            // One or two may have met a slow command.
            (&[1, 200, 1, 200, 1], &[1, 1], false),
            (&[200, 200], &[1, 1], false),
            // Not worth a word.
            (&[50, 50, 50], &[1, 1], false),
            (&[51, 51, 51], &[1, 1], true),
            (&[100, 100, 100], &[20, 20], false),
            (&[101, 101, 101], &[20, 20], true),
            // Half of the others are as slow.
            (&[100, 100, 100], &[1, 100], false),
            (&[100, 100, 100], &[1, 1, 100], true),
            (&[100, 100, 100], &[1], true),
            // There is nobody to compare it with.
            (&[200, 200, 200], &[], false),
        ] {
            let mut times = times(own);
            times.judge(peers.iter().map(|took| ms(*took)).collect());
            assert_eq!(times.is_slow(), slow, "{own:?} {peers:?}");
        }
    }

    #[test]
    fn what_was_slow_has_to_be_clearly_better() {
        let mut times = times(&[60, 60, 60]);
        times.judge(vec![ms(1)]);
        assert!(times.is_slow());
        for (took, slow) in [(40, true), (26, true), (25, false), (40, false)] {
            (0..LAST).for_each(|_| times.record(ms(took)));
            times.judge(vec![ms(1)]);
            assert_eq!(times.is_slow(), slow, "{took}");
        }
    }
}

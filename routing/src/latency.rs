//! How long a node takes to answer, remembered so that bad news counts at once and fades slowly.

use std::time::Duration;

use topology::Time;

/// After so long without an answer, what is remembered has fallen to 1/e: a node that nobody asks is tried again.
const FADE: Duration = Duration::from_secs(3);
/// What a failure counts as: far more than any answer that is worth waiting for, so that failing fast is no virtue.
const PENALTY: Duration = Duration::from_secs(1);

/// A moving average that jumps up to each peak and sinks by time ("peak EWMA", as Finagle and linkerd have it).
#[derive(Clone, Copy, Debug, Default)]
pub struct Latency {
    nanos: f64,
    at: Time,
}

impl Latency {
    /// A command was answered after `taken`.
    pub fn answered(&mut self, taken: Duration, now: Time) {
        let sample = taken.as_nanos() as f64;
        self.nanos = if sample >= self.nanos {
            sample
        } else {
            let kept = self.kept(now);
            self.nanos * kept + sample * (1.0 - kept)
        };
        self.at = now;
    }

    /// The node refused, broke off, or did not answer.
    pub fn failed(&mut self, now: Time) {
        self.nanos = self.at(now).max(PENALTY.as_nanos() as f64);
        self.at = now;
    }

    /// In nanoseconds, as it is now; 0 where nothing is known.
    pub fn at(&self, now: Time) -> f64 {
        self.nanos * self.kept(now)
    }

    /// The share of what is remembered that still counts.
    fn kept(&self, now: Time) -> f64 {
        (-now.since(self.at).as_secs_f64() / FADE.as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_peak_counts_at_once_and_sinks_by_time() {
        let mut latency = Latency::default();
        assert_eq!(latency.at(Time::from_millis(5)), 0.0);
        latency.answered(ms(1), Time::from_millis(10));
        latency.answered(ms(100), Time::from_millis(20));
        assert_eq!(latency.at(Time::from_millis(20)), 100e6);
        // Many fast answers in no time prove little; the same over a while prove it.
        for _ in 0..100 {
            latency.answered(ms(1), Time::from_millis(20));
        }
        assert_eq!(latency.at(Time::from_millis(20)), 100e6);
        for step in 0..1000 {
            latency.answered(ms(1), Time::from_millis(20 + 20 * step));
        }
        assert!(latency.at(Time::from_millis(20_000)) < 2e6, "{latency:?}");
    }

    #[test]
    fn a_failure_is_no_fast_answer() {
        let mut latency = Latency::default();
        latency.answered(ms(1), Time::from_millis(10));
        latency.failed(Time::from_millis(20));
        assert_eq!(latency.at(Time::from_millis(20)), 1e9);
        // And never better than what was known.
        latency.answered(ms(2000), Time::from_millis(30));
        latency.failed(Time::from_millis(30));
        assert_eq!(latency.at(Time::from_millis(30)), 2e9);
    }

    #[test]
    fn what_is_not_confirmed_fades() {
        let mut latency = Latency::default();
        latency.failed(Time::ZERO);
        assert!(latency.at(Time::ZERO + FADE * 10) < 1e5);
    }
}

//! What clients count.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::time::Duration;

use histogram::Histogram;

/// How many wrong replies are kept for the report.
const WRONG_KEPT: usize = 10;

/// The operations of some clients.
#[derive(Clone)]
pub struct OpCounts {
    /// Answered as they should be.
    pub ok: u64,
    /// Failed, by kind: an error reply's code, or `closed`, `timeout`, `refused`.
    pub errors: BTreeMap<String, u64>,
    /// The first few replies that belong to another request, or to none.
    pub wrong: Vec<String>,
    /// The longest time between a request and its reply (or its failure).
    pub longest: Duration,
    /// The times between request and reply, in microseconds.
    latency: Histogram,
}

impl fmt::Debug for OpCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ok, errors, wrong, longest, latency: _ } = self;
        f.debug_struct("OpCounts")
            .field("ok", ok)
            .field("errors", errors)
            .field("wrong", wrong)
            .field("longest", longest)
            .finish_non_exhaustive()
    }
}

impl Default for OpCounts {
    fn default() -> Self {
        Self {
            ok: 0,
            errors: BTreeMap::new(),
            wrong: Vec::new(),
            longest: Duration::ZERO,
            // Within 1/64, up to 71 minutes.
            latency: Histogram::new(6, 32).expect("arguments that the library accepts"),
        }
    }
}

impl OpCounts {
    /// All failed operations.
    pub fn errors_total(&self) -> u64 {
        self.errors.values().sum()
    }

    /// The time within which this share of the operations was answered (0.5: the median).
    pub fn quantile(&self, share: f64) -> Duration {
        let bucket = self.latency.quantile_bucket(share).ok().flatten();
        Duration::from_micros(bucket.map_or(0, |bucket| bucket.end()))
    }

    /// What happened since `earlier`, a copy of the same counts. The longest time is not a
    /// difference and stays.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut errors = self.errors.clone();
        for (kind, count) in &earlier.errors {
            if let Some(errors) = errors.get_mut(kind) {
                *errors -= count;
            }
        }
        let latency = self.latency.wrapping_sub(&earlier.latency);
        let latency = latency.expect("histograms of one shape");
        Self { ok: self.ok - earlier.ok, errors, latency, ..self.clone() }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.ok += other.ok;
        for (kind, count) in &other.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
        let room = WRONG_KEPT.saturating_sub(self.wrong.len());
        self.wrong.extend(other.wrong.iter().take(room).cloned());
        self.longest = self.longest.max(other.longest);
        let _ = self.latency.checked_add_assign(&other.latency);
    }

    pub(super) fn answered(&mut self, after: Duration) {
        self.ok += 1;
        self.took(after);
    }

    pub(super) fn failed(&mut self, kind: &str, after: Duration) {
        *self.errors.entry(kind.into()).or_default() += 1;
        self.took(after);
    }

    pub(super) fn wrong(&mut self, what: String) {
        if self.wrong.len() < WRONG_KEPT {
            self.wrong.push(what);
        }
    }

    fn took(&mut self, time: Duration) {
        self.longest = self.longest.max(time);
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let _ = self.latency.increment(micros.min(u64::from(u32::MAX)));
    }
}

/// The code of an error reply: its first word.
pub(super) fn code(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.split_whitespace().next().unwrap_or("(empty)").to_owned()
}

/// What an I/O error is called.
pub(super) fn kind(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused",
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "timeout",
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => "closed",
        io::ErrorKind::InvalidData => "broken reply",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_has_only_what_is_new() {
        let mut counts = OpCounts::default();
        counts.answered(Duration::from_millis(100));
        counts.failed("OOM", Duration::from_millis(1));
        let earlier = counts.clone();
        counts.answered(Duration::from_millis(2));
        let new = counts.since(&earlier);
        assert_eq!((new.ok, new.errors_total()), (1, 0));
        let median = new.quantile(0.5);
        assert!(median >= Duration::from_millis(2) && median < Duration::from_millis(3));
        assert_eq!(new.longest, Duration::from_millis(100));
    }

    #[test]
    fn counts_add_up() {
        let mut one = OpCounts::default();
        one.failed("OOM", Duration::ZERO);
        let mut sum = one.clone();
        sum.add(&one);
        assert_eq!(sum.errors, BTreeMap::from([("OOM".into(), 2)]));
    }
}

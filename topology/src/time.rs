//! Time as an argument: nanoseconds since the process started.

use std::time::{Duration, Instant};

/// A point on the process's monotonic clock, in nanoseconds since its start.
///
/// Pure crates are handed a `Time`; only the I/O crates make one from the clock. The control plane
/// and the workers share one origin, so their times can be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The process's start.
    pub const ZERO: Self = Self(0);
    /// Later than every other time: "never".
    pub const MAX: Self = Self(u64::MAX);

    /// The time that lies `nanos` nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The time that lies `millis` milliseconds after the start.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    /// What `instant` is on a clock that starts at `origin`. Reads no clock itself.
    pub fn at(origin: Instant, instant: Instant) -> Self {
        Self::ZERO + instant.saturating_duration_since(origin)
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero where it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

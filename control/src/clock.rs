//! The process's clock, as the reducers count it.

use std::time::{Duration, Instant};

use topology::Time;

/// Reads the time since the process's start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn new(origin: Instant) -> Self {
        Self { origin }
    }

    #[expect(clippy::disallowed_methods, reason = "the one place where this crate reads the clock")]
    pub(crate) fn now(self) -> Time {
        Time::at(self.origin, Instant::now())
    }

    /// Waits until `time`; [`Time::MAX`]: for ever.
    pub(crate) async fn sleep_until(self, time: Time) {
        match self.origin.checked_add(Duration::from_nanos(time.as_nanos())) {
            Some(instant) if time != Time::MAX => tokio::time::sleep_until(instant.into()).await,
            _ => std::future::pending().await,
        }
    }
}

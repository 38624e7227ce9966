//! Waiting for a condition, never for a time.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(5);

/// What one look at a condition may return.
pub trait Outcome {
    /// What the wait yields once the condition holds.
    type Yield;

    /// The result, or why it does not hold yet.
    fn outcome(self) -> Result<Self::Yield, String>;
}

impl Outcome for bool {
    type Yield = ();

    fn outcome(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("it is false".into()) }
    }
}

impl<T> Outcome for Option<T> {
    type Yield = T;

    fn outcome(self) -> Result<T, String> {
        self.ok_or_else(|| "there is none".into())
    }
}

impl<T, E: Display> Outcome for Result<T, E> {
    type Yield = T;

    fn outcome(self) -> Result<T, String> {
        self.map_err(|error| error.to_string())
    }
}

/// Looks again and again until `check` holds: `true`, `Some` or `Ok`.
///
/// # Panics
///
/// When `within` has passed, with `what` and the last reason.
#[track_caller]
pub fn eventually<O: Outcome>(within: Duration, what: &str, check: impl FnMut() -> O) -> O::Yield {
    match within_time(within, check) {
        Ok(value) => value,
        Err(reason) => panic!("waited {within:?} for: {what}; last look: {reason}"),
    }
}

/// As [`eventually`], but returns the last reason instead of a panic.
pub fn within_time<O: Outcome>(
    within: Duration,
    mut check: impl FnMut() -> O,
) -> Result<O::Yield, String> {
    let end = Instant::now() + within;
    loop {
        // The clock is read before the look, so that the last look is never cut short.
        let last = Instant::now() >= end;
        match check().outcome() {
            Ok(value) => return Ok(value),
            Err(reason) if last => return Err(reason),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yields_what_the_condition_found() {
        let mut looks = 0;
        let found = eventually(Duration::from_secs(5), "the third look", || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(found, 3);
    }

    #[test]
    fn says_why_it_gave_up() {
        let reason = within_time(Duration::ZERO, || Err::<(), _>("replica is still syncing"));
        assert_eq!(reason, Err("replica is still syncing".into()));
    }
}

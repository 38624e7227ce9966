//! A node that is back takes its share of the traffic little by little: its caches are cold.

use std::time::Duration;

use topology::Time;

/// What a node's weight counts as a share of: 100 is all of it.
pub const WHOLE: u32 = 100;
/// Even at first a node gets this much, or nothing would ever warm it up.
const LEAST: u32 = 10;

/// The share, in percent, of a node that has been back since `since`: grows evenly over `slow_start`.
pub fn share(slow_start: Duration, since: Time, now: Time) -> u32 {
    let back = now.since(since);
    if back >= slow_start {
        return WHOLE;
    }
    let percent = back.as_nanos() * u128::from(WHOLE) / slow_start.as_nanos();
    u32::try_from(percent).unwrap_or(WHOLE).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_grows_evenly_from_a_tenth() {
        let at =
            |ms| share(Duration::from_secs(10), Time::from_millis(1000), Time::from_millis(ms));
        assert_eq!([at(0), at(1000), at(1500), at(3000)], [10, 10, 10, 20]);
        assert_eq!([at(6000), at(10_999), at(11_000), at(99_000)], [50, 99, 100, 100]);
    }

    #[test]
    fn without_slow_start_the_share_is_whole() {
        assert_eq!(share(Duration::ZERO, Time::from_millis(5), Time::from_millis(5)), WHOLE);
        assert_eq!(share(Duration::ZERO, Time::from_millis(5), Time::ZERO), WHOLE);
    }
}

//! Durations: `"200ms"`.

use std::time::Duration;

use super::quantity::Measure;
use super::{Kind, Show};
use crate::diagnostics::Report;
use crate::tree::Node;

/// A duration with its unit, between two bounds.
pub(crate) struct Durations {
    pub(crate) least: Duration,
    pub(crate) most: Duration,
}

/// In µs.
pub(super) static DURATION: Measure = Measure {
    noun: "duration",
    example: "200ms",
    units: &[("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1000), ("us", 1)],
    zero: "0s",
    likely: ["ms", "s"],
    spellings: &[
        ("µs", "us"),
        ("usec", "us"),
        ("msec", "ms"),
        ("millis", "ms"),
        ("milliseconds", "ms"),
        ("sec", "s"),
        ("secs", "s"),
        ("second", "s"),
        ("seconds", "s"),
        ("min", "m"),
        ("mins", "m"),
        ("minute", "m"),
        ("minutes", "m"),
        ("hour", "h"),
        ("hours", "h"),
    ],
    note: "",
};

impl Kind for Durations {
    type Value = Duration;

    fn values(&self) -> String {
        DURATION.values(us(self.least), us(self.most))
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<Duration> {
        let bounds = (us(self.least), us(self.most));
        DURATION.read(key, node, bounds, report).map(Duration::from_micros)
    }
}

impl Show for Durations {
    fn show(&self, duration: &Duration) -> String {
        DURATION.show(us(*duration))
    }
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

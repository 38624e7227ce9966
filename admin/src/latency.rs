//! From the workers' fine histograms to what is shown: percentiles, and a few buckets for Prometheus.

use histogram::Histogram;

use crate::names::BUCKETS_US;
use crate::status::Percentiles;

/// A histogram in the buckets of [`BUCKETS_US`].
#[derive(Debug, PartialEq)]
pub(crate) struct Coarse {
    /// Upper bound in seconds and how many lie in that bucket alone; the last bound is infinite.
    pub(crate) buckets: [(f64, u64); BUCKETS_US.len() + 1],
    /// How many there are.
    pub(crate) count: u64,
    /// Their sum in seconds, each taken as the middle of its fine bucket: within 1/64.
    pub(crate) sum_seconds: f64,
}

/// Puts each fine bucket into the first coarse one that holds all of it. A fine bucket that spans a
/// bound (it is at most 1/32 wide) counts as above it, so no bucket promises too much.
pub(crate) fn coarse(fine: &Histogram) -> Coarse {
    let mut buckets = [(f64::INFINITY, 0); BUCKETS_US.len() + 1];
    for (bucket, bound) in buckets.iter_mut().zip(BUCKETS_US) {
        bucket.0 = bound as f64 / 1e6;
    }
    let (mut count, mut sum_half_us) = (0, 0);
    for bucket in fine.iter().filter(|bucket| bucket.count() > 0) {
        let index = BUCKETS_US.partition_point(|bound| *bound < bucket.end());
        buckets[index].1 += bucket.count();
        count += bucket.count();
        sum_half_us += u128::from(bucket.start() + bucket.end()) * u128::from(bucket.count());
    }
    Coarse { buckets, count, sum_seconds: sum_half_us as f64 / 2e6 }
}

/// Percentiles of a histogram; each is the upper end of its bucket, at most 1/32 too high.
pub(crate) fn percentiles(histogram: &Histogram) -> Percentiles {
    // An error is a quantile outside 0 to 1; none of these is.
    let at = |quantile: f64| {
        histogram.quantile_bucket(quantile).ok().flatten().map(|bucket| bucket.end())
    };
    Percentiles {
        count: histogram.as_slice().iter().sum(),
        p50_us: at(0.5),
        p99_us: at(0.99),
        p999_us: at(0.999),
    }
}

/// What was counted between two moments; empty where `later` does not continue `earlier`.
pub(crate) fn between(earlier: &Histogram, later: &Histogram) -> Histogram {
    later.checked_sub(earlier).unwrap_or_else(|_| topology::latency_histogram())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use topology::latency_histogram;

    use super::*;

    fn of(values_us: &[u64]) -> Histogram {
        let mut histogram = latency_histogram();
        for value in values_us {
            histogram.increment(*value).expect("in range");
        }
        histogram
    }

    fn cumulative(coarse: &Coarse, bound_seconds: f64) -> u64 {
        let below = coarse.buckets.iter().take_while(|(bound, _)| *bound <= bound_seconds);
        below.map(|(_, count)| count).sum()
    }

    #[test]
    fn values_land_under_the_first_bound_that_holds_them() {
        let coarse = coarse(&of(&[0, 49, 51, 900, 9_000_000, 11_000_000]));
        assert_eq!(cumulative(&coarse, 0.000_05), 2);
        assert_eq!(cumulative(&coarse, 0.000_1), 3);
        assert_eq!(cumulative(&coarse, 0.001), 4);
        assert_eq!(cumulative(&coarse, 10.0), 5);
        assert_eq!(cumulative(&coarse, f64::INFINITY), 6);
        assert_eq!(coarse.count, 6);
    }

    #[test]
    fn percentiles_of_nothing_are_absent() {
        let nothing = percentiles(&latency_histogram());
        assert_eq!((nothing.count, nothing.p50_us, nothing.p999_us), (0, None, None));
    }

    #[test]
    fn percentiles_are_never_too_low() {
        let hundred: Vec<u64> = (1..=100).map(|n| n * 1000).collect();
        let percentiles = percentiles(&of(&hundred));
        for (value, exact) in [(percentiles.p50_us, 50_000), (percentiles.p99_us, 99_000)] {
            let value = value.expect("there are values");
            assert!(value >= exact && value <= exact + exact / 32 + 1, "{value} for {exact}");
        }
    }

    proptest! {
        #[test]
        fn no_bucket_promises_too_much_and_nothing_is_lost(
            values in proptest::collection::vec(0u64..4_000_000_000, 1..200)
        ) {
            let coarse = coarse(&of(&values));
            prop_assert_eq!(coarse.count, values.len() as u64);
            prop_assert_eq!(cumulative(&coarse, f64::INFINITY), values.len() as u64);
            for bound in BUCKETS_US {
                let truly = values.iter().filter(|value| **value <= bound).count() as u64;
                prop_assert!(cumulative(&coarse, bound as f64 / 1e6) <= truly);
            }
            let sum = values.iter().sum::<u64>() as f64 / 1e6;
            prop_assert!((coarse.sum_seconds - sum).abs() <= sum / 60.0 + 1e-6);
        }

        #[test]
        fn the_difference_of_two_moments_is_what_came_between(
            first in proptest::collection::vec(0u64..1_000_000, 0..50),
            second in proptest::collection::vec(0u64..1_000_000, 0..50),
        ) {
            let both: Vec<u64> = first.iter().chain(&second).copied().collect();
            prop_assert_eq!(between(&of(&first), &of(&both)), of(&second));
        }
    }
}

//! Envoy's `RING_HASH` (`ring_hash_lb.cc`).

use super::live::{Live, total_weight};
use super::points::Points;

/// How many points each has, in the configuration's order, which decides where the fractions go.
///
/// `minimum` is scaled up so far that the lightest shard gets a whole number of points. Sums are running ones and of
/// double precision, as Envoy's are.
fn counts(live: &[Live<'_>], minimum: u32) -> impl Iterator<Item = u64> {
    let shares = shares(live);
    let scale = scale(&shares, minimum);
    let (mut current, mut target) = (0.0, 0.0);
    shares.into_iter().map(move |share| {
        target += scale * share;
        let mut count = 0;
        while current < target {
            count += 1;
            current += 1.0;
        }
        count
    })
}

fn shares(live: &[Live<'_>]) -> Vec<f64> {
    let total = f64::from(total_weight(live));
    live.iter().map(|one| f64::from(one.weight) / total).collect()
}

fn scale(shares: &[f64], minimum: u32) -> f64 {
    let least = shares.iter().copied().fold(1.0, f64::min);
    (least * f64::from(minimum)).ceil() / least
}

/// About how many points there will be.
pub(super) fn count(live: &[Live<'_>], minimum: u32) -> u64 {
    scale(&shares(live), minimum).ceil() as u64
}

/// `hash` places the points.
pub(super) fn points(live: &[Live<'_>], minimum: u32, hash: fn(&[u8]) -> u64) -> Points<u64> {
    let mut points = Vec::new();
    for (one, count) in live.iter().zip(counts(live, minimum)) {
        points.extend(
            (0..count).map(|number| (hash(format!("{}_{number}", one.name).as_bytes()), one.shard)),
        );
    }
    Points::new(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(weights: &[u32], minimum: u32) -> Vec<u64> {
        let live: Vec<Live<'_>> =
            (0..).zip(weights).map(|(shard, &weight)| Live { shard, name: "", weight }).collect();
        counts(&live, minimum).collect()
    }

    #[test]
    fn equal_shards_have_equally_many_points() {
        assert_eq!(of(&[1], 1_024), [1_024]);
        assert_eq!(of(&[5; 3], 1_024), [342; 3]);
        assert_eq!(of(&[1; 10], 1_024), [103; 10]);
        assert_eq!(of(&[1; 3], 1), [1; 3]);
    }

    #[test]
    fn the_lightest_has_a_whole_number_of_them() {
        assert_eq!(of(&[1, 2, 3], 1_024), [171, 342, 513]);
        assert_eq!(of(&[1, 10_000], 1_024), [1, 10_000]);
    }
}

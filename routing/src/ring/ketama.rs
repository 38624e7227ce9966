//! twemproxy's ketama (`ketama_update`).

use super::live::{Live, as_twemproxy_sorts, total_weight};
use super::points::Points;
use crate::hash::md5_words;

const POINTS_PER_SHARD: f32 = 160.0;
/// An MD5 digest has four numbers.
const POINTS_PER_DIGEST: u8 = 4;

/// How many there are at most, whatever the weights.
pub(super) fn most_points(live: &[Live<'_>]) -> u64 {
    160 * live.len() as u64
}

pub(super) fn points(live: &[Live<'_>]) -> Points<u32> {
    let total = total_weight(live);
    let mut points = Vec::new();
    for one in as_twemproxy_sorts(live) {
        for number in 0..digests(one.weight, total, live.len()) {
            let words = md5_words(format!("{}-{number}", one.name).as_bytes());
            points.extend(words.map(|word| (word, one.shard)));
        }
    }
    Points::new(points)
}

/// A quarter of a shard's points. twemproxy calculates in `float`, except for what it adds at the end, and rounds after each step;
/// a shard that is light among heavy ones may get none.
fn digests(weight: u32, total: u32, shards: usize) -> u32 {
    let share = weight as f32 / total as f32;
    let wanted = share * POINTS_PER_SHARD / f32::from(POINTS_PER_DIGEST) * shards as f32;
    (f64::from(wanted) + 0.000_000_000_1) as f32 as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_follow_the_weights_as_twemproxy_rounds_them() {
        assert_eq!(digests(1, 1, 1), 40);
        assert_eq!(digests(1, 10, 10), 40);
        // 100000:1 makes 316 points, and none for the light one.
        assert_eq!(digests(100_000, 100_001, 2) * 4, 316);
        assert_eq!(digests(1, 100_001, 2), 0);
    }

    /// Some counts of equal shards round down: that is where a shard more or less moves a few keys of others.
    #[test]
    fn twenty_five_equal_shards_have_156_points_each() {
        let rounded: Vec<u32> =
            (1..=100).filter(|&shards| digests(1, shards, shards as usize) != 40).collect();
        assert_eq!(rounded, [25, 47, 50, 55, 61, 71, 94, 100]);
        assert_eq!(digests(1, 25, 25) * 4, 156);
    }

    #[test]
    fn there_are_never_more_than_160_for_each_of_the_shards() {
        for shards in 1..=300_u32 {
            assert!(digests(1, shards, shards as usize) <= 40, "{shards}");
        }
    }
}

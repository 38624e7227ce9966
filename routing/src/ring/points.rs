//! Points on a circle, each of which belongs to a shard.

/// So many points are compared with a hash at once: more than most parts of the circle have.
const AT_ONCE: usize = 4;

/// Points in ascending order. A hash belongs to the first point that is not below it; beyond the last it is the first.
#[derive(Debug)]
pub(super) struct Points<V> {
    /// Each with its shard. Behind them the last one stands so often that as many as are compared at once can be read from
    /// anywhere.
    points: Box<[(V, u32)]>,
    /// How many there are.
    count: usize,
    /// Where the points begin whose leading bits are at least so much: about one point for each.
    starts: Box<[u32]>,
    /// How many bits are not among those.
    rest: u32,
}

impl<V: Copy + Ord + Into<u64>> Points<V> {
    /// Of equal points the one that comes first in `points` stays first: it is the one that is found.
    ///
    /// There must be at least one.
    pub(super) fn new(mut points: Vec<(V, u32)>) -> Self {
        debug_assert!(!points.is_empty(), "the heaviest shard has points");
        points.sort_by_key(|&(value, _)| value);
        let parts = points.len().next_power_of_two().max(2);
        let rest = size_of::<V>() as u32 * 8 - parts.trailing_zeros();
        let mut starts = Vec::with_capacity(parts);
        let mut at = 0;
        for part in 0..parts as u64 {
            while points.get(at).is_some_and(|&(value, _)| value.into() >> rest < part) {
                at += 1;
            }
            starts.push(at as u32);
        }
        let count = points.len();
        points.extend(points.last().copied().into_iter().cycle().take(AT_ONCE));
        Self { points: points.into(), count, starts: starts.into(), rest }
    }

    /// The point that `hash` belongs to, and its shard.
    #[inline]
    pub(super) fn find(&self, hash: V) -> (V, usize) {
        let part = (hash.into() >> self.rest) as usize;
        let mut at = self.starts[part] as usize;
        // Some are compared at once: how many are below is counted without a branch that is hard to foresee.
        while let Some(some) = self.points.get(at..at + AT_ONCE) {
            let below = some.iter().map(|&(value, _)| usize::from(value < hash)).sum::<usize>();
            at += below;
            if below < AT_ONCE {
                break;
            }
        }
        let (value, shard) = self.points[if at < self.count { at } else { 0 }];
        (value, shard as usize)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (V, usize)> + '_ {
        self.points[..self.count].iter().map(|&(value, shard)| (value, shard as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_finds_what_a_search_finds() {
        let mut random = fastrand::Rng::with_seed(1);
        for count in [1, 2, 3, 160, 1280, 5000] {
            let values: Vec<u32> =
                (0..count).map(|_| random.u32(..) >> random.u32(0..20)).collect();
            let points = Points::new(values.iter().map(|&value| (value, value)).collect());
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let near = sorted
                .iter()
                .flat_map(|value| [value.wrapping_sub(1), *value, value.wrapping_add(1)]);
            for hash in near.chain((0..1000).map(|_| random.u32(..))) {
                let at = sorted.partition_point(|&value| value < hash) % sorted.len();
                assert_eq!(points.find(hash).0, sorted[at], "{hash} of {count}");
            }
        }
    }

    #[test]
    fn a_hash_belongs_to_the_first_point_that_is_not_below_it() {
        let points = Points::new(vec![(20_u32, 2), (10, 1), (20, 3), (30, 4)]);
        let found: Vec<(u32, usize)> =
            [0, 10, 11, 20, 21, 30, 31, u32::MAX].map(|hash| points.find(hash)).into();
        assert_eq!(found, [(10, 1), (10, 1), (20, 2), (20, 2), (30, 4), (30, 4), (10, 1), (10, 1)]);
    }
}

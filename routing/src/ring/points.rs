//! Points on a circle, each of which belongs to a shard.

/// Points in ascending order. A hash belongs to the first point that is not below it; beyond the last it is the first.
#[derive(Debug)]
pub(super) struct Points<V> {
    // Apart, so that a search touches half the memory.
    values: Box<[V]>,
    shards: Box<[u32]>,
}

impl<V: Copy + Ord> Points<V> {
    /// Of equal points the one that comes first in `points` stays first: it is the one that is found.
    ///
    /// There must be at least one.
    pub(super) fn new(mut points: Vec<(V, u32)>) -> Self {
        debug_assert!(!points.is_empty(), "the heaviest shard has points");
        points.sort_by_key(|&(value, _)| value);
        Self {
            values: points.iter().map(|&(value, _)| value).collect(),
            shards: points.iter().map(|&(_, shard)| shard).collect(),
        }
    }

    /// The point that `hash` belongs to, and its shard.
    #[inline]
    pub(super) fn find(&self, hash: V) -> (V, usize) {
        let at = self.values.partition_point(|&value| value < hash);
        let at = if at == self.values.len() { 0 } else { at };
        (self.values[at], self.shards[at] as usize)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (V, usize)> + '_ {
        self.values.iter().zip(&self.shards).map(|(&value, &shard)| (value, shard as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_belongs_to_the_first_point_that_is_not_below_it() {
        let points = Points::new(vec![(20_u32, 2), (10, 1), (20, 3), (30, 4)]);
        let found: Vec<(u32, usize)> =
            [0, 10, 11, 20, 21, 30, 31, u32::MAX].map(|hash| points.find(hash)).into();
        assert_eq!(found, [(10, 1), (10, 1), (20, 2), (20, 2), (30, 4), (30, 4), (10, 1), (10, 1)]);
    }
}

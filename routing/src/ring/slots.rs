//! Redis Cluster's slots, divided over shards that are not a cluster.

use super::Member;
use super::live::Live;
use crate::hash::SLOTS;

/// Each shard has one range of slots, in the configuration's order and as large as its weight says: of equal shards those that
/// `redis-cli --cluster create` gives. The slots of one that is not live are divided likewise over those that are, so that no
/// others move.
pub(super) fn places(members: &[Member], live: &[Live<'_>]) -> Box<[u32]> {
    let weights: Vec<u32> = members.iter().map(|member| member.weight).collect();
    let shards: Vec<u32> = (0..).take(members.len()).collect();
    let mut places = vec![0; usize::from(SLOTS)];
    divide(&mut places, &shards, &weights);

    let is_live = |shard: u32| live.iter().any(|one| one.shard == shard);
    let (shards, weights): (Vec<u32>, Vec<u32>) =
        live.iter().map(|one| (one.shard, one.weight)).unzip();
    for range in places.chunk_by_mut(|one, next| one == next) {
        if !range.first().is_some_and(|&shard| is_live(shard)) {
            divide(range, &shards, &weights);
        }
    }
    places.into()
}

/// Fills `range` with the shards in proportion to their weights, the borders rounded to the nearest.
fn divide(range: &mut [u32], shards: &[u32], weights: &[u32]) {
    let length = range.len() as u64;
    let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
    let (mut sum, mut start) = (0, 0);
    for (&shard, &weight) in shards.iter().zip(weights) {
        sum += u64::from(weight);
        let end = ((2 * length * sum + total) / (2 * total)) as usize;
        range[start..end].fill(shard);
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use super::super::live::live;
    use super::*;

    fn borders(weights: &[u32], mask: &[bool]) -> Vec<(usize, u32)> {
        let members: Vec<Member> = (0..)
            .zip(weights)
            .map(|(number, &weight)| Member { name: format!("s{number}"), weight })
            .collect::<Vec<_>>();
        let places = places(&members, &live(&members, mask).unwrap());
        let mut borders = vec![];
        for (slot, &shard) in places.iter().enumerate() {
            if borders.last().is_none_or(|&(_, last)| last != shard) {
                borders.push((slot, shard));
            }
        }
        borders
    }

    #[test]
    fn equal_shards_have_the_ranges_of_a_new_cluster() {
        assert_eq!(borders(&[1; 3], &[true; 3]), [(0, 0), (5_461, 1), (10_923, 2)]);
        assert_eq!(borders(&[3; 1], &[true; 1]), [(0, 0)]);
        assert_eq!(borders(&[1, 0, 3], &[true; 3]), [(0, 0), (4_096, 2)]);
    }

    #[test]
    fn only_the_slots_of_the_missing_move() {
        assert_eq!(
            borders(&[1; 4], &[true, false, true, true]),
            // 4,096 to 8,191 were the second's.
            [(0, 0), (5_461, 2), (6_827, 3), (8_192, 2), (12_288, 3)]
        );
    }
}

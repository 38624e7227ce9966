//! Google's Maglev, as Envoy builds its table (`maglev_lb.cc`).

use super::live::{Live, by_name, total_weight};
use crate::hash::xxhash64;

/// A shard that takes places in its own order of the table.
struct Taker {
    shard: u32,
    offset: u64,
    skip: u64,
    next: u64,
    share: f64,
    /// What the share must have come to in all before the next place is taken.
    target: f64,
}

impl Taker {
    fn new(one: Live<'_>, share: f64, size: u64) -> Self {
        let name = one.name.as_bytes();
        let skip = xxhash64(name, 1) % (size - 1) + 1;
        Self {
            shard: one.shard,
            offset: xxhash64(name, 0) % size,
            skip,
            next: 0,
            share,
            target: 0.0,
        }
    }

    /// The next place in its order.
    fn turn(&mut self, size: u64) -> usize {
        let place = (self.offset + self.skip * self.next) % size;
        self.next += 1;
        place as usize
    }
}

/// `size` is a prime: each shard's order goes through all places.
pub(super) fn places(live: &[Live<'_>], size: u32) -> Box<[u32]> {
    const FREE: u32 = u32::MAX;
    let total = f64::from(total_weight(live));
    let width = u64::from(size);
    let mut takers: Vec<Taker> = by_name(live)
        .into_iter()
        .map(|one| Taker::new(one, f64::from(one.weight) / total, width))
        .collect();
    let largest = takers.iter().map(|taker| taker.share).fold(0.0, f64::max);

    let mut places = vec![FREE; size as usize];
    let mut free = places.len();
    let mut round = 0.0;
    while free > 0 {
        round += 1.0;
        for taker in &mut takers {
            if free == 0 {
                break;
            }
            if round * taker.share < taker.target {
                continue;
            }
            taker.target += largest;
            let mut place = taker.turn(width);
            while places[place] != FREE {
                place = taker.turn(width);
            }
            places[place] = taker.shard;
            free -= 1;
        }
    }
    places.into()
}

/// Whether a table can have this size.
pub(super) fn is_prime(size: u32) -> bool {
    let size = u64::from(size);
    size >= 2 && (2..).take_while(|factor| factor * factor <= size).all(|factor| size % factor != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primes_are_told_from_others() {
        let primes: Vec<u32> = (0..30).filter(|&size| is_prime(size)).collect();
        assert_eq!(primes, [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
        assert!(is_prime(65_537));
        assert!(is_prime(4_294_967_291));
        assert!(!is_prime(65_536));
        assert!(!is_prime(1_018_081));
    }

    #[test]
    fn shares_are_even_to_one_place_and_follow_the_weights() {
        let live = |weights: &[u32]| -> Vec<u32> {
            let names: Vec<String> = (0..weights.len()).map(|shard| format!("s{shard}")).collect();
            let live: Vec<Live<'_>> = (0..)
                .zip(&names)
                .zip(weights)
                .map(|((shard, name), &weight)| Live { shard, name, weight })
                .collect();
            let places = places(&live, 65_537);
            (0..)
                .take(weights.len())
                .map(|shard| places.iter().filter(|&&at| at == shard).count() as u32)
                .collect()
        };
        let even = live(&[1; 10]);
        assert!(even.iter().all(|count| (6_553..=6_554).contains(count)), "{even:?}");
        let weighted = live(&[1, 2, 4]);
        for (count, expected) in weighted.iter().zip([9_362, 18_725, 37_450]) {
            assert!(count.abs_diff(expected) <= 2, "{weighted:?}");
        }
    }
}

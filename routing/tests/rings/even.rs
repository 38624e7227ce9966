//! How evenly a million random keys lie on ten equal shards. The bounds are those of `docs/sharding.md`.

use routing::{CharSign, Distribution, Hash, Ring, Sharding};

use super::{equal, sharding, whole};

const SHARDS: usize = 10;
const KEYS: usize = 1_000_000;

/// The smallest and the largest shard, in thousandths of an equal share.
fn extremes(mut shard: impl FnMut(&[u8]) -> usize) -> (usize, usize) {
    let mut random = fastrand::Rng::with_seed(20);
    let mut counts = [0; SHARDS];
    for _ in 0..KEYS {
        counts[shard(&random.u128(..).to_le_bytes())] += 1;
    }
    let thousandths = |count: Option<&usize>| count.unwrap() * SHARDS * 1_000 / KEYS;
    (thousandths(counts.iter().min()), thousandths(counts.iter().max()))
}

fn is_within(what: &str, (least, most): (usize, usize), thousandths: usize) {
    println!("{what}: {least} to {most} thousandths");
    assert!(least + thousandths >= 1_000, "{what}: {least}");
    assert!(most <= 1_000 + thousandths, "{what}: {most}");
}

#[test]
fn rings_are_even_as_far_as_their_points_are() {
    let members = equal(SHARDS);
    for distribution in [
        Distribution::Ketama,
        Distribution::Ring,
        Distribution::EnvoyRing,
        Distribution::EnvoyRingMurmur2,
    ] {
        let ring = whole(distribution, &members);
        is_within(distribution.as_str(), extremes(|key| ring.shard(key)), 250);
    }
}

#[test]
fn tables_are_even() {
    let members = equal(SHARDS);
    for distribution in [Distribution::Maglev, Distribution::Slots, Distribution::Modula] {
        let ring = whole(distribution, &members);
        is_within(distribution.as_str(), extremes(|key| ring.shard(key)), 15);
    }
    let ring = whole(Distribution::Random, &members);
    let mut number = fastrand::Rng::with_seed(7);
    is_within("random", extremes(|_| ring.draw(number.u64(..))), 15);
}

/// All hashes but `crc32` are even; of that one, as in twemproxy, nearly all keys get to one shard of a ketama ring.
#[test]
fn hashes_are_even() {
    let members = equal(SHARDS);
    for hash in Hash::ALL {
        for char_sign in CharSign::ALL {
            if char_sign == CharSign::Unsigned && !hash.depends_on_sign() {
                continue;
            }
            let of = |distribution| {
                let sharding = Sharding { hash, char_sign, ..sharding(distribution) };
                Ring::new(&sharding, &members, &[true; SHARDS]).unwrap()
            };
            let (modula, ketama) = (of(Distribution::Modula), of(Distribution::Ketama));
            // SuperFastHash itself is a little uneven in its lowest bits.
            let bound = if hash == Hash::Hsieh { 100 } else { 15 };
            is_within(&format!("modula, {hash}"), extremes(|key| modula.shard(key)), bound);
            let ketama = extremes(|key| ketama.shard(key));
            if hash == Hash::Crc32 {
                assert!(ketama.1 > 9_000, "{ketama:?}");
            } else {
                is_within(&format!("ketama, {hash}"), ketama, 250);
            }
        }
    }
}

/// Hashes whose last step hardly moves the upper bits: ten keys that differ in their last digit alone are on one shard of a
/// ketama ring. With the others they are not.
#[test]
fn some_hashes_keep_consecutive_keys_together() {
    let members = equal(SHARDS);
    for hash in Hash::ALL {
        let sharding = Sharding { hash, ..sharding(Distribution::Ketama) };
        let ring = Ring::new(&sharding, &members, &[true; SHARDS]).unwrap();
        let shard = |number: u32| ring.shard(format!("user:{number}").as_bytes());
        let together = (100_000..101_000)
            .filter(|ten| (1..10).all(|one| shard(ten * 10 + one) == shard(ten * 10)))
            .count();
        let keeps = [Hash::Crc16, Hash::Crc32, Hash::Fnv1x64, Hash::Fnv1ax64, Hash::Fnv1x32]
            .contains(&hash);
        println!("{hash}: {together} of 1000");
        assert!(if keeps { together > 900 } else { together < 10 }, "{hash}: {together}");
    }
}

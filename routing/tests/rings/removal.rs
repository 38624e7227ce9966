//! What moves when a shard is ejected, or taken out of the configuration.

use proptest::prelude::*;
use routing::{Distribution, Member, Ring};

use super::{sharding, whole};

const SHARDS: usize = 10;
const KEYS: u64 = 10_000;

fn names() -> impl Strategy<Value = Vec<Member>> {
    prop::collection::btree_set("[a-z0-9.:-]{1,24}", SHARDS)
        .prop_map(|names| names.into_iter().map(|name| Member { name, weight: 1 }).collect())
}

/// Of `KEYS` keys: how many were the lost shard's, and how many of the others moved.
fn moved(distribution: Distribution, members: &[Member], lost: usize, seed: u64) -> (u64, u64) {
    let before = whole(distribution, members);
    let mut live = vec![true; members.len()];
    live[lost] = false;
    let after = Ring::new(&sharding(distribution), members, &live).unwrap();
    let (mut own, mut others) = (0, 0);
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..KEYS {
        let key = random.u128(..).to_le_bytes();
        let (old, new) = (before.shard(&key), after.shard(&key));
        assert_ne!(new, lost, "a shard that is not live gets no keys");
        match old == lost {
            true => own += 1,
            false => others += u64::from(old != new),
        }
    }
    (own, others)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_shard_that_goes_takes_its_own_keys_and_no_others(
        members in names(), lost in 0..SHARDS, seed: u64,
    ) {
        for distribution in [
            Distribution::Ketama,
            Distribution::Ring,
            Distribution::Slots,
        ] {
            let (own, others) = moved(distribution, &members, lost, seed);
            prop_assert_eq!(others, 0, "{}", distribution);
            prop_assert!(own > 0, "{}", distribution);
        }
    }

    /// Envoy gives each of ten shards 103 points, and each of nine 114: some of the new ones take keys.
    #[test]
    fn of_envoys_rings_some_other_keys_move_too(
        members in names(), lost in 0..SHARDS, seed: u64,
    ) {
        for distribution in [Distribution::EnvoyRing, Distribution::EnvoyRingMurmur2] {
            let (_, others) = moved(distribution, &members, lost, seed);
            prop_assert!(others * 100 <= KEYS * 15, "{}: {} of {}", distribution, others, KEYS);
        }
    }

    #[test]
    fn of_maglevs_keys_at_most_13_percent_move(
        members in names(), lost in 0..SHARDS, seed: u64,
    ) {
        let (own, others) = moved(Distribution::Maglev, &members, lost, seed);
        prop_assert!((own + others) * 100 <= KEYS * 13, "{} and {} of {}", own, others, KEYS);
    }

    #[test]
    fn a_shard_that_is_not_live_is_as_if_it_were_not_configured(
        members in names(), lost in 0..SHARDS, keys in prop::collection::vec(any::<[u8; 9]>(), 100),
    ) {
        let mut fewer = members.clone();
        fewer.remove(lost);
        let mut live = [true; SHARDS];
        live[lost] = false;
        for distribution in Distribution::ALL {
            if distribution == Distribution::Slots {
                // Slots have their ranges by the configuration.
                continue;
            }
            let ejected = Ring::new(&sharding(distribution), &members, &live).unwrap();
            let without = whole(distribution, &fewer);
            for key in &keys {
                let (one, other) = (ejected.shard(key), without.shard(key));
                prop_assert_eq!(&members[one].name, &fewer[other].name, "{}", distribution);
            }
        }
    }

    #[test]
    fn a_ring_is_what_its_settings_and_shards_say(
        members in names(), weights in prop::collection::vec(1..20_u32, SHARDS), key: Vec<u8>,
    ) {
        let weighted: Vec<Member> = std::iter::zip(&members, &weights)
            .map(|(member, &weight)| Member { weight, ..member.clone() })
            .collect();
        let mut turned = weighted.clone();
        turned.reverse();
        for distribution in Distribution::ALL {
            let one = whole(distribution, &weighted);
            prop_assert_eq!(one.shard(&key), whole(distribution, &weighted).shard(&key));
            prop_assert_eq!(one.shard(&key), one.explain(&key).shard);
            // These know no order but the names'.
            if matches!(distribution, Distribution::Ketama | Distribution::Modula
                | Distribution::Maglev | Distribution::Ring)
            {
                let other = whole(distribution, &turned).shard(&key);
                prop_assert_eq!(&weighted[one.shard(&key)].name, &turned[other].name);
            }
        }
    }
}

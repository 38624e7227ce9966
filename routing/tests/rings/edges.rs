//! Weights of nothing, single shards, empty and binary keys, and what makes no ring.

use proptest::prelude::*;
use routing::{Distribution, Hash, Member, Ring, RingError, Sharding};

use super::{equal, sharding, whole};

fn member(name: &str, weight: u32) -> Member {
    Member { name: name.to_owned(), weight }
}

#[test]
fn a_weight_of_nothing_gets_nothing() {
    let members = [member("a", 0), member("b", 3), member("c", 0), member("d", 1)];
    for distribution in Distribution::ALL {
        let ring = whole(distribution, &members);
        let mut seen = [0; 4];
        for number in 0..10_000_u64 {
            let key = number.to_string();
            seen[ring.shard(key.as_bytes())] += 1;
            seen[ring.draw(number)] += 1;
        }
        assert_eq!((seen[0], seen[2]), (0, 0), "{distribution}");
        assert!(seen[1] > 0 && seen[3] > 0, "{distribution}: {seen:?}");
    }
}

#[test]
fn many_keys_are_found_where_each_of_them_is() {
    let keys: Vec<String> =
        (0..1000).map(|number| format!("{{{}}}:{number}", number % 700)).collect();
    let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).chain([b"".as_slice()]).collect();
    for distribution in Distribution::ALL {
        for members in [equal(1), equal(7)] {
            let sharding = Sharding { hash_tag: Some(*b"{}"), ..sharding(distribution) };
            let ring = Ring::new(&sharding, &members, &vec![true; members.len()]).unwrap();
            let each: Vec<usize> = keys.iter().map(|key| ring.shard(key)).collect();
            assert_eq!(ring.shards(keys.iter().copied()), each, "{distribution}");
        }
    }
}

#[test]
fn one_shard_has_all() {
    for distribution in Distribution::ALL {
        for (members, live) in [(equal(1), vec![true]), (equal(3), vec![false, false, true])] {
            let ring = Ring::new(&sharding(distribution), &members, &live).unwrap();
            for key in ["", "a", "{a}b", "\u{e9}"] {
                let placed = ring.explain(key.as_bytes());
                assert_eq!(ring.shard(key.as_bytes()), members.len() - 1, "{distribution}");
                assert_eq!((placed.shard, placed.point), (members.len() - 1, None));
            }
            assert_eq!(ring.draw(u64::MAX), members.len() - 1);
            assert_eq!(ring.points().count(), 0);
        }
    }
}

#[test]
fn without_shards_there_is_no_ring() {
    for distribution in Distribution::ALL {
        let new = |members: &[Member], live: &[bool]| {
            Ring::new(&sharding(distribution), members, live).unwrap_err()
        };
        assert_eq!(new(&[], &[]), RingError::NoShard);
        assert_eq!(new(&equal(2), &[false, false]), RingError::NoShard);
        assert_eq!(new(&[member("a", 0), member("b", 1)], &[true, false]), RingError::NoShard);
    }
}

#[test]
fn names_must_be_such_that_they_can_be_told_apart() {
    let new = |names: [&str; 2]| {
        let members = names.map(|name| member(name, 1));
        Ring::new(&Sharding::default(), &members, &[true, true]).map(|_| ()).unwrap_err()
    };
    assert_eq!(new(["a", "a"]), RingError::SameName("a".to_owned()));
    assert_eq!(new(["a", ""]), RingError::NoName);
    let long = "ä".repeat(128);
    assert_eq!(new(["a", &long]), RingError::LongName("ä".repeat(40)));
}

#[test]
fn weights_and_tables_have_limits() {
    let most = u32::MAX;
    for distribution in Distribution::ALL {
        let members = [member("a", most), member("b", 1)];
        let error = Ring::new(&sharding(distribution), &members, &[true, true]).unwrap_err();
        assert_eq!(error, RingError::Weights, "{distribution}");
        // One that is not live has no say, nor has a single one's weight.
        assert!(Ring::new(&sharding(Distribution::Ketama), &members, &[true, false]).is_ok());
    }
    let heavy = [member("a", 2_000_000), member("b", 1)];
    for distribution in [Distribution::Modula, Distribution::Ring, Distribution::EnvoyRing] {
        let error = Ring::new(&sharding(distribution), &heavy, &[true, true]).unwrap_err();
        assert!(matches!(error, RingError::TooLarge(2_000_000..)), "{distribution}: {error}");
    }
    for size in [0, 1, 4, 65_536, u32::MAX] {
        let sharding = Sharding { size: Some(size), ..sharding(Distribution::Maglev) };
        let error = Ring::new(&sharding, &equal(2), &[true, true]).unwrap_err();
        assert!(matches!(error, RingError::Table(_) | RingError::TooLarge(_)), "{size}: {error}");
    }
}

#[test]
fn an_empty_key_is_0_to_twemproxy() {
    for hash in Hash::ALL {
        let sharding = Sharding { hash, ..Sharding::default() };
        let ring = Ring::new(&sharding, &equal(3), &[true; 3]).unwrap();
        let first = ring.points().next().unwrap();
        let placed = ring.explain(b"");
        assert_eq!((placed.hash, placed.point, placed.shard), (0, Some(first.0), first.1));
    }
}

#[test]
fn what_is_explained_is_what_happened() {
    let sharding = Sharding { hash_tag: Some(*b"{}"), ..Sharding::default() };
    let members = equal(4);
    let ring = Ring::new(&sharding, &members, &[true; 4]).unwrap();
    let placed = ring.explain(b"{user1}.name");
    assert_eq!(placed.hashed, 1..6);
    assert_eq!(placed.hash, u64::from(Hash::Fnv1ax64.of(b"user1", sharding.char_sign)));
    let point = placed.point.unwrap();
    assert!(ring.points().any(|one| one == (point, placed.shard)));
    assert_eq!(placed.shard, ring.shard(b"user1"));
}

#[test]
fn slots_have_their_own_tag() {
    let ring = whole(Distribution::Slots, &equal(3));
    let placed = ring.explain(b"{user1000}.following");
    assert_eq!((placed.hashed, placed.hash, placed.point), (1..9, 3_443, Some(3_443)));
    assert_eq!(placed.shard, 0);
}

proptest! {
    #[test]
    fn any_key_has_a_shard(
        key: Vec<u8>,
        tag: Option<[u8; 2]>,
        weights in prop::collection::vec(0..50_u32, 1..6),
        live in prop::collection::vec(any::<bool>(), 6),
    ) {
        let members: Vec<Member> =
            (0..).zip(&weights).map(|(number, &weight)| member(&format!("s{number}"), weight)).collect();
        let live = &live[..members.len()];
        for distribution in Distribution::ALL {
            let sharding = Sharding { hash_tag: tag, ..sharding(distribution) };
            match Ring::new(&sharding, &members, live) {
                Ok(ring) => {
                    let shard = ring.shard(&key);
                    prop_assert!(live[shard] && weights[shard] > 0, "{}", distribution);
                    prop_assert_eq!(ring.explain(&key).shard, shard);
                }
                Err(error) => {
                    prop_assert_eq!(error, RingError::NoShard);
                    prop_assert!(std::iter::zip(live, &weights).all(|(live, weight)| !live || *weight == 0));
                }
            }
        }
    }
}

//! twemproxy's own answers (`twemproxy-vectors.json`, made by running its C code on x86-64), against ours.

#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

use std::collections::BTreeMap;

use routing::{CharSign, Distribution, Hash, Member, Ring, Sharding};
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("twemproxy-vectors.json")).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The servers of a pool of `pools_yaml`, as `host:port:weight name` or `path:weight name`.
fn pools() -> BTreeMap<String, (Sharding, Vec<Member>)> {
    let vectors = vectors();
    let mut pools: BTreeMap<String, (Sharding, Vec<Member>)> = BTreeMap::new();
    let mut current = String::new();
    for line in vectors["pools_yaml"].as_str().unwrap().lines() {
        if !line.starts_with(' ') {
            current = line.trim_end_matches(':').to_owned();
            pools.insert(current.clone(), (Sharding::default(), Vec::new()));
            continue;
        }
        let (sharding, members) = pools.get_mut(&current).unwrap();
        let line = line.trim();
        if let Some(server) = line.strip_prefix("- ") {
            members.push(member(server, sharding.distribution));
        } else if let Some((key, value)) = line.split_once(": ") {
            match key {
                "hash" => sharding.hash = value.parse().unwrap(),
                "distribution" => sharding.distribution = value.parse().unwrap(),
                "hash_tag" => {
                    sharding.hash_tag =
                        Some(value.trim_matches('"').as_bytes().try_into().unwrap());
                }
                _ => {}
            }
        }
    }
    pools
}

fn member(server: &str, distribution: Distribution) -> Member {
    let (address, name) = match server.split_once(' ') {
        Some((address, name)) => (address, Some(name)),
        None => (server, None),
    };
    let (address, weight) = address.rsplit_once(':').unwrap();
    let name = match (name, address.rsplit_once(':')) {
        (Some(name), _) => name.to_owned(),
        (None, Some((host, port))) => distribution.name_of_address(host, port.parse().unwrap()),
        (None, None) => distribution.name_of_path(address),
    };
    Member { name, weight: weight.parse().unwrap() }
}

fn ring_of(pool: &str) -> (Ring, Vec<Member>) {
    let (sharding, members) = pools().remove(pool).unwrap();
    let ring = Ring::new(&sharding, &members, &vec![true; members.len()]).unwrap();
    (ring, members)
}

fn hashes_agree(table: &str, sign: CharSign) {
    let vectors = vectors();
    let keys = vectors[table].as_object().unwrap();
    assert!(keys.len() >= 36, "the vectors are all there");
    for (key, hashes) in keys {
        for (name, expected) in hashes.as_object().unwrap() {
            let hash: Hash = name.parse().unwrap();
            let value = u64::from(hash.of(&bytes(key), sign));
            assert_eq!(value, expected.as_u64().unwrap(), "{hash} of {key} with {sign} char");
        }
        assert_eq!(hashes.as_object().unwrap().len(), Hash::ALL.len());
    }
}

#[test]
fn all_hashes_with_signed_char() {
    hashes_agree("hash_signed_char_x86", CharSign::Signed);
}

#[test]
fn all_hashes_with_unsigned_char() {
    hashes_agree("hash_unsigned_char_aarch64", CharSign::Unsigned);
}

#[test]
fn every_key_is_on_its_server() {
    let vectors = vectors();
    let mut seen = 0;
    for (pool, (sharding, members)) in pools() {
        let ring = Ring::new(&sharding, &members, &vec![true; members.len()]).unwrap();
        for (key, servers) in vectors["map_signed"].as_object().unwrap() {
            let expected = servers[&pool].as_str().unwrap();
            let placed = ring.explain(&bytes(key));
            assert_eq!(members[placed.shard].name, expected, "{key} in {pool}");
            assert_eq!(ring.shard(&bytes(key)), placed.shard);
            seen += 1;
        }
    }
    assert_eq!(seen, 4 * 36);
}

/// The digest of the vectors: FNV-1a of 64 bits over the points, each as value and index, little-endian. It begins with
/// a number of its own: FNV's offset basis without its last digit.
fn digest(points: impl Iterator<Item = (u32, u32)>) -> String {
    let mut hash = 1_469_598_103_934_665_603_u64;
    for (value, index) in points {
        for byte in [value.to_le_bytes(), index.to_le_bytes()].concat() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

#[test]
fn every_point_is_in_its_place() {
    let vectors = vectors();
    for (pool, expected) in vectors["rings"].as_object().unwrap() {
        let (ring, members) = ring_of(pool);
        let index_of = |shard: usize| {
            let servers = expected["servers"].as_array().unwrap();
            let is_it = |server: &&Value| server["name"].as_str() == Some(&members[shard].name);
            servers.iter().find(is_it).unwrap()["idx"].as_u64().unwrap() as u32
        };
        let is_modula = ring.distribution() == Distribution::Modula;
        let points: Vec<(u32, u32)> = ring
            .points()
            // twemproxy gives modula's places no value.
            .map(|(value, shard)| (if is_modula { 0 } else { value as u32 }, index_of(shard)))
            .collect();

        assert_eq!(points.len() as u64, expected["points"].as_u64().unwrap(), "{pool}");
        for server in expected["servers"].as_array().unwrap() {
            let index = server["idx"].as_u64().unwrap() as u32;
            let count = points.iter().filter(|(_, other)| *other == index).count();
            assert_eq!(count as u64, server["points"].as_u64().unwrap(), "{pool} {index}");
        }
        let digest = digest(points.into_iter());
        assert_eq!(digest, expected["fnv1a64_of_le_value_index_pairs"].as_str().unwrap(), "{pool}");
    }
}

/// `test_hash_algorithms` in twemproxy's `test_all.c`.
#[test]
fn the_points_that_twemproxy_tests_itself() {
    let members: Vec<Member> =
        ["server1", "server2"].map(|name| Member { name: name.to_owned(), weight: 1 }).into();
    let ring = Ring::new(&Sharding::default(), &members, &[true; 2]).unwrap();
    for value in [3_853_726_576, 2_667_054_752] {
        assert!(ring.points().any(|point| point == (value, 0)), "{value}");
    }
}

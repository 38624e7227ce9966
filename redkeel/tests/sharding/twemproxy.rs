//! The real twemproxy.

use routing::{Distribution, Hash, Sharding};
use testkit::{Client, Peer, Port};

use crate::fleet::{Fleet, SERVERS, find_through, write_through};
use crate::keys::keys;
use crate::pool::{Pool, Shard, named, unnamed};
use crate::through::redkeel;

/// In all, over every pool.
const KEYS: usize = 100_000;

/// Each hash with each distribution that hashes, over shards with and without names, tags and weights, and over as many
/// equal ones as make twemproxy's `float` round down.
pub(crate) fn pools() -> Vec<Pool> {
    let mut pools = Vec::new();
    for distribution in [Distribution::Ketama, Distribution::Modula] {
        for hash in Hash::ALL {
            let mut add = |shards: Vec<Shard>, hash_tag: Option<&[u8; 2]>| {
                let hash_tag = hash_tag.copied();
                let sharding = Sharding { distribution, hash, hash_tag, ..Sharding::default() };
                pools.push(Pool { sharding, shards });
            };
            let weighted =
                [(1, "z"), (2, "shard-10"), (7, "bb"), (3, "aaa"), (5, "shard-9"), (1, "c")];
            add(unnamed(&[1; SERVERS]), None);
            add(unnamed(&[3, 1, 4, 2, 6, 1]), Some(b"{}"));
            add(named(&weighted), Some(b"$$"));
            let many: Vec<String> = (1..=25).map(|number| format!("node{number}")).collect();
            let many: Vec<(u32, &str)> = many.iter().map(|name| (1, name.as_str())).collect();
            add(named(&many), Some(b"<>"));
        }
    }
    pools
}

/// One twemproxy with all these pools; `more` are further lines of each.
fn nutcracker(pools: &[Pool], fleet: &Fleet, more: &str) -> (Peer, Vec<Port>) {
    let ports: Vec<Port> = pools.iter().map(|_| Port::free()).collect();
    let sections = std::iter::zip(pools, &ports)
        .map(|(pool, port)| {
            pool.nutcracker(fleet, &format!("pool{}", port.number()), &port.address(), more)
        })
        .collect::<String>();
    (Peer::twemproxy_with(&sections, ports.clone()), ports)
}

#[test]
fn keys_are_where_twemproxy_has_them() {
    let mut fleet = Fleet::start();
    let pools = pools();
    let (_nutcracker, ports) = nutcracker(&pools, &fleet, "");
    let (_redkeel, redkeels) = redkeel(pools.iter(), &fleet, "");
    for (((seed, pool), port), redkeel) in (0..).zip(&pools).zip(&ports).zip(&redkeels) {
        let keys = keys(seed, KEYS.div_ceil(pools.len()), pool.sharding.hash_tag);
        let proxy = port.address().parse().unwrap();
        let ring = pool.ring(&fleet, &[]);
        let server_of = |key: &[u8]| pool.server_of(&ring, key);

        fleet.clear();
        write_through(&proxy, &keys);
        fleet.expect(&keys, server_of, |key| pool.explain(&ring, key));

        find_through(redkeel, &keys);

        fleet.clear();
        write_through(redkeel, &keys);
        fleet.expect(&keys, server_of, |key| pool.explain(&ring, key));
        find_through(&proxy, &keys);
    }
}

/// After the first error twemproxy builds its rings without the server that failed.
#[test]
fn keys_are_where_twemproxy_has_them_without_an_ejected_server() {
    const DEAD: usize = 2;
    let mut fleet = Fleet::start();
    let pools: Vec<Pool> =
        pools().into_iter().filter(|pool| pool.sharding.hash == Hash::Fnv1ax64).collect();
    let (_nutcracker, ports) = nutcracker(
        &pools,
        &fleet,
        "  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 600000\n",
    );
    fleet.lose(DEAD);
    let (mut process, redkeels) = redkeel(pools.iter(), &fleet, "on_shard_down = \"rehash\"\n");
    process.expect_log("is down");
    process.expect_log("writes are held");
    for (((seed, pool), port), redkeel) in (0..).zip(&pools).zip(&ports).zip(&redkeels) {
        let proxy = port.address().parse().unwrap();
        let keys = keys(seed, 2_000, pool.sharding.hash_tag);
        let (whole, ring) = (pool.ring(&fleet, &[]), pool.ring(&fleet, &[DEAD]));
        let server_of = |key: &[u8]| pool.server_of(&ring, key);

        // Each of the dead server's shards is ejected by the first command that it does not take.
        let mut client = Client::connect(&proxy);
        let shards: Vec<usize> =
            (0..pool.shards.len()).filter(|&shard| pool.shards[shard].server == DEAD).collect();
        for _ in &shards {
            for key in &keys {
                client.command([b"GET", key.as_slice()]);
            }
        }
        assert!(keys.iter().any(|key| shards.contains(&whole.shard(key))));

        fleet.clear();
        write_through(&proxy, &keys);
        fleet.expect(&keys, server_of, |key| pool.explain(&ring, key));
        find_through(redkeel, &keys);

        fleet.clear();
        write_through(redkeel, &keys);
        fleet.expect(&keys, server_of, |key| pool.explain(&ring, key));
    }
}

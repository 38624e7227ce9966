//! The real Envoy.

use routing::{Distribution, Sharding};
use testkit::{Peer, Port};

use crate::fleet::{Fleet, SERVERS, find_through, write_through};
use crate::keys::keys;
use crate::pool::{Names, Pool, Shard, named, unnamed};

/// In all, over every pool.
const KEYS: usize = 50_000;

/// Envoy's distributions over equal and weighted shards, by their addresses and by their names, with and without tags, and with
/// rings and tables of other sizes than the default.
pub(crate) fn pools() -> Vec<(Pool, Names)> {
    let mut pools = Vec::new();
    for (distribution, other_size) in [
        (Distribution::EnvoyRing, 5_000),
        (Distribution::EnvoyRingMurmur2, 100),
        (Distribution::Maglev, 503),
    ] {
        let mut add = |names, shards: Vec<Shard>, hash_tag: Option<[u8; 2]>, size: Option<u32>| {
            let sharding = Sharding { distribution, hash_tag, size, ..Sharding::default() };
            pools.push((Pool { sharding, shards }, names));
        };
        let weighted = [(1, "z"), (2, "shard-10"), (7, "bb"), (3, "aaa"), (5, "shard-9"), (1, "c")];
        add(Names::Addresses, unnamed(&[1; SERVERS]), None, None);
        // Not multiples of the lightest: the order says where the fractions of points go.
        add(Names::Addresses, unnamed(&[3, 2, 5, 7, 6, 4]), Some(*b"{}"), None);
        add(Names::HashKeys, named(&weighted), Some(*b"{}"), Some(other_size));
        // Without the socket: its path is not a name that DNS could resolve.
        add(Names::Hostnames, named(&weighted[..SERVERS - 1]), None, Some(other_size));
    }
    pools
}

fn config(pools: &[(Pool, Names)], ports: &[Port], fleet: &Fleet, more: &str) -> String {
    let mut listeners = String::new();
    let mut clusters = String::new();
    for ((pool, names), port) in std::iter::zip(pools, ports) {
        let number = port.number();
        let tags = pool.sharding.hash_tag.is_some();
        listeners.push_str(&format!(
            r#"
  - name: listener{number}
    address: {{ socket_address: {{ address: 127.0.0.1, port_value: {number} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.redis_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.redis_proxy.v3.RedisProxy
          stat_prefix: redis{number}
          settings: {{ op_timeout: 5s, enable_hashtagging: {tags} }}
          prefix_routes: {{ catch_all_route: {{ cluster: cluster{number} }} }}"#
        ));
        clusters.push_str(&format!(
            "\n  - {}",
            pool.envoy(fleet, &format!("cluster{number}"), *names, more)
        ));
    }
    format!("static_resources:\n  listeners:{listeners}\n  clusters:{clusters}\n")
}

/// `None` where it is not installed.
fn envoy(pools: &[(Pool, Names)], fleet: &Fleet, more: &str) -> Option<(Peer, Vec<Port>)> {
    let ports: Vec<Port> = pools.iter().map(|_| Port::free()).collect();
    let envoy = Peer::envoy_with(&config(pools, &ports, fleet, more), ports.clone());
    if envoy.is_none() {
        println!("skipped: Envoy is not installed (`cargo xtask test` does it)");
    }
    Some((envoy?, ports))
}

#[test]
fn keys_are_where_envoy_has_them() {
    let mut fleet = Fleet::start();
    let pools = pools();
    let Some((_envoy, ports)) = envoy(&pools, &fleet, "") else { return };
    for ((seed, (pool, _)), port) in (0..).zip(&pools).zip(&ports) {
        let keys = keys(seed, KEYS.div_ceil(pools.len()), pool.sharding.hash_tag);
        let proxy = port.address().parse().unwrap();
        let ring = pool.ring(&fleet, &[]);
        let server_of = |key: &[u8]| pool.server_of(&ring, key);

        fleet.clear();
        write_through(&proxy, &keys);
        fleet.expect(&keys, server_of, |key| pool.explain(&ring, key));

        fleet.clear();
        fleet.write(&keys, server_of);
        find_through(&proxy, &keys);
    }
}

/// Envoy's rings and tables are made of the healthy hosts.
#[test]
fn keys_are_where_envoy_has_them_without_an_unhealthy_host() {
    const DEAD: usize = 2;
    // Envoy listens when it has checked all hosts once.
    const CHECKED: &str = "health_checks: [{ timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1, \
        custom_health_check: { name: envoy.health_checkers.redis, typed_config: { \
        \"@type\": type.googleapis.com/envoy.extensions.health_checkers.redis.v3.Redis } } }],";
    let mut fleet = Fleet::start();
    fleet.lose(DEAD);
    let pools = pools();
    let Some((_envoy, ports)) = envoy(&pools, &fleet, CHECKED) else { return };
    for ((seed, (pool, _)), port) in (0..).zip(&pools).zip(&ports) {
        let keys = keys(seed, 2_000, pool.sharding.hash_tag);
        let ring = pool.ring(&fleet, &[DEAD]);
        let server_of = |key: &[u8]| pool.server_of(&ring, key);

        fleet.clear();
        write_through(&port.address().parse().unwrap(), &keys);
        fleet.expect(&keys, server_of, |key| pool.explain(&ring, key));
    }
}

//! The real Envoy.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::Duration;

use routing::{Distribution, Sharding};
use testkit::{Address, Client, Peer, Port, eventually, simple};

use crate::fleet::{Fleet, SERVERS, find_through, write_through};
use crate::keys::keys;
use crate::pool::{Names, Pool, Shard, named, unnamed};
use crate::through::redkeel;

const SOON: Duration = Duration::from_secs(20);
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

fn config(
    pools: &[(Pool, Names)],
    ports: &[Port],
    admin: &Port,
    fleet: &Fleet,
    more: &str,
) -> String {
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
    let admin = admin.number();
    format!(
        "admin: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {admin} }} }} }}\n\
         static_resources:\n  listeners:{listeners}\n  clusters:{clusters}\n"
    )
}

/// `None` where it is not installed. Waits until each ring has all its hosts but those that are `dead`: where names are resolved
/// Envoy begins with the first one that is.
fn envoy(
    pools: &[(Pool, Names)],
    fleet: &Fleet,
    more: &str,
    dead: &[usize],
) -> Option<(Peer, Vec<Port>)> {
    let ports: Vec<Port> = pools.iter().map(|_| Port::free()).collect();
    let admin = Port::free();
    let clusters: Vec<String> =
        ports.iter().map(|port| format!("cluster{}", port.number())).collect();
    let text = config(pools, &ports, &admin, fleet, more);
    let Some(envoy) = Peer::envoy_with(&text, ports.clone()) else {
        println!("skipped: Envoy is not installed (`cargo xtask test` does it)");
        return None;
    };
    eventually(SOON, "all hosts", || {
        let wrong = std::iter::zip(pools, &clusters).find_map(|((pool, _), cluster)| {
            let live = pool.shards.iter().filter(|shard| !dead.contains(&shard.server)).count();
            let stat = format!("cluster.{cluster}.membership_healthy");
            let told = stats(&admin, &stat).unwrap_or_default();
            (!told.contains(&format!("{stat}: {live}\n"))).then_some((live, told))
        });
        wrong.map_or(Ok(()), |wrong| Err(format!("{wrong:?}")))
    });
    // Its worker gets its rings from the thread that has counted the hosts: once it answers, it has them.
    for port in &ports {
        let mut client = Client::connect(port.address().parse::<Address>().unwrap());
        assert_eq!(client.command(["PING"]), simple("PONG"));
    }
    Some((envoy, ports))
}

/// What its administration says of one statistic, with the head: it refuses HTTP/1.0.
fn stats(admin: &Port, name: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(admin.address())?;
    stream.set_read_timeout(Some(SOON))?;
    let request =
        format!("GET /stats?filter=^{name}$ HTTP/1.1\r\nHost: envoy\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    io::read_to_string(stream)
}

#[test]
fn keys_are_where_envoy_has_them() {
    let mut fleet = Fleet::start();
    let pools = pools();
    let Some((_envoy, ports)) = envoy(&pools, &fleet, "", &[]) else { return };
    let (_redkeel, redkeels) = redkeel(pools.iter().map(|(pool, _)| pool), &fleet, "");
    for (((seed, (pool, _)), port), redkeel) in (0..).zip(&pools).zip(&ports).zip(&redkeels) {
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

/// Envoy's rings and tables are made of the healthy hosts.
#[test]
fn keys_are_where_envoy_has_them_without_an_unhealthy_host() {
    const DEAD: usize = 2;
    // Envoy listens when it has checked all hosts once.
    const CHECKED: &str = "health_checks: [{ timeout: 10s, interval: 10s, unhealthy_threshold: 1, healthy_threshold: 1, \
        custom_health_check: { name: envoy.health_checkers.redis, typed_config: { \
        \"@type\": type.googleapis.com/envoy.extensions.health_checkers.redis.v3.Redis } } }],";
    let mut fleet = Fleet::start();
    fleet.lose(DEAD);
    let pools = pools();
    let Some((_envoy, ports)) = envoy(&pools, &fleet, CHECKED, &[DEAD]) else { return };
    let shards = pools.iter().map(|(pool, _)| pool);
    let (mut process, redkeels) = redkeel(shards, &fleet, "on_shard_down = \"rehash\"\n");
    process.expect_log("is down");
    process.expect_log("writes are held");
    for (((seed, (pool, _)), port), redkeel) in (0..).zip(&pools).zip(&ports).zip(&redkeels) {
        let keys = keys(seed, 2_000, pool.sharding.hash_tag);
        let ring = pool.ring(&fleet, &[DEAD]);
        let server_of = |key: &[u8]| pool.server_of(&ring, key);

        fleet.clear();
        write_through(&port.address().parse().unwrap(), &keys);
        fleet.expect(&keys, server_of, |key| pool.explain(&ring, key));
        find_through(redkeel, &keys);

        fleet.clear();
        write_through(redkeel, &keys);
        fleet.expect(&keys, server_of, |key| pool.explain(&ring, key));
    }
}

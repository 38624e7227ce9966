//! Pools of shards, as each of the programs is told of them.

use std::fmt::Write as _;

use routing::{Distribution, Member, Ring, Sharding};
use testkit::Address;

use crate::fleet::{Fleet, SERVERS};

/// A shard.
pub(crate) struct Shard {
    /// Its server in the fleet. Several shards may share one, under different names.
    pub(crate) server: usize,
    pub(crate) weight: u32,
    pub(crate) name: Option<String>,
}

/// A pool: where its keys are is the same whatever program is before it.
pub(crate) struct Pool {
    pub(crate) sharding: Sharding,
    pub(crate) shards: Vec<Shard>,
}

impl Pool {
    fn address<'a>(&self, shard: &Shard, fleet: &'a Fleet) -> &'a Address {
        fleet.servers[shard.server].address()
    }

    pub(crate) fn members(&self, fleet: &Fleet) -> Vec<Member> {
        let distribution = self.sharding.distribution;
        let name = |shard: &Shard| match (&shard.name, self.address(shard, fleet)) {
            (Some(name), _) => name.clone(),
            (None, Address::Unix(path)) => distribution.name_of_path(path.to_str().unwrap()),
            (None, address) => {
                let (host, port) = split(address);
                distribution.name_of_address(&host, port)
            }
        };
        self.shards.iter().map(|shard| Member { name: name(shard), weight: shard.weight }).collect()
    }

    /// The ring of those shards whose servers are not among the `dead`.
    pub(crate) fn ring(&self, fleet: &Fleet, dead: &[usize]) -> Ring {
        let live: Vec<bool> =
            self.shards.iter().map(|shard| !dead.contains(&shard.server)).collect();
        Ring::new(&self.sharding, &self.members(fleet), &live).unwrap()
    }

    pub(crate) fn server_of(&self, ring: &Ring, key: &[u8]) -> usize {
        self.shards[ring.shard(key)].server
    }

    /// In words, for a failed test.
    pub(crate) fn explain(&self, ring: &Ring, key: &[u8]) -> String {
        let Sharding { distribution, hash, hash_tag, .. } = self.sharding;
        let placed = ring.explain(key);
        let (key, shard) = (key.escape_ascii(), &self.shards[placed.shard]);
        format!(
            "\"{key}\" with {distribution}, {hash} and the tag {hash_tag:?}: {placed:?}, name {:?}, server {}",
            shard.name, shard.server
        )
    }

    /// A section of `nutcracker.yml`. `more` are further lines of it.
    pub(crate) fn nutcracker(&self, fleet: &Fleet, name: &str, listen: &str, more: &str) -> String {
        let Sharding { distribution, hash, .. } = self.sharding;
        let mut text = format!(
            "{name}:\n  listen: {listen}\n  redis: true\n  hash: {hash}\n  distribution: {distribution}\n"
        );
        if let Some([open, close]) = self.sharding.hash_tag {
            writeln!(text, "  hash_tag: \"{}{}\"", char::from(open), char::from(close)).unwrap();
        }
        writeln!(text, "{more}  servers:").unwrap();
        for shard in &self.shards {
            let address = match self.address(shard, fleet) {
                Address::Unix(path) => path.display().to_string(),
                address => {
                    let (host, port) = split(address);
                    format!("{host}:{port}")
                }
            };
            let name = shard.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
            writeln!(text, "   - {address}:{}{name}", shard.weight).unwrap();
        }
        text
    }

    /// The pool's tables in `redkeel.toml`.
    pub(crate) fn redkeel(&self, fleet: &Fleet, name: &str, listen: &str) -> String {
        let Sharding { distribution, hash, char_sign, hash_tag, size } = self.sharding;
        let tag = hash_tag.map_or_else(
            || "none".to_owned(),
            |[open, close]| [char::from(open), char::from(close)].iter().collect(),
        );
        let mut text = format!(
            "[pool.{name}]\nlisten = \"{listen}\"\n[pool.{name}.shards]\n\
             distribution = \"{distribution}\"\nhash_tag = \"{tag}\"\n"
        );
        if distribution.uses_hash() {
            writeln!(text, "hash = \"{hash}\"\nchar_sign = \"{char_sign}\"").unwrap();
        }
        if let Some(size) = size {
            writeln!(text, "size = {size}").unwrap();
        }
        let shards: Vec<String> = self
            .shards
            .iter()
            .map(|shard| {
                let name = shard.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
                format!("{}:{}{name}", self.address(shard, fleet), shard.weight)
            })
            .collect();
        writeln!(text, "servers = {shards:?}").unwrap();
        text
    }

    /// A cluster of `envoy.yaml`: YAML in one line. `more` are further fields of it, each with a comma behind it.
    pub(crate) fn envoy(&self, fleet: &Fleet, name: &str, names: Names, more: &str) -> String {
        let size = self.sharding.size.or(self.sharding.distribution.default_size()).unwrap();
        let policy = match self.sharding.distribution {
            Distribution::EnvoyRing => {
                format!("RING_HASH, ring_hash_lb_config: {{ minimum_ring_size: {size} }}")
            }
            Distribution::EnvoyRingMurmur2 => format!(
                "RING_HASH, ring_hash_lb_config: {{ minimum_ring_size: {size}, hash_function: MURMUR_HASH_2 }}"
            ),
            Distribution::Maglev => format!("MAGLEV, maglev_lb_config: {{ table_size: {size} }}"),
            other => panic!("Envoy has no {other}"),
        };
        // A static cluster has no host names.
        let (kind, by_hostname) = match names {
            Names::Hostnames => ("STRICT_DNS", true),
            Names::Addresses | Names::HashKeys => ("STATIC", false),
        };
        let endpoints: Vec<String> =
            self.shards.iter().map(|shard| self.envoy_endpoint(fleet, shard, names)).collect();
        // Without a window for merges a host that is not healthy is out of the ring at once, not a second later.
        format!(
            "{{ name: {name}, type: {kind}, connect_timeout: 5s, lb_policy: {policy}, {more} \
             common_lb_config: {{ update_merge_window: 0s, consistent_hashing_lb_config: {{ use_hostname_for_hashing: {by_hostname} }} }}, \
             load_assignment: {{ cluster_name: {name}, endpoints: [{{ lb_endpoints: [{}] }}] }} }}",
            endpoints.join(", ")
        )
    }

    fn envoy_endpoint(&self, fleet: &Fleet, shard: &Shard, names: Names) -> String {
        let address = match self.address(shard, fleet) {
            Address::Unix(path) => format!("address: {{ pipe: {{ path: {} }} }}", path.display()),
            address => {
                let (host, port) = split(address);
                format!(
                    "address: {{ socket_address: {{ address: \"{host}\", port_value: {port} }} }}"
                )
            }
        };
        let weight = shard.weight;
        match (&shard.name, names) {
            (None, Names::Addresses) => {
                format!("{{ load_balancing_weight: {weight}, endpoint: {{ {address} }} }}")
            }
            (Some(name), Names::Hostnames) => format!(
                "{{ load_balancing_weight: {weight}, endpoint: {{ hostname: {name}, {address} }} }}"
            ),
            (Some(name), Names::HashKeys) => format!(
                "{{ load_balancing_weight: {weight}, endpoint: {{ {address} }}, \
                 metadata: {{ filter_metadata: {{ envoy.lb: {{ hash_key: {name} }} }} }} }}"
            ),
            (name, names) => panic!("{name:?} is not what {names:?} means"),
        }
    }
}

/// What Envoy hashes in place of a host.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Names {
    Addresses,
    /// `use_hostname_for_hashing`.
    Hostnames,
    /// `hash_key` in the metadata of `envoy.lb`.
    HashKeys,
}

/// An IPv6 host loses its brackets.
fn split(address: &Address) -> (String, u16) {
    let text = address.to_string();
    let (host, port) = text.rsplit_once(':').unwrap();
    (host.trim_matches(['[', ']']).to_owned(), port.parse().unwrap())
}

/// Shards on one server after the other, with these weights and names.
pub(crate) fn named(shards: &[(u32, &str)]) -> Vec<Shard> {
    (0..)
        .zip(shards)
        .map(|(number, &(weight, name))| Shard {
            server: number % SERVERS,
            weight,
            name: Some(name.to_owned()),
        })
        .collect()
}

/// As [`named`], without names.
pub(crate) fn unnamed(weights: &[u32]) -> Vec<Shard> {
    (0..).zip(weights).map(|(server, &weight)| Shard { server, weight, name: None }).collect()
}

//! What a ring is made from: shards, and how keys are distributed over them.

use std::fmt;
use std::str::FromStr;

use crate::hash::{CharSign, Hash};
use crate::unknown_name::UnknownName;

/// A shard as a ring sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// What is hashed in its place. See [`Distribution::name_of_address`] for shards that have none.
    pub name: String,
    /// Its share; a shard of weight 0 gets no keys.
    pub weight: u32,
}

/// How keys are distributed over shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Distribution {
    /// twemproxy's consistent hashing: 160 points per shard.
    #[default]
    Ketama,
    /// twemproxy's division by the sum of weights: a shard more or less moves nearly all keys.
    Modula,
    /// Any shard, whatever the key: for data that is the same everywhere, or that may be lost.
    Random,
    /// Google's Maglev as Envoy builds it: an even table that changes little.
    Maglev,
    /// Virtual nodes by MD5: 160 points per shard and unit of weight.
    Ring,
    /// Redis Cluster's slots, in ranges.
    Slots,
    /// Envoy's `RING_HASH` with `XX_HASH`.
    EnvoyRing,
    /// Envoy's `RING_HASH` with `MURMUR_HASH_2`.
    EnvoyRingMurmur2,
}

impl Distribution {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Ketama,
        Self::Modula,
        Self::Random,
        Self::Maglev,
        Self::Ring,
        Self::Slots,
        Self::EnvoyRing,
        Self::EnvoyRingMurmur2,
    ];

    /// As written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ketama => "ketama",
            Self::Modula => "modula",
            Self::Random => "random",
            Self::Maglev => "maglev",
            Self::Ring => "ring",
            Self::Slots => "slots",
            Self::EnvoyRing => "envoy-ring",
            Self::EnvoyRingMurmur2 => "envoy-ring-murmur2",
        }
    }

    /// Whether [`Sharding::hash`] and [`Sharding::char_sign`] mean anything; the others bring their own function along.
    pub fn uses_hash(self) -> bool {
        matches!(self, Self::Ketama | Self::Modula)
    }

    /// Whether shards and keys are placed as Envoy does.
    fn is_envoys(self) -> bool {
        matches!(self, Self::Maglev | Self::EnvoyRing | Self::EnvoyRingMurmur2)
    }

    /// What [`Sharding::size`] is if it is not set; `None` where it means nothing.
    pub fn default_size(self) -> Option<u32> {
        match self {
            Self::Maglev => Some(65_537),
            Self::EnvoyRing | Self::EnvoyRingMurmur2 => Some(1_024),
            _ => None,
        }
    }

    /// What [`Placed::point`](super::Placed::point) is here, in a word for people.
    pub fn point_word(self) -> &'static str {
        match self {
            Self::Ketama | Self::Ring | Self::EnvoyRing | Self::EnvoyRingMurmur2 => "point",
            Self::Modula | Self::Random | Self::Maglev => "place",
            Self::Slots => "slot",
        }
    }

    /// The name of a shard that has none but an address: `host:port`, the host without brackets. twemproxy leaves out memcached's port
    /// 11211, and Envoy puts an IPv6 address into brackets; so do their distributions here.
    pub fn name_of_address(self, host: &str, port: u16) -> String {
        const MEMCACHED: u16 = 11_211;
        match self {
            Self::Ketama | Self::Modula | Self::Random if port == MEMCACHED => host.to_owned(),
            _ if self.is_envoys() && host.contains(':') => format!("[{host}]:{port}"),
            _ => format!("{host}:{port}"),
        }
    }

    /// The name of a shard that has none but the path of its socket. twemproxy takes the path with the colon that stands
    /// before the weight, and so do its distributions here.
    pub fn name_of_path(self, path: &str) -> String {
        match self {
            Self::Ketama | Self::Modula | Self::Random => format!("{path}:"),
            _ => path.to_owned(),
        }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Distribution {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        UnknownName::find(name, &Self::ALL, Self::as_str)
    }
}

/// How a pool's keys are distributed. The default is twemproxy's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sharding {
    /// The kind of ring.
    pub distribution: Distribution,
    /// The keys' hash function, where [`Distribution::uses_hash`].
    pub hash: Hash,
    /// How that counts bytes from 0x80 up.
    pub char_sign: CharSign,
    /// The two characters around the part of a key that is hashed. [`Distribution::Slots`] has `{}` in any case.
    pub hash_tag: Option<[u8; 2]>,
    /// For [`Distribution::Maglev`] the places of the table, a prime (Envoy's `table_size`); for Envoy's rings the points that
    /// there are at least (`minimum_ring_size`). `None`: Envoy's default.
    pub size: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for distribution in Distribution::ALL {
            assert_eq!(distribution.as_str().parse(), Ok(distribution));
            assert_eq!(distribution.to_string(), distribution.as_str());
        }
        assert!("ketma".parse::<Distribution>().is_err());
    }

    #[test]
    fn addresses_are_names_as_their_distribution_has_them() {
        let ketama = Distribution::Ketama;
        assert_eq!(ketama.name_of_address("10.0.0.1", 6379), "10.0.0.1:6379");
        assert_eq!(ketama.name_of_address("10.0.0.1", 11_211), "10.0.0.1");
        assert_eq!(ketama.name_of_address("::1", 6379), "::1:6379");
        assert_eq!(ketama.name_of_path("/tmp/r.sock"), "/tmp/r.sock:");
        let maglev = Distribution::Maglev;
        assert_eq!(maglev.name_of_address("10.0.0.1", 11_211), "10.0.0.1:11211");
        assert_eq!(maglev.name_of_address("::1", 6379), "[::1]:6379");
        assert_eq!(maglev.name_of_path("/tmp/r.sock"), "/tmp/r.sock");
    }
}

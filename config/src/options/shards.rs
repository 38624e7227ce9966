//! `[pool.NAME.shards]`, and a shard written as a table.

use routing::{CharSign, Distribution, Hash, MOST_POINTS};

use super::{OptionTable, Optional, Setting};
use crate::kinds::{
    Choice, HashTag, Integers, MAX_SHARDS, MAX_WEIGHT, Servers, ShardList, ShardName, Variant,
};

/// The key, and the last part of the table's header.
pub(crate) const KEY: &str = "shards";

pub(crate) static TABLE: OptionTable = OptionTable {
    path: "pool.NAME.shards",
    place: "`[pool.NAME.shards]`",
    meaning: "In the place of `servers`: the keys are spread over shards, each of which is one primary with its replicas, and has \
              its own failover. Also written `shards = { servers = … }`. The names, weights, `distribution`, `hash`, `hash_tag` and \
              `char_sign` decide where a key is: change none of them while the data is to be found. A `tcp` listener does \
              not go with shards: it looks at no key.",
    options: &[
        &SERVERS,
        &DISTRIBUTION,
        &HASH,
        &HASH_TAG,
        &CHAR_SIGN,
        &SIZE,
        &ON_SHARD_DOWN,
        &MIN_SHARDS,
        &MSETNX,
    ],
    tables: &[],
    later: &[],
};

pub(crate) static SERVERS: Optional<ShardList> = Optional {
    key: "servers",
    kind: ShardList,
    absent: None,
    example: "[\"10.0.0.1:6379:1 server1\", \"10.0.0.2:6379:1 server2\", \"10.0.0.3:6379:1 server3\"]",
    meaning: "The shards: each one node, `\"HOST:PORT\"`, `\"HOST:PORT:WEIGHT\"` or `\"HOST:PORT:WEIGHT NAME\"` (as twemproxy writes \
              it), or a table with several nodes.",
    more: "A shard without a name is called by its address as written, `HOST:PORT`, or by the path of its socket; with `ketama`, `modula` and \
           `random` as twemproxy does it: of port 11211 `HOST` alone, of a socket the path and a colon. A shard with a name can move to \
           another address and keeps its keys.",
};

pub(crate) static DISTRIBUTION: Setting<Choice<Distribution>> = Setting {
    key: "distribution",
    kind: Choice {
        variants: &[
            Variant {
                name: "ketama",
                value: Distribution::Ketama,
                meaning: "twemproxy's ring: a shard that is added or taken away moves its own keys only",
            },
            Variant {
                name: "modula",
                value: Distribution::Modula,
                meaning: "twemproxy's: the hash modulo the sum of the weights",
            },
            Variant {
                name: "random",
                value: Distribution::Random,
                meaning: "twemproxy's: any of them, whatever the key",
            },
            Variant {
                name: "maglev",
                value: Distribution::Maglev,
                meaning: "a table in which all have the same share to within a few places, as Envoy's `MAGLEV` builds it",
            },
            Variant {
                name: "ring",
                value: Distribution::Ring,
                meaning: "a ring of 160 points a shard and weight, by MD5",
            },
            Variant {
                name: "slots",
                value: Distribution::Slots,
                meaning: "16,384 slots by CRC16, as Redis Cluster has them, in ranges",
            },
            Variant {
                name: "envoy-ring",
                value: Distribution::EnvoyRing,
                meaning: "Envoy's `RING_HASH` with `XX_HASH`",
            },
            Variant {
                name: "envoy-ring-murmur2",
                value: Distribution::EnvoyRingMurmur2,
                meaning: "Envoy's `RING_HASH` with `MURMUR_HASH_2`",
            },
        ],
        later: &[],
    },
    default: || Distribution::Ketama,
    meaning: "How the hash of a key becomes a shard.",
    more: "",
};

pub(crate) static HASH: Setting<Choice<Hash>> = Setting {
    key: "hash",
    kind: Choice {
        variants: &[
            Variant { name: "one_at_a_time", value: Hash::OneAtATime, meaning: "" },
            Variant { name: "md5", value: Hash::Md5, meaning: "" },
            Variant { name: "crc16", value: Hash::Crc16, meaning: "" },
            Variant {
                name: "crc32",
                value: Hash::Crc32,
                meaning: "libmemcached's: with `ketama` nearly all keys are on one shard",
            },
            Variant { name: "crc32a", value: Hash::Crc32a, meaning: "" },
            Variant { name: "fnv1_64", value: Hash::Fnv1x64, meaning: "" },
            Variant { name: "fnv1a_64", value: Hash::Fnv1ax64, meaning: "" },
            Variant { name: "fnv1_32", value: Hash::Fnv1x32, meaning: "" },
            Variant { name: "fnv1a_32", value: Hash::Fnv1ax32, meaning: "" },
            Variant { name: "hsieh", value: Hash::Hsieh, meaning: "" },
            Variant { name: "murmur", value: Hash::Murmur, meaning: "" },
            Variant { name: "jenkins", value: Hash::Jenkins, meaning: "" },
        ],
        later: &[],
    },
    default: || Hash::Fnv1ax64,
    meaning: "The hash of a key, bit for bit as twemproxy has it.",
    more: "Of `ketama` and `modula`.",
};

pub(crate) static HASH_TAG: Setting<HashTag> = Setting {
    key: "hash_tag",
    kind: HashTag,
    default: || Some(*b"{}"),
    meaning: "Where a key has these two characters, only what is between them is hashed; `\"none\"`: all of it is.",
    more: "The first one, and the next second one behind it; if nothing is between them the whole key is hashed. So keys that belong \
           together are on one shard: `{user:1}:name` and `{user:1}:mail`.",
};

pub(crate) static CHAR_SIGN: Setting<Choice<CharSign>> = Setting {
    key: "char_sign",
    kind: Choice {
        variants: &[
            Variant {
                name: "signed",
                value: CharSign::Signed,
                meaning: "as a twemproxy on x86-64",
            },
            Variant {
                name: "unsigned",
                value: CharSign::Unsigned,
                meaning: "as one on 64-bit ARM with Linux",
            },
        ],
        later: &[],
    },
    default: || CharSign::Signed,
    meaning: "What bytes from 128 on count as in `one_at_a_time`, `hsieh` and the `fnv` hashes.",
    more: "It matters for keys that are not ASCII.",
};

pub(crate) static SIZE: Optional<Integers<u32>> = Optional {
    key: "size",
    kind: Integers { least: 2, most: MOST_POINTS },
    absent: Some("65537 for `maglev`, 1024 for Envoy's rings"),
    example: "65537",
    meaning: "The places of Maglev's table, a prime number (Envoy's `table_size`), or the least points of one of Envoy's rings \
              (`minimum_ring_size`).",
    more: "",
};

/// `on_shard_down` as written: `rehash` has a limit beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenDown {
    Fail,
    Rehash,
}

pub(crate) static ON_SHARD_DOWN: Setting<Choice<WhenDown>> = Setting {
    key: "on_shard_down",
    kind: Choice {
        variants: &[
            Variant {
                name: "fail",
                value: WhenDown::Fail,
                meaning: "their commands wait for `hold`, then fail: no key is ever on two shards",
            },
            Variant {
                name: "rehash",
                value: WhenDown::Rehash,
                meaning: "the keys go to the other shards until it is back (twemproxy's `auto_eject_hosts`), for caches: \
                          what was written meanwhile is not found again, and what is old may be",
            },
        ],
        later: &[],
    },
    default: || WhenDown::Fail,
    meaning: "What becomes of the keys of a shard that is down.",
    more: "A shard is down when none of its nodes answers; while a replica does, its failover is waited for. When that is so, and when \
           it is back, is found out by probes (`fall` and `rise` of `health`), never by a client's error: `fall` is twemproxy's \
           `server_failure_limit`; its `server_retry_timeout` has no counterpart, as trying again costs nobody anything.",
};

pub(crate) static MIN_SHARDS: Setting<Integers<usize>> = Setting {
    key: "min_shards",
    kind: Integers { least: 1, most: MAX_SHARDS },
    default: || 1,
    meaning: "With `on_shard_down = \"rehash\"`: so many shards are always kept, down or not.",
    more: "The keys of one that is down and kept fail. Where half of the shards are gone it is mostly the network, and \
           the rest could not carry their keys.",
};

/// `msetnx` as written.
pub(crate) static MSETNX: Setting<Choice<bool>> = Setting {
    key: "msetnx",
    kind: Choice {
        variants: &[
            Variant {
                name: "refuse",
                value: false,
                meaning: "`-CROSSSHARD`, as for every command that cannot be split",
            },
            Variant {
                name: "allow",
                value: true,
                meaning: "each shard sets its keys if none of them exists there: not all or nothing",
            },
        ],
        later: &[],
    },
    default: || false,
    meaning: "An MSETNX whose keys are on several shards.",
    more: "",
};

pub(crate) static SHARD: OptionTable = OptionTable {
    path: "",
    place: "an entry of `shards.servers`",
    meaning: "A shard with replicas is a table: `{ name = \"server1\", servers = [\"10.0.0.1:6379\", \"10.0.0.2:6379\"] }`.",
    options: &[&NAME, &WEIGHT, &NODES],
    tables: &[],
    later: &[],
};

pub(crate) static NAME: Optional<ShardName> = Optional {
    key: "name",
    kind: ShardName,
    absent: None,
    example: "\"server1\"",
    meaning: "What the distribution calls the shard: its keys depend on it.",
    more: "",
};

pub(crate) static WEIGHT: Setting<Integers<u32>> = Setting {
    key: "weight",
    kind: Integers { least: 1, most: MAX_WEIGHT },
    default: || 1,
    meaning: "The shard's share of the keys relative to the others.",
    more: "",
};

pub(crate) static NODES: Optional<Servers> = Optional {
    key: "servers",
    kind: Servers,
    absent: None,
    example: "[\"10.0.0.1:6379\", \"10.0.0.2:6379\"]",
    meaning: "The shard's nodes: one primary and its replicas, as `servers` of a pool.",
    more: "",
};

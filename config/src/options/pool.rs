//! `[pool.NAME]` and `[pool.NAME.nodes."ADDRESS"]`.

use std::time::Duration;

use super::listener::MODES;
use super::{Later, OptionTable, Optional, Setting, never};
use crate::kinds::{
    Choice, Commands, Durations, Flag, Integers, Listeners, ModeName, Networks, Servers, Text,
    Variant,
};
use crate::model::{Auth, NodeOptions, Reads, RetryWrites};
use routing::Balance;

pub(crate) static TABLE: OptionTable = OptionTable {
    path: "pool.NAME",
    place: "`[pool.NAME]`",
    meaning: "A pool: one primary with its replicas, or several (`shards`), and the addresses at which clients reach them. \
              Its name has letters, digits, `-` and `_`.",
    options: &[
        &LISTEN,
        &MODE,
        &SERVERS,
        &READS,
        &BALANCE,
        &AUTH,
        &MAX_LAG,
        &RETRY_WRITES,
        &ANTI_FLAP,
        &REFUSE,
        &ALLOW,
        &DENY,
        &ZONE,
    ],
    tables: &[
        "shards", "sentinel", "routes", "nodes", "health", "timeouts", "limits", "upstream", "tls",
        "users",
    ],
    later: &[Later {
        key: "cluster",
        instead: "name the nodes of one primary: `servers`; or let Redkeel spread the keys: `shards`",
        harmless: never,
    }],
};

/// What says where a pool's nodes come from.
pub(crate) const SOURCES: [&str; 3] = ["servers", "shards", "sentinel"];

/// What will say so in later versions.
pub(crate) const LATER_SOURCES: [&str; 1] = ["cluster"];

pub(crate) static LISTEN: Optional<Listeners> = Optional {
    key: "listen",
    kind: Listeners,
    absent: None,
    example: "\"127.0.0.1:6379\"",
    meaning: "Where clients connect.",
    more: "A pool that only `routes` of others lead to needs none.",
};

pub(crate) static MODE: Setting<Choice<ModeName>> = Setting {
    key: "mode",
    kind: MODES,
    default: || ModeName::Split,
    meaning: "What clients get at listeners that do not say it themselves.",
    more: "",
};

pub(crate) static SERVERS: Optional<Servers> = Optional {
    key: "servers",
    kind: Servers,
    absent: None,
    example: "[\"10.0.0.1:6379\", \"10.0.0.2:6379\", \"10.0.0.3:6379\"]",
    meaning: "The nodes, where no `sentinel` tells them and no `shards` have them.",
    more: "Roles are asked for, never configured. A name stands for every address that it resolves to, again and again. \
           `\"srv:_redis._tcp.internal\"` stands for the targets of SRV records: those of the lowest priority, and those \
           of any other as backups; weights of the records are not looked at.",
};

pub(crate) static READS: Setting<Choice<Reads>> = Setting {
    key: "reads",
    kind: Choice {
        variants: &[
            Variant {
                name: "prefer-replica",
                value: Reads::PreferReplica,
                meaning: "replicas; the primary while there is none",
            },
            Variant { name: "replica", value: Reads::Replica, meaning: "replicas only" },
            Variant {
                name: "prefer-primary",
                value: Reads::PreferPrimary,
                meaning: "the primary; replicas while there is none",
            },
            Variant { name: "primary", value: Reads::Primary, meaning: "the primary only" },
            Variant { name: "any", value: Reads::Any, meaning: "all alike" },
        ],
        later: &[],
    },
    default: || Reads::PreferReplica,
    meaning: "Which nodes take reads.",
    more: "",
};

pub(crate) static BALANCE: Setting<Choice<Balance>> = Setting {
    key: "balance",
    kind: Choice {
        variants: &[
            Variant {
                name: "leastconn",
                value: Balance::LeastConn,
                meaning: "fewest unanswered commands by weight",
            },
            Variant {
                name: "roundrobin",
                value: Balance::RoundRobin,
                meaning: "each in its turn, as often as its weight says",
            },
            Variant {
                name: "random2",
                value: Balance::Random2,
                meaning: "of two drawn by weight, the one with fewer unanswered commands by weight",
            },
            Variant {
                name: "latency",
                value: Balance::Latency,
                meaning: "of two drawn by weight, the one whose recent answers and unanswered commands promise the sooner answer",
            },
            Variant {
                name: "first",
                value: Balance::First,
                meaning: "the first usable one in the order of `servers`",
            },
            Variant { name: "hash", value: Balance::Hash, meaning: "by the key" },
        ],
        later: &[],
    },
    default: || Balance::LeastConn,
    meaning: "How one node is chosen among those that may take a read.",
    more: "Chosen for each batch: what a client sends at once goes to one node. With `latency` a failure counts as \
           a second, and what is remembered of a node fades within seconds: it is tried again.",
};

pub(crate) static AUTH: Setting<Choice<Auth>> = Setting {
    key: "auth",
    kind: Choice {
        variants: &[
            Variant {
                name: "pass-through",
                value: Auth::PassThrough,
                meaning: "a client's AUTH goes to the nodes; until then it has none",
            },
            Variant {
                name: "users",
                value: Auth::Users,
                meaning: "Redkeel checks them, and what each of `users` may do; the nodes see the credentials of `upstream`",
            },
            Variant {
                name: "none",
                value: Auth::None,
                meaning: "clients need no credentials; the nodes see those of `upstream`",
            },
        ],
        later: &[],
    },
    default: || Auth::PassThrough,
    meaning: "Who checks a client's credentials.",
    more: "Wrong passwords are limited by `login_failures`.",
};

pub(crate) static MAX_LAG: Setting<Durations> = Setting {
    key: "max_lag",
    kind: Durations { least: Duration::from_millis(100), most: Duration::from_secs(24 * 3600) },
    default: || Duration::from_secs(10),
    meaning: "A replica further behind takes no reads while a fitter node lives.",
    more: "",
};

pub(crate) static RETRY_WRITES: Setting<Choice<RetryWrites>> = Setting {
    key: "retry_writes",
    kind: Choice {
        variants: &[
            Variant {
                name: "never",
                value: RetryWrites::Never,
                meaning: "the client is told `-OUTCOMEUNKNOWN`",
            },
            Variant {
                name: "idempotent",
                value: RetryWrites::Idempotent,
                meaning: "those that have the same effect twice are sent again",
            },
        ],
        later: &[],
    },
    default: || RetryWrites::Never,
    meaning: "Which writes are sent again when their outcome is unknown.",
    more: "",
};

pub(crate) static ANTI_FLAP: Setting<Durations> = Setting {
    key: "anti_flap",
    kind: Durations { least: Duration::ZERO, most: Duration::from_secs(3600) },
    default: || Duration::from_secs(10),
    meaning: "Least time between two moves of the primary that Redkeel itself decides.",
    more: "It decides when it saw no promotion, and moves to the only node that says master because all others follow it. \
           A promotion that is proven, or a primary that follows another node now, was somebody's order and is \
           followed at once; a primary that restarts is taken back at once too, where nobody has newer data.",
};

pub(crate) static REFUSE: Setting<Commands> = Setting {
    key: "refuse",
    kind: Commands,
    default: Vec::new,
    meaning: "Commands refused, each `\"NAME\"` or `\"NAME SUBCOMMAND\"`.",
    more: "SYNC, PSYNC and REPLCONF always are.",
};

pub(crate) static ALLOW: Optional<Networks> = Optional {
    key: "allow",
    kind: Networks,
    absent: Some("everyone"),
    example: "[\"10.0.0.0/8\", \"192.168.1.7\"]",
    meaning: "Networks and addresses from which clients may connect.",
    more: "All others are closed as soon as they connect. Unix sockets are not asked: their files have permissions.",
};

pub(crate) static DENY: Optional<Networks> = Optional {
    key: "deny",
    kind: Networks,
    absent: Some("nobody"),
    example: "[\"10.6.6.0/24\"]",
    meaning: "Networks and addresses from which they may not, whatever `allow` says.",
    more: "",
};

pub(crate) static ZONE: Optional<Text> = Optional {
    key: "zone",
    kind: Text { example: "eu-west-1a" },
    absent: Some("none"),
    example: "\"eu-west-1a\"",
    meaning: "This proxy's zone.",
    more: "Reads go to the usable nodes of the same zone, and to others only while there is none. `reads` comes first: a replica \
           elsewhere comes before the primary of this zone where replicas are preferred. Backups come after all others, \
           those of this zone first.",
};

pub(crate) static NODE: OptionTable = OptionTable {
    path: "pool.NAME.nodes.\"ADDRESS\"",
    place: "`[pool.NAME.nodes.\"ADDRESS\"]`",
    meaning: "What is particular to one node. `ADDRESS` is its entry in `servers`, or as Sentinel lists it, in quotes.",
    options: &[&WEIGHT, &NODE_ZONE, &BACKUP],
    tables: &[],
    later: &[],
};

pub(crate) static WEIGHT: Setting<Integers<u32>> = Setting {
    key: "weight",
    kind: Integers { least: 0, most: 1000 },
    default: || NodeOptions::default().weight,
    meaning: "Share of the traffic relative to its peers; 0: none.",
    more: "",
};

pub(crate) static NODE_ZONE: Optional<Text> = Optional {
    key: "zone",
    kind: Text { example: "eu-west-1b" },
    absent: Some("none"),
    example: "\"eu-west-1b\"",
    meaning: "The node's zone.",
    more: "As the pool's `zone`.",
};

pub(crate) static BACKUP: Setting<Flag> = Setting {
    key: "backup",
    kind: Flag,
    default: || NodeOptions::default().backup,
    meaning: "Takes reads only while no other replica can.",
    more: "",
};

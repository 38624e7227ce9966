//! `[[pool.NAME.routes]]`, and `mirror` within it.

use super::{OptionTable, Optional, Setting};
use crate::kinds::{Choice, MirrorTable, PoolName, Prefix, Shares, Variant};
use crate::model::{Mirrored, Share};

/// The key, and the last part of the header.
pub(crate) const KEY: &str = "routes";

pub(crate) static TABLE: OptionTable = OptionTable {
    // An array of tables has a second pair of brackets.
    path: "[pool.NAME.routes]",
    place: "`[[pool.NAME.routes]]`",
    meaning: "Where keys go by their beginning; there may be any number of them, and of those that fit a key the longest counts. Keys that \
              none fits stay with the pool's own nodes. A pool may have nothing but routes: then one of them has the `prefix` \
              `\"\"`. The pools that they lead to have no routes themselves, and need no `listen`. A `tcp` listener does not go with \
              routes.",
    options: &[&PREFIX, &POOL, &READS, &MIRROR],
    tables: &[],
    later: &[],
};

pub(crate) static PREFIX: Optional<Prefix> = Optional {
    key: "prefix",
    kind: Prefix,
    absent: None,
    example: "\"user:\"",
    meaning: "What the keys begin with; `\"\"`: all that no other route fits.",
    more: "",
};

pub(crate) static POOL: Optional<PoolName> = Optional {
    key: "pool",
    kind: PoolName,
    absent: Some("the pool's own nodes"),
    example: "\"users\"",
    meaning: "The pool whose nodes get their commands.",
    more: "",
};

pub(crate) static READS: Optional<PoolName> = Optional {
    key: "reads",
    kind: PoolName,
    absent: Some("as `pool`"),
    example: "\"old\"",
    meaning: "The pool that commands which only read go to, while its data moves.",
    more: "It may be the pool that has the route: its own nodes.",
};

pub(crate) static MIRROR: Optional<MirrorTable> = Optional {
    key: "mirror",
    kind: MirrorTable,
    absent: Some("nothing is"),
    example: "{ pool = \"shadow\", share = \"10%\", commands = \"writes\" }",
    meaning: "What is sent to another pool as well. Its replies are not waited for, and dropped.",
    more: "",
};

pub(crate) static MIRROR_TABLE: OptionTable = OptionTable {
    path: "",
    place: "`mirror` of a route",
    meaning: "A mirror: `mirror = { pool = \"shadow\", share = \"10%\" }`.",
    options: &[&MIRROR_POOL, &SHARE, &COMMANDS],
    tables: &[],
    later: &[],
};

pub(crate) static MIRROR_POOL: Optional<PoolName> = Optional {
    key: "pool",
    kind: PoolName,
    absent: None,
    example: "\"shadow\"",
    meaning: "The pool that gets them as well.",
    more: "",
};

pub(crate) static SHARE: Setting<Shares> = Setting {
    key: "share",
    kind: Shares,
    default: || Share::ALL,
    meaning: "How many of them, evenly: `\"10%\"`, `\"0.5%\"`, or a number of percent.",
    more: "",
};

pub(crate) static COMMANDS: Setting<Choice<Mirrored>> = Setting {
    key: "commands",
    kind: Choice {
        variants: &[
            Variant { name: "writes", value: Mirrored::Writes, meaning: "those that may write" },
            Variant { name: "reads", value: Mirrored::Reads, meaning: "those that only read" },
            Variant { name: "all", value: Mirrored::All, meaning: "both" },
        ],
        later: &[],
    },
    default: || Mirrored::Writes,
    meaning: "Which commands.",
    more: "",
};

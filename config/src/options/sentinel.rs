//! `[pool.NAME.sentinel]`.

use super::{OptionTable, Optional};
use crate::kinds::{Passwords, Sentinels, Text};

pub(crate) static TABLE: OptionTable = OptionTable {
    path: "pool.NAME.sentinel",
    place: "`[pool.NAME.sentinel]`",
    meaning: "In the place of `servers`: the nodes are those that Redis Sentinels list, and the primary \
              is who a majority of them names. Also written `sentinel = { master = …, sentinels = … }`.",
    options: &[&MASTER, &SENTINELS, &USERNAME, &PASSWORD],
    tables: &["tls"],
    later: &[],
};

pub(crate) static MASTER: Optional<Text> = Optional {
    key: "master",
    kind: Text { example: "mymaster" },
    absent: None,
    example: "\"mymaster\"",
    meaning: "What the Sentinels call the primary (`sentinel monitor NAME …`).",
    more: "",
};

pub(crate) static SENTINELS: Optional<Sentinels> = Optional {
    key: "sentinels",
    kind: Sentinels,
    absent: None,
    example: "[\"10.0.0.1:26379\", \"10.0.0.2:26379\", \"10.0.0.3:26379\"]",
    meaning: "The Sentinels; further ones that they know are found and asked too.",
    more: "A majority is one of all of them, found or named here. A name stands for one Sentinel, whichever of its addresses answers.",
};

pub(crate) static USERNAME: Optional<Text> = Optional {
    key: "username",
    kind: Text { example: "sentinel-user" },
    absent: Some("the default user"),
    example: "\"sentinel-user\"",
    meaning: "The user that the Sentinels know (ACL); the nodes get that of `upstream`.",
    more: "Needs a `password`.",
};

pub(crate) static PASSWORD: Optional<Passwords> = Optional {
    key: "password",
    kind: Passwords,
    absent: Some("none"),
    example: "{ env = \"SENTINEL_PASSWORD\" }",
    meaning: "The password that the Sentinels ask for: a string, `{ env = \"NAME\" }` or `{ file = \"PATH\" }`.",
    more: "As that of `upstream`.",
};

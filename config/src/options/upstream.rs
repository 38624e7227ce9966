//! `[pool.NAME.upstream]`.

use super::{OptionTable, Optional, Setting};
use crate::kinds::{Integers, Passwords, Text};

pub(crate) static TABLE: OptionTable = OptionTable {
    path: "pool.NAME.upstream",
    place: "`[pool.NAME.upstream]`",
    meaning: "How the nodes are reached. The credentials serve the probes always, the clients' commands \
              with `auth = \"none\"`.",
    options: &[&USERNAME, &PASSWORD, &CONNECTIONS],
    tables: &["tls"],
    later: &[],
};

pub(crate) static USERNAME: Optional<Text> = Optional {
    key: "username",
    kind: Text { example: "app" },
    absent: Some("the default user"),
    example: "\"app\"",
    meaning: "The user that the nodes know (ACL).",
    more: "Needs a `password`.",
};

pub(crate) static PASSWORD: Optional<Passwords> = Optional {
    key: "password",
    kind: Passwords,
    absent: Some("none"),
    example: "{ env = \"REDIS_PASSWORD\" }",
    meaning: "The password that the nodes ask for: a string, `{ env = \"NAME\" }` or `{ file = \"PATH\" }`.",
    more: "It never reaches a log, an error or a status page. Of a file the last line end does not count.",
};

pub(crate) static CONNECTIONS: Setting<Integers<usize>> = Setting {
    key: "connections",
    kind: Integers { least: 1, most: 64 },
    default: || 1,
    meaning: "Shared connections per worker and node, for each database, protocol version and credentials.",
    more: "",
};

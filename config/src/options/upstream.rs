//! `[pool.NAME.upstream]`.

use super::{OptionTable, Optional, Setting};
use crate::kinds::{Choice, Integers, Passwords, Text, Variant};
use proxy_protocol::Version;

pub(crate) static TABLE: OptionTable = OptionTable {
    path: "pool.NAME.upstream",
    place: "`[pool.NAME.upstream]`",
    meaning: "How the nodes are reached. The credentials serve the probes always, the clients' commands \
              with `auth = \"none\"`.",
    options: &[&USERNAME, &PASSWORD, &CONNECTIONS, &PROXY_PROTOCOL],
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

pub(crate) static PROXY_PROTOCOL: Optional<Choice<Version>> = Optional {
    key: "proxy_protocol",
    kind: Choice {
        variants: &[
            Variant { name: "v1", value: Version::V1, meaning: "a line of text" },
            Variant { name: "v2", value: Version::V2, meaning: "binary" },
        ],
        later: &[],
    },
    absent: Some("no header; Redis itself does not know it"),
    example: "\"v2\"",
    meaning: "Every connection to a node begins with a header of the PROXY protocol, for nodes behind something that demands one.",
    more: "Of `tcp` listeners it names the client's address. All other connections are many clients', or Redkeel's own: their header \
           says so (LOCAL, in version 1 UNKNOWN).",
};

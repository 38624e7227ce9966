//! The top level, `[log]`, `[dns]` and `[admin]`.

use std::time::Duration;

use super::{OptionTable, Optional, Setting};
use crate::kinds::{AdminAddress, Choice, Durations, Integers, NameServers, Passwords, Variant};
use crate::model::{Endpoint, LogFormat, LogLevel};

pub(crate) static TABLE: OptionTable = OptionTable {
    path: "",
    place: "the top-level table",
    meaning: "The process.",
    options: &[&WORKERS, &DRAIN_TIMEOUT],
    tables: &["log", "dns", "admin", "pool"],
    later: &[],
};

pub(crate) static WORKERS: Optional<Integers<usize>> = Optional {
    key: "workers",
    kind: Integers { least: 1, most: 256 },
    absent: Some("one per CPU, at most 8"),
    example: "2",
    meaning: "Data-plane threads.",
    more: "Each has its own clients and its own connections to the nodes. `redkeel run --workers` wins.",
};

pub(crate) static DRAIN_TIMEOUT: Setting<Durations> = Setting {
    key: "drain_timeout",
    kind: Durations { least: Duration::ZERO, most: Duration::from_secs(3600) },
    default: || Duration::from_secs(25),
    meaning: "How long a shutdown may take after SIGTERM.",
    more: "What is in flight is answered first; what is still open then is closed.",
};

pub(crate) static LOG: OptionTable = OptionTable {
    path: "log",
    place: "`[log]`",
    meaning: "What is logged, and how. Logs go to standard error.",
    options: &[&LEVEL, &FORMAT],
    tables: &[],
    later: &[],
};

pub(crate) static LEVEL: Setting<Choice<LogLevel>> = Setting {
    key: "level",
    kind: Choice {
        variants: &[
            Variant { name: "error", value: LogLevel::Error, meaning: "" },
            Variant { name: "warn", value: LogLevel::Warn, meaning: "" },
            Variant { name: "info", value: LogLevel::Info, meaning: "" },
            Variant { name: "debug", value: LogLevel::Debug, meaning: "" },
            Variant { name: "trace", value: LogLevel::Trace, meaning: "" },
        ],
        later: &[],
    },
    default: || LogLevel::Info,
    meaning: "The least severe level that is logged.",
    more: "",
};

pub(crate) static FORMAT: Setting<Choice<LogFormat>> = Setting {
    key: "format",
    kind: Choice {
        variants: &[
            Variant { name: "text", value: LogFormat::Text, meaning: "for people" },
            Variant { name: "json", value: LogFormat::Json, meaning: "one object a line" },
        ],
        later: &[],
    },
    default: || LogFormat::Text,
    meaning: "How a log line looks.",
    more: "",
};

pub(crate) static DNS: OptionTable = OptionTable {
    path: "dns",
    place: "`[dns]`",
    meaning: "How names in `servers` are resolved: by /etc/hosts, else by DNS. An answer is used for its time to live, \
              but for 1 second at least and 5 minutes at most; when a node of a name does not answer, the name is looked \
              up again at once, and then every second. A lookup that fails, or finds nothing, changes nothing. A node \
              whose address is gone answers what it has been sent, and its connections are closed.",
    options: &[&DNS_SERVERS],
    tables: &[],
    later: &[],
};

pub(crate) static DNS_SERVERS: Setting<NameServers> = Setting {
    key: "servers",
    kind: NameServers,
    default: Vec::new,
    meaning: "The name servers; none: those of /etc/resolv.conf, with its search list.",
    more: "Where they are named here, names are taken as they are: there is no search list.",
};

pub(crate) static ADMIN: OptionTable = OptionTable {
    path: "admin",
    place: "`[admin]`",
    meaning: "The administration endpoint: HTTP with `/metrics`, `/api/v1/status`, `/healthz` and `/readyz`.",
    options: &[&ADMIN_LISTEN, &ADMIN_TOKEN],
    tables: &[],
    later: &[],
};

pub(crate) static ADMIN_TOKEN: Optional<Passwords> = Optional {
    key: "token",
    kind: Passwords,
    absent: Some("changes are accepted on loopback and unix sockets only"),
    example: "{ file = \"/run/secrets/admin\" }",
    meaning: "What a request must show that changes something: `Authorization: Bearer TOKEN`.",
    more: "With it such requests are accepted from everywhere, and without showing it from nowhere. HTTP is not encrypted: beyond a \
           network that you trust, let a TLS terminator stand before the endpoint. `redkeel switchover` takes it from `--token-file` or `REDKEEL_ADMIN_TOKEN`.",
};

pub(crate) static ADMIN_LISTEN: Setting<AdminAddress> = Setting {
    key: "listen",
    kind: AdminAddress,
    default: || Some(Endpoint::Tcp { host: "127.0.0.1".to_owned(), port: 9736 }),
    meaning: "Where it listens; `\"none\"` turns it off.",
    more: "`redkeel run --admin` wins.",
};

//! `[pool.NAME.tls]`, `[pool.NAME.upstream.tls]` and `[pool.NAME.sentinel.tls]`.

use super::{OptionTable, Optional, Setting};
use crate::kinds::{Flag, HostName, OneFile, OneOrMoreFiles};

/// Of every table here.
pub(crate) const KEY: &str = "tls";

pub(crate) static CLIENTS: OptionTable = OptionTable {
    path: "pool.NAME.tls",
    place: "`[pool.NAME.tls]`",
    meaning: "TLS towards clients, 1.2 and 1.3. With this table the pool's TCP listeners speak TLS and its unix sockets do \
              not, unless a listener's `tls` says otherwise. Paths count from the working directory; a file that has changed \
              is taken over within two seconds, for new connections, and one that is broken changes nothing.",
    options: &[&CERTS, &KEYS, &CLIENT_CA],
    tables: &[],
    later: &[],
};

pub(crate) static CERTS: Optional<OneOrMoreFiles> = Optional {
    key: "cert",
    kind: OneOrMoreFiles,
    absent: None,
    example: "\"server.pem\"",
    meaning: "The certificate that clients are shown, in PEM, with the intermediate ones after it.",
    more: "A list of files: the first whose names fit the one that the client asks for (SNI), else the first.",
};

pub(crate) static KEYS: Optional<OneOrMoreFiles> = Optional {
    key: "key",
    kind: OneOrMoreFiles,
    absent: None,
    example: "\"server.key\"",
    meaning: "The private key of `cert`, in PEM and without a passphrase; a list where that is one, in the same order.",
    more: "It may be in the file of the certificate.",
};

pub(crate) static CLIENT_CA: Optional<OneFile> = Optional {
    key: "client_ca",
    kind: OneFile,
    absent: Some("clients need no certificate"),
    example: "\"ca.pem\"",
    meaning: "Clients need a certificate that one of these authorities has signed, in PEM.",
    more: "",
};

pub(crate) static NODES: OptionTable = OptionTable {
    path: "pool.NAME.upstream.tls",
    place: "`[pool.NAME.upstream.tls]`",
    meaning: "The nodes are reached over TLS, 1.2 or 1.3, by probes and clients' commands alike. Also written \
              `tls = { ca = … }`; `tls = {}` trusts the system's authorities. Files are read again as those of `[pool.NAME.tls]`.",
    options: &[&CA, &CERT, &CERT_KEY, &SERVER_NAME, &VERIFY],
    tables: &[],
    later: &[],
};

pub(crate) static SENTINELS: OptionTable = OptionTable {
    path: "pool.NAME.sentinel.tls",
    place: "`[pool.NAME.sentinel.tls]`",
    meaning: "The Sentinels are reached over TLS. The nodes that they list are reached as `upstream` says.",
    options: NODES.options,
    tables: &[],
    later: &[],
};

pub(crate) static CA: Optional<OneFile> = Optional {
    key: "ca",
    kind: OneFile,
    absent: Some("the system's authorities"),
    example: "\"ca.pem\"",
    meaning: "The authorities, in PEM, of which one must have signed the server's certificate.",
    more: "",
};

pub(crate) static CERT: Optional<OneFile> = Optional {
    key: "cert",
    kind: OneFile,
    absent: Some("none is shown"),
    example: "\"client.pem\"",
    meaning: "The certificate that the server is shown, in PEM, where it asks for one (Redis: `tls-auth-clients`).",
    more: "Needs a `key`.",
};

pub(crate) static CERT_KEY: Optional<OneFile> = Optional {
    key: "key",
    kind: OneFile,
    absent: Some("none"),
    example: "\"client.key\"",
    meaning: "The private key of `cert`, in PEM and without a passphrase.",
    more: "",
};

pub(crate) static SERVER_NAME: Optional<HostName> = Optional {
    key: "server_name",
    kind: HostName,
    absent: Some("the host as written in `servers`, or as Sentinel lists it"),
    example: "\"redis.internal\"",
    meaning: "The name, or IP address, that the server's certificate must have; a name is also sent as SNI.",
    more: "A name of `servers` stays the name to check, whatever addresses it resolves to. SRV records name hosts that nobody \
           has vouched for: with `srv:` this option is required.",
};

pub(crate) static VERIFY: Setting<Flag> = Setting {
    key: "verify",
    kind: Flag,
    default: || true,
    meaning: "Whether the server's certificate is verified; `false` is for tests, as `--insecure` of redis-cli.",
    more: "Without it, whoever can answer in the place of a server gets its passwords and its data.",
};

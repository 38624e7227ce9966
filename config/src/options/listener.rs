//! A listener written as a table: `{ address = "…", mode = "…", role = "…" }`.

use super::{OptionTable, Optional, Setting};
use crate::kinds::{Choice, Flag, ListenAddress, ModeName, Networks, Variant};
use crate::model::TcpRole;

pub(crate) static TABLE: OptionTable = OptionTable {
    path: "",
    place: "an entry of `listen`",
    meaning: "An entry of `listen` may be a table: `{ address = \"0.0.0.0:6380\", mode = \"read\" }`.",
    options: &[&ADDRESS, &MODE, &ROLE, &PROXY_PROTOCOL, &ALLOW, &DENY, &TLS],
    tables: &[],
    later: &[],
};

pub(crate) static ADDRESS: Optional<ListenAddress> = Optional {
    key: "address",
    kind: ListenAddress,
    absent: None,
    example: "\"0.0.0.0:6380\"",
    meaning: "Where it listens.",
    more: "",
};

pub(crate) static MODE: Optional<Choice<ModeName>> = Optional {
    key: "mode",
    kind: MODES,
    absent: Some("the pool's `mode`"),
    example: "\"read\"",
    meaning: "What clients get there.",
    more: "",
};

pub(crate) static ROLE: Optional<Choice<TcpRole>> = Optional {
    key: "role",
    kind: Choice {
        variants: &[
            Variant { name: "primary", value: TcpRole::Primary, meaning: "the primary" },
            Variant {
                name: "replica",
                value: TcpRole::Replica,
                meaning: "a node that takes reads",
            },
        ],
        later: &[],
    },
    absent: Some("none; `tcp` listeners need it, others refuse it"),
    example: "\"replica\"",
    meaning: "Which node a `tcp` listener connects its clients to.",
    more: "",
};

pub(crate) static PROXY_PROTOCOL: Setting<Flag> = Setting {
    key: "proxy_protocol",
    kind: Flag,
    default: || false,
    meaning: "Every connection begins with a header of the PROXY protocol, version 1 or 2 (HAProxy's `send-proxy`, `send-proxy-v2`), before TLS where that is spoken.",
    more: "The address that it names is the client's for `allow`, `deny`, `login_failures` and CLIENT INFO. A connection that does not send one \
           within 5 s, or something else, is closed. Whoever reaches this address can claim any other: let nobody but the balancer.",
};

pub(crate) static ALLOW: Optional<Networks> = Optional {
    key: "allow",
    kind: Networks,
    absent: Some("the pool's `allow`"),
    example: "[\"10.0.0.0/8\"]",
    meaning: "Who may connect there, instead of the pool's `allow`.",
    more: "",
};

pub(crate) static DENY: Optional<Networks> = Optional {
    key: "deny",
    kind: Networks,
    absent: Some("the pool's `deny`"),
    example: "[\"10.6.6.0/24\"]",
    meaning: "Who may not connect there, instead of the pool's `deny`.",
    more: "",
};

pub(crate) static TLS: Optional<Flag> = Optional {
    key: "tls",
    kind: Flag,
    absent: Some("as the pool has a `tls` table; never at a unix socket"),
    example: "false",
    meaning: "Whether clients speak TLS there, with the certificate of the pool's `tls`.",
    more: "One pool may have both, as Redis' `port` and `tls-port`: \
           `listen = [\"0.0.0.0:6380\", { address = \"127.0.0.1:6379\", tls = false }]`.",
};

/// The modes of a pool and of a listener.
pub(crate) const MODES: Choice<ModeName> = Choice {
    variants: &[
        Variant {
            name: "split",
            value: ModeName::Split,
            meaning: "writes to the primary, reads by `reads`",
        },
        Variant { name: "write", value: ModeName::Write, meaning: "everything to the primary" },
        Variant {
            name: "read",
            value: ModeName::Read,
            meaning: "reads only, a write gets `-READONLY`",
        },
        Variant {
            name: "tcp",
            value: ModeName::Tcp,
            meaning: "bytes passed through to one node per client; needs a `role`, so it is written \
                      `{ address = \"…\", mode = \"tcp\", role = \"primary\" }`",
        },
    ],
    later: &[],
};

//! A listener written as a table: `{ address = "…", mode = "…", role = "…" }`.

use super::{OptionTable, Optional};
use crate::kinds::{Choice, Flag, ListenAddress, ModeName, Variant};
use crate::model::TcpRole;

pub(crate) static TABLE: OptionTable = OptionTable {
    path: "",
    place: "an entry of `listen`",
    meaning: "An entry of `listen` may be a table: `{ address = \"0.0.0.0:6380\", mode = \"read\" }`.",
    options: &[&ADDRESS, &MODE, &ROLE, &TLS],
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

//! `[pool.NAME.limits]`.

use super::{OptionTable, Setting};
use crate::kinds::{GB, Integers, KB, MB, Sizes};

pub(crate) static TABLE: OptionTable = OptionTable {
    path: "pool.NAME.limits",
    place: "`[pool.NAME.limits]`",
    meaning: "How much of things there may be.",
    options: &[
        &MAX_CLIENTS,
        &MAX_BULK,
        &MAX_REQUEST,
        &MAX_ARGS,
        &CLIENT_OUTPUT,
        &HOLD_BYTES,
        &HOLD_REQUESTS,
        &RETRIES,
        &MAX_PINNED,
        &MAX_LANES,
        &LOGIN_FAILURES,
    ],
    tables: &[],
    later: &[],
};

pub(crate) static MAX_CLIENTS: Setting<Integers<usize>> = Setting {
    key: "max_clients",
    kind: Integers { least: 1, most: 1_000_000 },
    default: || 10_000,
    meaning: "Clients of the pool at one time.",
    more: "",
};

pub(crate) static MAX_BULK: Setting<Sizes> = Setting {
    key: "max_bulk",
    kind: Sizes { least: KB, most: 64 * GB },
    default: || 512 * MB,
    meaning: "One argument (Redis: proto-max-bulk-len).",
    more: "Not more than `max_request`.",
};

pub(crate) static MAX_REQUEST: Setting<Sizes> = Setting {
    key: "max_request",
    kind: Sizes { least: KB, most: 64 * GB },
    default: || GB,
    meaning: "One command.",
    more: "",
};

pub(crate) static MAX_ARGS: Setting<Integers<u32>> = Setting {
    key: "max_args",
    // Redis takes at most INT_MAX (networking.c, processMultibulkBuffer).
    kind: Integers { least: 1, most: i32::MAX as u32 },
    default: || 1 << 20,
    meaning: "Arguments of one command.",
    more: "",
};

pub(crate) static CLIENT_OUTPUT: Setting<Sizes> = Setting {
    key: "client_output",
    kind: Sizes { least: 16 * KB, most: 64 * GB },
    default: || 64 * MB,
    meaning: "Unread replies of one client; beyond, it is closed.",
    more: "",
};

pub(crate) static HOLD_BYTES: Setting<Sizes> = Setting {
    key: "hold_bytes",
    kind: Sizes { least: KB, most: 64 * GB },
    default: || 64 * MB,
    meaning: "All held requests of the pool.",
    more: "",
};

pub(crate) static HOLD_REQUESTS: Setting<Integers<usize>> = Setting {
    key: "hold_requests",
    kind: Integers { least: 1, most: 100_000_000 },
    default: || 100_000,
    meaning: "All held requests of the pool, by their number.",
    more: "About what a node runs within a second: so much longer does everyone wait behind them when there is a node again.",
};

pub(crate) static RETRIES: Setting<Integers<u32>> = Setting {
    key: "retries",
    kind: Integers { least: 0, most: 10 },
    default: || 2,
    meaning: "Further nodes tried for a read after a lost connection.",
    more: "The first is always tried; more than a fifth of the pool's commands, and ten per second, are not sent a third time or more.",
};

pub(crate) static MAX_PINNED: Setting<Integers<usize>> = Setting {
    key: "max_pinned",
    kind: Integers { least: 1, most: 1_000_000 },
    default: || 10_000,
    meaning: "Pinned connections of the pool.",
    more: "A client has one of its own while it watches keys, has a transaction open, blocks, monitors or \
           tracks (two where that is redirected), and for commands that Redkeel does not know; one more than \
           this gets `-LIMIT`. Those that are kept for the next client count as well, and make way.",
};

pub(crate) static MAX_LANES: Setting<Integers<usize>> = Setting {
    key: "max_lanes",
    kind: Integers { least: 1, most: 10_000 },
    default: || 100,
    meaning: "Lanes (shared connections) per worker and node.",
    more: "There is one set for each database, protocol version and credentials in use; unused ones close after \
           60 s. Not less than `connections` of `upstream`.",
};

pub(crate) static LOGIN_FAILURES: Setting<Integers<u32>> = Setting {
    key: "login_failures",
    kind: Integers { least: 0, most: 1_000 },
    default: || 10,
    meaning: "Different wrong passwords that one address may try within 10 s; 0: any number.",
    more: "Further AUTHs from there are refused unseen, the right ones too, until the oldest of the failures is 10 s old; clients that are \
           logged in do not notice. The same wrong password counts once: a service with an outdated one \
           does not lock out its neighbours. IPv6 addresses count by their /64, unix sockets do not count. Where clients come through a \
           balancer they all share its address, unless it speaks the PROXY protocol.",
};

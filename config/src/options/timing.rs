//! `[pool.NAME.health]` and `[pool.NAME.timeouts]`.

use std::time::Duration;

use super::{OptionTable, Setting};
use crate::kinds::{Durations, Integers};

pub(crate) static HEALTH: OptionTable = OptionTable {
    path: "pool.NAME.health",
    place: "`[pool.NAME.health]`",
    meaning: "How nodes are probed.",
    options: &[&INTERVAL, &FAST_INTERVAL, &DOWN_INTERVAL, &RISE, &FALL, &TIMEOUT, &SLOW_START],
    tables: &[],
    later: &[],
};

/// Shorter intervals than these would cost the nodes more than they tell.
const PROBES: Durations = Durations { least: ms(10), most: ms(60_000) };

pub(crate) static INTERVAL: Setting<Durations> = Setting {
    key: "interval",
    kind: PROBES,
    default: || ms(200),
    meaning: "Between two probes of a node.",
    more: "",
};

pub(crate) static FAST_INTERVAL: Setting<Durations> = Setting {
    key: "fast_interval",
    kind: PROBES,
    default: || ms(50),
    meaning: "Between two probes while in doubt.",
    more: "In doubt: a probe has failed, there is no primary, or a failover is suspected. Not more than `interval`.",
};

pub(crate) static DOWN_INTERVAL: Setting<Durations> = Setting {
    key: "down_interval",
    kind: PROBES,
    default: || ms(200),
    meaning: "Between two probes of a node that is down.",
    more: "Not less than `fast_interval`.",
};

pub(crate) static RISE: Setting<Integers<u32>> = Setting {
    key: "rise",
    kind: Integers { least: 1, most: 100 },
    default: || 2,
    meaning: "Good probes in a row until a node is up.",
    more: "",
};

pub(crate) static FALL: Setting<Integers<u32>> = Setting {
    key: "fall",
    kind: Integers { least: 1, most: 100 },
    default: || 3,
    meaning: "Failed probes in a row until a node is down.",
    more: "A refused connect is proof and counts as `fall` at once; timeouts count one each.",
};

pub(crate) static TIMEOUT: Setting<Durations> = Setting {
    key: "timeout",
    kind: PROBES,
    default: || ms(200),
    meaning: "How long a probe may take.",
    more: "",
};

pub(crate) static SLOW_START: Setting<Durations> = Setting {
    key: "slow_start",
    kind: Durations { least: Duration::ZERO, most: ms(3_600_000) },
    default: || Duration::ZERO,
    meaning: "Over which the share of a node that is back grows to its whole; `\"0s\"`: at once.",
    more: "Evenly, from a tenth of its weight, since it became readable. `balance` by `first` or `hash` takes no heed of it.",
};

pub(crate) static TIMEOUTS: OptionTable = OptionTable {
    path: "pool.NAME.timeouts",
    place: "`[pool.NAME.timeouts]`",
    meaning: "How long things may take. A request takes at most `hold` + `request` in all.",
    options: &[&CONNECT, &REQUEST, &HOLD, &CLIENT_IDLE],
    tables: &[],
    later: &[],
};

pub(crate) static CONNECT: Setting<Durations> = Setting {
    key: "connect",
    kind: Durations { least: ms(10), most: ms(60_000) },
    default: || ms(1000),
    meaning: "To connect to a node, with the handshake.",
    more: "",
};

pub(crate) static REQUEST: Setting<Durations> = Setting {
    key: "request",
    kind: Durations { least: ms(10), most: ms(3_600_000) },
    default: || ms(15_000),
    meaning: "From sent to answered.",
    more: "Blocking commands add their own timeout.",
};

pub(crate) static HOLD: Setting<Durations> = Setting {
    key: "hold",
    kind: Durations { least: Duration::ZERO, most: ms(600_000) },
    default: || ms(3000),
    meaning: "How long a request may wait for a primary (or a replica) to exist again.",
    more: "`\"0s\"`: not at all.",
};

pub(crate) static CLIENT_IDLE: Setting<Durations> = Setting {
    key: "client_idle",
    kind: Durations { least: Duration::ZERO, most: ms(720 * 3_600_000) },
    default: || Duration::ZERO,
    meaning: "After which a silent client is closed; `\"0s\"`: never.",
    more: "Subscribed and blocked clients are never idle.",
};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

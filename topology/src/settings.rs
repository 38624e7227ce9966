//! What the reducers are told about a pool.

use std::sync::Arc;
use std::time::Duration;

use crate::Address;

/// How a pool's nodes are probed and judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Between probes of a node that is up.
    pub interval: Duration,
    /// Between probes while in doubt.
    pub fast_interval: Duration,
    /// Between probes of a node that is down.
    pub down_interval: Duration,
    /// Good probes in a row until a node that was down is up.
    pub rise: u32,
    /// Failed probes in a row until a node is down.
    pub fall: u32,
    /// A replica further behind takes no reads while a fitter node lives.
    pub max_lag: Duration,
    /// Between two moves of the primary that nobody ordered.
    pub anti_flap: Duration,
    /// May the primary take reads where no replica can?
    pub primary_takes_reads: bool,
}

impl Default for Settings {
    /// The defaults of the configuration.
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(200),
            fast_interval: Duration::from_millis(50),
            down_interval: Duration::from_millis(200),
            rise: 2,
            fall: 3,
            max_lag: Duration::from_secs(10),
            anti_flap: Duration::from_secs(10),
            primary_takes_reads: true,
        }
    }
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// In any order.
    pub targets: Vec<Target>,
    /// For how long.
    pub ttl: Duration,
    /// Where it is not, a part of the lookup failed, and what was known before stays.
    pub complete: bool,
}

/// One address that a name stands for. Those that are no backups come first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Of lower priority than others of its name: takes reads only while no other replica can.
    pub backup: bool,
    /// Where it is.
    pub address: Address,
}

/// One entry of a pool's `servers`, or one node that a Sentinel lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// As configured.
    pub name: Arc<str>,
    /// Where it is; `None`: the name is to be resolved, and stands for every address it resolves to.
    pub address: Option<Address>,
    /// Share of the traffic.
    pub weight: u32,
    /// Takes reads only while no other replica can.
    pub backup: bool,
    /// The zone that the configuration gives it.
    pub zone: Option<Arc<str>>,
}

impl Server {
    /// A server of which nothing but its name, `host:port`, is known.
    pub fn of(name: Arc<str>) -> Self {
        let address = name.parse().ok().map(Address::Tcp);
        Self { name, address, weight: 1, backup: false, zone: None }
    }
}

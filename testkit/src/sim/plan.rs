//! What the seed decides before the run begins.

use std::sync::Arc;
use std::time::Duration;

use config::{Balance, Context, Mode, Reads, TcpRole};
use fastrand::Rng;
use topology::Time;

use super::net::Quality;

/// What may go wrong in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Nothing: no client ever sees an error.
    Calm,
    /// Clients that do not read, or read and write byte by byte. Nobody else notices.
    Slow,
    /// Lost, slow and refused connections.
    Links,
    /// Servers that die, freeze, restart, and change their roles.
    Nodes,
    /// All of it at once.
    Storm,
}

/// The frame of a run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) weather: Weather,
    pub(crate) pool: Arc<config::Pool>,
    pub(crate) workers: usize,
    pub(crate) servers: usize,
    pub(crate) clients: usize,
    /// Faults end, and everything is repaired.
    pub(crate) busy_until: Time,
    /// Between a primary's silence and the promotion of another.
    pub(crate) down_after: Duration,
    pub(crate) server_link: Quality,
    /// At most so long a Snapshot is on its way to a worker.
    pub(crate) snapshot_delay: Duration,
    /// In percent: what a worker saw never reaches the control plane.
    pub(crate) evidence_loss: u8,
    /// At most so long a change is on its way to a replica.
    pub(crate) replication_delay: Duration,
    /// At most so many bytes are read from a socket in one turn.
    pub(crate) read_max: usize,
    /// The last clients are told to go, not left to close.
    pub(crate) drains: bool,
    pub(crate) serves_stale: bool,
    /// Limits are so low that they are hit.
    pub(crate) tight: bool,
}

impl Plan {
    pub(crate) fn new(weather: Weather, rng: &mut Rng) -> Self {
        let servers = if rng.u8(0..8) == 0 { 2 } else { 3 };
        let tight = !matches!(weather, Weather::Calm | Weather::Slow) && rng.u8(0..5) == 0;
        let rough = weather == Weather::Storm;
        Self {
            weather,
            pool: Arc::new(pool(servers, weather, tight, rng)),
            workers: rng.usize(1..=2),
            servers,
            clients: rng.usize(3..=9),
            busy_until: Time::from_millis(rng.u64(1000..3000)),
            down_after: Duration::from_millis(rng.u64(300..1000)),
            server_link: Quality {
                latency: Duration::from_micros(rng.u64(20..300)),
                jitter: Duration::from_micros(rng.u64(0..300)),
                capacity: rng.usize(16..256) * 1024,
                cuts: rng.u8(0..40),
                partial: rng.u8(0..20),
            },
            snapshot_delay: Duration::from_millis(if rough { rng.u64(0..100) } else { 2 }),
            evidence_loss: if rough { rng.u8(0..30) } else { 0 },
            replication_delay: Duration::from_millis(rng.u64(1..100)),
            read_max: if rng.bool() { 64 * 1024 } else { rng.usize(1..16 * 1024) },
            drains: rng.bool(),
            serves_stale: rng.u8(0..4) > 0,
            tight,
        }
    }

    pub(crate) fn has_faults(&self) -> bool {
        !matches!(self.weather, Weather::Calm | Weather::Slow)
    }

    /// A client's link to its worker.
    pub(crate) fn client_link(&self, rng: &mut Rng) -> Quality {
        Quality {
            latency: Duration::from_micros(rng.u64(10..2000)),
            jitter: Duration::from_micros(rng.u64(0..2000)),
            capacity: rng.usize(8..256) * 1024,
            cuts: rng.u8(0..60),
            partial: rng.u8(0..20),
        }
    }

    /// The mode of the listener that a client comes to.
    pub(crate) fn client_mode(&self, rng: &mut Rng) -> Mode {
        match rng.u8(0..20) {
            0..13 => Mode::Split,
            13..16 => Mode::Write,
            16..18 => Mode::Read,
            18 => Mode::Tcp(TcpRole::Primary),
            _ => Mode::Tcp(TcpRole::Replica),
        }
    }

    /// How long a request may take, and a margin for the way.
    pub(crate) fn patience(&self) -> Duration {
        let timeouts = &self.pool.timeouts;
        timeouts.hold + timeouts.request + Duration::from_millis(500)
    }

    pub(crate) fn topology(&self) -> topology::Settings {
        let health = &self.pool.health;
        topology::Settings {
            interval: health.interval,
            fast_interval: health.fast_interval,
            down_interval: health.down_interval,
            rise: health.rise,
            fall: health.fall,
            max_lag: self.pool.max_lag,
            anti_flap: self.pool.anti_flap,
            primary_takes_reads: !matches!(self.pool.reads, Reads::Replica),
        }
    }
}

fn pool(servers: usize, weather: Weather, tight: bool, rng: &mut Rng) -> config::Pool {
    let context = Context { secrets: &config::NoSecrets, default_workers: 1 };
    let addresses: Vec<String> =
        (0..servers).map(|server| format!("10.0.0.{}:6379", server + 1)).collect();
    let config =
        config::from_command_line(&["127.0.0.1:6379".to_owned()], &addresses, None, &context)
            .unwrap_or_else(|error| panic!("the simulated pool: {error:?}"));
    let mut pool = config.pools.into_iter().next().unwrap_or_else(|| panic!("one pool"));
    let slow = weather == Weather::Slow;
    pool.timeouts.connect = Duration::from_millis(rng.u64(200..600));
    pool.timeouts.request = Duration::from_millis(rng.u64(800..2000));
    pool.timeouts.hold = Duration::from_millis(rng.u64(400..2500));
    pool.anti_flap = Duration::from_millis(rng.u64(0..500));
    // More than two replies that are just not passed on as they come.
    pool.limits.client_output = if slow { 3 << 20 } else { rng.u64(3..32) << 20 };
    pool.limits.retries = rng.u32(0..4);
    pool.upstream.connections = if rng.u8(0..3) == 0 { 2 } else { 1 };
    pool.balance =
        [Balance::LeastConn, Balance::RoundRobin, Balance::First, Balance::Hash][rng.usize(0..4)];
    pool.reads = [
        Reads::PreferReplica,
        Reads::PreferReplica,
        Reads::PreferReplica,
        Reads::Replica,
        Reads::PreferPrimary,
        Reads::Primary,
        Reads::Any,
    ][rng.usize(0..7)];
    if tight {
        pool.limits.hold_bytes = rng.u64(100..20_000);
        pool.limits.max_pinned = rng.usize(1..6);
        pool.limits.max_lanes = rng.usize(1..3);
    }
    pool
}

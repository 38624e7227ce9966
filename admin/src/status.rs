//! The answer of `/api/v1/status`: what every field means is in `docs/api.md`.
//!
//! Fields are only ever added. Who reads an answer must pass over what it does not know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A whole status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The version of Redkeel.
    pub version: String,
    /// Since the process started.
    pub uptime_seconds: f64,
    /// SIGTERM has come: no new clients, the present ones are being answered.
    pub draining: bool,
    /// Version of the picture of the nodes that this status shows.
    pub snapshot_version: u64,
    /// What `recent` and every `…_per_second` are measured over.
    pub window_seconds: f64,
    /// The data-plane threads.
    pub workers: Vec<WorkerStatus>,
    /// In configuration order.
    pub pools: Vec<PoolStatus>,
}

/// One data-plane thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Did it answer within a second? If not, its counters are those of its last answer.
    pub up: bool,
    /// Clients that it serves.
    pub clients: usize,
}

/// One pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoolStatus {
    /// As configured.
    pub name: String,
    /// Where clients connect to.
    pub listeners: Vec<ListenerStatus>,
    /// Where its nodes come from: servers or sentinel; pools, where others have them.
    #[serde(default)]
    pub source: String,
    /// The pools that serve its clients, where it has no nodes of its own: its shards, and those that its routes lead to.
    #[serde(default)]
    pub groups: Vec<String>,
    /// What the Sentinels say; null where the nodes come from elsewhere.
    #[serde(default)]
    pub sentinels: Option<SentinelsStatus>,
    /// Name of the node that writes go to; null: writes are held.
    pub primary: Option<String>,
    /// Why this one, or why none.
    pub why: String,
    /// Why writes are held although there is a primary; null: they are not.
    pub writes_held: Option<String>,
    /// How long ago `primary` last changed.
    pub since_seconds: f64,
    /// Its clients.
    pub clients: ClientsStatus,
    /// What waits for a node to exist.
    pub held: HeldStatus,
    /// Connections to nodes that one client has to itself.
    pub pinned: u64,
    /// Commands that went by the rules for reads.
    pub reads_per_second: f64,
    /// Commands that went to the primary as writes.
    pub writes_per_second: f64,
    /// Error replies that Redkeel itself gave.
    pub errors_per_second: f64,
    /// Error replies that Redkeel itself gave since the start, by kind.
    pub errors: BTreeMap<String, u64>,
    /// Commands sent a second time, since the start.
    pub retries: u64,
    /// What clients waited for.
    pub latency: LatencyStatus,
    /// In configuration order.
    pub nodes: Vec<NodeStatus>,
}

/// Where clients connect to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListenerStatus {
    /// With the real port, where port 0 was configured.
    pub address: String,
    /// split, write, read or tcp.
    pub mode: String,
}

/// What the Sentinels of a pool say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SentinelsStatus {
    /// What they call the primary.
    pub master: String,
    /// The primary that a majority of them names; null: there is no majority.
    pub primary: Option<String>,
    /// The configuration epoch of that; 0 without a majority.
    pub epoch: u64,
    /// How many Sentinels there are known to be.
    pub known: usize,
    /// How many are a majority.
    pub needed: usize,
    /// Why there is no majority; empty where there is one.
    pub why: String,
    /// Each that is asked: those of the configuration, and those that they know.
    pub sentinels: Vec<SentinelStatus>,
}

/// One Sentinel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SentinelStatus {
    /// Its address, as configured or as another one tells it.
    pub name: String,
    /// Does it stand in the configuration?
    pub configured: bool,
    /// Does it answer?
    pub answers: bool,
    /// Does it name the primary that the majority names? One in TILT does not count.
    pub agrees: bool,
    /// It does not trust its clock.
    pub tilt: bool,
    /// The primary that it names; null where it does not answer.
    pub primary: Option<String>,
    /// Its configuration epoch; 0 where it does not answer.
    pub epoch: u64,
    /// Why it does not count, or that it does.
    pub why: String,
}

/// The clients of a pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClientsStatus {
    /// Connected now.
    pub connected: u64,
    /// Accepted since the start.
    pub accepted: u64,
    /// Turned away because of `max_clients`, since the start.
    pub refused: u64,
    /// Closed because they did not read their replies, since the start.
    pub slow_closed: u64,
}

/// What waits for a node to exist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldStatus {
    /// Clients that wait now.
    pub clients: u64,
    /// Bytes of their commands.
    pub bytes: u64,
    /// Commands that waited, since the start.
    pub commands: u64,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// As configured, or its address where a name has several.
    pub name: String,
    /// Where it is connected to.
    pub address: String,
    /// primary, replica or unknown: what it says it is.
    pub role: String,
    /// up, down, or unproven: no probe has been answered yet.
    pub health: String,
    /// May it be sent reads?
    pub readable: bool,
    /// Why it is up or down, readable or not.
    pub why: String,
    /// How long ago `health`, `role` or `readable` last changed.
    pub since_seconds: f64,
    /// How old the newest data of the replica is; null where unknown.
    pub lag_seconds: Option<f64>,
    /// Bytes of the replication stream that it lacks; null where unknown.
    pub lag_bytes: Option<u64>,
    /// The server process's `run_id`; empty until known.
    pub run_id: String,
    /// The server's version; empty until known.
    pub version: String,
    /// Share of the traffic relative to its peers.
    pub weight: u32,
    /// Takes reads only while no other replica can.
    pub backup: bool,
    /// Shared connections.
    pub lanes: u64,
    /// Connections that one client has to itself, that are kept for the next one, or that subscribers share.
    pub pinned: u64,
    /// Commands not answered yet.
    pub in_flight: u64,
    /// Commands handed to it.
    pub commands_per_second: f64,
    /// Error replies of the node.
    pub errors_per_second: f64,
    /// Connections refused or lost, since the start.
    pub connection_failures: u64,
    /// What the node took.
    pub latency: LatencyStatus,
}

/// Latency, lately and all along.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyStatus {
    /// In the last `window_seconds`.
    pub recent: Percentiles,
    /// Since the start.
    pub since_start: Percentiles,
}

/// Percentiles; null where nothing was counted. Each is at most 1/32 too high.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Commands.
    pub count: u64,
    /// Half of them took at most this many microseconds.
    pub p50_us: Option<u64>,
    /// 99 in 100 took at most this many microseconds.
    pub p99_us: Option<u64>,
    /// 999 in 1000 took at most this many microseconds.
    pub p999_us: Option<u64>,
}

//! Every metric: its name, kind, unit, labels and meaning. `docs/metrics.md` is rendered from here.
//!
//! Names follow the OpenMetrics rules: counters end in `_total`, and what has a unit ends in it
//! (before `_total`). Labels are bounded by the configuration: `pool` and `node` by what it names
//! (at most 128 nodes and 32 Sentinels of a pool where Sentinels list them),
//! `kind` and `role` by the lists in the help, `worker` by the number of workers.

/// One metric family.
#[derive(Debug)]
pub(crate) struct Metric {
    /// As it is scraped, with unit and suffix; a histogram's without `_bucket`, `_sum`, `_count`.
    pub(crate) name: &'static str,
    /// How its value behaves.
    pub(crate) kind: Kind,
    /// What its value is measured in.
    pub(crate) unit: Unit,
    /// In the order in which samples give their values.
    pub(crate) labels: &'static [&'static str],
    /// One sentence without a trailing dot.
    pub(crate) help: &'static str,
}

/// How a value behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only grows, from 0 at the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bound, with sum and count.
    Histogram,
    /// Always 1; its labels are the information.
    Info,
}

/// What a value is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Things, or 0 and 1.
    None,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

impl Metric {
    /// The name without what the encoder appends to it: unit, `_total`, `_info`.
    pub(crate) fn stem(&self) -> &'static str {
        let name = match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Info => self.name.strip_suffix("_info").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram => self.name,
        };
        match self.unit {
            Unit::None => name,
            Unit::Seconds => name.strip_suffix("_seconds").unwrap_or(name),
            Unit::Bytes => name.strip_suffix("_bytes").unwrap_or(name),
        }
    }
}

/// Upper bounds of the histograms' buckets, in microseconds; one for everything above follows.
///
/// From what a loopback GET costs to the default request timeout, two or three to a decade.
pub(crate) const BUCKETS_US: [u64; 17] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// Defines each metric once: its constant, the constant's doc comment (the help), and its place in [`ALL`].
macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:ident, $unit:ident, [$($label:literal),*], $help:literal;)*) => {
        $(
            #[doc = $help]
            pub(crate) const $constant: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                unit: Unit::$unit,
                labels: &[$($label),*],
                help: $help,
            };
        )*
        /// Every metric, in the order of the page: the manual is rendered from it.
        #[cfg(test)]
        pub(crate) const ALL: &[&Metric] = &[$(&$constant),*];
    };
}

metrics! {
    BUILD_INFO = "redkeel_build_info", Info, None, ["version"],
        "The version of Redkeel that runs";
    SNAPSHOT_VERSION = "redkeel_snapshot_version", Gauge, None, [],
        "Version of the picture of the nodes that the workers route by; grows with each change";
    DRAINING = "redkeel_draining", Gauge, None, [],
        "1 from SIGTERM until the process ends";
    EVIDENCE_DROPPED = "redkeel_evidence_dropped_total", Counter, None, [],
        "Things that the data plane saw of nodes and did not tell the control plane, because more than enough were waiting";
    WORKER_UP = "redkeel_worker_up", Gauge, None, ["worker"],
        "1 if the worker answered within a second; else 0, and its counters are those of its last answer";
    WORKER_CLIENTS = "redkeel_worker_clients", Gauge, None, ["worker"],
        "Clients that the worker serves";
    PROCESS_START_TIME = "process_start_time_seconds", Gauge, Seconds, [],
        "When the process started, since the Unix epoch";
    PROCESS_CPU = "process_cpu_seconds_total", Counter, Seconds, [],
        "CPU time of the process, user and system";
    PROCESS_RESIDENT_MEMORY = "process_resident_memory_bytes", Gauge, Bytes, [],
        "Memory of the process that is in RAM";
    PROCESS_OPEN_FDS = "process_open_fds", Gauge, None, [],
        "Open file descriptors";
    PROCESS_MAX_FDS = "process_max_fds", Gauge, None, [],
        "How many file descriptors the process may open";

    POOL_WRITABLE = "redkeel_pool_writable", Gauge, None, ["pool"],
        "1 if the pool has a primary that writes go to; 0: writes are held, then fail with NOPRIMARY";
    POOL_READABLE = "redkeel_pool_readable", Gauge, None, ["pool"],
        "1 if some node may be sent reads by the pool's `reads`; 0: reads are held, then fail with NOREPLICA";
    POOL_PRIMARY_CHANGED = "redkeel_pool_primary_changed_timestamp_seconds", Gauge, Seconds, ["pool"],
        "When the pool's primary last changed, was lost or was found, since the Unix epoch";
    POOL_SENTINELS = "redkeel_pool_sentinels", Gauge, None, ["pool"],
        "Sentinels that there are known to be, of which a majority decides; only of pools with `sentinel`";
    POOL_SENTINEL_MAJORITY = "redkeel_pool_sentinel_majority", Gauge, None, ["pool"],
        "1 if a majority of the Sentinels names a primary; 0: the present one stays for as long as it continues";
    SENTINEL_UP = "redkeel_sentinel_up", Gauge, None, ["pool", "sentinel"],
        "1 if the Sentinel answers";
    SENTINEL_AGREES = "redkeel_sentinel_agrees", Gauge, None, ["pool", "sentinel"],
        "1 if the Sentinel names the primary that the majority names";
    SENTINEL_TILT = "redkeel_sentinel_tilt", Gauge, None, ["pool", "sentinel"],
        "1 if the Sentinel is in TILT: it does not trust its clock, and does not count";
    SENTINEL_EPOCH = "redkeel_sentinel_epoch", Gauge, None, ["pool", "sentinel"],
        "The configuration epoch of the primary that the Sentinel names; 0 where it does not answer";
    POOL_SWITCHOVERS = "redkeel_pool_switchovers_total", Counter, None, ["pool", "result"],
        "Switchovers that were ordered; result: `done`, `refused` (nothing was changed), `aborted` (undone), `unclear`";
    POOL_SWITCHOVER_HOLD = "redkeel_pool_switchover_longest_hold_seconds", Gauge, Seconds, ["pool"],
        "The longest time for which a switchover held writes; 0 if none did";
    POOL_CLIENTS = "redkeel_pool_clients", Gauge, None, ["pool"],
        "Connected clients";
    POOL_CLIENTS_ACCEPTED = "redkeel_pool_clients_accepted_total", Counter, None, ["pool"],
        "Clients accepted";
    POOL_TLS_HANDSHAKES = "redkeel_pool_tls_handshakes_total", Counter, None, ["pool", "side", "result"],
        "TLS handshakes; side: `client` or `node` (without probes); result: `full`, `resumed` (the session of an earlier connection) or `failed`";
    POOL_CLIENTS_REFUSED = "redkeel_pool_clients_refused_total", Counter, None, ["pool"],
        "Clients turned away because of `max_clients`";
    POOL_CLIENTS_DENIED = "redkeel_pool_clients_denied_total", Counter, None, ["pool"],
        "Clients turned away by `allow` and `deny`";
    POOL_CLIENTS_HEADERLESS = "redkeel_pool_clients_headerless_total", Counter, None, ["pool"],
        "Connections closed because they did not begin with a header of the PROXY protocol";
    POOL_LOGIN_FAILURES = "redkeel_pool_login_failures_total", Counter, None, ["pool"],
        "Logins that failed for a wrong user or password, here or at a node";
    POOL_LOGINS_REFUSED = "redkeel_pool_logins_refused_total", Counter, None, ["pool"],
        "Logins refused unseen because of `login_failures`";
    POOL_CLIENTS_SLOW_CLOSED = "redkeel_pool_clients_slow_closed_total", Counter, None, ["pool"],
        "Clients closed because they did not read their replies";
    POOL_COMMANDS = "redkeel_pool_commands_total", Counter, None, ["pool", "kind"],
        "Commands read from clients; kind: `read` (went by the rules for reads) or `write` (went to the primary as a write)";
    POOL_ERRORS = "redkeel_pool_errors_total", Counter, None, ["pool", "kind"],
        "Error replies that Redkeel itself gave; see the list of kinds";
    POOL_CLIENT_RECEIVED = "redkeel_pool_client_received_bytes_total", Counter, Bytes, ["pool"],
        "Bytes read from clients";
    POOL_CLIENT_SENT = "redkeel_pool_client_sent_bytes_total", Counter, Bytes, ["pool"],
        "Bytes written to clients";
    POOL_HELD_CLIENTS = "redkeel_pool_held_clients", Gauge, None, ["pool"],
        "Clients whose commands wait for a node to exist";
    POOL_HELD_BYTES = "redkeel_pool_held_bytes", Gauge, Bytes, ["pool"],
        "Bytes of commands that wait for a node to exist";
    POOL_HELD_REQUESTS = "redkeel_pool_held_requests", Gauge, None, ["pool"],
        "Commands that wait for a node to exist";
    POOL_HELD_COMMANDS = "redkeel_pool_held_commands_total", Counter, None, ["pool"],
        "Commands that had to wait for a node to exist";
    POOL_RETRIES = "redkeel_pool_retries_total", Counter, None, ["pool"],
        "Commands sent a second time after a lost connection or a refusal";
    POOL_RETRIES_REFUSED = "redkeel_pool_retries_refused_total", Counter, None, ["pool"],
        "Commands not sent a third time or more, because the pool's retry budget was used up";
    POOL_PINNED = "redkeel_pool_pinned_connections", Gauge, None, ["pool"],
        "Connections to nodes that one client has to itself, in use";
    POOL_SUBSCRIPTION_GAPS = "redkeel_pool_subscription_gaps_total", Counter, None, ["pool"],
        "Subscribers moved to a new connection, who may have missed messages meanwhile";
    POOL_STRAY_PUSHES = "redkeel_pool_stray_pushes_total", Counter, None, ["pool"],
        "Push messages from nodes that no client asked for, dropped";
    POOL_MIRRORS = "redkeel_pool_mirrors_total", Counter, None, ["pool"],
        "Commands of the pool's clients that were copied to a mirror";
    POOL_MIRRORS_DROPPED = "redkeel_pool_mirrors_dropped_total", Counter, None, ["pool"],
        "Commands that were not copied to a mirror because it was behind";
    POOL_DURATION = "redkeel_pool_command_duration_seconds", Histogram, Seconds, ["pool"],
        "What clients waited for: from a command's arrival to its reply's";

    NODE_UP = "redkeel_node_up", Gauge, None, ["pool", "node"],
        "1 if the node answers probes; 0: it does not, or none has been answered yet";
    NODE_ROLE = "redkeel_node_role", Gauge, None, ["pool", "node", "role"],
        "What the node says it is: 1 for one of the roles `primary`, `replica`, `unknown`, 0 for the others";
    NODE_WRITABLE = "redkeel_node_writable", Gauge, None, ["pool", "node"],
        "1 if this is the node that writes go to";
    NODE_READABLE = "redkeel_node_readable", Gauge, None, ["pool", "node"],
        "1 if the node may be sent reads: health, role, lineage, lag and loading are weighed in";
    NODE_LAG = "redkeel_node_lag_seconds", Gauge, Seconds, ["pool", "node"],
        "How long ago the primary wrote the newest data that the replica has; absent where unknown";
    NODE_LAG_BYTES = "redkeel_node_lag_bytes", Gauge, Bytes, ["pool", "node"],
        "How many bytes of the replication stream the replica lacks; absent where unknown";
    NODE_CHANGED = "redkeel_node_changed_timestamp_seconds", Gauge, Seconds, ["pool", "node"],
        "When health, role or readability of the node last changed, since the Unix epoch";
    NODE_COMMANDS = "redkeel_node_commands_total", Counter, None, ["pool", "node"],
        "Commands handed to the node's connections";
    NODE_ERRORS = "redkeel_node_errors_total", Counter, None, ["pool", "node"],
        "Error replies of the node";
    NODE_IN_FLIGHT = "redkeel_node_in_flight_commands", Gauge, None, ["pool", "node"],
        "Commands that the node has not answered yet";
    NODE_CONNECTIONS = "redkeel_node_connections", Gauge, None, ["pool", "node", "kind"],
        "Connections to the node; kind: `lane` (shared) or `pinned` (one client's, kept for the next one, or many subscribers')";
    NODE_CONNECTS = "redkeel_node_connects_total", Counter, None, ["pool", "node"],
        "Connects begun";
    NODE_CONNECT_FAILURES = "redkeel_node_connect_failures_total", Counter, None, ["pool", "node"],
        "Connects refused or not answered in time";
    NODE_CONNECTIONS_LOST = "redkeel_node_connections_lost_total", Counter, None, ["pool", "node"],
        "Established connections that were lost";
    NODE_SENT = "redkeel_node_sent_bytes_total", Counter, Bytes, ["pool", "node"],
        "Bytes written to the node";
    NODE_RECEIVED = "redkeel_node_received_bytes_total", Counter, Bytes, ["pool", "node"],
        "Bytes read from the node";
    NODE_DURATION = "redkeel_node_command_duration_seconds", Histogram, Seconds, ["pool", "node"],
        "What the node took: from a command's hand-over to its connection to the reply";
}

//! What a worker counts. Each worker has its own plain numbers; a copy is asked for by mail and the copies are summed.

use histogram::Histogram;

use crate::NodeId;

/// The counters of one worker, at one moment.
#[derive(Clone, Debug, Default)]
pub struct WorkerCounts {
    /// By [`crate::PoolId`].
    pub pools: Vec<PoolCounts>,
}

/// The counters of one pool in one worker. Names ending in `_total` only grow; the others are gauges.
#[derive(Clone, Debug)]
pub struct PoolCounts {
    /// Connected clients.
    pub clients: u64,
    /// Clients accepted.
    pub clients_total: u64,
    /// Clients turned away because of `max_clients`.
    pub clients_refused_total: u64,
    /// Clients turned away by `allow` and `deny`.
    pub clients_denied_total: u64,
    /// Connections closed for want of a header of the PROXY protocol.
    pub clients_headerless_total: u64,
    /// Logins that failed for a wrong user or password.
    pub login_failures_total: u64,
    /// Logins refused unseen, after too many failures from the same address.
    pub logins_refused_total: u64,
    /// TLS handshakes with clients, by [`Handshake`].
    pub tls_clients_total: [u64; Handshake::ALL.len()],
    /// TLS handshakes with nodes, by [`Handshake`].
    pub tls_nodes_total: [u64; Handshake::ALL.len()],
    /// Clients closed because their unread replies passed `client_output`, or they read nothing for `request`.
    pub clients_slow_closed_total: u64,
    /// Commands read from clients that went by the rules for reads.
    pub reads_total: u64,
    /// Commands read from clients that went to the primary as writes.
    pub writes_total: u64,
    /// Bytes read from clients.
    pub client_bytes_in_total: u64,
    /// Bytes written to clients.
    pub client_bytes_out_total: u64,
    /// Error replies that Redkeel itself gave, by kind.
    pub errors_total: [u64; ErrorKind::ALL.len()],
    /// Clients whose commands wait for a node to exist.
    pub held: u64,
    /// Bytes of held commands.
    pub held_bytes: u64,
    /// Held commands.
    pub held_requests: u64,
    /// Commands that waited for a node to exist.
    pub held_total: u64,
    /// Commands sent a second time after a lost connection or a refusal.
    pub retries_total: u64,
    /// Commands not sent a third time or more, because the pool's retry budget was used up.
    pub retries_refused_total: u64,
    /// Pinned connections in use.
    pub pinned: u64,
    /// Subscribers moved to a new connection, who may have missed messages meanwhile.
    pub subscription_gaps_total: u64,
    /// Pushes that nobody asked for on a lane, dropped.
    pub stray_pushes_total: u64,
    /// Commands copied to a pool that mirrors this one.
    pub mirrors_total: u64,
    /// Those not copied because that pool was behind.
    pub mirrors_dropped_total: u64,
    /// From a command's arrival to its reply's, in microseconds: what a client waited for.
    pub latency: Histogram,
    /// By node; only nodes that this worker has known.
    pub nodes: Vec<(NodeId, NodeCounts)>,
}

impl Default for PoolCounts {
    fn default() -> Self {
        Self {
            clients: 0,
            clients_total: 0,
            clients_refused_total: 0,
            clients_denied_total: 0,
            clients_headerless_total: 0,
            login_failures_total: 0,
            logins_refused_total: 0,
            tls_clients_total: [0; Handshake::ALL.len()],
            tls_nodes_total: [0; Handshake::ALL.len()],
            clients_slow_closed_total: 0,
            reads_total: 0,
            writes_total: 0,
            client_bytes_in_total: 0,
            client_bytes_out_total: 0,
            errors_total: [0; ErrorKind::ALL.len()],
            held: 0,
            held_bytes: 0,
            held_requests: 0,
            held_total: 0,
            retries_total: 0,
            retries_refused_total: 0,
            pinned: 0,
            subscription_gaps_total: 0,
            stray_pushes_total: 0,
            mirrors_total: 0,
            mirrors_dropped_total: 0,
            latency: latency_histogram(),
            nodes: Vec::new(),
        }
    }
}

/// The counters of one node in one worker.
#[derive(Clone, Debug)]
pub struct NodeCounts {
    /// Commands handed to this node's connections.
    pub commands_total: u64,
    /// Error replies of the node.
    pub errors_total: u64,
    /// Commands not yet answered.
    pub in_flight: u64,
    /// Shared connections.
    pub lanes: u64,
    /// Pinned connections, in use or kept for the next client.
    pub pinned: u64,
    /// Connects begun.
    pub connects_total: u64,
    /// Connects refused or not answered in time.
    pub connect_failures_total: u64,
    /// Established connections that were lost.
    pub lost_total: u64,
    /// Bytes written to the node.
    pub bytes_out_total: u64,
    /// Bytes read from the node.
    pub bytes_in_total: u64,
    /// From a command's hand-over to its reply, in microseconds.
    pub latency: Histogram,
}

impl Default for NodeCounts {
    fn default() -> Self {
        Self {
            commands_total: 0,
            errors_total: 0,
            in_flight: 0,
            lanes: 0,
            pinned: 0,
            connects_total: 0,
            connect_failures_total: 0,
            lost_total: 0,
            bytes_out_total: 0,
            bytes_in_total: 0,
            latency: latency_histogram(),
        }
    }
}

/// An empty histogram of microseconds: values to 2^32 µs (71 minutes), within 1/32.
pub fn latency_histogram() -> Histogram {
    // 5 bits of precision up to 2^32: 896 buckets. The arguments are constants that the library accepts.
    #[expect(clippy::unwrap_used, reason = "constant arguments, covered by a test")]
    Histogram::new(5, 32).unwrap()
}

/// How a TLS handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Handshake {
    /// With a new session.
    Full,
    /// With the session of an earlier connection.
    Resumed,
    /// Not at all.
    Failed,
}

impl Handshake {
    /// All of them, each at its own index.
    pub const ALL: [Self; 3] = [Self::Full, Self::Resumed, Self::Failed];

    /// As written in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Resumed => "resumed",
            Self::Failed => "failed",
        }
    }
}

/// The kinds of error reply that Redkeel itself gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// `-NOPRIMARY`: no primary within `hold`.
    NoPrimary,
    /// `-NOREPLICA`: no node for a read within `hold`.
    NoReplica,
    /// `-OUTCOMEUNKNOWN`: a write was sent and its answer was lost.
    OutcomeUnknown,
    /// `-LIMIT`: one of Redkeel's limits.
    Limit,
    /// `-EXECABORT`: the connection of an open transaction was lost.
    ExecAbort,
    /// `-READONLY`: a write on a `read` endpoint.
    ReadOnly,
    /// `-CROSSSHARD`: a command whose keys are on several shards, or that several could not do as one.
    CrossShard,
    /// A command that is refused by configuration or always.
    Refused,
    /// A broken frame; the client is closed.
    Protocol,
    /// `-NOAUTH`, `-WRONGPASS`, `-NOPERM`, where Redkeel itself knows the users; a login refused after too many failed.
    Denied,
    /// Any other error in Redis' own words: unknown command, wrong number of arguments, …
    Command,
}

impl ErrorKind {
    /// All of them, in the order of [`PoolCounts::errors_total`].
    pub const ALL: [Self; 11] = [
        Self::NoPrimary,
        Self::NoReplica,
        Self::OutcomeUnknown,
        Self::Limit,
        Self::ExecAbort,
        Self::ReadOnly,
        Self::CrossShard,
        Self::Refused,
        Self::Protocol,
        Self::Denied,
        Self::Command,
    ];

    /// As written in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoPrimary => "no_primary",
            Self::NoReplica => "no_replica",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Limit => "limit",
            Self::ExecAbort => "exec_abort",
            Self::ReadOnly => "read_only",
            Self::CrossShard => "cross_shard",
            Self::Refused => "refused",
            Self::Protocol => "protocol",
            Self::Denied => "denied",
            Self::Command => "command",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latency_histogram_can_be_made_and_takes_an_hour() {
        let mut histogram = latency_histogram();
        assert!(histogram.increment(3_600_000_000).is_ok());
    }

    #[test]
    fn each_kind_stands_at_its_own_index() {
        for (index, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
        for (index, handshake) in Handshake::ALL.into_iter().enumerate() {
            assert_eq!(handshake as usize, index);
        }
    }
}

//! What a checked configuration means: every value typed, every default filled in.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use routing::Balance;

use crate::network::Network;

pub use crate::sharding::{
    Mirror, Mirrored, OnShardDown, Route, RouteTarget, ShardConfig, Shards, Share,
};
pub use crate::user::{PasswordDigest, Patterns, User, authenticate};

/// A whole, checked configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Data-plane threads.
    pub workers: usize,
    /// How long a shutdown may take after SIGTERM.
    pub drain_timeout: Duration,
    /// What is logged, and how.
    pub log: Log,
    /// How names are resolved.
    pub dns: Dns,
    /// The administration endpoint.
    pub admin: Admin,
    /// In file order; a pool's index is its `topology::PoolId`.
    pub pools: Vec<Pool>,
}

impl Config {
    /// The index of the pool of this name.
    pub fn pool_index(&self, name: &str) -> Option<usize> {
        self.pools.iter().position(|pool| pool.name == name)
    }
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// error, warn, info, debug or trace.
    pub level: LogLevel,
    /// Text for people, JSON for machines.
    pub format: LogFormat,
}

/// The least severe level that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How names are resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Dns {
    /// The name servers; empty: the system's.
    pub servers: Vec<SocketAddr>,
}

/// The administration endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    /// `None`: off.
    pub listen: Option<Endpoint>,
    /// What changes anything has to show it, if there is one.
    pub token: Option<Secret>,
}

/// A place to listen at or to connect to, before names are resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// A name or an IP address (without brackets), and a port.
    Tcp {
        /// The name or IP address.
        host: String,
        /// The port; 0 listens on a free one.
        port: u16,
    },
    /// A unix stream socket.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One entry of a pool's `servers`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServerName {
    /// A node, or each address that its name resolves to.
    At(Endpoint),
    /// The targets of this name's SRV records.
    Service(String),
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(endpoint) => endpoint.fmt(f),
            Self::Service(name) => write!(f, "srv:{name}"),
        }
    }
}

/// One pool: its listeners, its nodes, and how commands find them.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// The name after `pool.`.
    pub name: String,
    /// At least one; none where only routes of other pools lead here.
    pub listeners: Vec<Listener>,
    /// Where its nodes come from.
    pub source: Source,
    /// What goes elsewhere by the beginning of its key, in file order, each prefix once.
    pub routes: Vec<Route>,
    /// Which nodes take reads.
    pub reads: Reads,
    /// How one is chosen among those that may take a read.
    pub balance: Balance,
    /// Who checks a client's credentials.
    pub auth: Auth,
    /// A replica further behind takes no reads while a fitter node lives.
    pub max_lag: Duration,
    /// May a write be sent again when its outcome is unknown?
    pub retry_writes: RetryWrites,
    /// Between two moves of the primary that Redkeel itself decides.
    pub anti_flap: Duration,
    /// Commands refused, in upper case: `NAME` or `NAME SUBCOMMAND`.
    pub refuse: Vec<String>,
    /// This proxy's zone.
    pub zone: Option<String>,
    /// What is particular to one node, by the text of its [`ServerName`], or as Sentinel lists it.
    pub nodes: BTreeMap<String, NodeOptions>,
    /// How nodes are probed.
    pub health: Health,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// How much of things there may be.
    pub limits: Limits,
    /// How the nodes are reached.
    pub upstream: Upstream,
    /// With `auth = "users"`: at least one.
    pub users: Vec<User>,
    /// Towards clients, at the listeners that speak it.
    pub tls: Option<ServerTls>,
}

impl Pool {
    /// The nodes of a pool that is one replication group, as the configuration names them; none where
    /// Sentinels list them.
    pub fn servers(&self) -> &[ServerName] {
        match &self.source {
            Source::Servers(servers) => servers,
            Source::Sentinel(_) | Source::Shards(_) | Source::Routes => &[],
        }
    }
}

/// Where the nodes of a pool come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// At least one. A name stands for every address that it resolves to.
    Servers(Vec<ServerName>),
    /// Redis Sentinels list them, and say who the primary is.
    Sentinel(Sentinel),
    /// Several replication groups, over which the keys are spread.
    Shards(Shards),
    /// It has none: its `routes` lead all keys to other pools.
    Routes,
}

/// The Sentinels of a pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Sentinel {
    /// What they call the primary.
    pub master: String,
    /// At least one; others are found by asking them.
    pub sentinels: Vec<Endpoint>,
    /// What they ask for.
    pub credentials: Option<Credentials>,
    /// `None`: they are reached without.
    pub tls: Option<ClientTls>,
}

/// One address that clients connect to.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// Where.
    pub address: Endpoint,
    /// What clients get there.
    pub mode: Mode,
    /// Connections begin with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// Who may connect; `None`: everyone.
    pub allow: Option<Vec<Network>>,
    /// Who may not.
    pub deny: Vec<Network>,
    /// Do they speak TLS? If so the pool has a [`ServerTls`].
    pub tls: bool,
}

impl Listener {
    /// May somebody connect from there?
    pub fn admits(&self, address: IpAddr) -> bool {
        let within = |networks: &[Network]| networks.iter().any(|own| own.contains(address));
        !within(&self.deny) && self.allow.as_deref().is_none_or(within)
    }
}

/// What clients get at a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Writes to the primary, reads by `reads`.
    Split,
    /// Everything to the primary.
    Write,
    /// Reads only; a write gets -READONLY.
    Read,
    /// Bytes passed through to one node per client.
    Tcp(TcpRole),
}

impl Mode {
    /// As written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Write => "write",
            Self::Read => "read",
            Self::Tcp(_) => "tcp",
        }
    }
}

/// Which node a `tcp` listener connects its clients to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TcpRole {
    /// The primary.
    Primary,
    /// A node that takes reads.
    Replica,
}

/// Which nodes take reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reads {
    /// Replicas; the primary while there is none.
    PreferReplica,
    /// Replicas only.
    Replica,
    /// The primary; replicas while there is none.
    PreferPrimary,
    /// The primary only.
    Primary,
    /// All alike.
    Any,
}

impl Reads {
    /// As written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreferReplica => "prefer-replica",
            Self::Replica => "replica",
            Self::PreferPrimary => "prefer-primary",
            Self::Primary => "primary",
            Self::Any => "any",
        }
    }
}

/// Who checks a client's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Auth {
    /// The nodes: a client's AUTH goes to them.
    PassThrough,
    /// Redkeel, by the pool's users: the nodes see `upstream`'s credentials.
    Users,
    /// Nobody: the nodes see `upstream`'s credentials.
    None,
}

/// May a write be sent again when its outcome is unknown?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetryWrites {
    /// No: the client is told `-OUTCOMEUNKNOWN`.
    Never,
    /// Those that have the same effect twice.
    Idempotent,
}

/// What is particular to one node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeOptions {
    /// Share of the traffic relative to its peers, 0 to 1000.
    pub weight: u32,
    /// The node's zone.
    pub zone: Option<String>,
    /// Takes reads only while no other replica can.
    pub backup: bool,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self { weight: 1, zone: None, backup: false }
    }
}

/// How nodes are probed.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// Between probes of a node that is up.
    pub interval: Duration,
    /// Between probes while in doubt.
    pub fast_interval: Duration,
    /// Between probes of a node that is down.
    pub down_interval: Duration,
    /// Good probes in a row until a node is up.
    pub rise: u32,
    /// Failed probes in a row until a node is down.
    pub fall: u32,
    /// How long a probe may take.
    pub timeout: Duration,
    /// Over which the share of a node that is back grows to its whole.
    pub slow_start: Duration,
}

/// How long things may take.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeouts {
    /// To connect to a node, with its handshake.
    pub connect: Duration,
    /// From sent to answered.
    pub request: Duration,
    /// How long a command may wait for a node to exist.
    pub hold: Duration,
    /// After which a silent client is closed; zero: never.
    pub client_idle: Duration,
}

/// How much of things there may be.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Clients of the pool.
    pub max_clients: usize,
    /// Bytes of one argument.
    pub max_bulk: u64,
    /// Bytes of one command.
    pub max_request: u64,
    /// Arguments of one command.
    pub max_args: u32,
    /// Bytes of unread replies of one client.
    pub client_output: u64,
    /// Bytes of all held commands of the pool.
    pub hold_bytes: u64,
    /// Held commands of the pool.
    pub hold_requests: usize,
    /// Further nodes tried for a read after a lost connection.
    pub retries: u32,
    /// Pinned connections of the pool.
    pub max_pinned: usize,
    /// Lanes per worker and node.
    pub max_lanes: usize,
    /// Different wrong passwords from one address within 10 s; 0: any number.
    pub login_failures: u32,
}

/// How the nodes are reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// Credentials for the probes, and with `auth = "none"` and `"users"` for the clients' commands.
    pub credentials: Option<Credentials>,
    /// Shared connections per worker, node, database, protocol and credentials.
    pub connections: usize,
    /// Connections to the nodes begin with a header of the PROXY protocol.
    pub proxy_protocol: Option<proxy_protocol::Version>,
    /// `None`: they are reached without.
    pub tls: Option<ClientTls>,
}

/// TLS towards clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// At least one; the first is for clients that ask for no name, or for an unknown one.
    pub certificates: Vec<Certificate>,
    /// Whose certificates clients must have; `None`: they need none.
    pub client_ca: Option<PathBuf>,
}

/// TLS towards nodes or Sentinels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTls {
    /// Who must have signed the server's certificate; `None`: an authority of the system.
    pub ca: Option<PathBuf>,
    /// What the server is shown.
    pub certificate: Option<Certificate>,
    /// What the server's certificate must be for; `None`: the host that is connected to, as configured.
    pub server_name: Option<String>,
    /// Is the server's certificate verified?
    pub verify: bool,
}

/// A certificate in two files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The chain, the own certificate first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// A user name and a password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// `None`: the default user, by the one-argument form of AUTH.
    pub username: Option<String>,
    /// Never shown.
    pub password: Secret,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A text that no log, error or status shows.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Is this the same text? It takes as long to say no as to say yes.
    pub fn matches(&self, other: &[u8]) -> bool {
        PasswordDigest::of(self.0.as_bytes()).matches(PasswordDigest::of(other))
    }

    /// The text itself, for the wire only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

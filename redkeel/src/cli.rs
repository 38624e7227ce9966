//! The command line: what may be typed, and its help.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// One address in front of a Redis or Valkey primary and its replicas.
///
/// Redkeel finds out which node is what, sends writes to the primary and reads to the replicas, and hides
/// crashes, restarts and failovers from the clients.
#[derive(Debug, Parser)]
#[command(
    name = "redkeel",
    version,
    after_help = "\
Example:
  redkeel run --listen 127.0.0.1:6379 --servers 10.0.0.1:6379,10.0.0.2:6379,10.0.0.3:6379

Exit codes: 0, 64 for bad usage or configuration, 70 for an internal fault, 1 otherwise."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the proxy
    Run(RunArgs),
    /// Check a configuration file and print what is wrong with it
    Check(CheckArgs),
    /// Print the configuration of another proxy as one of Redkeel's
    Import(ImportArgs),
    /// Say where a command would go, without sending anything
    Explain(ExplainArgs),
    /// Show the pools and nodes of a running proxy
    Status(StatusArgs),
    /// Change the primary of a pool, without an error for any client
    Switchover(SwitchoverArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  redkeel run -c /etc/redkeel.toml
  redkeel run --listen 127.0.0.1:6379 --servers 10.0.0.1:6379,10.0.0.2:6379 --mode split

What the command line says wins over the file. SIGTERM or SIGINT: no new clients, the present ones are
answered, then the process ends; a second one ends it at once.")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Data-plane threads [default: the CPUs, at most 8]
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,
    /// Address of the administration endpoint, or none [default: 127.0.0.1:9736]
    #[arg(long, value_name = "ADDR|none")]
    pub(crate) admin: Option<String>,
    /// How long clients may take to finish after SIGTERM [default: 25s]
    #[arg(long, value_name = "DURATION")]
    pub(crate) drain_timeout: Option<String>,
}

/// A file, or one pool without a file.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["listen", "servers", "mode"])]
    pub(crate) config: Option<PathBuf>,
    /// Where clients connect to: HOST:PORT or unix:/PATH
    #[arg(long, value_name = "ADDR", value_delimiter = ',', requires = "servers")]
    pub(crate) listen: Vec<String>,
    /// The nodes, separated by commas; their roles are found out
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', requires = "listen")]
    pub(crate) servers: Vec<String>,
    /// What clients get: split, write (all to the primary) or read [default: split]
    #[arg(long, value_name = "MODE", requires = "listen")]
    pub(crate) mode: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  redkeel check /etc/redkeel.toml && systemctl restart redkeel

Exit codes: 0 if the file is right, 64 if it is not.")]
pub(crate) struct CheckArgs {
    /// The configuration file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  redkeel import nutcracker /etc/nutcracker.yml > redkeel.toml && redkeel check redkeel.toml
  redkeel import haproxy /etc/haproxy/haproxy.cfg > redkeel.toml

The file is printed with comments on what was decided; stderr lists each directive that it could not carry
over, with its line. docs/importing.md tells more.

Exit codes: 0 if a file was printed, whatever is left over; 64 if there is nothing to print.")]
pub(crate) struct ImportArgs {
    /// Whose configuration it is
    #[arg(value_enum)]
    pub(crate) format: ImportFormat,
    /// Its configuration file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ImportFormat {
    /// HAProxy: proxies in TCP mode before Redis
    Haproxy,
    /// twemproxy: every key stays where it is
    Nutcracker,
    /// Envoy: `redis_proxy` filters and their clusters, in YAML or JSON
    Envoy,
    /// predixy, with the files that it includes
    Predixy,
}

impl From<ImportFormat> for import::Format {
    fn from(format: ImportFormat) -> Self {
        match format {
            ImportFormat::Haproxy => Self::Haproxy,
            ImportFormat::Nutcracker => Self::Nutcracker,
            ImportFormat::Envoy => Self::Envoy,
            ImportFormat::Predixy => Self::Predixy,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  redkeel explain -c /etc/redkeel.toml SET user:1 x
  redkeel explain BLPOP queue 0

Of a pool with shards or routes: also which shard, by which route, hash and point, or how it is split.
Without a file: for a pool with the default options, in each mode.")]
pub(crate) struct ExplainArgs {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The command and its arguments, as a client would send them
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  redkeel status
  redkeel status --admin 10.0.0.9:9736 --json | jq '.pools[].primary'")]
pub(crate) struct StatusArgs {
    /// The proxy's administration endpoint [default: $REDKEEL_ADMIN, else 127.0.0.1:9736]
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin: Option<String>,
    /// Print the answer as JSON (docs/api.md)
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  redkeel switchover main
  redkeel switchover main --to 10.0.0.2:6379
  redkeel switchover main/shard1

Writes are held in the proxy for some milliseconds, the primary hands over, the other replicas follow the new
one. Where it does not come about, the primary is who it was. Where the pool's nodes come from Sentinels, these choose
and promote the new one; --to can then name only the one that they can choose.

Exit codes: 0 if it is done, 64 for bad usage, 1 if it is not done; stderr says why.")]
pub(crate) struct SwitchoverArgs {
    /// The pool, as the configuration names it; of a pool with shards POOL/SHARD
    #[arg(value_name = "POOL")]
    pub(crate) pool: String,
    /// The replica that becomes the primary [default: the one that is least behind, or that
    /// Sentinel chooses]
    #[arg(long, value_name = "NODE")]
    pub(crate) to: Option<String>,
    /// The proxy's administration endpoint [default: $REDKEEL_ADMIN, else 127.0.0.1:9736]
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin: Option<String>,
    /// File with the token of the endpoint, where its [admin] has one [default: $REDKEEL_ADMIN_TOKEN]
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Print the answer as JSON (docs/api.md)
    #[arg(long)]
    pub(crate) json: bool,
}

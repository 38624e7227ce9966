//! From a file to a checked [`Config`].
//!
//! [`load`] parses a text, checks everything in it and says all that is wrong at once, each with its place
//! and with what to do about it ([`Diagnostics`]). Every option is defined once, in `options`: the parser,
//! [`reference_page`] and [`sample_file`] are made from that.
//!
//! This crate does no I/O: texts come in as arguments, secrets through [`Secrets`].

mod arguments;
mod bounds;
mod diagnostics;
mod groups;
mod hidden;
mod kinds;
mod listeners;
mod load;
mod mask;
mod model;
mod network;
mod nodes;
mod options;
mod pool;
mod reference;
mod render;
mod routes;
mod secret;
mod section;
mod sharding;
mod shards;
mod source;
mod suggest;
mod syntax;
mod tls;
mod tree;
mod user;
mod users;

pub use arguments::{Overrides, from_command_line};
pub use diagnostics::{Diagnostic, Diagnostics, Severity};
pub use groups::{group_name, own_group_name};
pub use load::{Context, Loaded, load};
pub use model::{
    Admin, Auth, Certificate, ClientTls, Config, Credentials, Dns, Endpoint, Health, Limits,
    Listener, Log, LogFormat, LogLevel, Mirror, Mirrored, Mode, NodeOptions, OnShardDown,
    PasswordDigest, Patterns, Pool, Reads, RetryWrites, Route, RouteTarget, Secret, Sentinel,
    ServerName, ServerTls, ShardConfig, Shards, Share, Source, TcpRole, Timeouts, Upstream, User,
    authenticate,
};
pub use network::Network;
pub use proxy_protocol::Version as ProxyVersion;
pub use reference::{reference_page, sample_file};
pub use routing::{Balance, CharSign, Distribution, Hash, Sharding};
pub use secret::{NoSecrets, Secrets};
pub use tls::CertificateFile;

//! TLS towards clients, nodes and Sentinels: from the files of a configuration to what rustls needs, again whenever
//! they change.
//!
//! Everything is shared by all threads: certificates, and with them the sessions that may be resumed.

mod client;
mod files;
mod from_files;
mod names;
mod pools;
mod reason;
mod server;
mod unverified;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use client::Client;
pub use files::{Error, check_authorities, check_certificate};
pub use pools::{PoolTls, Pools};
pub use reason::{Side, reason};
pub use server::Server;

/// The one library of cryptography. Its suites are those of TLS 1.3, and of 1.2 those with forward secrecy and AEAD.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

//! Headers of the PROXY protocol, versions 1 and 2: before its first byte a connection says whose it is
//! (HAProxy's `doc/proxy-protocol.txt`).

mod read;
mod write;

use std::net::SocketAddr;

pub use read::{Malformed, Parsed, parse};

/// The longest header that is read: far more than a balancer's additions (TLVs) need.
pub const MAX_HEADER: usize = 4096;

/// What every header of version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest header of version 1, with its line end.
const MAX_LINE: usize = 107;

/// Between which addresses a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Who connected.
    pub source: SocketAddr,
    /// To what.
    pub destination: SocketAddr,
}

/// How a header is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

impl Version {
    /// The header of a connection on behalf of a client; without addresses it says that the connection is nobody else's.
    pub fn header(self, addresses: Option<Addresses>) -> Vec<u8> {
        match self {
            Self::V1 => write::line(addresses),
            Self::V2 => write::binary(addresses),
        }
    }
}

//! How the I/O layer and the engine name connections, and what the engine asks of the I/O layer.

use std::net::SocketAddr;
use std::sync::Arc;

use topology::{Address, Evidence, PeerMail, PoolId};

use crate::slots::Key;

const UPSTREAM: u64 = 1 << 63;

/// One connection, to a client or to a node. Never reused: a late event of a closed connection finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(u64);

impl ConnId {
    pub(crate) fn client(key: Key) -> Self {
        Self(u64::from(key.generation) << 32 | u64::from(key.index))
    }

    pub(crate) fn upstream(key: Key) -> Self {
        Self(UPSTREAM | u64::from(key.generation) << 32 | u64::from(key.index))
    }

    /// From [`Self::to_bits`].
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// As a number, for an event loop's token.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// Is it a connection to a node?
    pub fn is_upstream(self) -> bool {
        self.0 & UPSTREAM != 0
    }

    /// A small number, unique among the living connections of its side: for a vector of sockets.
    pub fn index(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }

    pub(crate) fn key(self) -> Key {
        Key {
            index: (self.0 & 0xffff_ffff) as u32,
            generation: ((self.0 & !UPSTREAM) >> 32) as u32,
        }
    }
}

/// Where a client's connection comes from: as a balancer's PROXY header says, where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The client's side.
    pub address: Address,
    /// The listener's side.
    pub local: Address,
    /// The number of its socket in this process.
    pub descriptor: i32,
}

impl Caller {
    /// Nothing is known of it.
    pub fn unknown() -> Self {
        let nowhere = Address::Unix(std::path::PathBuf::new());
        Self { address: nowhere.clone(), local: nowhere, descriptor: -1 }
    }

    /// The client's address; none for a unix socket.
    pub fn source(&self) -> Option<SocketAddr> {
        tcp(&self.address)
    }

    /// The address that it connected to; none for a unix socket.
    pub fn destination(&self) -> Option<SocketAddr> {
        tcp(&self.local)
    }
}

fn tcp(address: &Address) -> Option<SocketAddr> {
    match address {
        Address::Tcp(address) => Some(*address),
        Address::Unix(_) => None,
    }
}

/// Why a client was turned away before it got here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnedAway {
    /// There are `max_clients` already.
    Full,
    /// By `allow` and `deny`.
    Denied,
    /// It did not begin with a header of the PROXY protocol.
    Headerless,
}

/// What the engine asks of the I/O layer, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect to a node; answered by `connected` or `closed`.
    Connect {
        /// The connection's name from now on.
        conn: ConnId,
        /// Where.
        address: Address,
        /// What goes before everything else, in the clear: a header of the PROXY protocol, or nothing.
        preface: Box<[u8]>,
        /// Of this pool.
        pool: PoolId,
        /// As configured: whom its certificate must be for, where TLS is spoken.
        server: Arc<str>,
    },
    /// Close at once; nothing is reported back.
    Close(ConnId),
    /// Stop reading: what is read has no place to go.
    Pause(ConnId),
    /// Read again.
    Resume(ConnId),
    /// Send FIN, go on reading: what was written must reach a client that still writes.
    ShutdownWrite(ConnId),
    /// For the control plane.
    Evidence(Evidence),
    /// For another worker.
    Tell {
        /// Its place among them; `None`: for all others.
        worker: Option<usize>,
        /// What it finds in its mailbox.
        mail: PeerMail,
    },
}

/// Why a connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The peer closed or reset it.
    Closed,
    /// Nothing listens there.
    Refused,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_have_names_of_their_own() {
        let key = Key { index: 7, generation: 0x7fff_ffff };
        let (client, upstream) = (ConnId::client(key), ConnId::upstream(key));
        assert_ne!(client, upstream);
        assert!(upstream.is_upstream() && !client.is_upstream());
        assert_eq!((client.key(), upstream.key()), (key, key));
        assert_eq!(upstream.index(), 7);
    }
}

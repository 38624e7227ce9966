//! Listeners: bound before anything else, so that an address in use is found before a client is.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};

use config::{Config, Endpoint, Mode};
use mio::net::{TcpListener, UnixListener};
use socket2::{Domain, Protocol, Socket, Type};
use topology::PoolId;

use crate::{Origin, StartError};

/// Connections that wait for the acceptor at most; the system's `somaxconn` may be less.
const BACKLOG: i32 = 4096;

/// An address that is listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Of this pool.
    pub pool: PoolId,
    /// With the real port.
    pub address: String,
    /// What clients get there.
    pub mode: Mode,
    /// Do they speak TLS?
    pub tls: bool,
}

/// A bound listener.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) kind: Kind,
    pub(crate) bound: Bound,
    /// What the configuration says of it.
    pub(crate) settings: config::Listener,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    pub(crate) fn origin(&self) -> Origin {
        Origin { pool: self.bound.pool, mode: self.bound.mode, tls: self.bound.tls }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Kind::Unix(_, path) = &self.kind {
            // A path that is gone already is as good.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Binds all listeners of all pools; a name is bound at every address that it resolves to.
pub(crate) fn bind_all(config: &Config) -> Result<Vec<Listener>, StartError> {
    let mut listeners = Vec::new();
    for (pool, id) in config.pools.iter().zip(0..) {
        for listener in &pool.listeners {
            let failed = |error| StartError::Listen {
                pool: pool.name.clone(),
                address: listener.address.to_string(),
                error,
            };
            let (pool, mode, tls) = (PoolId(id), listener.mode, listener.tls);
            match &listener.address {
                Endpoint::Tcp { host, port } => {
                    for address in resolve(host, *port).map_err(failed)? {
                        let socket = bind_tcp(address).map_err(failed)?;
                        let address = socket.local_addr().map_err(failed)?.to_string();
                        let bound = Bound { pool, address, mode, tls };
                        let settings = listener.clone();
                        listeners.push(Listener { kind: Kind::Tcp(socket), bound, settings });
                    }
                }
                Endpoint::Unix(path) => {
                    let socket = bind_unix(path).map_err(failed)?;
                    let address = format!("unix:{}", path.display());
                    let bound = Bound { pool, address, mode, tls };
                    let (kind, settings) = (Kind::Unix(socket, path.clone()), listener.clone());
                    listeners.push(Listener { kind, bound, settings });
                }
            }
        }
    }
    Ok(listeners)
}

fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    addresses.sort();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses)
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` and `0.0.0.0` stand beside each other, as the check of the configuration has it.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// A socket file that nobody listens on any more, left by a process that was killed, is replaced.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let abandoned = matches!(
                StdUnixStream::connect(path),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused
            );
            if !abandoned {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
}

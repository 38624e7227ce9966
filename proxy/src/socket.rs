//! One stream socket, TCP or unix, and what the event loop knows of it.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Duration;

use engine::{Caller, ConnId, Gone};
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use topology::{Address, PoolId};

use crate::tls::Session;

/// A peer that has vanished without a word is noticed by the kernel after about this long.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A connected, or connecting, stream.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    pub(crate) fn connect(address: &Address) -> io::Result<Self> {
        let stream = match address {
            Address::Tcp(address) => Self::Tcp(TcpStream::connect(*address)?),
            Address::Unix(path) => Self::Unix(UnixStream::connect(path)?),
        };
        stream.tune();
        Ok(stream)
    }

    /// Small requests leave at once; a dead peer is found. Neither is worth losing a connection for.
    pub(crate) fn tune(&self) {
        if let Self::Tcp(stream) = self {
            let _ = stream.set_nodelay(true);
            let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE);
            let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive);
        }
    }

    /// Is it connected? `Ok(false)`: not yet.
    pub(crate) fn is_connected(&self) -> io::Result<bool> {
        match self {
            Self::Tcp(stream) => {
                if let Some(error) = stream.take_error()? {
                    return Err(error);
                }
                match stream.peer_addr() {
                    Ok(_) => Ok(true),
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
                    Err(error) => Err(error),
                }
            }
            Self::Unix(stream) => match stream.take_error()? {
                Some(error) => Err(error),
                None => Ok(true),
            },
        }
    }

    /// The close that follows is a reset: what has not reached the peer yet never will. The kernel would go on sending
    /// it for minutes, and run a command late that was given up, or sent elsewhere, long before.
    pub(crate) fn drop_unsent(&self) {
        if let Self::Tcp(stream) = self {
            let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }

    /// Where it comes from, and where it arrived.
    pub(crate) fn caller(&self) -> Caller {
        let nowhere = || Address::Unix(PathBuf::new());
        let (address, local) = match self {
            Self::Tcp(stream) => {
                let tcp = |address: io::Result<_>| address.map_or_else(|_| nowhere(), Address::Tcp);
                (tcp(stream.peer_addr()), tcp(stream.local_addr()))
            }
            // A client's end has no name: as in Redis, the socket's stands for both.
            Self::Unix(stream) => {
                let address = stream.local_addr().ok();
                let path = address.and_then(|address| address.as_pathname().map(PathBuf::from));
                let path = Address::Unix(path.unwrap_or_default());
                (path.clone(), path)
            }
        };
        let descriptor = match self {
            Self::Tcp(stream) => stream.as_raw_fd(),
            Self::Unix(stream) => stream.as_raw_fd(),
        };
        Caller { address, local, descriptor }
    }

    pub(crate) fn shutdown_write(&self) {
        // Fails where the peer is gone already.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    pub(crate) fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => registry.register(stream, token, interest),
            Self::Unix(stream) => registry.register(stream, token, interest),
        }
    }

    pub(crate) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => registry.deregister(stream),
            Self::Unix(stream) => registry.deregister(stream),
        }
    }

    /// Looks at what has come without taking it.
    pub(crate) fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        use rustix::net::{RecvFlags, recv};
        let (come, _) = match self {
            Self::Tcp(stream) => recv(stream, buffer, RecvFlags::PEEK),
            Self::Unix(stream) => recv(stream, buffer, RecvFlags::PEEK),
        }?;
        Ok(come)
    }

    pub(crate) fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => registry.reregister(stream, token, interest),
            Self::Unix(stream) => registry.reregister(stream, token, interest),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write_vectored(parts),
            Self::Unix(stream) => stream.write_vectored(parts),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a failed connect says of the node.
pub(crate) fn connect_failure(error: &io::Error) -> Gone {
    match error.kind() {
        // A unix socket's file that is missing is a server that is not there.
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Gone::Refused,
        _ => Gone::Closed,
    }
}

/// A socket in a worker's table.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) conn: ConnId,
    pub(crate) stream: Stream,
    /// What is spoken over it, where that is TLS.
    pub(crate) tls: Option<Box<Session>>,
    /// The client's pool; `None` for a connection to a node.
    pub(crate) pool: Option<PoolId>,
    pub(crate) connecting: bool,
    /// Write readiness is asked for. Only after a first full send buffer: most sockets never have one, and a unix
    /// socket would report every byte its peer reads.
    pub(crate) watches_write: bool,
    /// The last write filled the kernel's buffer.
    pub(crate) blocked: bool,
    /// The connection was reset, or a write failed: what the peer said before is still read.
    pub(crate) broken: bool,
    /// Goes before everything else, once it is connected.
    pub(crate) preface: Box<[u8]>,
    /// The engine does not want more bytes now.
    pub(crate) paused: bool,
    /// There may be something to read: an edge has come, and no read has found the end since.
    pub(crate) readable: bool,
    /// The peer has closed its side: reading ends with EOF, for which no edge comes again.
    pub(crate) read_closed: bool,
    /// In the worker's list of sockets to read.
    pub(crate) listed: bool,
}

impl Socket {
    /// `pool`: of a client.
    pub(crate) fn new(
        conn: ConnId,
        stream: Stream,
        tls: Option<Box<Session>>,
        pool: Option<PoolId>,
    ) -> Self {
        Self {
            conn,
            stream,
            tls,
            pool,
            connecting: false,
            watches_write: false,
            blocked: false,
            broken: false,
            preface: Box::default(),
            paused: false,
            readable: false,
            read_closed: false,
            listed: false,
        }
    }

    pub(crate) fn token(conn: ConnId) -> Token {
        // Workers exist on 64-bit systems only: see the assertion below.
        Token(conn.to_bits() as usize)
    }

    /// A new connection has room for so few bytes.
    pub(crate) fn send_preface(&mut self) -> io::Result<()> {
        let preface = std::mem::take(&mut self.preface);
        if preface.is_empty() { Ok(()) } else { self.stream.write_all(&preface) }
    }

    /// Is it a client's that can be told nothing more, and is not being read either? Nothing would ever find its end.
    pub(crate) fn is_reset_client(&self) -> bool {
        self.broken && self.paused && self.pool.is_some()
    }
}

const _: () = assert!(usize::BITS == 64, "a connection's name must fit into an event's token");

/// A worker's sockets, by the names that the engine gave them.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    clients: Vec<Option<Socket>>,
    upstreams: Vec<Option<Socket>>,
}

impl Sockets {
    pub(crate) fn get_mut(&mut self, conn: ConnId) -> Option<&mut Socket> {
        let entry = self.table(conn).get_mut(conn.index())?;
        entry.as_mut().filter(|socket| socket.conn == conn)
    }

    pub(crate) fn insert(&mut self, socket: Socket) {
        let index = socket.conn.index();
        let table = self.table(socket.conn);
        if table.len() <= index {
            table.resize_with(index + 1, || None);
        }
        table[index] = Some(socket);
    }

    /// Takes the socket out, if it is there; dropping it closes it.
    pub(crate) fn remove(&mut self, conn: ConnId) -> Option<Socket> {
        self.get_mut(conn)?;
        self.table(conn).get_mut(conn.index())?.take()
    }

    fn table(&mut self, conn: ConnId) -> &mut Vec<Option<Socket>> {
        if conn.is_upstream() { &mut self.upstreams } else { &mut self.clients }
    }
}

//! A blocking connection over TCP or a unix socket.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};

/// A connected socket.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// TLS over TCP.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    /// Over a unix socket.
    Unix(UnixStream),
}

impl Stream {
    /// How long a read or a write may take; `None`: forever.
    pub fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        let tcp = |stream: &TcpStream| {
            stream.set_read_timeout(timeout)?;
            stream.set_write_timeout(timeout)
        };
        match self {
            Self::Tcp(stream) => tcp(stream),
            Self::Tls(stream) => tcp(&stream.sock),
            Self::Unix(stream) => {
                stream.set_read_timeout(timeout)?;
                stream.set_write_timeout(timeout)
            }
        }
    }

    /// Its own end of the line (TCP only).
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr(),
            Self::Tls(stream) => stream.sock.local_addr(),
            Self::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Closes one or both directions.
    pub fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Tls(stream) => {
                stream.conn.send_close_notify();
                stream.flush()?;
                stream.sock.shutdown(how)
            }
            Self::Unix(stream) => stream.shutdown(how),
        }
    }

    /// Makes the close of this socket a reset (RST) instead of an orderly end (TCP only).
    pub fn reset_on_close(&self) -> io::Result<()> {
        let tcp = |stream: &TcpStream| {
            Ok(rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))?)
        };
        match self {
            Self::Tcp(stream) => tcp(stream),
            Self::Tls(stream) => tcp(&stream.sock),
            Self::Unix(_) => Ok(()),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(into),
            Self::Tls(stream) => stream.read(into),
            Self::Unix(stream) => stream.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tls(stream) => stream.flush(),
            Self::Tcp(_) | Self::Unix(_) => Ok(()),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Tls(stream) => stream.sock.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

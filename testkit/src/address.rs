//! Where a server is reached.

use std::fmt;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::stream::Stream;

/// A TCP address (`host:port`) or a unix socket (`unix:/path`), written as Redkeel's configuration
/// writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// `host:port`; an IPv6 host stands in brackets.
    Tcp(String),
    /// The path of a unix stream socket.
    Unix(PathBuf),
}

impl Address {
    /// Opens a connection.
    pub fn connect(&self, within: Duration) -> io::Result<Stream> {
        match self {
            Self::Tcp(text) => {
                let mut last = io::Error::other(format!("{text} stands for no address"));
                for address in text.to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, within) {
                        Ok(stream) => {
                            stream.set_nodelay(true)?;
                            return Ok(Stream::Tcp(stream));
                        }
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
            Self::Unix(path) => UnixStream::connect(path).map(Stream::Unix),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(text) => f.write_str(text),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.strip_prefix("unix:") {
            Some(path) => Self::Unix(path.into()),
            None => Self::Tcp(text.into()),
        })
    }
}

impl From<&str> for Address {
    fn from(text: &str) -> Self {
        let Ok(address) = text.parse();
        address
    }
}

impl From<&Address> for Address {
    fn from(address: &Address) -> Self {
        address.clone()
    }
}

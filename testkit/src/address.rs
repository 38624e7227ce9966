//! Where a server is reached.

use std::fmt;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::stream::Stream;
use crate::tls::Secure;

/// A TCP address (`host:port`) or a unix socket (`unix:/path`), written as Redkeel's configuration
/// writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// `host:port`; an IPv6 host stands in brackets.
    Tcp(String),
    /// As [`Self::Tcp`], where TLS is spoken.
    Tls(String, Secure),
    /// The path of a unix stream socket.
    Unix(PathBuf),
}

impl Address {
    /// Opens a connection.
    pub fn connect(&self, within: Duration) -> io::Result<Stream> {
        match self {
            Self::Tcp(text) => connect(text, within).map(Stream::Tcp),
            Self::Tls(text, secure) => {
                let stream = connect(text, within)?;
                stream.set_read_timeout(Some(within))?;
                Ok(Stream::Tls(Box::new(secure.connect(text, stream)?)))
            }
            Self::Unix(path) => UnixStream::connect(path).map(Stream::Unix),
        }
    }

    /// The same place without TLS.
    pub fn plain(&self) -> Self {
        match self {
            Self::Tls(text, _) => Self::Tcp(text.clone()),
            other => other.clone(),
        }
    }

    /// The same place, where TLS is spoken.
    ///
    /// # Panics
    ///
    /// When it is a unix socket.
    #[track_caller]
    pub fn over(self, secure: &Secure) -> Self {
        match self {
            Self::Tcp(text) | Self::Tls(text, _) => Self::Tls(text, secure.clone()),
            Self::Unix(path) => panic!("{}: no TLS over a unix socket", path.display()),
        }
    }
}

fn connect(text: &str, within: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::other(format!("{text} stands for no address"));
    for address in text.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, within) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(text) | Self::Tls(text, _) => f.write_str(text),
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

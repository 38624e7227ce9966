//! The administration endpoint's socket.

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use config::Endpoint;
use tokio::net::{TcpListener, UnixListener, UnixStream};

/// A socket that is bound and listens.
#[derive(Debug)]
pub struct Listener(pub(crate) Socket);

#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// Binds `endpoint`. A unix socket that nobody listens at any more is replaced.
pub async fn bind(endpoint: &Endpoint) -> io::Result<Listener> {
    let socket = match endpoint {
        Endpoint::Tcp { host, port } => {
            Socket::Tcp(TcpListener::bind((host.as_str(), *port)).await?)
        }
        Endpoint::Unix(path) => {
            remove_stale(path).await?;
            Socket::Unix(UnixListener::bind(path)?, path.clone())
        }
    };
    Ok(Listener(socket))
}

impl Listener {
    /// Where it listens, with the real port.
    pub fn address(&self) -> String {
        match &self.0 {
            Socket::Tcp(listener) => {
                listener.local_addr().map_or_else(|_| "unknown".to_owned(), |at| at.to_string())
            }
            Socket::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }
}

/// A process that was killed leaves its socket's file behind, and bind fails on it. It is removed if it
/// is a socket and refuses a connect.
async fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        _ => Ok(()),
    }
}

//! One GET of the administration endpoint, over a plain socket.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use config::Endpoint;

/// The server answers within two seconds even when a worker hangs.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Far beyond the status of thousands of nodes.
const MAX_ANSWER: u64 = 64 << 20;

/// The body of a 200 answer.
pub(crate) fn get(endpoint: &Endpoint, path: &str) -> io::Result<String> {
    match endpoint {
        Endpoint::Tcp { host, port } => {
            let stream = connect(host, *port)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.set_write_timeout(Some(TIMEOUT))?;
            exchange(stream, endpoint, path)
        }
        Endpoint::Unix(file) => {
            let stream = UnixStream::connect(file)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.set_write_timeout(Some(TIMEOUT))?;
            exchange(stream, endpoint, path)
        }
    }
}

/// To the first address of the name that answers.
fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// HTTP/1.0: the answer is not chunked and ends with the connection.
fn exchange(mut stream: impl Read + Write, endpoint: &Endpoint, path: &str) -> io::Result<String> {
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {endpoint}\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer)?;
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "it does not speak HTTP");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let mut words = head.split_ascii_whitespace();
    if !words.next().is_some_and(|version| version.starts_with("HTTP/")) {
        return Err(malformed());
    }
    match words.next() {
        Some("200") => Ok(body.to_owned()),
        code => Err(io::Error::other(format!("it answered with status {}", code.unwrap_or("?")))),
    }
}

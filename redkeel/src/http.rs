//! One request to the administration endpoint, over a plain socket.

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
    let request = format!("GET {path} HTTP/1.0\r\nHost: {endpoint}\r\n\r\n");
    match send(endpoint, &request, TIMEOUT)? {
        Answer { code: 200, body } => Ok(body),
        Answer { code, .. } => Err(io::Error::other(format!("it answered with status {code}"))),
    }
}

/// What a POST of `body` is answered within `patience`.
pub(crate) fn post(
    endpoint: &Endpoint,
    path: &str,
    body: &str,
    token: Option<&str>,
    patience: Duration,
) -> io::Result<Answer> {
    let proof = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request = format!(
        "POST {path} HTTP/1.0\r\nHost: {endpoint}\r\nContent-Type: application/json\r\n{proof}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    send(endpoint, &request, patience)
}

/// The status code and what stands behind the head.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: String,
}

fn send(endpoint: &Endpoint, request: &str, patience: Duration) -> io::Result<Answer> {
    match endpoint {
        Endpoint::Tcp { host, port } => {
            let stream = connect(host, *port)?;
            stream.set_read_timeout(Some(patience))?;
            stream.set_write_timeout(Some(TIMEOUT))?;
            exchange(stream, request)
        }
        Endpoint::Unix(file) => {
            let stream = UnixStream::connect(file)?;
            stream.set_read_timeout(Some(patience))?;
            stream.set_write_timeout(Some(TIMEOUT))?;
            exchange(stream, request)
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
fn exchange(mut stream: impl Read + Write, request: &str) -> io::Result<Answer> {
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer)?;
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "it does not speak HTTP");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let mut words = head.split_ascii_whitespace();
    if !words.next().is_some_and(|version| version.starts_with("HTTP/")) {
        return Err(malformed());
    }
    let code = words.next().and_then(|code| code.parse().ok()).ok_or_else(malformed)?;
    Ok(Answer { code, body: body.to_owned() })
}

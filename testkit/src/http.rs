//! A tiny HTTP client for the admin endpoint.

use std::io::{self, Read, Write};
use std::time::Duration;

use crate::address::Address;

const TIMEOUT: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Clone, Debug)]
pub struct HttpReply {
    /// The status code.
    pub status: u16,
    /// The header lines, as sent.
    pub head: String,
    /// The body.
    pub body: String,
}

/// `GET path` over a new connection.
pub fn get(address: &Address, path: &str) -> io::Result<HttpReply> {
    // HTTP/1.0: the body ends with the connection, and is not cut into chunks.
    let head = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    send(address, &head, TIMEOUT)
}

/// `POST path` with further lines of the head and a body, over a new connection.
pub fn post(address: &Address, path: &str, lines: &str, body: &str) -> io::Result<HttpReply> {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n{lines}Content-Length: {length}\r\n\r\n{body}"
    );
    send(address, &request, TIMEOUT * 3)
}

fn send(address: &Address, request: &str, patience: Duration) -> io::Result<HttpReply> {
    let mut stream = address.connect(TIMEOUT)?;
    stream.set_timeout(Some(patience))?;
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parse(&String::from_utf8_lossy(&bytes)).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn parse(text: &str) -> Option<HttpReply> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    Some(HttpReply { status, head: head.into(), body: body.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_body_are_told_apart() {
        let reply =
            parse("HTTP/1.1 503 Service Unavailable\r\na: b\r\n\r\nnot\r\n\r\nready").unwrap();
        assert_eq!(reply.status, 503);
        assert_eq!(reply.body, "not\r\n\r\nready");
        assert!(parse("HTTP/1.1 200 OK\r\n").is_none());
    }
}

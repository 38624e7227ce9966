//! A small blocking Redis client.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use resp::{Value, ValueLimits, write_command};

use crate::address::Address;
use crate::stream::Stream;

/// How long a connect or a reply may take unless a test says otherwise: longer than any hold.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Larger than any reply of a test.
const LIMITS: ValueLimits =
    ValueLimits { max_bytes: 1 << 30, max_elements: 10_000_000, max_depth: 32 };

/// One connection. The methods panic where something fails that a test takes for granted;
/// those named `try_…` return the error.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    /// Bytes read; those before `used` belong to replies already handed out.
    input: Vec<u8>,
    used: usize,
}

impl Client {
    /// Connects.
    #[track_caller]
    pub fn connect(address: impl Into<Address>) -> Self {
        let address = address.into();
        Self::try_connect(&address).unwrap_or_else(|error| panic!("{address}: {error}"))
    }

    /// Connects.
    pub fn try_connect(address: &Address) -> io::Result<Self> {
        let stream = address.connect(TIMEOUT)?;
        stream.set_timeout(Some(TIMEOUT))?;
        Ok(Self { stream, input: Vec::new(), used: 0 })
    }

    /// Its own end of the line (TCP only).
    #[track_caller]
    pub fn local_address(&self) -> SocketAddr {
        self.stream.local_address().expect("a TCP connection")
    }

    /// How long a reply may take from now on.
    #[track_caller]
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.stream.set_timeout(Some(timeout)).expect("a timeout above zero");
    }

    /// Sends a command and waits for its reply; error replies are values.
    #[track_caller]
    pub fn command<A: AsRef<[u8]>>(&mut self, command: impl IntoIterator<Item = A>) -> Value {
        self.try_command(command).unwrap_or_else(|error| panic!("command: {error}"))
    }

    /// As [`Client::command`].
    pub fn try_command<A: AsRef<[u8]>>(
        &mut self,
        command: impl IntoIterator<Item = A>,
    ) -> io::Result<Value> {
        self.try_send(command)?;
        self.try_receive()
    }

    /// Sends all the commands in one write, then waits for as many replies.
    #[track_caller]
    pub fn pipeline<C, A>(&mut self, commands: impl IntoIterator<Item = C>) -> Vec<Value>
    where
        C: IntoIterator<Item = A>,
        A: AsRef<[u8]>,
    {
        let mut bytes = Vec::new();
        let mut count = 0;
        for command in commands {
            encode(command, &mut bytes);
            count += 1;
        }
        self.send_raw(&bytes);
        (0..count).map(|_| self.receive()).collect()
    }

    /// Sends a command without waiting for its reply.
    #[track_caller]
    pub fn send<A: AsRef<[u8]>>(&mut self, command: impl IntoIterator<Item = A>) {
        self.try_send(command).unwrap_or_else(|error| panic!("send: {error}"));
    }

    /// As [`Client::send`].
    pub fn try_send<A: AsRef<[u8]>>(
        &mut self,
        command: impl IntoIterator<Item = A>,
    ) -> io::Result<()> {
        let mut bytes = Vec::new();
        encode(command, &mut bytes);
        self.try_send_raw(&bytes)
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.try_send_raw(bytes).unwrap_or_else(|error| panic!("send: {error}"));
    }

    /// As [`Client::send_raw`].
    pub fn try_send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// The next reply or push.
    #[track_caller]
    pub fn receive(&mut self) -> Value {
        self.try_receive().unwrap_or_else(|error| panic!("receive: {error}"))
    }

    /// As [`Client::receive`]; an orderly end is `UnexpectedEof`, a late reply `WouldBlock`.
    pub fn try_receive(&mut self) -> io::Result<Value> {
        loop {
            let parsed = Value::parse(&self.input[self.used..], &LIMITS);
            match parsed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))? {
                Some((value, length)) => {
                    self.used += length;
                    return Ok(value);
                }
                None => self.fill()?,
            }
        }
    }

    /// Waits for the server's end of the connection, with whatever it sends before.
    ///
    /// # Panics
    ///
    /// When the connection stays open for the timeout.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        loop {
            match self.fill() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    panic!("the server has not closed the connection")
                }
                Err(_) => return,
            }
        }
    }

    /// A section of INFO, by field name.
    pub fn try_info(&mut self, section: &str) -> io::Result<BTreeMap<String, String>> {
        let reply = self.try_command(["INFO", section])?;
        let Some(text) = reply.as_bytes() else {
            return Err(io::Error::other(format!("INFO answered {reply:?}")));
        };
        let fields = String::from_utf8_lossy(text);
        Ok(fields
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }

    /// Ends the sending direction, as a client does that has nothing more to say.
    #[track_caller]
    pub fn shutdown_write(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("an open connection");
    }

    /// Closes with a reset instead of an orderly end.
    #[track_caller]
    pub fn reset(self) {
        self.stream.reset_on_close().expect("an open connection");
    }

    fn fill(&mut self) -> io::Result<()> {
        self.input.drain(..self.used);
        self.used = 0;
        // Grows with the reply: parsing begins again after each block.
        let mut block = vec![0; self.input.len().max(16 * 1024)];
        loop {
            match self.stream.read(&mut block) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.input.extend_from_slice(&block[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn encode<A: AsRef<[u8]>>(command: impl IntoIterator<Item = A>, into: &mut Vec<u8>) {
    let arguments: Vec<A> = command.into_iter().collect();
    let arguments: Vec<&[u8]> = arguments.iter().map(AsRef::as_ref).collect();
    write_command(into, &arguments);
}

/// A status reply, to compare with.
pub fn simple(text: &str) -> Value {
    Value::Simple(text.into())
}

/// A string reply, to compare with.
pub fn bulk(text: impl AsRef<[u8]>) -> Value {
    Value::Bulk(text.as_ref().into())
}

/// An error reply's text.
pub fn error_text(value: &Value) -> Option<String> {
    match value {
        Value::Error(text) => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::RedisServer;

    #[test]
    fn speaks_with_a_real_server() {
        let redis = RedisServer::builder().requirepass("secret").start();
        let mut client = redis.client();
        let large = vec![b'x'; 3 << 20];
        assert_eq!(client.command([b"SET".as_slice(), b"large", &large]), simple("OK"));
        let replies = client.pipeline([["GET", "large"], ["INCR", "n"], ["LPOP", "n"]]);
        assert_eq!(replies[0], bulk(&large));
        assert_eq!(replies[1], Value::Integer(1));
        assert!(error_text(&replies[2]).unwrap().starts_with("WRONGTYPE"));
        assert_eq!(client.try_info("server").unwrap()["tcp_port"], redis.port().to_string());
        client.send_raw(b"QUIT\r\n");
        assert_eq!(client.receive(), simple("OK"));
        client.expect_closed();

        let mut stranger = Client::connect(redis.address());
        assert!(error_text(&stranger.command(["GET", "n"])).unwrap().starts_with("NOAUTH"));
    }

    #[test]
    fn a_late_reply_is_an_error_of_its_own() {
        let redis = RedisServer::start();
        let mut client = redis.client();
        client.set_timeout(Duration::from_millis(20));
        let error = client.try_command(["BLPOP", "nothing", "0"]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}

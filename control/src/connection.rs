//! A connection to a node: commands go out together, replies come back as values.

use std::io;

use resp::{Value, ValueLimits};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use topology::{Address, Failure, printable};

use crate::resolver::Resolver;

/// What one reply may be: far more than any probe's answer, and little memory.
const LIMITS: ValueLimits =
    ValueLimits { max_bytes: 1 << 20, max_elements: 1 << 16, max_depth: 16 };

/// More replies than any request has that ends with PING.
const REPLIES_MAX: usize = 8;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open connection on which every request so far was answered.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    input: Vec<u8>,
}

impl Connection {
    /// `preface`: what goes before everything else, a header of the PROXY protocol or nothing.
    pub(crate) async fn dial(address: &Address, preface: &[u8]) -> Result<Self, Failure> {
        let mut stream = Self::connect(address).await.map_err(|error| dial_failure(&error))?;
        stream.write_all(preface).await.map_err(|_| Failure::Lost)?;
        Ok(Self { stream, input: Vec::new() })
    }

    /// Connects to the first address of a `host:port` that lets it.
    pub(crate) async fn dial_name(name: &str, resolver: &Resolver) -> Result<Self, Failure> {
        if let Ok(address) = name.parse() {
            return Self::dial(&Address::Tcp(address), b"").await;
        }
        let unreachable = |text: &str| Failure::Unreachable(printable(text.as_bytes()));
        let resolved = resolver.resolve(name).await.map_err(|why| unreachable(&why))?;
        let mut last = unreachable("its name has no address");
        for target in resolved.targets {
            match Self::dial(&target.address, b"").await {
                Ok(connection) => return Ok(connection),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    async fn connect(address: &Address) -> io::Result<Box<dyn Stream>> {
        Ok(match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
        })
    }

    /// Sends a request whose replies are read by [`Self::read`].
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(request).await.map_err(|_| Failure::Lost)
    }

    /// Sends `request` and reads so many replies. After a failure the connection is of no further use.
    pub(crate) async fn ask(
        &mut self,
        request: &[u8],
        replies: usize,
    ) -> Result<Vec<Value>, Failure> {
        let mut values = Vec::with_capacity(replies);
        if self.stream.write_all(request).await.is_err() {
            // What the node said before it closed the connection may tell why.
            while let Ok(Some(value)) = self.read().await {
                values.push(value);
            }
            return Err(lost(&values));
        }
        while values.len() < replies {
            match self.read().await? {
                Some(value) => values.push(value),
                None => return Err(lost(&values)),
            }
        }
        Ok(values)
    }

    /// As [`Self::ask`], where the last reply is a PONG and there may be fewer or more before it.
    pub(crate) async fn ask_until_pong(&mut self, request: &[u8]) -> Result<Vec<Value>, Failure> {
        let mut values = self.ask(request, 1).await?;
        let pong = Value::Simple(b"PONG".to_vec());
        while values.last() != Some(&pong) {
            // Each of a few commands has one reply at the most.
            if values.len() == REPLIES_MAX {
                return Err(Failure::Protocol);
            }
            match self.read().await? {
                Some(value) => values.push(value),
                None => return Err(lost(&values)),
            }
        }
        Ok(values)
    }

    /// The next reply; `None` if the connection was closed or reset. May be dropped while it waits.
    pub(crate) async fn read(&mut self) -> Result<Option<Value>, Failure> {
        loop {
            match Value::parse(&self.input, &LIMITS) {
                Ok(Some((value, len))) => {
                    self.input.drain(..len);
                    return Ok(Some(value));
                }
                Ok(None) => {}
                Err(_) => return Err(Failure::Protocol),
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return Ok(None),
                Ok(_) => {}
            }
        }
    }

    /// Returns when the node closes the connection, or says something unasked. May be dropped while it waits.
    pub(crate) async fn ended(&mut self) {
        // Either way: nothing is expected now.
        let _ = self.stream.read_buf(&mut self.input).await;
    }
}

/// A lone error before the end is why the node wants no connection: too many clients, protected mode.
fn lost(values: &[Value]) -> Failure {
    match values {
        [Value::Error(text)] => Failure::TurnedAway(printable(text)),
        _ => Failure::Lost,
    }
}

fn dial_failure(error: &io::Error) -> Failure {
    match error.kind() {
        // A unix socket that does not exist is as good as one that nobody listens on.
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Failure::Refused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Failure::Lost,
        io::ErrorKind::TimedOut => Failure::TimedOut,
        _ => Failure::Unreachable(printable(error.to_string().as_bytes())),
    }
}

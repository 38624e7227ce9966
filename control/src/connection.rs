//! A connection to a node: commands go out together, replies come back as values.

use std::io;
use std::sync::Arc;

use resp::{Value, ValueLimits};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
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

/// Where a node is, and how it is reached.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) address: Address,
    /// As configured, or as Sentinel lists it: whom its certificate must be for.
    pub(crate) server: Arc<str>,
    pub(crate) tls: Option<Arc<tls::Client>>,
    /// What its connections begin with, in the clear: a header of the PROXY protocol, or nothing.
    pub(crate) preface: Arc<[u8]>,
}

impl Connection {
    pub(crate) async fn dial(way: &Way) -> Result<Self, Failure> {
        Self::dial_address(&way.address, &way.preface, &way.server, way.tls.as_deref()).await
    }

    /// `preface`: what goes before everything else, a header of the PROXY protocol or nothing.
    async fn dial_address(
        address: &Address,
        preface: &[u8],
        server: &str,
        tls: Option<&tls::Client>,
    ) -> Result<Self, Failure> {
        let mut stream = Self::connect(address).await.map_err(|error| dial_failure(&error))?;
        stream.write_all(preface).await.map_err(|_| Failure::Lost)?;
        let stream = match tls {
            None => stream,
            Some(tls) => secure(stream, server, tls).await?,
        };
        Ok(Self { stream, input: Vec::new() })
    }

    /// Connects to the first address of a `host:port` that lets it.
    pub(crate) async fn dial_name(
        name: &str,
        resolver: &Resolver,
        tls: Option<&tls::Client>,
    ) -> Result<Self, Failure> {
        if let Ok(address) = name.parse() {
            return Self::dial_address(&Address::Tcp(address), b"", name, tls).await;
        }
        let unreachable = |text: &str| Failure::Unreachable(printable(text.as_bytes()));
        let resolved = resolver.resolve(name).await.map_err(|why| unreachable(&why))?;
        let mut last = unreachable("its name has no address");
        for target in resolved.targets {
            match Self::dial_address(&target.address, b"", name, tls).await {
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
        self.stream.write_all(request).await.map_err(|error| lost_or_refused(&error))
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
            loop {
                match self.read().await {
                    Ok(Some(value)) => values.push(value),
                    Err(failure @ Failure::Tls(_)) => return Err(failure),
                    Ok(None) | Err(_) => return Err(lost(&values)),
                }
            }
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

    /// The next reply; `None` if the connection was closed or reset. May be dropped while it waits. A failure of TLS is
    /// one of its own: with TLS 1.3 a node says only now that it does not accept our certificate.
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
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) => match lost_or_refused(&error) {
                    failure @ Failure::Tls(_) => return Err(failure),
                    _ => return Ok(None),
                },
            }
        }
    }

    /// Returns when the node closes the connection, or says something unasked. May be dropped while it waits.
    pub(crate) async fn ended(&mut self) {
        // Either way: nothing is expected now.
        let _ = self.stream.read_buf(&mut self.input).await;
    }
}

/// Speaks TLS over the stream.
async fn secure(
    stream: Box<dyn Stream>,
    server: &str,
    tls: &tls::Client,
) -> Result<Box<dyn Stream>, Failure> {
    let name = tls.name(server).map_err(|why| Failure::Tls(why.into()))?;
    let connector = TlsConnector::from(tls.config());
    match connector.connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(match lost_or_refused(&error) {
            Failure::Lost => Failure::Tls("closes the connection during the TLS handshake".into()),
            failure => failure,
        }),
    }
}

fn lost_or_refused(error: &io::Error) -> Failure {
    let inner =
        error.get_ref().and_then(|inner| inner.downcast_ref::<tokio_rustls::rustls::Error>());
    match inner {
        Some(error) => Failure::Tls(tls::reason(error, tls::Side::Server).into()),
        None => Failure::Lost,
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

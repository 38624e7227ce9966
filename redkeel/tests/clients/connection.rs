//! A connection that sees replies as they are on the wire.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use resp::{ReplyScanner, Skip};
use testkit::Address;

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Read from the socket at once.
const BLOCK: usize = 64 * 1024;

/// One TCP connection.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Bytes read; those before `used` have been handed out.
    input: Vec<u8>,
    used: usize,
}

impl Connection {
    #[track_caller]
    pub(crate) fn open(address: &Address) -> Self {
        let stream = TcpStream::connect(address.to_string())
            .unwrap_or_else(|error| panic!("{address}: {error}"));
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, input: Vec::new(), used: 0 }
    }

    /// For what needs the socket itself.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap_or_else(|error| panic!("send: {error}"));
    }

    /// Sends it in as many writes as it has bytes.
    #[track_caller]
    pub(crate) fn send_bytewise(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.send(std::slice::from_ref(byte));
        }
    }

    /// Sends `bytes` and reads `count` replies at the same time: a peer may stop reading until its replies are read.
    #[track_caller]
    pub(crate) fn exchange(&mut self, bytes: &[u8], count: usize) -> Vec<Vec<u8>> {
        let mut writer = self.stream.try_clone().unwrap();
        thread::scope(|scope| {
            let sent = scope.spawn(move || writer.write_all(bytes));
            let replies = (0..count).map(|_| self.reply()).collect();
            sent.join().unwrap().unwrap();
            replies
        })
    }

    /// The next reply or push, as it came.
    #[track_caller]
    pub(crate) fn reply(&mut self) -> Vec<u8> {
        let mut scanner = ReplyScanner::new();
        let mut scanned = 0;
        loop {
            match scanner.scan(&self.input[self.used + scanned..]).unwrap() {
                Skip::Complete(len) => {
                    let end = self.used + scanned + len;
                    let reply = self.input[self.used..end].to_vec();
                    self.used = end;
                    return reply;
                }
                Skip::Incomplete => scanned = self.input.len() - self.used,
            }
            assert!(self.fill(), "closed within a reply: {}", self.unread());
        }
    }

    /// All that comes before the peer closes.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        self.input.split_off(self.used)
    }

    #[track_caller]
    pub(crate) fn shutdown_write(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// As [`Self::shutdown_write`], but the peer may have closed already.
    pub(crate) fn end_sending(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    fn unread(&self) -> String {
        self.input[self.used..].escape_ascii().to_string()
    }

    /// False at the peer's end of the connection.
    #[track_caller]
    fn fill(&mut self) -> bool {
        self.input.drain(..self.used);
        self.used = 0;
        let len = self.input.len();
        self.input.resize(len + BLOCK, 0);
        let read = self.stream.read(&mut self.input[len..]);
        self.input.truncate(len + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(count) => count > 0,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("receive: {error}; so far: {}", self.unread()),
        }
    }
}

/// A request's bytes.
pub(crate) fn command<A: AsRef<[u8]>>(arguments: &[A]) -> Vec<u8> {
    let arguments: Vec<&[u8]> = arguments.iter().map(AsRef::as_ref).collect();
    let mut bytes = Vec::new();
    resp::write_command(&mut bytes, &arguments);
    bytes
}

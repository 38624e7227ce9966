//! An established TLS session: between bytes of the engine and bytes of a socket.

use std::fmt;
use std::io::{self, BufRead, Write};

use rustls::{Connection, HandshakeKind};
use topology::Handshake;

use crate::socket::Stream;

/// A session whose handshake is done. It keeps little: at most one record that has not come whole, and what one
/// [`Session::encrypt`] made that the kernel has not taken yet (64 KiB, rustls' limit).
pub(crate) struct Session {
    connection: Connection,
    /// Bytes that were encrypted, and are not reported as written yet.
    owed: usize,
    /// Nothing more is to be written once all is taken.
    ends: bool,
}

/// How a flush ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// The kernel has all.
    All,
    /// Its buffer is full.
    Blocked,
}

impl Session {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection, owed: 0, ends: false }
    }

    /// Was an earlier session resumed?
    pub(crate) fn handshake(&self) -> Handshake {
        match self.connection.handshake_kind() {
            Some(HandshakeKind::Resumed) => Handshake::Resumed,
            _ => Handshake::Full,
        }
    }

    /// Appends to `plain` what `bytes` of the peer complete. True: it has said that it will send nothing more.
    pub(crate) fn decrypt(
        &mut self,
        mut bytes: &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<bool, rustls::Error> {
        // What came with the end of the handshake is there already.
        self.take_plain(plain);
        let mut ended = false;
        while !bytes.is_empty() && !ended {
            // Reading from memory fails only where a message is larger than any may be, which is a fault of the peer.
            if self.connection.read_tls(&mut bytes).is_err() {
                return Err(rustls::Error::PeerSentOversizedRecord);
            }
            ended = self.connection.process_new_packets()?.peer_has_closed();
            self.take_plain(plain);
        }
        Ok(ended)
    }

    fn take_plain(&mut self, plain: &mut Vec<u8>) {
        let mut reader = self.connection.reader();
        while let Ok(chunk) = reader.fill_buf() {
            let count = chunk.len();
            if count == 0 {
                return;
            }
            plain.extend_from_slice(chunk);
            reader.consume(count);
        }
    }

    /// Encrypts as much of `bytes` as there is room for. To be called when all before is flushed.
    pub(crate) fn encrypt(&mut self, bytes: &[u8]) -> usize {
        // Writing to memory does not fail.
        let count = self.connection.writer().write(bytes).unwrap_or(0);
        self.owed += count;
        count
    }

    /// Has it bytes for the socket?
    pub(crate) fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    /// Hands over to the kernel what it takes. Second: how many of the encrypted bytes may now be reported as written,
    /// the last of them only with the last byte of their records.
    pub(crate) fn flush(&mut self, stream: &mut Stream) -> (io::Result<Flushed>, usize) {
        let mut sent = 0;
        let outcome = loop {
            if !self.connection.wants_write() {
                break Ok(Flushed::All);
            }
            match self.connection.write_tls(stream) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    break Ok(Flushed::Blocked);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        let reported = match outcome {
            Ok(Flushed::All) => self.owed,
            _ => sent.min(self.owed.saturating_sub(1)),
        };
        self.owed -= reported;
        (outcome, reported)
    }

    /// Says that nothing more will come (close_notify).
    pub(crate) fn end(&mut self) {
        if !std::mem::replace(&mut self.ends, true) {
            self.connection.send_close_notify();
        }
    }

    /// Was [`Self::end`] called?
    pub(crate) fn ends(&self) -> bool {
        self.ends
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("owed", &self.owed).finish_non_exhaustive()
    }
}

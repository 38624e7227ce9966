//! Reading and writing of sockets with TLS. The session is established: see [`crate::tls`].

use std::io::{self, Read};

use engine::{ConnId, Gone};
use topology::{Handshake, PoolId};

use super::Turner;
use crate::socket::{Socket, Stream};
use crate::tls::{Flushed, Session};

/// Bytes encrypted for one socket in one turn; the next turn goes on.
const WRITE_MAX: usize = 1 << 20;

impl Turner {
    /// Reads a socket once, as [`Turner::read`].
    pub(super) fn read_encrypted(&mut self, conn: ConnId) {
        let Some(socket) = self.sockets.get_mut(conn) else { return };
        let Some(session) = &mut socket.tls else { return };
        let (count, ended) = match socket.stream.read(&mut self.buffer) {
            Ok(0) => (0, true),
            Ok(count) => (count, false),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => (0, false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                socket.listed = true;
                self.runnable.push(conn);
                return;
            }
            Err(_) => return self.gone(conn, Gone::Closed),
        };
        // Less than was asked for: the kernel has no more, and will say so when it has.
        let more = count == self.buffer.len() || (count > 0 && socket.read_closed);
        self.plain.clear();
        let said = session.decrypt(&self.buffer[..count], &mut self.plain);
        if session.wants_write() {
            // An answer of the protocol's own, or the alert that says what was wrong.
            self.dirty.push(conn);
        }
        socket.readable = more;
        socket.listed = more;
        if more {
            self.runnable.push(conn);
        }
        let broken = socket.broken;
        if !self.plain.is_empty() {
            self.engine.received(conn, &self.plain);
        }
        match said {
            Ok(notified) if ended || notified => {
                if conn.is_upstream() || (broken && ended) {
                    return self.gone(conn, Gone::Closed);
                }
                self.engine.ended(conn);
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "a TLS session has failed");
                self.flush_alert(conn);
                self.gone(conn, Gone::Closed);
            }
        }
    }

    fn flush_alert(&mut self, conn: ConnId) {
        if let Some(socket) = self.sockets.get_mut(conn)
            && let Some(session) = &mut socket.tls
        {
            // Not worth waiting for.
            let _ = session.flush(&mut socket.stream);
        }
    }

    /// Writes a socket's output, as [`Turner::write`]; true: as far as it goes, false: the write failed.
    ///
    /// What is encrypted cannot be taken back. To a node it counts as written at once: it was sent, as far as anyone can
    /// say. To a client it does when the kernel has it, so that a close waits for it.
    pub(super) fn write_encrypted(&mut self, conn: ConnId) -> bool {
        let mut encrypted = 0;
        loop {
            let Some(socket) = self.sockets.get_mut(conn) else { return true };
            let Some(session) = &mut socket.tls else { return true };
            let (flushed, written) = session.flush(&mut socket.stream);
            let (ends, clean) = (session.ends(), matches!(flushed, Ok(Flushed::All)));
            match flushed {
                Ok(Flushed::All) if ends => socket.stream.shutdown_write(),
                Ok(Flushed::All) => {}
                Ok(Flushed::Blocked) => socket.blocked = true,
                Err(_) => return false,
            }
            if written > 0 && !conn.is_upstream() {
                self.engine.written(conn, written);
            }
            if !clean || ends {
                return true;
            }
            if encrypted >= WRITE_MAX {
                self.unwritten.push(conn);
                return true;
            }
            let output = self.engine.output(conn);
            let Some(socket) = self.sockets.get_mut(conn) else { return true };
            let Some(session) = &mut socket.tls else { return true };
            let count = if output.is_empty() { 0 } else { session.encrypt(output) };
            if count == 0 {
                return true;
            }
            encrypted += count;
            if conn.is_upstream() {
                self.engine.written(conn, count);
            }
        }
    }

    /// A connect over TLS has ended.
    pub(super) fn connected(
        &mut self,
        conn: ConnId,
        pool: PoolId,
        result: Result<(Stream, Box<Session>), (Gone, Option<Handshake>)>,
    ) {
        let handshake = match &result {
            Ok((_, session)) => Some(session.handshake()),
            Err((_, handshake)) => *handshake,
        };
        if let Some(handshake) = handshake {
            self.engine.count_node_handshake(pool, handshake);
        }
        // The engine may have given it up meanwhile.
        if !self.shaking.remove(&conn) {
            return;
        }
        match result {
            Ok((stream, session)) => {
                self.insert(Socket::new(conn, stream, Some(session), None));
                self.engine.connected(conn);
            }
            Err((gone, _)) => self.gone(conn, gone),
        }
    }

    /// Closes a socket; a client is told that nothing more comes.
    pub(super) fn close(&mut self, conn: ConnId) {
        self.shaking.remove(&conn);
        if let Some(socket) = self.sockets.get_mut(conn) {
            match &mut socket.tls {
                _ if conn.is_upstream() => socket.stream.drop_unsent(),
                Some(session) => {
                    session.end();
                    // A client that does not take it misses nothing else.
                    let _ = session.flush(&mut socket.stream);
                }
                None => {}
            }
        }
        self.remove(conn);
    }
}

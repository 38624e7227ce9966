//! One handshake, with a client or with a node.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ::tls::Side;
use engine::{Caller, ConnId, Gone};
use rustls::{ClientConnection, Connection, ServerConnection};
use topology::{Address, Handshake as Outcome, PoolId};

use super::Session;
use crate::mailbox::{Letter, Mailbox};
use crate::socket::{Stream, connect_failure};
use crate::{Origin, PoolClients};

/// What a handshaker is asked for.
#[derive(Debug)]
pub(crate) enum Job {
    /// A handshake with a client that was accepted.
    Client {
        /// Its socket.
        stream: Stream,
        /// Its place, given back if this fails.
        slot: Slot,
    },
    /// A connect to a node.
    Node {
        /// The engine's name of it.
        conn: ConnId,
        /// Where.
        address: Address,
        /// What goes before the handshake, in the clear.
        preface: Box<[u8]>,
        /// Of this pool.
        pool: PoolId,
        /// As configured.
        server: Arc<str>,
        /// Who asks.
        worker: Arc<Mailbox>,
    },
}

/// A client's place at a worker and among the pool's clients; given back on drop.
#[derive(Debug)]
pub(crate) struct Slot {
    origin: Origin,
    caller: Caller,
    worker: Arc<Mailbox>,
    clients: PoolClients,
    taken: bool,
}

impl Slot {
    pub(crate) fn new(
        origin: Origin,
        caller: Caller,
        worker: Arc<Mailbox>,
        clients: PoolClients,
    ) -> Self {
        Self { origin, caller, worker, clients, taken: false }
    }

    /// Whose it is; none for a unix socket.
    pub(crate) fn source(&self) -> Option<SocketAddr> {
        self.caller.source()
    }

    pub(crate) fn pool(&self) -> PoolId {
        self.origin.pool
    }

    /// The worker takes the client, and with it the place.
    fn hand_over(mut self, stream: Stream, session: Session) {
        self.taken = true;
        let (session, caller) = (Some(Box::new(session)), self.caller.clone());
        self.worker.post(Letter::Accept(stream, session, self.origin, caller));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        self.worker.remove_client();
        if let Some(clients) = self.clients.get(self.origin.pool.0 as usize) {
            clients.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A handshake under way.
pub(crate) struct Handshake {
    pub(crate) stream: Stream,
    /// `None`: not connected yet.
    connection: Option<Connection>,
    /// The peer has sent something.
    heard: bool,
    pub(crate) peer: Peer,
}

/// With whom.
pub(crate) enum Peer {
    Client {
        slot: Slot,
    },
    Node {
        conn: ConnId,
        preface: Box<[u8]>,
        pool: PoolId,
        server: Arc<str>,
        worker: Arc<Mailbox>,
        tls: Arc<::tls::Client>,
    },
}

/// How far a handshake has come.
pub(crate) enum Step {
    /// The peer has to say something.
    Waits,
    Done,
    Failed(Failure),
}

/// Why it failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The peer never said a word: a check whether the port is open.
    Nothing,
    /// It could not be reached.
    Unreached(Gone),
    /// Completes "the client …" or "the node …".
    Because(String),
}

impl Handshake {
    pub(crate) fn with_client(
        stream: Stream,
        slot: Slot,
        server: &::tls::Server,
    ) -> Result<Self, rustls::Error> {
        let connection = Connection::Server(ServerConnection::new(server.config())?);
        let peer = Peer::Client { slot };
        Ok(Self { stream, connection: Some(connection), heard: false, peer })
    }

    pub(crate) fn with_node(stream: Stream, peer: Peer) -> Self {
        Self { stream, connection: None, heard: false, peer }
    }

    pub(crate) fn pool(&self) -> PoolId {
        match &self.peer {
            Peer::Client { slot, .. } => slot.pool(),
            Peer::Node { pool, .. } => *pool,
        }
    }

    /// Goes on until the peer has to say something.
    pub(crate) fn step(&mut self) -> Step {
        match self.go_on() {
            Ok(true) => Step::Done,
            Ok(false) => Step::Waits,
            Err(failure) => Step::Failed(failure),
        }
    }

    fn go_on(&mut self) -> Result<bool, Failure> {
        let side = self.side();
        self.connect()?;
        let Some(connection) = &mut self.connection else { return Ok(false) };
        loop {
            while connection.wants_write() {
                match connection.write_tls(&mut self.stream) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return Err(lost(self.heard)),
                }
            }
            // What the kernel did not take yet is the worker's to write.
            if !connection.is_handshaking() {
                return Ok(true);
            }
            match connection.read_tls(&mut self.stream) {
                Ok(0) => return Err(lost(self.heard)),
                Ok(_) => self.heard = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(lost(self.heard)),
            }
            if let Err(error) = connection.process_new_packets() {
                // The alert that tells the peer why; it is not worth waiting for.
                let _ = connection.write_tls(&mut self.stream);
                return Err(Failure::Because(::tls::reason(&error, side)));
            }
        }
    }

    fn side(&self) -> Side {
        match self.peer {
            Peer::Client { .. } => Side::Client,
            Peer::Node { .. } => Side::Server,
        }
    }

    /// Begins the handshake with a node once it is connected.
    fn connect(&mut self) -> Result<(), Failure> {
        if self.connection.is_none()
            && let Peer::Node { server, tls, preface, .. } = &self.peer
        {
            match self.stream.is_connected() {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => return Err(Failure::Unreached(connect_failure(&error))),
            }
            if !preface.is_empty() {
                // A new connection has room for so few bytes.
                let sent = self.stream.write_all(preface);
                sent.map_err(|error| Failure::Unreached(connect_failure(&error)))?;
            }
            let name = tls.name(server).map_err(Failure::Because)?;
            let connection = ClientConnection::new(tls.config(), name)
                .map_err(|error| Failure::Because(::tls::reason(&error, Side::Server)))?;
            self.connection = Some(Connection::Client(connection));
        }
        Ok(())
    }

    /// Gives the established session to its worker.
    pub(crate) fn hand_over(self) {
        let Some(connection) = self.connection else { return };
        let session = Session::new(connection);
        match self.peer {
            Peer::Client { slot, .. } => slot.hand_over(self.stream, session),
            Peer::Node { conn, pool, worker, .. } => {
                let connected = Ok((self.stream, Box::new(session)));
                worker.post(Letter::Connected(conn, pool, connected));
            }
        }
    }

    /// Tells its worker that it failed.
    pub(crate) fn give_up(self, failure: &Failure) {
        match self.peer {
            Peer::Client { slot, .. } => {
                if !matches!(failure, Failure::Nothing) {
                    slot.worker.post(Letter::NotShaken(slot.pool()));
                }
            }
            Peer::Node { conn, pool, worker, .. } => {
                let failed = match failure {
                    Failure::Unreached(gone) => (*gone, None),
                    _ => (Gone::Closed, Some(Outcome::Failed)),
                };
                worker.post(Letter::Connected(conn, pool, Err(failed)));
            }
        }
    }
}

fn lost(heard: bool) -> Failure {
    if heard {
        Failure::Because("closes the connection during the TLS handshake".to_owned())
    } else {
        Failure::Nothing
    }
}

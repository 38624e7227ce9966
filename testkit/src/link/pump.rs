//! The thread behind a [`FaultyLink`](super::FaultyLink): moves bytes as the faults allow.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Action, Faults, Shared, listen, lock};
use crate::address::Address;
use crate::port::Port;
use crate::stream::Stream;

/// What one direction may hold back before its source is not read any more.
const QUEUE_BYTES: usize = 1 << 20;
/// The most bytes moved at once: small enough for a bandwidth limit to look smooth.
const BLOCK_BYTES: usize = 16 * 1024;
const CONNECT: Duration = Duration::from_secs(5);

pub(super) struct Pump {
    server: Address,
    port: Port,
    listener: Option<TcpListener>,
    wakes: UnixStream,
    shared: Arc<Mutex<Shared>>,
    links: Vec<Link>,
}

/// One client's connection and the one to the server that belongs to it.
struct Link {
    client: Stream,
    /// `None`: not connected yet (accepted in a blackhole), or ended while half-open.
    server: Option<Stream>,
    half_open: bool,
    to_server: Direction,
    to_client: Direction,
    dead: bool,
}

/// Bytes on their way in one direction.
#[derive(Default)]
struct Direction {
    queue: VecDeque<Chunk>,
    queued_bytes: usize,
    /// The source has ended its sending direction.
    source_ended: bool,
    /// So has, after the last queued byte, our side towards the sink.
    sink_ended: bool,
    /// Not before this, because of the bandwidth.
    next_write: Option<Instant>,
}

struct Chunk {
    due: Instant,
    bytes: Vec<u8>,
    written: usize,
}

/// What a poll entry stands for.
#[derive(Clone, Copy)]
enum Side {
    Client,
    Server,
}

impl Pump {
    pub(super) fn new(
        server: Address,
        port: Port,
        listener: TcpListener,
        wakes: UnixStream,
        shared: Arc<Mutex<Shared>>,
    ) -> Self {
        Self { server, port, listener: Some(listener), wakes, shared, links: Vec::new() }
    }

    pub(super) fn run(&mut self) {
        loop {
            let faults = {
                let shared = lock(&self.shared);
                if shared.end {
                    break;
                }
                shared.faults
            };
            self.wait(faults);
            if self.answer_wakes() {
                continue;
            }
            self.accept();
            for link in &mut self.links {
                link.turn(&self.server, faults);
            }
            self.links.retain(|link| !link.dead);
            lock(&self.shared).connections = self.links.len();
        }
        // The owner waits for the answer to its last wake.
        let _ = self.wakes.write(&[1]);
    }

    /// Obeys what the owner has asked for, then answers; false: it asked for nothing.
    fn answer_wakes(&mut self) -> bool {
        let mut wakes = [0; 16];
        let Ok(count) = self.wakes.read(&mut wakes) else { return false };
        let (faults, action, end) = {
            let mut shared = lock(&self.shared);
            (shared.faults, shared.action.take(), shared.end)
        };
        if end {
            return true;
        }
        if let Some(action) = action {
            self.links.iter_mut().for_each(|link| link.act(action));
        }
        self.links.retain(|link| !link.dead);
        self.listener = match (faults.refuse, self.listener.take()) {
            (true, _) => None,
            (false, None) => listen(&self.port).ok(),
            (false, listener) => listener,
        };
        lock(&self.shared).connections = self.links.len();
        let _ = self.wakes.write(&wakes[..count]);
        true
    }

    fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        while let Ok((client, _)) = listener.accept() {
            if client.set_nonblocking(true).is_ok() && client.set_nodelay(true).is_ok() {
                self.links.push(Link::new(Stream::Tcp(client)));
            }
        }
    }

    /// Waits until something can be moved, a queued byte is due, or the owner calls.
    fn wait(&self, faults: Faults) {
        let mut fds = vec![PollFd::new(&self.wakes, PollFlags::IN)];
        if let Some(listener) = &self.listener {
            fds.push(PollFd::new(listener, PollFlags::IN));
        }
        let now = Instant::now();
        let mut due = None;
        for link in &self.links {
            for side in [Side::Client, Side::Server] {
                if let Some((stream, flags)) = link.interest(side, faults, now) {
                    fds.push(PollFd::new(stream, flags));
                }
            }
            // What is due already waits for its sink to be writable.
            due = [link.to_server.next_due(), link.to_client.next_due()]
                .into_iter()
                .flatten()
                .filter(|due| *due > now && !faults.blackhole)
                .chain(due)
                .min();
        }
        let timeout = due.and_then(|due| Timespec::try_from(due - now).ok());
        let _ = poll(&mut fds, timeout.as_ref());
    }
}

impl Link {
    fn new(client: Stream) -> Self {
        Self {
            client,
            server: None,
            half_open: false,
            to_server: Direction::default(),
            to_client: Direction::default(),
            dead: false,
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Reset => {
                for stream in self.server.iter().chain([&self.client]) {
                    let _ = stream.reset_on_close();
                }
                self.dead = true;
            }
            Action::Close => self.dead = true,
            Action::HalfOpen => {
                self.server = None;
                self.half_open = true;
            }
            Action::Heal if self.half_open => self.act(Action::Reset),
            Action::Heal => {}
        }
    }

    /// What to wait for at one side. Errors and hang-ups are always reported by the system, so a
    /// side from which nothing is wanted is left out.
    fn interest(&self, side: Side, faults: Faults, now: Instant) -> Option<(&Stream, PollFlags)> {
        if faults.blackhole || self.half_open {
            return None;
        }
        let (stream, from_here, to_here) = match side {
            Side::Client => (&self.client, &self.to_server, &self.to_client),
            Side::Server => (self.server.as_ref()?, &self.to_client, &self.to_server),
        };
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, from_here.wants_more());
        flags.set(PollFlags::OUT, to_here.next_due().is_some_and(|due| due <= now));
        (!flags.is_empty()).then_some((stream, flags))
    }

    fn turn(&mut self, server: &Address, faults: Faults) {
        if faults.blackhole || self.half_open {
            return;
        }
        if self.server.is_none() {
            match connect(server) {
                Ok(stream) => self.server = Some(stream),
                // As a firewall that answers for a server which is not there.
                Err(_) => return self.act(Action::Reset),
            }
        }
        let Some(server) = &mut self.server else { return };
        let moved = self
            .to_server
            .turn(&mut self.client, server, faults)
            .and_then(|()| self.to_client.turn(server, &mut self.client, faults));
        match moved {
            Ok(()) => self.dead |= self.to_server.sink_ended && self.to_client.sink_ended,
            // A reset of one side is passed on to the other.
            Err(_) => self.act(Action::Reset),
        }
    }
}

fn connect(server: &Address) -> io::Result<Stream> {
    // Whatever is spoken over it.
    let stream = server.plain().connect(CONNECT)?;
    match &stream {
        Stream::Tcp(stream) => stream.set_nonblocking(true)?,
        Stream::Tls(stream) => stream.sock.set_nonblocking(true)?,
        Stream::Unix(stream) => stream.set_nonblocking(true)?,
    }
    Ok(stream)
}

impl Direction {
    fn wants_more(&self) -> bool {
        !self.source_ended && self.queued_bytes < QUEUE_BYTES
    }

    /// When the next byte, or the end, may be passed on.
    fn next_due(&self) -> Option<Instant> {
        let chunk = self.queue.front()?;
        Some(self.next_write.map_or(chunk.due, |next| next.max(chunk.due)))
    }

    fn turn(&mut self, from: &mut Stream, to: &mut Stream, faults: Faults) -> io::Result<()> {
        self.read(from, faults)?;
        self.write(to, faults)
    }

    fn read(&mut self, from: &mut Stream, faults: Faults) -> io::Result<()> {
        while self.wants_more() {
            let mut block = vec![0; BLOCK_BYTES];
            match from.read(&mut block) {
                Ok(count) => {
                    self.source_ended = count == 0;
                    self.queued_bytes += count;
                    block.truncate(count);
                    let due = Instant::now() + faults.delay;
                    // An empty chunk is the end: it travels as slowly as the bytes before it.
                    self.queue.push_back(Chunk { due, bytes: block, written: 0 });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write(&mut self, to: &mut Stream, faults: Faults) -> io::Result<()> {
        while self.next_due().is_some_and(|due| due <= Instant::now()) {
            let Some(chunk) = self.queue.front_mut() else { break };
            if chunk.bytes.is_empty() {
                self.sink_ended = true;
                self.queue.clear();
                // The other side may be gone already.
                let _ = to.shutdown(Shutdown::Write);
                break;
            }
            // With a limit, a tenth of a second's worth at a time.
            let most = match faults.bytes_per_second {
                0 => usize::MAX,
                limit => usize::try_from(limit / 10).unwrap_or(usize::MAX).max(1),
            };
            let rest = &chunk.bytes[chunk.written..];
            match to.write(&rest[..rest.len().min(most)]) {
                Ok(count) => {
                    chunk.written += count;
                    self.queued_bytes -= count;
                    if chunk.written == chunk.bytes.len() {
                        self.queue.pop_front();
                    }
                    self.next_write = (faults.bytes_per_second > 0).then(|| {
                        let nanos = count as u64 * 1_000_000_000 / faults.bytes_per_second;
                        Instant::now() + Duration::from_nanos(nanos)
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

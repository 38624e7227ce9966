//! Connections: two pipes with delays, cuts anywhere, limited buffers, and an end.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;
use topology::Time;

/// Names a link for good.
pub(crate) type LinkId = usize;

/// One of a link's two ends: the one that connected, or the one that accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Near,
    Far,
}

impl End {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Near => Self::Far,
            Self::Far => Self::Near,
        }
    }
}

/// One end of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) link: LinkId,
    pub(crate) end: End,
}

impl Port {
    pub(crate) fn near(link: LinkId) -> Self {
        Self { link, end: End::Near }
    }

    pub(crate) fn far(link: LinkId) -> Self {
        Self { link, end: End::Far }
    }
}

/// Who is at an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Client(usize),
    /// A worker's socket to a client or to a server.
    Worker {
        worker: usize,
        conn: engine::ConnId,
    },
    Server {
        server: usize,
        conn: u64,
    },
}

/// How good a link is.
#[derive(Clone, Debug)]
pub(crate) struct Quality {
    pub(crate) latency: Duration,
    /// At most this is added to the latency of each piece.
    pub(crate) jitter: Duration,
    /// Bytes that the two kernels hold for a reader that does not read.
    pub(crate) capacity: usize,
    /// In percent: a write arrives in several pieces.
    pub(crate) cuts: u8,
    /// In percent: the kernel takes only part of a write.
    pub(crate) partial: u8,
}

/// What a read found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Bytes(Vec<u8>),
    /// The peer has closed or reset the connection.
    End,
    /// Nothing now.
    Nothing,
}

#[derive(Debug)]
struct Piece {
    at: Time,
    bytes: Vec<u8>,
    /// How many of them have been read.
    read: usize,
}

/// One direction.
#[derive(Debug, Default)]
struct Pipe {
    pieces: VecDeque<Piece>,
    held: usize,
    /// When the last piece arrives.
    last: Time,
    ends: Option<Time>,
    /// The writer was not rid of everything.
    wants_room: bool,
    reader_gone: bool,
}

/// A connection between two owners.
#[derive(Debug)]
pub(crate) struct Link {
    owners: [Owner; 2],
    /// By the end that writes.
    pipes: [Pipe; 2],
    quality: Quality,
    /// Nothing that is written arrives before.
    stopped_until: Time,
}

/// What a write led to.
#[derive(Debug, Default)]
pub(crate) struct Wrote {
    pub(crate) count: usize,
    /// When the reader can read.
    pub(crate) arrivals: Vec<Time>,
    /// When the writer may go on, although the reader has read nothing.
    pub(crate) room: Option<Time>,
}

impl Link {
    pub(crate) fn new(near: Owner, far: Owner, quality: Quality) -> Self {
        let pipes = [Pipe::default(), Pipe::default()];
        Self { owners: [near, far], pipes, quality, stopped_until: Time::ZERO }
    }

    pub(crate) fn owner(&self, end: End) -> Owner {
        self.owners[end as usize]
    }

    pub(crate) fn set_owner(&mut self, end: End, owner: Owner) {
        self.owners[end as usize] = owner;
    }

    pub(crate) fn latency(&self) -> Duration {
        self.quality.latency
    }

    /// What is written from now on does not arrive before `until`.
    pub(crate) fn stop(&mut self, until: Time) {
        self.stopped_until = self.stopped_until.max(until);
    }

    /// `end` writes.
    pub(crate) fn write(&mut self, end: End, bytes: &[u8], now: Time, rng: &mut Rng) -> Wrote {
        let quality = &self.quality;
        let pipe = &mut self.pipes[end as usize];
        let mut wrote = Wrote::default();
        if pipe.reader_gone {
            // The kernel takes them; that they are lost will be known when the end arrives.
            wrote.count = bytes.len();
            return wrote;
        }
        let room = quality.capacity.saturating_sub(pipe.held);
        let mut count = bytes.len().min(room);
        if count > 1 && rng.u8(0..100) < quality.partial {
            count = rng.usize(1..=count);
        }
        wrote.count = count;
        if count < bytes.len() {
            pipe.wants_room = true;
            if count < room {
                pipe.wants_room = false;
                wrote.room = Some(now + Duration::from_micros(rng.u64(10..500)));
            }
        }
        let mut rest = &bytes[..count];
        while !rest.is_empty() {
            let cut = rest.len() > 1 && wrote.arrivals.len() < 6 && rng.u8(0..100) < quality.cuts;
            let len = if cut { rng.usize(1..rest.len()) } else { rest.len() };
            let (piece, behind) = rest.split_at(len);
            rest = behind;
            let jitter = rng.u64(0..=quality.jitter.as_nanos() as u64);
            let at = now.max(self.stopped_until) + quality.latency + Duration::from_nanos(jitter);
            pipe.last = pipe.last.max(at);
            pipe.held += piece.len();
            pipe.pieces.push_back(Piece { at: pipe.last, bytes: piece.to_vec(), read: 0 });
            wrote.arrivals.push(pipe.last);
        }
        wrote
    }

    /// `end` reads at most `most` bytes; also says whether the writer at the other end waits for room.
    pub(crate) fn read(&mut self, end: End, most: usize, now: Time) -> (Found, bool) {
        let pipe = &mut self.pipes[end.other() as usize];
        let mut bytes = Vec::new();
        while let Some(piece) = pipe.pieces.front_mut() {
            if piece.at > now || bytes.len() >= most {
                break;
            }
            let len = (piece.bytes.len() - piece.read).min(most - bytes.len());
            bytes.extend_from_slice(&piece.bytes[piece.read..piece.read + len]);
            piece.read += len;
            if piece.read == piece.bytes.len() {
                pipe.pieces.pop_front();
            }
        }
        pipe.held -= bytes.len();
        if !bytes.is_empty() {
            let room = std::mem::take(&mut pipe.wants_room);
            return (Found::Bytes(bytes), room);
        }
        let ended = pipe.pieces.is_empty() && pipe.ends.is_some_and(|at| at <= now);
        (if ended { Found::End } else { Found::Nothing }, false)
    }

    /// Could `end` read something now?
    pub(crate) fn is_readable(&self, end: End, now: Time) -> bool {
        let pipe = &self.pipes[end.other() as usize];
        match pipe.pieces.front() {
            Some(piece) => piece.at <= now,
            None => pipe.ends.is_some_and(|at| at <= now),
        }
    }

    /// `end` writes no more; returns when the other end learns of it.
    pub(crate) fn shut_down(&mut self, end: End, now: Time) -> Time {
        let own = &mut self.pipes[end as usize];
        own.last = own.last.max(now.max(self.stopped_until) + self.quality.latency);
        let at = own.last;
        own.ends.get_or_insert(at);
        at
    }

    /// `end` closes; returns when the other end learns of it. An abrupt end may destroy what is on its way.
    pub(crate) fn close(&mut self, end: End, abrupt: bool, now: Time) -> Time {
        let own = &mut self.pipes[end as usize];
        if abrupt {
            own.pieces.retain(|piece| piece.at <= now);
            own.held = own.pieces.iter().map(|piece| piece.bytes.len() - piece.read).sum();
            own.last = now;
        }
        let at = self.shut_down(end, now);
        let incoming = &mut self.pipes[end.other() as usize];
        incoming.pieces.clear();
        incoming.held = 0;
        incoming.reader_gone = true;
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(capacity: usize) -> Link {
        let quality = Quality {
            latency: Duration::from_millis(1),
            jitter: Duration::from_millis(1),
            capacity,
            cuts: 50,
            partial: 0,
        };
        Link::new(Owner::Client(0), Owner::Server { server: 0, conn: 0 }, quality)
    }

    #[test]
    fn bytes_arrive_in_order_and_the_end_behind_them() {
        let mut rng = Rng::with_seed(1);
        let mut link = link(1000);
        let sent: Vec<u8> = (0..100).collect();
        assert_eq!(link.write(End::Near, &sent, Time::ZERO, &mut rng).count, 100);
        link.close(End::Near, false, Time::ZERO);
        assert_eq!(link.read(End::Far, 10, Time::ZERO).0, Found::Nothing);
        let mut got = Vec::new();
        let later = Time::from_millis(10);
        while let (Found::Bytes(bytes), _) = link.read(End::Far, 7, later) {
            got.extend(bytes);
        }
        assert_eq!(got, sent);
        assert_eq!(link.read(End::Far, 7, later).0, Found::End);
    }

    #[test]
    fn a_full_pipe_takes_nothing_until_it_is_read() {
        let mut rng = Rng::with_seed(1);
        let mut link = link(10);
        assert_eq!(link.write(End::Far, &[0; 30], Time::ZERO, &mut rng).count, 10);
        assert_eq!(link.write(End::Far, &[0; 20], Time::ZERO, &mut rng).count, 0);
        let (found, room) = link.read(End::Near, 100, Time::from_millis(10));
        assert!(matches!(found, Found::Bytes(bytes) if !bytes.is_empty()) && room);
    }

    #[test]
    fn what_nobody_reads_any_more_is_taken_and_lost() {
        let mut rng = Rng::with_seed(1);
        let mut link = link(10);
        link.write(End::Far, &[0; 5], Time::ZERO, &mut rng);
        link.close(End::Near, true, Time::ZERO);
        assert_eq!(link.write(End::Far, &[0; 30], Time::ZERO, &mut rng).count, 30);
        assert_eq!(link.read(End::Far, 1, Time::from_millis(10)).0, Found::End);
    }
}

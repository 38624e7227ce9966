//! What is to happen, in order of time; at the same time, in the order in which it was put down.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use topology::{Evidence, Snapshot, Time};

use super::net::{LinkId, Port};

/// One thing that happens.
#[derive(Debug)]
pub(crate) enum Event {
    /// Bytes, or the end of them, can be read here.
    Arrived(Port),
    /// Whoever wrote here may go on.
    Room(Port),
    /// A connect reaches the server.
    Knock(LinkId),
    /// The answer to a connect is back.
    Answered { link: LinkId, accepted: bool },
    /// A worker wakes up.
    Turn(usize),
    /// A Snapshot reaches a worker.
    Published { worker: usize, snapshot: Arc<Snapshot> },
    /// A server goes on with its connections.
    Serve(usize),
    /// A blocked command's time is over.
    Unblock { server: usize, conn: u64, token: u64 },
    /// A replica takes what its primary has sent it.
    Replicate(usize),
    /// A replica asks its primary to go on where it stopped.
    Attach(usize),
    /// A full copy has arrived.
    Copied { replica: usize, token: u64 },
    /// A server process is there again.
    Restart { server: usize, keeps_data: bool },
    /// A server has read its data.
    Loaded { server: usize, load: u64 },
    /// A stopped process goes on.
    Thaw(usize),
    /// A server accepts connects again.
    Accepting(usize),
    /// The authority over the servers looks at them.
    Watch,
    /// A primary that was replaced is told so.
    Demote { server: usize, token: u64 },
    /// The control plane does what is due.
    Control,
    /// A probe reaches a server.
    Probe(u64),
    /// A probe ends: answered, refused, or not at all.
    ProbeEnd { probe: u64, timed_out: bool },
    /// What a worker saw reaches the control plane.
    Evidence(Evidence),
    /// A client comes.
    Arrive,
    /// A client does the next thing.
    Act(usize),
    /// A client reads.
    Read(usize),
    /// Something breaks.
    Fault,
    /// The control plane begins, or ends, to hold writes.
    Hold,
    /// The next part of the run begins.
    Phase,
}

struct Entry {
    at: Time,
    number: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// The earliest is the greatest: a heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// The events to come.
#[derive(Default)]
pub(crate) struct Agenda {
    entries: BinaryHeap<Entry>,
    count: u64,
}

impl Agenda {
    pub(crate) fn put(&mut self, at: Time, event: Event) {
        self.count += 1;
        self.entries.push(Entry { at, number: self.count, event });
    }

    pub(crate) fn next(&mut self) -> Option<(Time, Event)> {
        self.entries.pop().map(|entry| (entry.at, entry.event))
    }

    /// How many events there have been and will be.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }
}

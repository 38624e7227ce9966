//! A connection to a node: a lane that many clients share, or one client's own.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use resp::ReplyScanner;
use session::Standing;
use topology::Time;

use crate::buffer::Requests;
use crate::slots::Key;

/// Unsent bytes above which a lane takes no more from clients until the node has read some.
pub(crate) const LANE_FULL: usize = 1024 * 1024;
/// Unanswered bytes above which a lane takes no more.
pub(crate) const LANE_HELD_FULL: usize = 16 * 1024 * 1024;
/// Unanswered commands above which a lane takes no more.
pub(crate) const LANE_QUEUE_FULL: usize = 256 * 1024;
/// A script that takes longer holds up whatever is sent behind it.
const SCRIPT_PATIENCE: Duration = Duration::from_millis(50);

/// One connection to one node.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) pool: usize,
    /// Index into the pool's nodes.
    pub(crate) node: usize,
    pub(crate) standing: Rc<Standing>,
    pub(crate) sharing: Sharing,
    /// As a lane: the one for scripts.
    pub(crate) scripts: bool,
    pub(crate) phase: Phase,
    pub(crate) requests: Requests,
    pub(crate) queue: VecDeque<Pending>,
    pub(crate) scanner: ReplyScanner,
    pub(crate) value: Value,
    /// Clients that wait for this connection to be ready, to have room, or to fail.
    pub(crate) waiters: Vec<Key>,
    /// Reading is stopped because the client whose reply is coming does not read.
    pub(crate) stalled: Option<Stall>,
    /// How long it was stalled before, by a client that read on and has more to come: so little at a time is slow as well.
    pub(crate) stalled_before: Duration,
    /// Takes no new commands; closed when its last one is answered.
    pub(crate) retired: bool,
    /// In the list of connections with something to write.
    pub(crate) dirty: bool,
    pub(crate) armed: Time,
    pub(crate) last_used: Time,
    /// The node does not answer: nothing is sent until it does, or is replaced.
    pub(crate) frozen: bool,
    /// A MULTI or WATCH was answered whose EXEC, DISCARD or UNWATCH was not.
    pub(crate) engaged: bool,
    /// A command inside the transaction at the front was refused because of the node's role.
    pub(crate) unit_refused: bool,
    pub(crate) silence: Silence,
    /// What CLIENT ID is on it, once the node has said so.
    pub(crate) node_client: Option<u64>,
    /// Bytes of the request that passes through have left.
    pub(crate) stream_begun: bool,
    /// It was asked what it calls the connection.
    pub(crate) asked_node_client: bool,
}

/// Has a lane's node forgotten it without a word, as a firewall makes it look?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Nothing says so.
    None,
    /// An answer was given up, and nothing has come since.
    Since(Time),
    /// And the node has answered a probe that was sent later: closed unless something comes until then.
    Proven { until: Time },
}

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Everybody's of the same standing.
    Lane,
    /// One client's; `None`: kept for the next one.
    Pinned(Option<Key>),
    /// Many subscribers', by its place in the pool's list of hubs.
    Hub(usize),
    /// One client's, bytes passed through.
    Raw(Key),
    /// Gets what a node tells of the keys that one client tracks, for another client.
    Receiver(Key),
}

/// How far the connection has come.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Not connected before `deadline`.
    Connecting { deadline: Time },
    /// Brought to its standing.
    Handshake { bytes: Vec<u8>, sent: usize, replies: u32, reply: Vec<u8>, deadline: Time },
    /// Takes commands.
    Ready,
}

/// The value that is being read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Value {
    /// Its first byte; meaningful while `len` is not 0.
    pub(crate) first: u8,
    /// How many bytes of it have been read before this turn.
    pub(crate) len: usize,
    /// Part of it has been handed to the client for good.
    pub(crate) streamed: bool,
    /// That was the beginning of a message, and of no command's reply.
    pub(crate) is_message: bool,
}

/// A client that does not read stops the lane that answers it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stall {
    pub(crate) client: Key,
    pub(crate) since: Time,
    /// What was queued behind it has been sent elsewhere.
    pub(crate) moved: bool,
    /// What could not be is waited for: the lane is read on, as long as the client's unread replies stay within their limit.
    pub(crate) read_on: bool,
}

/// One command, or one transaction, that is not answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    /// Nobody: the reply is discarded.
    pub(crate) client: Option<Key>,
    /// When the client's command arrived.
    pub(crate) at: Time,
    /// When its answer is given up.
    pub(crate) due: Time,
    /// Its bytes in the connection's buffer.
    pub(crate) len: u32,
    /// How many replies are still to come.
    pub(crate) replies: u32,
    /// How many there are in all.
    pub(crate) replies_in_all: u32,
    pub(crate) kind: PendingKind,
    pub(crate) flags: Flags,
}

/// What a pending command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PendingKind {
    /// One reply.
    Plain,
    /// A whole MULTI…EXEC: no reply of it counts before the last.
    Unit,
    /// One of the SUBSCRIBE family.
    Subscribe,
    /// May wait long.
    Blocking,
    /// MULTI on a pinned connection.
    Multi,
    /// Between MULTI and EXEC on a pinned connection.
    Queued,
    /// EXEC on a pinned connection.
    Exec,
    /// WATCH.
    Watch,
    /// DISCARD, or UNWATCH, on a pinned connection.
    Discard,
    /// PING before WAIT: `replies` is 2, the first is dropped.
    Wait,
    /// MONITOR.
    Monitor,
    /// A request that passes through without being kept.
    Streamed,
    /// The same between MULTI and EXEC.
    StreamedQueued,
    /// Changes the client's standing when it succeeds.
    Hook,
    /// Asks whether the client's user may have its next command answered.
    Permission,
    /// Asks which functions only read.
    Functions,
    /// Asks what the node calls the connection.
    NodeClient,
    /// CLIENT TRACKING with REDIRECT.
    Tracking,
    /// CLIENT TRACKINGINFO: the node's answer names a connection of Redkeel's.
    TrackingInfo,
    /// INFO: the pool's clients are put into its reply.
    Info,
    /// EVALSHA: a node that lacks the script can be given it.
    Evalsha,
    /// EVAL, SCRIPT LOAD or SCRIPT FLUSH: when it succeeds, the scripts that are known change.
    Script,
}

impl PendingKind {
    /// Is it too large to be kept?
    pub(crate) fn is_streamed(self) -> bool {
        matches!(self, Self::Streamed | Self::StreamedQueued)
    }
}

/// What may be done with a pending command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// May be sent again after its answer was lost.
    pub(crate) repeatable: bool,
    /// Error replies are the command's own affair.
    pub(crate) opaque: bool,
    /// The client wants no reply.
    pub(crate) mute: bool,
    /// Redkeel's own, to set the connection up again: the client sees no reply and does not wait for it.
    pub(crate) swallow: bool,
    /// Was routed by the rules for reads.
    pub(crate) read: bool,
    /// Must only be sent to the shard's primary.
    pub(crate) primary: bool,
    /// The script that it calls was sent before it.
    pub(crate) loaded: bool,
}

impl Upstream {
    pub(crate) fn is_lane(&self) -> bool {
        self.sharing == Sharing::Lane
    }

    pub(crate) fn owner(&self) -> Option<Key> {
        match self.sharing {
            Sharing::Lane | Sharing::Hub(_) => None,
            Sharing::Pinned(owner) => owner,
            Sharing::Raw(owner) | Sharing::Receiver(owner) => Some(owner),
        }
    }

    /// Does what is sent now wait for a script that takes long?
    pub(crate) fn is_held_up(&self, now: Time) -> bool {
        let front = self.queue.front();
        front.is_some_and(|front| front.flags.opaque && now.since(front.at) >= SCRIPT_PATIENCE)
    }

    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready)
    }

    /// A request that is not kept is on it.
    pub(crate) fn keeps_nothing(&self) -> bool {
        matches!(self.sharing, Sharing::Raw(_))
            || self.queue.back().is_some_and(|pending| pending.kind.is_streamed())
    }

    /// So many bytes have left for good. Before a request that passes through stand only commands of ours, which are sent
    /// to nobody again.
    pub(crate) fn pass_through(&mut self, sent: usize) {
        let mut left = sent;
        for pending in &mut self.queue {
            if pending.kind.is_streamed() {
                self.stream_begun |= left > 0;
                return;
            }
            let gone = left.min(pending.len as usize);
            pending.len -= gone as u32;
            left -= gone;
        }
    }

    /// Does anybody wait for an answer?
    pub(crate) fn is_awaited(&self) -> bool {
        self.queue.iter().any(|pending| pending.client.is_some())
    }

    /// May a client's commands be added?
    pub(crate) fn has_room(&self) -> bool {
        self.requests.unsent().len() < LANE_FULL
            && self.requests.len() < LANE_HELD_FULL
            && self.queue.len() < LANE_QUEUE_FULL
    }

    /// What is to be written now.
    pub(crate) fn output(&self) -> &[u8] {
        match &self.phase {
            Phase::Connecting { .. } => &[],
            Phase::Handshake { bytes, sent, .. } => &bytes[*sent..],
            Phase::Ready if self.retired => &self.requests.unsent()[..self.rest_of_begun()],
            Phase::Ready => self.requests.unsent(),
        }
    }

    /// How many unsent bytes belong to a command whose first bytes are sent.
    fn rest_of_begun(&self) -> usize {
        let sent = self.requests.sent_len();
        let mut end = 0;
        for pending in &self.queue {
            // Nothing follows it.
            if pending.kind.is_streamed() && self.stream_begun {
                return self.requests.unsent().len();
            }
            if end >= sent {
                break;
            }
            end += pending.len as usize;
        }
        end.saturating_sub(sent)
    }

    /// Is its client blocked?
    pub(crate) fn blocks(&self) -> bool {
        let blocks =
            |pending: &Pending| matches!(pending.kind, PendingKind::Blocking | PendingKind::Wait);
        self.queue.iter().any(blocks)
    }

    /// Is its client blocked, and has the node got the command?
    pub(crate) fn blocks_there(&self) -> bool {
        self.is_ready() && self.requests.unsent().is_empty() && self.blocks()
    }

    /// Is an answer to come to something that the node has got?
    pub(crate) fn awaits_sent(&self) -> bool {
        self.is_ready() && (self.requests.sent_len() > 0 || self.front_passed())
    }

    /// Has the oldest command left, and is not kept?
    fn front_passed(&self) -> bool {
        let front = self.queue.front().filter(|front| front.len == 0);
        front.is_some_and(|front| self.stream_begun || !front.kind.is_streamed())
    }

    /// Would a reply now be one to a command that has not left?
    pub(crate) fn awaits_nothing(&self) -> bool {
        self.is_lane() && self.requests.sent_len() == 0 && !self.queue.is_empty()
    }
}

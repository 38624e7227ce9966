//! A client: what it has sent, what it is owed, and what it waits for.

use resp::{ReplyScanner, RequestScanner};
use session::{
    Conversation, Effect, ReplyMode, Standing, Subscriptions, Target, Tracking, Transaction,
};
use std::rc::Rc;
use topology::{NodeId, Time};

use commands::Command;
use config::Mode;

use crate::buffer::Output;
use crate::conn::Caller;
use crate::desk::Inquiry;
use crate::front::{Front, Side};
use crate::slots::Key;
use crate::tracking::Receiver;
use crate::window::Window;

/// Unread replies above which a client's further commands wait.
pub(crate) const OUTPUT_FULL: usize = 256 * 1024;
/// Input that a client may have waiting before its socket is no longer read.
pub(crate) const INPUT_FULL: usize = 64 * 1024;

/// One connected client.
#[derive(Debug)]
pub(crate) struct Client {
    /// CLIENT ID.
    pub(crate) id: u64,
    pub(crate) pool: usize,
    pub(crate) mode: Mode,
    pub(crate) caller: Caller,
    /// When it connected.
    pub(crate) born: Time,
    /// Its last command, where the table has it.
    pub(crate) last_command: Option<&'static Command>,
    pub(crate) talk: Conversation,
    /// What was read and could not be handled yet.
    pub(crate) input: Vec<u8>,
    /// The scanner of the incomplete request at the start of `input`, where rescanning would be wasteful.
    pub(crate) partial: Option<Box<RequestScanner>>,
    pub(crate) output: Output,
    /// The connection on which its unanswered commands are, or its own.
    pub(crate) bound: Option<Bound>,
    pub(crate) unanswered: u32,
    /// How many may be.
    pub(crate) window: Window,
    /// A write was answered since it was bound: what was sent behind it must not miss it.
    pub(crate) behind_write: bool,
    /// Bytes of the input that were sent behind such a write: only the primary is sure to have it.
    pub(crate) for_primary: usize,
    pub(crate) parked: Parked,
    pub(crate) state: State,
    /// The socket is not being read.
    pub(crate) paused: bool,
    /// It has sent its last byte.
    pub(crate) ended: bool,
    pub(crate) dirty: bool,
    /// In the list of clients to go on with.
    pub(crate) queued: bool,
    /// In the pool's list of clients that a new Snapshot may help.
    pub(crate) listed: bool,
    pub(crate) armed: Time,
    /// The node of its last write, for WAIT.
    pub(crate) last_write: Option<NodeId>,
    pub(crate) last_input: Time,
    /// When the kernel last took bytes for it.
    pub(crate) last_output: Time,
    pub(crate) trouble: Option<Box<Trouble>>,
    pub(crate) special: Option<Box<Special>>,
    /// Its part in a client of several shards.
    pub(crate) side: Side,
}

/// Where a client's commands are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) upstream: Key,
    pub(crate) target: Target,
    pub(crate) pinned: bool,
}

/// What a client waits for before more of its input is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parked {
    /// Nothing.
    No,
    /// Its unanswered commands.
    Answers,
    /// A connection: to be ready, or to have room.
    Upstream,
    /// Its own reading of replies.
    Output,
    /// A node that can take its next command.
    Hold,
    /// A node's confirmation of a channel.
    Confirmation,
    /// What others know of the pool's clients.
    Peers,
    /// The end of a CLIENT PAUSE.
    Pause,
}

/// Is it alive?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    /// Closed once its replies are written.
    Closing,
    /// FIN sent after an error; what it still sends is read and dropped until it goes or `until`.
    Lingering {
        until: Time,
    },
}

/// What is only known of a client whose commands were lost, refused or held.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    /// Commands to be sent again, in order, and replies to be given between them.
    pub(crate) again: Vec<u8>,
    pub(crate) canned: Vec<Canned>,
    /// Commands that were taken back unsent, and follow those.
    pub(crate) tail: Vec<u8>,
    /// Commands are being collected: further replies of this client go here as well.
    pub(crate) collecting: bool,
    /// Replies that stand between the commands in the input, by their place in it.
    pub(crate) ready: Vec<Canned>,
    /// When the oldest of them arrived, or the command before it was answered.
    pub(crate) since: Option<Time>,
    /// Bytes of the input that are in this trouble: what comes behind them begins anew.
    pub(crate) concerned: usize,
    /// Since when it is held without a break.
    pub(crate) held_since: Option<Time>,
    /// Bytes of the input whose time is up: what no node can take is answered with an error.
    pub(crate) expired: usize,
    /// Counted among the pool's held clients, with so many bytes.
    pub(crate) held: bool,
    pub(crate) held_bytes: usize,
    /// How many commands they are, and where the last complete one ends.
    pub(crate) held_requests: u64,
    pub(crate) held_until: usize,
    /// The pool held too much already.
    pub(crate) over_limit: Option<HoldLimit>,
    /// Lost connections so far.
    pub(crate) losses: u32,
    /// Sent again after silence; happens once.
    pub(crate) silent: bool,
    /// The node that kept it waiting in vain.
    pub(crate) avoid: Option<usize>,
}

/// Which limit of held commands was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HoldLimit {
    Bytes,
    Requests,
}

/// A reply that is given when everything before its place is answered.
#[derive(Debug)]
pub(crate) struct Canned {
    pub(crate) at: usize,
    pub(crate) reply: Vec<u8>,
    pub(crate) mute: bool,
}

/// What most clients never have.
#[derive(Debug, Default)]
pub(crate) struct Special {
    pub(crate) transaction: Transaction,
    pub(crate) watching: bool,
    pub(crate) monitoring: bool,
    /// As the node confirmed them.
    pub(crate) subscriptions: Subscriptions,
    /// The CLIENT TRACKING that is in force.
    pub(crate) tracking: Option<Box<Tracking>>,
    /// Where the node sends what it would tell this client, for another.
    pub(crate) receiver: Option<Receiver>,
    /// That other was gone when something was to be told.
    pub(crate) is_redirect_broken: bool,
    pub(crate) reply_mode: ReplyMode,
    /// Changed in a way that Redkeel does not follow: the pinned connection is closed after use.
    pub(crate) tainted: bool,
    /// How many commands the node has queued since MULTI.
    pub(crate) queued: u32,
    /// Is one among them that may write?
    pub(crate) queued_write: bool,
    /// What some of them change about the client once EXEC has run them, by their place in its reply.
    pub(crate) effects: Vec<(u32, Effect)>,
    /// What the hooked command changes when it succeeds.
    pub(crate) hook: Option<Hook>,
    /// A request over the streaming threshold is passing through.
    pub(crate) streaming: Option<Streaming>,
    /// A subscriber or tracker whose connection was lost, and which must be set up again.
    pub(crate) orphaned: bool,
    /// Why the connection that a SELECT, AUTH or HELLO needs could not be had.
    pub(crate) standing_error: Option<Vec<u8>>,
    /// The lane that waits until this client reads.
    pub(crate) stalls: Option<Key>,
    /// The shared connection that its subscriptions are on, by its place in the pool's list.
    pub(crate) hub: Option<usize>,
    /// Why a node refuses what it wants to subscribe to.
    pub(crate) hub_error: Option<Vec<u8>>,
    /// Messages that came while a reply was coming.
    pub(crate) late: Vec<u8>,
    /// Its question about the pool's clients.
    pub(crate) inquiry: Option<Inquiry>,
}

/// What changes when the node says yes.
#[derive(Debug)]
pub(crate) enum Hook {
    Standing(Rc<Standing>),
    /// HELLO with AUTH: the node's +OK becomes HELLO's own reply.
    Hello {
        standing: Rc<Standing>,
        name: Option<Box<[u8]>>,
    },
    Tracking(Option<Box<Tracking>>),
}

/// A large request that is not gathered.
#[derive(Debug)]
pub(crate) struct Streaming {
    pub(crate) scanner: ReplyScanner,
    /// Where it goes; `None`: it is read and dropped.
    pub(crate) upstream: Option<Key>,
    /// Bytes so far.
    pub(crate) len: u64,
}

impl Trouble {
    /// Nothing is left to be sent again or answered late.
    pub(crate) fn is_over(&self) -> bool {
        !self.collecting
            && self.again.is_empty()
            && self.canned.is_empty()
            && self.tail.is_empty()
            && self.ready.is_empty()
            && self.expired == 0
            && self.concerned == 0
    }

    /// A node has answered one of its commands: those behind it, which could not be sent before, have waited for no node
    /// as yet.
    pub(crate) fn progressed(&mut self, now: Time) {
        if self.since.is_some() {
            self.since = Some(now);
        }
        if !self.held {
            self.held_since = None;
        }
    }
}

impl Special {
    /// Is its connection subscribed to something?
    pub(crate) fn listens_itself(&self) -> bool {
        self.hub.is_none() && !self.subscriptions.is_empty()
    }

    /// Says nothing that a client without one does not say as well.
    pub(crate) fn is_trivial(&self) -> bool {
        self.transaction == Transaction::None
            && !self.watching
            && !self.monitoring
            && self.subscriptions.is_empty()
            && self.tracking.is_none()
            && self.receiver.is_none()
            && !self.is_redirect_broken
            && self.reply_mode == ReplyMode::On
            && !self.tainted
            && self.effects.is_empty()
            && self.hook.is_none()
            && self.streaming.is_none()
            && !self.orphaned
            && self.standing_error.is_none()
            && self.stalls.is_none()
            // Looked at when nothing is unanswered: counts that are still here were for nothing.
            && matches!(self.inquiry, None | Some(Inquiry::Counted(_)))
            && self.hub.is_none()
            && self.hub_error.is_none()
            && self.late.is_empty()
    }
}

impl Client {
    /// One that has just connected.
    pub(crate) fn new(
        id: u64,
        pool: usize,
        mode: Mode,
        caller: Caller,
        talk: Conversation,
        now: Time,
    ) -> Self {
        Self {
            id,
            pool,
            mode,
            caller,
            born: now,
            last_command: None,
            talk,
            input: Vec::new(),
            partial: None,
            output: Output::default(),
            bound: None,
            unanswered: 0,
            window: Window::new(),
            behind_write: false,
            for_primary: 0,
            parked: Parked::No,
            state: State::Open,
            paused: false,
            ended: false,
            dirty: false,
            queued: false,
            listed: false,
            armed: Time::MAX,
            last_write: None,
            last_input: now,
            last_output: now,
            trouble: None,
            special: None,
            side: Side::Whole,
        }
    }

    /// Nothing is unanswered any more: what has come by now was sent before those answers were seen.
    pub(crate) fn note_pipelined(&mut self) {
        if self.behind_write {
            self.for_primary = self.input.len();
        }
    }

    /// The one that [`Self::special`] holds, made when first needed.
    pub(crate) fn special_mut(&mut self) -> &mut Special {
        self.special.get_or_insert_default()
    }

    pub(crate) fn trouble_mut(&mut self) -> &mut Trouble {
        self.trouble.get_or_insert_default()
    }

    /// What stands before a command that is sent again: one whose reply is skipped says so again.
    pub(crate) fn again_prefix(&self, mute: bool) -> &'static [u8] {
        let off = self.special.as_ref().is_some_and(|own| own.reply_mode == ReplyMode::Off);
        if mute && !off { b"*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$4\r\nSKIP\r\n" } else { b"" }
    }

    pub(crate) fn transaction(&self) -> Transaction {
        self.special.as_ref().map_or(Transaction::None, |special| special.transaction)
    }

    pub(crate) fn is_collecting(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.collecting)
    }

    pub(crate) fn is_streaming(&self) -> bool {
        self.special.as_ref().is_some_and(|special| special.streaming.is_some())
    }

    pub(crate) fn is_mute(&self) -> bool {
        self.special.as_ref().is_some_and(|special| special.reply_mode != ReplyMode::On)
    }

    pub(crate) fn is_subscribed(&self) -> bool {
        self.special.as_ref().is_some_and(|special| !special.subscriptions.is_empty())
    }

    /// Are its subscriptions on a connection that it shares?
    pub(crate) fn is_sharing(&self) -> bool {
        self.special.as_ref().is_some_and(|special| special.hub.is_some())
    }

    /// As [`Self::is_sharing`], in RESP2: it may do little but listen.
    pub(crate) fn only_shares(&self) -> bool {
        self.is_sharing() && self.talk.standing.protocol == resp::Protocol::Resp2
    }

    /// Is a connection that it had lost, and not set up again?
    pub(crate) fn is_orphaned(&self) -> bool {
        self.special.as_ref().is_some_and(|special| special.orphaned)
    }

    /// Must its next command go over the connection it has?
    pub(crate) fn needs_pin(&self) -> bool {
        self.special.as_ref().is_some_and(|special| {
            special.transaction.is_open()
                || special.watching
                || special.monitoring
                || special.listens_itself()
                || special.tracking.is_some()
                || matches!(
                    special.inquiry,
                    Some(
                        Inquiry::Permission
                            | Inquiry::Functions
                            | Inquiry::Found
                            | Inquiry::Tracking(_)
                    )
                )
        })
    }

    /// Sends nothing and awaits nothing: may be closed in a drain without being missed.
    pub(crate) fn is_idle(&self) -> bool {
        self.unanswered == 0
            && self.input.is_empty()
            && self.output.unsent() == 0
            && !self.transaction().is_open()
            && !self.is_streaming()
            && self.front().is_none_or(Front::is_between_commands)
    }
}

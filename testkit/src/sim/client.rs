//! A client: its connection, what it has asked and not been answered, and what it knows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use config::Mode;
use engine::ConnId;
use resp::{ReplyScanner, Skip};
use topology::Time;

use super::agenda::Event;
use super::ask::Ask;
use super::ledger::{Ending, Entry, Ledger};
use super::net::{Found, Link, LinkId, Owner, Port};
use super::wire;
use super::worker::Input;
use super::world::{Phase, World};

/// How a client behaves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Habit {
    /// Requests sent at once, at most.
    pub(crate) burst: usize,
    /// Unanswered requests, at most.
    pub(crate) depth: usize,
    /// Bytes of its values.
    pub(crate) value_len: usize,
    /// Microseconds between two bursts, at most.
    pub(crate) pause_us: u64,
    /// Now and then a value that is too large to be gathered.
    pub(crate) huge: bool,
    /// Sends byte by byte.
    pub(crate) drips: bool,
    /// Reads a little, and late.
    pub(crate) reads_slowly: bool,
    pub(crate) never_reads: bool,
    pub(crate) inline: bool,
    pub(crate) transactions: bool,
    pub(crate) blocks: bool,
    pub(crate) subscribes: bool,
    pub(crate) mutes: bool,
    /// Changes its database, protocol and name.
    pub(crate) moves: bool,
    /// Breaks off in the middle of a request, or sends none.
    pub(crate) rude: bool,
}

/// Is its connection there?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    /// It has said all it will ever say, perhaps in the middle of a request.
    Silent,
    Closed,
}

/// A request that awaits replies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) id: u64,
    /// How many replies; `None`: one for each channel that it is subscribed to then.
    pub(crate) left: Option<u32>,
    /// When the engine had all of it.
    pub(crate) came: Option<Time>,
}

/// The state of its connection as its replies tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) database: u32,
    pub(crate) resp3: bool,
    /// What is queued since MULTI.
    pub(crate) multi: Option<Vec<u64>>,
    /// When the engine had the MULTI.
    pub(crate) multi_came: Option<Time>,
    pub(crate) multi_failed: bool,
    pub(crate) watching: bool,
    pub(crate) channels: BTreeSet<u8>,
    /// Every channel it was ever subscribed to.
    pub(crate) heard: BTreeSet<u8>,
}

/// The state of its connection once all its requests are answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Intent {
    pub(crate) multi: bool,
    pub(crate) resp3: bool,
    pub(crate) muted: bool,
    pub(crate) skips: bool,
    pub(crate) channels: BTreeSet<u8>,
    pub(crate) last_empty: Option<u64>,
    pub(crate) watches: Option<u8>,
}

/// One client.
pub(crate) struct Client {
    pub(crate) mode: Mode,
    pub(crate) conn: Option<ConnId>,
    pub(crate) link: LinkId,
    pub(crate) habit: Habit,
    pub(crate) state: State,
    pub(crate) out: Vec<u8>,
    /// Of them, those that its kernel has taken.
    out_sent: usize,
    blocked: bool,
    reading: bool,
    /// Bytes of all its requests so far.
    asked: u64,
    /// Of them, those that the engine has read.
    read_by_engine: u64,
    /// The ends of requests that the engine has not read whole.
    ends: VecDeque<(u64, u64)>,
    pub(crate) waiting: VecDeque<Waiting>,
    input: Vec<u8>,
    scanned: usize,
    scanner: ReplyScanner,
    pub(crate) view: View,
    pub(crate) intent: Intent,
    pub(crate) last_answer: Time,
    /// When it goes, unless the time of going is over then.
    pub(crate) leaves_at: Time,
    /// The proxy may close the connection.
    pub(crate) expects_end: bool,
    /// What it wrote to each of its keys, in order.
    pub(crate) written: BTreeMap<u8, Vec<u64>>,
    /// Messages it got.
    pub(crate) messages: BTreeSet<u64>,
}

impl Client {
    /// Is there a reply that must come?
    pub(crate) fn awaits_answers(&self) -> bool {
        self.state != State::Closed && !self.habit.never_reads && !self.waiting.is_empty()
    }

    /// Will a drain close it?
    pub(crate) fn may_be_drained(&self) -> bool {
        self.state != State::Closed
            && !self.habit.never_reads
            && !self.habit.rude
            && !self.intent.multi
            && !matches!(self.mode, Mode::Tcp(_))
    }

    /// From now on the proxy may close it.
    pub(crate) fn let_go(&mut self) {
        self.expects_end = true;
    }

    pub(crate) fn describe(&self, ledger: &Ledger) -> String {
        let front = self.waiting.front().map(|waiting| (waiting, ledger.get(waiting.id)));
        format!(
            "{:?} {:?} {:?}; {} requests wait, the first is {front:?}; {:?}",
            self.mode,
            self.state,
            self.conn,
            self.waiting.len(),
            self.view
        )
    }
}

impl World {
    pub(crate) fn client_arrives(&mut self) {
        if !matches!(self.phase, Phase::Busy | Phase::Healing { .. } | Phase::Quiet { .. }) {
            return;
        }
        let index = self.clients.len();
        let mode = self.plan.client_mode(&mut self.rng);
        let habit = self.habit(mode);
        let worker = self.rng.usize(0..self.workers.len());
        let quality = self.plan.client_link(&mut self.rng);
        let stays = Duration::from_millis(self.rng.u64(20..6000));
        let leaves_at = self.now + stays;
        let link = self.links.len();
        // The far end gets its owner when the worker accepts it.
        self.links.push(Link::new(Owner::Client(index), Owner::Client(index), quality));
        self.note(|| format!("client {index} comes to worker {worker}, {mode:?}, {habit:?}"));
        self.clients.push(Client {
            mode,
            conn: None,
            link,
            habit,
            state: State::Open,
            out: Vec::new(),
            out_sent: 0,
            blocked: false,
            reading: false,
            asked: 0,
            read_by_engine: 0,
            ends: VecDeque::new(),
            waiting: VecDeque::new(),
            input: Vec::new(),
            scanned: 0,
            scanner: ReplyScanner::new(),
            view: View::default(),
            intent: Intent::default(),
            last_answer: self.now,
            leaves_at,
            expects_end: false,
            written: BTreeMap::new(),
            messages: BTreeSet::new(),
        });
        self.tell_worker(worker, Input::Accept { link, mode, client: index });
        self.agenda.put(self.now + Duration::from_micros(300), Event::Act(index));
    }

    /// Puts a request down, in the ledger and among the bytes to send.
    pub(crate) fn ask(&mut self, index: usize, ask: Ask) -> u64 {
        let client = &mut self.clients[index];
        let silent = matches!(ask, Ask::ReplyOff | Ask::ReplySkip);
        let muted = match ask {
            Ask::ReplyOn => false,
            _ => client.intent.muted || std::mem::take(&mut client.intent.skips),
        };
        let entry = Entry {
            client: index,
            mode: client.mode,
            ask: ask.clone(),
            batch: None,
            transaction: None,
            executions: Vec::new(),
            was_refused: false,
            ending: Ending::Open,
        };
        let id = self.ledger.open(entry);
        let fits_a_line = match &ask {
            Ask::SetEmpty => false,
            Ask::Set { len, .. } | Ask::Echo { len } | Ask::Push { len, .. } => *len < 5000,
            _ => true,
        };
        let inline = client.habit.inline && fits_a_line && self.rng.bool();
        let before = client.out.len();
        ask.write(id, index, inline, &mut client.out);
        client.asked += (client.out.len() - before) as u64;
        client.ends.push_back((client.asked, id));
        if !muted && !silent {
            let left = match &ask {
                Ask::Unsubscribe { channels } if channels.is_empty() => None,
                Ask::Subscribe { channels } | Ask::Unsubscribe { channels } => {
                    Some(channels.len() as u32)
                }
                _ => Some(1),
            };
            client.waiting.push_back(Waiting { id, left, came: None });
        }
        if let Ask::Set { key, .. } | Ask::Delete { key } = ask {
            client.written.entry(key).or_default().push(id);
        }
        self.remember_intent(index, &ask, id);
        id
    }

    fn remember_intent(&mut self, index: usize, ask: &Ask, id: u64) {
        let intent = &mut self.clients[index].intent;
        match ask {
            Ask::Multi => intent.multi = true,
            Ask::Exec | Ask::Discard => {
                intent.multi = false;
                intent.watches = None;
            }
            Ask::Watch { key } => intent.watches = Some(*key),
            Ask::Unwatch => intent.watches = None,
            Ask::Hello { resp3 } => intent.resp3 = *resp3,
            Ask::ReplyOff => intent.muted = true,
            Ask::ReplyOn => intent.muted = false,
            Ask::ReplySkip => intent.skips = !intent.muted,
            Ask::Subscribe { channels } => intent.channels.extend(channels),
            Ask::Unsubscribe { channels } if channels.is_empty() => intent.channels.clear(),
            Ask::Unsubscribe { channels } => {
                intent.channels.retain(|channel| !channels.contains(channel));
            }
            Ask::SetEmpty => intent.last_empty = Some(id),
            Ask::Reset => *intent = Intent::default(),
            _ => {}
        }
    }

    /// The engine has read so many bytes of a client at once: what became whole by them is one batch.
    pub(crate) fn engine_reads(&mut self, index: usize, count: usize) {
        self.batches += 1;
        let client = &mut self.clients[index];
        client.read_by_engine += count as u64;
        while let Some((end, id)) = client.ends.front().copied() {
            if end > client.read_by_engine {
                break;
            }
            client.ends.pop_front();
            let Some(entry) = self.ledger.get_mut(id) else { continue };
            let alone = entry.ask.ends_batch() || client.habit.mutes;
            self.batches += u64::from(alone);
            entry.batch = Some(self.batches);
            self.batches += u64::from(alone);
            if let Some(waiting) = client.waiting.iter_mut().find(|waiting| waiting.id == id) {
                waiting.came = Some(self.now);
            }
        }
    }

    /// Writes what the client's kernel takes.
    pub(crate) fn client_flushes(&mut self, index: usize) {
        self.clients[index].blocked = false;
        self.client_writes(index);
    }

    pub(crate) fn client_writes(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if client.state == State::Closed || client.blocked || client.out.is_empty() {
            return;
        }
        let drips = client.habit.drips;
        let most = if drips { self.rng.usize(1..4) } else { usize::MAX };
        let port = Port::near(client.link);
        let out = std::mem::take(&mut client.out);
        let from = client.out_sent;
        let most = most.min(out.len() - from);
        let count = self.send(port, &out[from..from + most]);
        let client = &mut self.clients[index];
        client.out = out;
        client.out_sent += count;
        client.blocked = count < most;
        if client.out_sent == client.out.len() {
            client.out.clear();
            client.out_sent = 0;
        } else if drips && !client.blocked {
            client.blocked = true;
            let at = self.now + Duration::from_micros(self.rng.u64(10..300));
            self.agenda.put(at, Event::Room(port));
        }
    }

    pub(crate) fn client_readable(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if client.state == State::Closed || client.habit.never_reads || client.reading {
            return;
        }
        client.reading = true;
        let most = if client.habit.reads_slowly { 8000 } else { 100 };
        let at = self.now + Duration::from_micros(self.rng.u64(0..most));
        self.agenda.put(at, Event::Read(index));
    }

    pub(crate) fn client_reads(&mut self, index: usize) {
        let client = &mut self.clients[index];
        client.reading = false;
        if client.state == State::Closed {
            return;
        }
        let most = if client.habit.reads_slowly { 12 * 1024 } else { 128 * 1024 };
        let port = Port::near(client.link);
        let (found, room) = self.links[port.link].read(port.end, most, self.now);
        if room {
            self.give_room(port);
        }
        match found {
            Found::Nothing => {}
            Found::End => self.client_ended(index),
            Found::Bytes(bytes) => {
                self.clients[index].input.extend_from_slice(&bytes);
                self.read_replies(index);
                if self.links[port.link].is_readable(port.end, self.now) {
                    self.client_readable(index);
                }
            }
        }
    }

    fn read_replies(&mut self, index: usize) {
        let mut input = std::mem::take(&mut self.clients[index].input);
        let mut at = 0;
        loop {
            let client = &mut self.clients[index];
            let from = at + client.scanned;
            if from == input.len() {
                break;
            }
            match client.scanner.scan(&input[from..]) {
                Ok(Skip::Incomplete) => {
                    client.scanned = input.len() - at;
                    break;
                }
                Ok(Skip::Complete(len)) => {
                    let end = from + len;
                    client.scanned = 0;
                    self.judge(index, &input[at..end]);
                    at = end;
                }
                Err(error) => panic!(
                    "client {index} got what is no reply ({error}): {}",
                    wire::shown(&input[at..])
                ),
            }
        }
        input.drain(..at);
        self.clients[index].input = input;
    }

    /// The proxy has closed the connection.
    fn client_ended(&mut self, index: usize) {
        let client = &self.clients[index];
        // Half of a long reply may be with the client when its node is lost.
        let cut_off = self.plan.has_faults()
            && (!client.input.is_empty() || matches!(client.mode, Mode::Tcp(_)));
        assert!(
            client.expects_end || cut_off,
            "client {index} was closed for no reason: {}",
            client.describe(&self.ledger)
        );
        self.client_closes(index);
        if self.is_busy() {
            self.agenda.put(self.now + Duration::from_millis(5), Event::Arrive);
        }
    }

    /// The client goes.
    pub(crate) fn client_closes(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if client.state == State::Closed {
            return;
        }
        client.state = State::Closed;
        client.waiting.clear();
        client.out = Vec::new();
        client.out_sent = 0;
        client.input = Vec::new();
        self.note(|| format!("client {index} goes"));
        let abrupt = self.rng.bool();
        let port = Port::near(self.clients[index].link);
        self.close_port(port, abrupt);
    }
}

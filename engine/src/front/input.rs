//! From the client's bytes to its commands.

use resp::{ReplyScanner, RequestScanner, Scan, Skip};
use session::shards::{Layout, Plan, plan};
use session::{Access, Call, Rules, Way, classify, classify_begun};
use topology::ErrorKind;

use crate::Engine;
use crate::client::{Client, OUTPUT_FULL, Parked, State};
use crate::front::{Stream, Territory};
use crate::input::STREAM_ABOVE;
use crate::listening::LISTENS;
use crate::slots::Key;

impl Engine {
    /// Goes on with what the client has sent, now that it may.
    pub(crate) fn front_go_on(&mut self, key: Key) {
        self.hand_over(key);
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        client.parked = Parked::No;
        let mut input = std::mem::take(&mut client.input);
        let used = self.front_consume(key, &input).min(input.len());
        match self.clients.get_mut(key) {
            Some(client) if client.state == State::Open => {
                if used == input.len() {
                    self.buffers.give(input);
                } else {
                    input.drain(..used);
                    client.input = input;
                }
            }
            _ => self.buffers.give(input),
        }
        self.balance_reading(key);
        self.close_if_served(key);
    }

    /// Handles what can be handled of `input`; returns how many bytes are used up.
    pub(crate) fn front_consume(&mut self, key: Key, input: &[u8]) -> usize {
        let mut at = 0;
        while at < input.len() {
            let Some(client) = self.clients.get_mut(key) else {
                return input.len();
            };
            if client.state != State::Open {
                return input.len();
            }
            if client.output.unsent() > OUTPUT_FULL {
                return self.park(key, Parked::Output, at);
            }
            let pool = client.pool;
            let Some(front) = client.front() else {
                return input.len();
            };
            if front.is_busy() {
                return self.park(key, Parked::Answers, at);
            }
            if front.streaming.is_some() {
                at += self.front_stream_on(key, &input[at..]);
                continue;
            }
            if self.pools[pool].pause.is_some() && self.is_paused(key, &input[at..]) {
                self.await_snapshot(key);
                return self.park(key, Parked::Pause, at);
            }
            let partial = self.clients.get_mut(key).and_then(|client| client.partial.take());
            let mut scanner = match partial {
                Some(partial) => *partial,
                None => {
                    let mut scanner = std::mem::take(&mut self.scanner);
                    scanner.reset();
                    scanner
                }
            };
            let used = self.front_request(key, &input[at..], &mut scanner);
            match used {
                Some(used) => {
                    at += used;
                    self.scanner = scanner;
                }
                None => {
                    let waits = self.is_waiting(key);
                    let long = input.len() - at > KEEP_SCANNER_ABOVE;
                    match self.clients.get_mut(key) {
                        Some(client) if long && !waits => client.partial = Some(Box::new(scanner)),
                        _ => self.scanner = scanner,
                    }
                    return at;
                }
            }
        }
        at
    }

    fn is_waiting(&self, key: Key) -> bool {
        self.clients.get(key).is_none_or(|client| client.parked != Parked::No)
    }

    /// Handles the request at the start of `input`; how many bytes it took, or `None`: it waits, or is not whole.
    fn front_request(
        &mut self,
        key: Key,
        input: &[u8],
        scanner: &mut RequestScanner,
    ) -> Option<usize> {
        let client = self.clients.get(key)?;
        let pool = &self.pools[client.pool];
        let limits = match pool.access(client.talk.who) {
            Access::Stranger => &pool.stranger_limits,
            Access::Open | Access::User(_) => &pool.limits,
        };
        let mut inline = Vec::new();
        let (len, bytes) = match scanner.scan(input, limits) {
            Ok(Scan::Complete { len, inline: false }) => (len, &input[..len]),
            Ok(Scan::Complete { len, inline: true }) => {
                let rewritten = resp::inline_to_multibulk(&input[..len], &mut inline);
                match rewritten.and_then(|()| scanner.scan(&inline, limits)) {
                    Ok(_) => (len, inline.as_slice()),
                    Err(error) => return self.front_broken(key, &error.to_string(), input.len()),
                }
            }
            Ok(Scan::Incomplete { known }) if known > STREAM_ABOVE => {
                return self.front_stream_begin(key, input, scanner, known);
            }
            Ok(Scan::Incomplete { .. }) => return None,
            Err(error) => return self.front_broken(key, &error.to_string(), input.len()),
        };
        if scanner.args().is_empty() {
            return Some(len);
        }
        let call = Call::new(bytes, scanner.args());
        self.front_command(key, call, bytes, input, len)
    }

    /// A broken frame: everything before it is answered, then the client is told and closed, as Redis does.
    fn front_broken(&mut self, key: Key, error: &str, len: usize) -> Option<usize> {
        if !self.is_alone(key) {
            return None;
        }
        self.reply_error(key, ErrorKind::Protocol, &format!("ERR {error}"));
        self.finish(key);
        Some(len)
    }

    /// Is nothing owed? If something is, the client waits.
    pub(crate) fn is_alone(&mut self, key: Key) -> bool {
        let Some(client) = self.clients.get_mut(key) else {
            return true;
        };
        let alone =
            client.front().is_none_or(|front| front.owed.is_empty() && front.amid.is_none());
        if !alone {
            client.parked = Parked::Answers;
        }
        alone
    }

    /// A request too large to gather. It passes to the leg of its only key; one that may be for several shards is gathered
    /// all the same, up to `max_request`.
    fn front_stream_begin(
        &mut self,
        key: Key,
        input: &[u8],
        scanner: &RequestScanner,
        known: u64,
    ) -> Option<usize> {
        let call = Call::begun(input, scanner.args(), scanner.argc());
        let in_block = self.block_is_open(key);
        let client = self.clients.get(key)?;
        let (territory, rules) = self.front_rules(client)?;
        let (way, command) =
            if call.is_empty() { return None } else { classify_begun(call, &rules) };
        if self.only_listens(key) {
            if !self.is_alone(key) {
                return None;
            }
            self.reply_error(key, ErrorKind::Command, LISTENS);
            return self.front_stream_start(key, input, None);
        }
        let place = match way {
            Way::Reject(session::Rejection::Undecided) if (input.len() as u64) <= STREAM_ABOVE => {
                return None;
            }
            Way::Reject(rejection) => {
                self.spoil_block(key);
                self.reject(key, call, rejection);
                return self.front_stream_start(key, input, None);
            }
            Way::Lane { .. } | Way::Pinned { .. } | Way::Everywhere => {
                let command = command?;
                match commands::only_key(command) {
                    // It has come, as the one behind it is coming.
                    Some(index) if call.len() > index => {
                        let reads = command.flags.readonly();
                        territory.view(reads && !in_block).shard(call.arg(index))
                    }
                    _ => return None,
                }
            }
            Way::Local(_) => {
                let text = session::error(
                    ErrorKind::Limit,
                    format_args!("a command of {known} bytes is too large for its kind"),
                );
                self.spoil_block(key);
                self.reply_error(key, ErrorKind::Limit, &text);
                return self.front_stream_start(key, input, None);
            }
        };
        match self.block_place(key, place) {
            crate::front::transaction::Ground::Wait => return None,
            crate::front::transaction::Ground::Refused => {
                return self.front_stream_start(key, input, None);
            }
            crate::front::transaction::Ground::Ready => {}
        }
        if command.is_none_or(|command| !command.flags.readonly()) {
            self.block_writes(key);
        }
        self.owe(key, crate::front::Owing::Reply(place));
        self.front_stream_start(key, input, Some(place))
    }

    fn front_stream_start(
        &mut self,
        key: Key,
        input: &[u8],
        place: Option<usize>,
    ) -> Option<usize> {
        let front = self.clients.get_mut(key).and_then(Client::front_mut)?;
        front.streaming = Some(Stream { scanner: ReplyScanner::new(), place, len: 0 });
        Some(self.front_stream_on(key, input))
    }

    /// More of it; returns how many bytes belonged to it.
    fn front_stream_on(&mut self, key: Key, data: &[u8]) -> usize {
        let Some(client) = self.clients.get_mut(key) else {
            return data.len();
        };
        let most = self.pools[client.pool].limits.max_request;
        let Some(front) = client.front_mut() else {
            return data.len();
        };
        let Some(stream) = front.streaming.as_mut() else {
            return 0;
        };
        // A request looks like the reply that its echo would be.
        let (used, complete) = match stream.scanner.scan(data) {
            Ok(Skip::Complete(used)) => (used, true),
            Ok(Skip::Incomplete) => (data.len(), false),
            Err(_) => return self.front_stream_broken(key, "invalid bulk length", data.len()),
        };
        stream.len += used as u64;
        if stream.len > most {
            return self.front_stream_broken(key, "request is larger than max_request", data.len());
        }
        let place = stream.place;
        if complete {
            front.streaming = None;
            self.relocate_soon(key);
        }
        if let Some(place) = place {
            self.feed(key, place, &data[..used]);
        }
        used
    }

    /// The rest cannot be told from another request: the client is told and closed, and its legs with it.
    fn front_stream_broken(&mut self, key: Key, text: &str, len: usize) -> usize {
        self.drop_legs(key);
        if let Some(client) = self.clients.get_mut(key) {
            client.unanswered = 0;
            if let Some(front) = client.front_mut() {
                front.owed.clear();
                front.amid = None;
                front.streaming = None;
            }
        }
        self.reply_error(key, ErrorKind::Protocol, &format!("ERR Protocol error: {text}"));
        self.finish(key);
        len
    }

    /// What decides about a client's commands: its pool's layout and rules, and what the nodes have taught.
    fn front_rules(&self, client: &Client) -> Option<(&Territory, Rules<'_>)> {
        let pool = &self.pools[client.pool];
        let territory = pool.territory.as_ref()?;
        let rules = Rules {
            mode: client.mode,
            refuse: &pool.settings.refuse,
            learned: &self.pools[*territory.groups.first()?].learned,
            access: pool.access(client.talk.who),
        };
        Some((territory, rules))
    }

    /// What is to be done with a command, and what the table says of it. In a transaction, reads are where writes go.
    pub(crate) fn front_plan(
        &self,
        key: Key,
        call: Call<'_>,
        in_block: bool,
    ) -> Option<(Way, Option<&'static commands::Command>, Plan)> {
        let client = self.clients.get(key)?;
        let (territory, rules) = self.front_rules(client)?;
        let (way, command) = classify(call, &rules);
        let plan = match way {
            Way::Lane { .. } | Way::Everywhere | Way::Pinned { .. } => {
                let reads = command.is_some_and(|command| command.flags.readonly());
                plan(call, command, rules.learned, &territory.view(reads && !in_block))
            }
            Way::Local(_) | Way::Reject(_) => Plan::Any,
        };
        Some((way, command, plan))
    }
}

/// An incomplete request longer than this keeps its scanner; a shorter one is scanned again from its start.
const KEEP_SCANNER_ABOVE: usize = 4096;

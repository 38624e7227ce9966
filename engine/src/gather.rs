//! From a client's bytes to a batch: which of its requests may travel together.

use commands::Kind;
use config::Balance;
use resp::{RequestError, RequestScanner, Scan};
use session::{
    Access, Call, Local, PinReason, Rejection, ReplyMode, Rules, Target, Transaction, Way,
    classify, classify_begun,
};

use crate::Engine;
use crate::client::{Client, INPUT_FULL, OUTPUT_FULL};
use crate::dispatch::{Request, Source};
use crate::front::Side;
use crate::input::STREAM_ABOVE;
use crate::pause::{Touch, touch};
use crate::pool::Pool;
use crate::repair::script_kind;
use crate::slots::{Key, Slots};
use crate::upstream::{PendingKind, Upstream};

/// Why gathering stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// No complete request is left.
    End,
    /// The batch is long enough.
    More,
    /// A command that is handled alone; `scanner` has its arguments.
    Single { way: Way, kind: Option<Kind>, source: Source, len: usize },
    /// A command that cannot follow the unanswered ones where they are.
    Unfit,
    /// The client must read its replies first.
    Unread,
    /// An incomplete request too large to gather.
    Large { known: u64 },
    /// A broken frame.
    Broken(RequestError),
}

impl Engine {
    /// Collects the complete ordinary requests at the start of `input` into `self.batch`.
    pub(crate) fn gather(&mut self, key: Key, input: &[u8]) -> Stop {
        self.batch.clear();
        self.inline.clear();
        self.batch_key = None;
        self.batch_scripts = false;
        let Some(client) = self.clients.get_mut(key) else {
            return Stop::End;
        };
        if client.output.unsent() > OUTPUT_FULL {
            return Stop::Unread;
        }
        let pool = &self.pools[client.pool];
        match client.unanswered {
            0 => client.window.next_round(client.output.unsent()),
            unanswered if unanswered >= client.window.commands() => client.window.fill(),
            _ => {}
        }
        let course = Course::of(client, pool, &self.upstreams);
        let rules = Rules {
            mode: client.mode,
            refuse: &pool.settings.refuse,
            learned: &pool.learned,
            access: pool.access(client.talk.who),
        };
        let limits = match rules.access {
            Access::Stranger => &pool.stranger_limits,
            Access::Open | Access::User(_) => &pool.limits,
        };
        let by_key = pool.settings.balance == Balance::Hash;
        match client.partial.take() {
            Some(partial) => self.scanner = *partial,
            None => self.scanner.reset(),
        }
        let mut at = 0;
        loop {
            if self.batch.len() >= course.most {
                return Stop::More;
            }
            if at == input.len() {
                return Stop::End;
            }
            let (source, len) = match self.scanner.scan(&input[at..], limits) {
                Ok(Scan::Complete { len, inline: false }) => (Source::Input { at, len }, len),
                Ok(Scan::Complete { len, inline: true }) => {
                    let from = self.inline.len();
                    if let Err(error) =
                        resp::inline_to_multibulk(&input[at..at + len], &mut self.inline)
                    {
                        return Stop::Broken(error);
                    }
                    let text = &self.inline[from..];
                    if text.is_empty() {
                        at += len;
                        continue;
                    }
                    if let Err(error) = self.scanner.scan(text, limits) {
                        return Stop::Broken(error);
                    }
                    (Source::Inline { at: from, len: text.len() }, len)
                }
                // What it is, its name tells; a name of this length is none.
                Ok(Scan::Incomplete { known })
                    if known > STREAM_ABOVE
                        && (!self.scanner.args().is_empty() || input.len() - at > INPUT_FULL) =>
                {
                    let come = input.len() - at;
                    if come as u64 <= STREAM_ABOVE
                        && is_undecided(&self.scanner, &input[at..], &rules)
                    {
                        return Stop::End;
                    }
                    return Stop::Large { known };
                }
                Ok(Scan::Incomplete { .. }) => return Stop::End,
                Err(error) => return Stop::Broken(error),
            };
            if self.scanner.args().is_empty() {
                // `*0` and the empty line: Redis ignores them.
                self.batch.push(Request::nothing(at, len));
                at += len;
                continue;
            }
            let bytes = source.of(input, &self.inline);
            let call = Call::new(bytes, self.scanner.args());
            let (way, command) = classify(call, &rules);
            let kind = command.map(|command| command.kind);
            client.last_command = command;
            let mut request = match way {
                Way::Lane { target, repeatable, opaque } if !course.alone => {
                    let mut request =
                        Request::ordinary(source, at, len, target, repeatable, opaque);
                    if opaque && let Some(kind) = script_kind(call) {
                        self.batch_scripts |= kind == PendingKind::Evalsha;
                        request.kind = kind;
                    }
                    request
                }
                Way::Pinned { target, reason: PinReason::Multi } if course.units => {
                    match unit(&mut self.ahead, &input[at..], target, pool, &rules) {
                        Some((request, scripts)) => {
                            self.batch_scripts |= scripts;
                            request.shifted(at)
                        }
                        None => return Stop::Single { way, kind, source, len },
                    }
                }
                _ => return Stop::Single { way, kind, source, len },
            };
            if at < course.for_primary {
                request.target = Target::Primary;
            }
            if !course.admits(&request, &self.batch) {
                return Stop::Unfit;
            }
            if course.queued {
                request.kind = PendingKind::Queued;
                client.special_mut().queued_write |=
                    touch(way, command, call, &pool.scripts) != Touch::Reads;
            }
            if by_key && self.batch_key.is_none() && self.batch.iter().all(Request::is_nothing) {
                self.batch_key = command.and_then(|command| {
                    let index = commands::first_key(command, call.len(), |index| call.arg(index))?;
                    let range = self.scanner.args().get(index)?;
                    let base = source.input_at()?;
                    Some(base + range.start as usize..base + range.end as usize)
                });
            }
            at += request.used;
            self.batch.push(request);
        }
    }
}

impl Engine {
    /// As [`Self::gather`], for requests that were looked at before they got to this leg. False: there are none, or they
    /// cannot all go on together now; then they are gathered like others.
    pub(crate) fn gather_staged(&mut self, key: Key, input: &[u8]) -> bool {
        let Some(client) = self.clients.get_mut(key) else {
            return false;
        };
        let Side::Leg(part) = &mut client.side else {
            return false;
        };
        if part.staged.is_empty() {
            return false;
        }
        let is_same = part.input_len == input.len() && part.staged_len <= input.len();
        part.staged_len = 0;
        self.batch.clear();
        self.batch.append(&mut part.staged);
        let pool = &self.pools[client.pool];
        let is_plain = client.trouble.is_none()
            && client.special.is_none()
            && client.for_primary == 0
            && client.output.unsent() <= OUTPUT_FULL
            && pool.pause.is_none()
            && pool.settings.balance != Balance::Hash
            && is_same;
        if !is_plain {
            self.batch.clear();
            return false;
        }
        match client.unanswered {
            0 => client.window.next_round(client.output.unsent()),
            unanswered if unanswered >= client.window.commands() => client.window.fill(),
            _ => {}
        }
        let course = Course::of(client, pool, &self.upstreams);
        let fits = !course.alone
            && self.batch.len() <= course.most
            && self.batch.iter().all(|request| course.admits(request, &[]));
        if !fits {
            self.batch.clear();
            return false;
        }
        self.inline.clear();
        self.batch_key = None;
        self.batch_scripts = false;
        true
    }
}

/// Has too little of this request come to tell whether its client may run it?
fn is_undecided(scanner: &RequestScanner, input: &[u8], rules: &Rules<'_>) -> bool {
    let call = Call::begun(input, scanner.args(), scanner.argc());
    !call.is_empty() && classify_begun(call, rules).0 == Way::Reject(Rejection::Undecided)
}

/// What may be gathered for a client as it stands.
struct Course {
    /// The unanswered commands' target; what demands more must wait for them.
    bound: Option<Target>,
    /// Nothing may be added to them: the client's connection is busy, or its node is no longer fit.
    closed: bool,
    /// All commands go over its own connection, whatever their target.
    pinned: bool,
    /// …and are queued by the node between MULTI and EXEC.
    queued: bool,
    /// Each command is answered here, or refused: between MULTI and EXEC with no node behind it, or beside listening.
    alone: bool,
    /// A whole MULTI…EXEC may travel as one.
    units: bool,
    /// What could not be sent in time is answered one kind at a time.
    homogeneous: bool,
    /// So many bytes are for the primary, even if they only read.
    for_primary: usize,
    most: usize,
}

impl Course {
    fn of(client: &Client, pool: &Pool, upstreams: &Slots<Upstream>) -> Self {
        let transaction = client.transaction();
        let needs_pin = client.needs_pin();
        let pinned = client.bound.is_some_and(|bound| bound.pinned);
        let busy = client.unanswered > 0;
        let bound = client.bound.filter(|_| busy && !pinned);
        let streamed = client.bound.is_some_and(|bound| {
            busy && upstreams.get(bound.upstream).is_some_and(Upstream::keeps_nothing)
        });
        let fit = bound.is_none_or(|bound| {
            upstreams.get(bound.upstream).is_some_and(|upstream| {
                upstream.stalled.is_none() && pool.takes(upstream.node, bound.target)
            })
        });
        let retired = client.bound.is_some_and(|bound| {
            busy && upstreams.get(bound.upstream).is_some_and(|upstream| upstream.retired)
        });
        let expired = client.trouble.as_ref().is_some_and(|trouble| trouble.expired > 0);
        let skip =
            client.special.as_ref().is_some_and(|special| special.reply_mode == ReplyMode::Skip);
        Self {
            bound: bound.map(|bound| bound.target),
            closed: (pinned && !needs_pin && busy)
                || streamed
                || retired
                || !fit
                || client.unanswered >= client.window.commands(),
            pinned: pinned && needs_pin,
            queued: transaction.is_open(),
            alone: transaction.is_imaginary() || client.only_shares(),
            units: !pinned && !client.only_shares() && transaction == Transaction::None && !skip,
            homogeneous: expired,
            for_primary: client.for_primary,
            // In a pause each command is looked at alone.
            most: if skip || pool.pause.is_some() { 1 } else { client.window.commands() as usize },
        }
    }

    fn admits(&self, request: &Request, batch: &[Request]) -> bool {
        if self.closed {
            return false;
        }
        if self.pinned {
            return true;
        }
        if let Some(bound) = self.bound {
            return request.target <= bound;
        }
        !self.homogeneous
            || batch
                .iter()
                .find(|other| !other.is_nothing())
                .is_none_or(|other| other.target == request.target)
    }
}

/// A MULTI whose EXEC or DISCARD has come as well, with nothing between them that needs a connection of its own; and
/// whether scripts are called in it.
pub(crate) fn unit(
    ahead: &mut RequestScanner,
    input: &[u8],
    target: Target,
    pool: &Pool,
    rules: &Rules<'_>,
) -> Option<(Request, bool)> {
    ahead.reset();
    let mut at = 0;
    let mut replies = 0;
    let mut target = target;
    let mut repeatable = true;
    let mut scripts = false;
    loop {
        let Ok(Scan::Complete { len, inline: false }) = ahead.scan(&input[at..], &pool.limits)
        else {
            return None;
        };
        at += len;
        if ahead.args().is_empty() {
            continue;
        }
        replies += 1;
        if replies == 1 {
            // The MULTI itself.
            continue;
        }
        let call = Call::new(&input[at - len..at], ahead.args());
        match classify(call, rules).0 {
            Way::Lane { target: own, repeatable: own_repeatable, opaque } => {
                scripts |= opaque && script_kind(call) == Some(PendingKind::Evalsha);
                target = target.max(own);
                repeatable &= own_repeatable;
            }
            Way::Local(Local::Info) => {}
            Way::Local(Local::Exec | Local::Discard) => {
                let request = Request::unit(at, replies, target, repeatable);
                return Some((request, scripts));
            }
            _ => return None,
        }
    }
}

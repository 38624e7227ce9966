//! CLIENT PAUSE: what the pool's clients send waits here, for as long as it says. The nodes go on, since their connections
//! are everybody's.

use commands::Command;
use resp::{RequestScanner, Scan};
use session::{Call, Local, PinReason, Rules, Way, classify};
use topology::Time;

use crate::Engine;
use crate::desk::Inquiry;
use crate::gather::unit;
use crate::input::STREAM_ABOVE;
use crate::pool::Pool;
use crate::scripts::{Scripts, parse_sha};
use crate::slots::Key;
use crate::timers::Timer;
use crate::upstream::PendingKind;

/// Until when, and what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) until: Time,
    /// Only what may write; else everything but CLIENT and QUIT.
    pub(crate) writes_only: bool,
}

impl Engine {
    /// Of two pauses the longer and the stricter count, as in Redis (`pauseClients`).
    pub(crate) fn pause(&mut self, pool: usize, pause: Pause) {
        let present = self.pools[pool].pause.filter(|present| present.until > self.now);
        let pause = present.map_or(pause, |present| Pause {
            until: present.until.max(pause.until),
            writes_only: present.writes_only && pause.writes_only,
        });
        self.pools[pool].pause = Some(pause);
        self.pools[pool].reading_functions = None;
        self.timers.arm(pause.until, Timer::Pause(pool));
    }

    pub(crate) fn unpause(&mut self, pool: usize) {
        if self.pools[pool].pause.take().is_some() {
            self.release_held(pool);
        }
    }

    /// A pause may have ended.
    pub(crate) fn pause_timer(&mut self, pool: usize) {
        if self.pools[pool].pause.is_some_and(|pause| self.now >= pause.until) {
            self.unpause(pool);
        }
    }

    /// Does the client's next command wait for the end of a pause?
    pub(crate) fn is_paused(&mut self, key: Key, input: &[u8]) -> bool {
        let Some(client) = self.clients.get(key) else {
            return false;
        };
        let writes_queued = client.special.as_ref().is_some_and(|own| own.queued_write)
            || client.front().is_some_and(|front| front.block.writes());
        let pool = &self.pools[client.pool];
        let Some(pause) = pool.pause.filter(|pause| self.now < pause.until) else {
            return false;
        };
        let rules = Rules {
            mode: client.mode,
            refuse: &pool.settings.refuse,
            learned: &pool.learned,
            access: pool.access(client.talk.who),
        };
        let mut inline = Vec::new();
        self.ahead.reset();
        let bytes = match self.ahead.scan(input, &pool.limits) {
            Ok(Scan::Complete { inline: false, .. }) => input,
            Ok(Scan::Complete { len, inline: true }) => {
                let rewritten = resp::inline_to_multibulk(&input[..len], &mut inline).is_ok();
                if !rewritten || self.ahead.scan(&inline, &pool.limits).is_err() {
                    return false;
                }
                &inline
            }
            Ok(Scan::Incomplete { known }) => return known > STREAM_ABOVE,
            Err(_) => return false,
        };
        let call = Call::new(bytes, self.ahead.args());
        if call.is_empty() {
            return false;
        }
        let (way, command) = classify(call, &rules);
        if matches!(way, Way::Local(Local::Client | Local::Quit) | Way::Reject(_)) {
            return false;
        }
        if !pause.writes_only {
            return true;
        }
        let touch = match way {
            Way::Local(Local::Exec) if writes_queued => Touch::Writes,
            Way::Pinned { target, reason: PinReason::Multi } => {
                // The rest of a transaction that has not come whole is looked at when it comes.
                let len = unit(&mut self.ahead, bytes, target, pool, &rules)
                    .map_or(0, |(request, _)| request.used);
                return may_write(&mut self.ahead, &bytes[..len], pool, &rules);
            }
            way => touch(way, command, call, &pool.scripts),
        };
        match touch {
            Touch::Reads => false,
            Touch::Writes => true,
            Touch::Function => match &pool.reading_functions {
                Some(reading) => !reading.contains(call.arg(1).to_ascii_lowercase().as_slice()),
                None => {
                    self.ask_functions(key);
                    true
                }
            },
        }
    }

    /// No function changes in a pause of writes: the node is asked once which of them only read.
    fn ask_functions(&mut self, key: Key) {
        let Some(client) = self.clients.get(key) else {
            return;
        };
        let asked = client.special.as_ref().is_some_and(|special| special.inquiry.is_some());
        if asked || client.unanswered > 0 || client.transaction().is_open() {
            return;
        }
        let home = self.home(key);
        let Ok(upstream) = self.pin(key, home) else {
            return;
        };
        let command = b"*2\r\n$8\r\nFUNCTION\r\n$4\r\nLIST\r\n";
        self.own_command(key, upstream, command, 1, PendingKind::Functions);
        if let Some(client) = self.clients.get_mut(key) {
            client.special_mut().inquiry = Some(Inquiry::Functions);
        }
    }

    /// The node has said which functions there are. Where it does not say that to this client's user, all of them wait.
    pub(crate) fn functions_listed(&mut self, key: Key, len: usize) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let reading = session::reading_functions(client.output.tail(len));
        self.pools[client.pool].reading_functions = Some(reading);
        if let Some(special) = client.special.as_deref_mut() {
            special.inquiry.take_if(|inquiry| matches!(inquiry, Inquiry::Functions));
        }
        self.queue(key);
    }
}

/// What a pause of writes asks of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    /// It changes no data, and nothing that replicas hear.
    Reads,
    /// It may.
    Writes,
    /// It calls a function: what that may do is said where it is registered, which its node knows.
    Function,
}

/// As Redis has it (`getCommandFlags`): scripts say in their first line that they only read.
pub(crate) fn touch(
    way: Way,
    command: Option<&Command>,
    call: Call<'_>,
    scripts: &Scripts,
) -> Touch {
    let script = |text: Option<&[u8]>| {
        if text.is_some_and(session::is_no_writes) { Touch::Reads } else { Touch::Writes }
    };
    let Some(command) = command else {
        let reads = matches!(way, Way::Lane { repeatable: true, .. } | Way::Local(_));
        return if reads { Touch::Reads } else { Touch::Writes };
    };
    let flags = command.flags;
    match command.name {
        // It only gets an error.
        _ if !command.accepts(call.len()) => Touch::Reads,
        "EVAL" => script(Some(call.arg(1))),
        "EVALSHA" => script(parse_sha(call.arg(1)).and_then(|sha| scripts.peek(&sha))),
        "FCALL" => Touch::Function,
        _ if flags.write() || flags.may_replicate() => Touch::Writes,
        _ => Touch::Reads,
    }
}

/// May one of these commands write?
fn may_write(ahead: &mut RequestScanner, commands: &[u8], pool: &Pool, rules: &Rules<'_>) -> bool {
    let mut at = 0;
    while let Some(rest) = commands.get(at..).filter(|rest| !rest.is_empty()) {
        ahead.reset();
        let Ok(Scan::Complete { len, .. }) = ahead.scan(rest, &pool.limits) else {
            break;
        };
        at += len;
        let call = Call::new(rest, ahead.args());
        if call.is_empty() {
            continue;
        }
        let (way, command) = classify(call, rules);
        if !matches!(way, Way::Pinned { reason: PinReason::Multi, .. })
            && touch(way, command, call, &pool.scripts) != Touch::Reads
        {
            return true;
        }
    }
    false
}

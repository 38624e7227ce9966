//! CLIENT PAUSE: what the pool's clients send waits here, for as long as it says. The nodes go on, since their connections
//! are everybody's.

use commands::Kind;
use resp::Scan;
use session::{Call, Local, PinReason, Rules, Way, classify};
use topology::Time;

use crate::Engine;
use crate::gather::unit;
use crate::input::STREAM_ABOVE;
use crate::slots::Key;
use crate::timers::Timer;

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
        let writes_queued = client.special.as_ref().is_some_and(|own| own.queued_write);
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
        match way {
            // PFCOUNT reads, and may write what it found (Redis, `CMD_MAY_REPLICATE`).
            Way::Lane { repeatable, .. } => {
                !repeatable || command.is_some_and(|command| command.kind == Kind::MayReplicate)
            }
            Way::Local(Local::Exec) => writes_queued,
            Way::Everywhere => true,
            Way::Pinned { target, reason: PinReason::Multi } => {
                unit(&mut self.ahead, bytes, target, pool, &rules)
                    .is_some_and(|(request, _)| !request.repeatable)
            }
            Way::Pinned { reason, .. } => {
                let writes = PinReason::Blocking { reads_only: false };
                reason == writes || matches!(reason, PinReason::Unknown | PinReason::Module)
            }
            _ => command.is_some_and(|command| command.kind == Kind::Write),
        }
    }
}

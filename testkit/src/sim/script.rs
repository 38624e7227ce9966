//! What clients do: bursts of random requests, according to their habits.

use std::time::Duration;

use config::{Mode, TcpRole};

use super::agenda::Event;
use super::ask::Ask;
use super::client::{Habit, State};
use super::plan::Weather;
use super::world::{Phase, World};

/// Each client has so many keys of a kind.
const KEYS: u8 = 4;
const CHANNELS: u8 = 3;
/// Bytes in one burst, at most.
const BURST_BYTES: usize = 400_000;

impl World {
    /// A new client's habits.
    pub(crate) fn habit(&mut self, mode: Mode) -> Habit {
        let weather = self.plan.weather;
        let rng = &mut self.rng;
        let mut one_in = |n: u8| rng.u8(0..n) == 0;
        let slow_people = matches!(weather, Weather::Slow | Weather::Storm);
        let raw = matches!(mode, Mode::Tcp(_));
        let mut habit = Habit {
            huge: one_in(10),
            drips: one_in(12),
            reads_slowly: slow_people && one_in(6),
            never_reads: slow_people && !raw && one_in(6),
            inline: !raw && one_in(6),
            transactions: one_in(3),
            blocks: one_in(5),
            subscribes: one_in(6),
            mutes: one_in(8),
            moves: one_in(2),
            rude: !raw && one_in(12),
            ..Habit::default()
        };
        habit.burst = if one_in(2) { 1 } else { rng.usize(2..40) };
        habit.depth = if rng.bool() { habit.burst } else { habit.burst * 4 };
        habit.value_len = [40, 300, 4000, 60_000, 200_000][rng.usize(0..5)];
        habit.pause_us = [2000, 20_000, 100_000][rng.usize(0..3)];
        if habit.drips {
            (habit.value_len, habit.huge, habit.burst) = (30, false, 3);
        }
        if habit.reads_slowly {
            // Whoever asks for more than `client_output` at once is closed; this one asks for what it may.
            (habit.huge, habit.transactions) = (false, false);
            habit.value_len = habit.value_len.min(60_000);
            (habit.burst, habit.depth) = (habit.burst.min(4), habit.depth.min(8));
        }
        if habit.never_reads {
            habit = Habit { never_reads: true, value_len: 150_000, ..Habit::default() };
            (habit.burst, habit.depth, habit.pause_us) = (40, 60, 3000);
            habit.subscribes = rng.u8(0..3) == 0;
        }
        if habit.subscribes {
            (habit.mutes, habit.transactions, habit.blocks) = (false, false, false);
        }
        if habit.mutes {
            (habit.transactions, habit.blocks) = (false, false);
        }
        habit
    }

    /// A client does the next thing.
    pub(crate) fn act(&mut self, index: usize) {
        if self.clients[index].state != State::Open {
            return;
        }
        match self.phase {
            Phase::Closing { .. } | Phase::Over => return,
            Phase::Finishing { .. } => return self.wind_down(index),
            _ => {}
        }
        let pause = self.clients[index].habit.pause_us;
        let next = Duration::from_micros(self.rng.u64(50..50 + pause));
        self.agenda.put(self.now + next, Event::Act(index));
        if self.is_busy() && self.now >= self.clients[index].leaves_at {
            self.client_closes(index);
            return self.agenda.put(self.now + next, Event::Arrive);
        }
        let client = &self.clients[index];
        if client.waiting.len() >= client.habit.depth || client.out.len() > BURST_BYTES {
            return;
        }
        if client.habit.rude && self.rng.u8(0..30) == 0 {
            self.be_rude(index);
        } else if client.habit.never_reads {
            self.ask_and_never_read(index);
        } else {
            self.burst(index);
        }
        self.client_writes(index);
    }

    /// Ends what is open.
    fn wind_down(&mut self, index: usize) {
        let intent = &self.clients[index].intent;
        let (multi, muted) = (intent.multi, intent.muted);
        if multi {
            let ask = if self.rng.bool() { Ask::Exec } else { Ask::Discard };
            self.ask(index, ask);
        }
        if muted {
            self.ask(index, Ask::ReplyOn);
        }
        self.client_writes(index);
    }

    fn burst(&mut self, index: usize) {
        let count = self.rng.usize(1..=self.clients[index].habit.burst);
        for _ in 0..count {
            if self.clients[index].out.len() > BURST_BYTES
                || self.clients[index].state != State::Open
            {
                return;
            }
            self.ask_something(index);
        }
    }

    fn ask_something(&mut self, index: usize) {
        let (mode, habit) = (self.clients[index].mode, self.clients[index].habit.clone());
        let intent = self.clients[index].intent.clone();
        if matches!(mode, Mode::Tcp(_)) {
            return self.ask_raw(index);
        }
        if !intent.channels.is_empty() {
            return self.ask_subscribed(index);
        }
        if intent.multi {
            return self.ask_in_transaction(index);
        }
        let draw = self.rng.u8(0..100);
        if habit.transactions && draw < 12 {
            return self.begin_transaction(index);
        }
        if habit.subscribes && draw < 10 {
            let channels = self.some_channels();
            self.ask(index, Ask::Subscribe { channels });
        } else if habit.blocks && draw < 8 && mode != Mode::Read {
            let timeout_ms = self.rng.u64(50..900);
            let list = self.ask(index, Ask::Pop { timeout_ms });
            if self.rng.u8(0..10) < 7 {
                let at = self.now + Duration::from_millis(self.rng.u64(0..1200));
                self.feeds.push((at, list));
            }
        } else if habit.mutes && draw < 12 {
            let ask = match (intent.muted, self.rng.u8(0..3)) {
                (true, 0) => Ask::ReplySkip,
                (true, _) => Ask::ReplyOn,
                (false, 0) => Ask::ReplyOff,
                (false, _) => Ask::ReplySkip,
            };
            self.ask(index, ask);
        } else if habit.moves && draw < 10 {
            self.ask_to_move(index);
        } else if habit.huge && draw < 2 {
            let key = self.rng.u8(0..KEYS);
            let len = self.rng.usize(1_000_000..1_700_000);
            self.ask(index, Ask::Set { key, len });
        } else if self.feed_somebody(index) {
        } else {
            self.ask_plainly(index);
        }
    }

    /// An element for somebody who waits for one.
    fn feed_somebody(&mut self, index: usize) -> bool {
        if self.clients[index].mode == Mode::Read {
            return false;
        }
        let due = self.feeds.iter().position(|(at, _)| *at <= self.now);
        let Some(due) = due else { return false };
        let (_, list) = self.feeds.swap_remove(due);
        self.ask(index, Ask::Feed { list });
        true
    }

    fn ask_to_move(&mut self, index: usize) {
        let ask = match self.rng.u8(0..10) {
            0..4 => Ask::Select { database: self.rng.u32(0..3) },
            4..7 => Ask::Hello { resp3: self.rng.bool() },
            7 => Ask::ClientId,
            8 => Ask::SetName,
            _ => Ask::Reset,
        };
        self.ask(index, ask);
    }

    fn ask_plainly(&mut self, index: usize) {
        let ask = self.plain_ask(index);
        self.ask(index, ask);
    }

    fn plain_ask(&mut self, index: usize) -> Ask {
        let value_len = self.clients[index].habit.value_len;
        let last_empty = self.clients[index].intent.last_empty;
        let inline = self.clients[index].habit.inline;
        let rng = &mut self.rng;
        let key = rng.u8(0..KEYS);
        let longest = if inline { value_len.min(2000) } else { value_len };
        let len = if rng.bool() { rng.usize(0..40) } else { rng.usize(0..longest.max(1)) };
        match rng.u8(0..100) {
            0..15 => Ask::Echo { len },
            15..20 => Ask::Ping,
            20..42 => Ask::Get { key },
            42..48 => Ask::MGet { keys: vec![key, rng.u8(0..KEYS), rng.u8(0..KEYS)] },
            48..66 => Ask::Set { key, len },
            66..69 => Ask::SetEmpty,
            69..72 => match last_empty {
                Some(of) => Ask::GetEmpty { of },
                None => Ask::Ping,
            },
            72..80 => Ask::Incr { key },
            80..84 => Ask::Push { key, len: len.min(100) },
            84..87 => Ask::Append { key },
            87..91 => Ask::Delete { key },
            91..95 => Ask::Publish { channel: rng.u8(0..CHANNELS) },
            95..97 => Ask::Info,
            97 => Ask::Wait,
            98 => Ask::Unknown,
            _ => Ask::ClientId,
        }
    }

    fn begin_transaction(&mut self, index: usize) {
        if self.rng.u8(0..4) == 0 {
            let key = self.rng.u8(0..KEYS);
            self.ask(index, Ask::Watch { key });
            if self.rng.u8(0..5) == 0 {
                self.ask(index, Ask::Unwatch);
            } else if self.rng.bool() {
                self.ask(index, Ask::Get { key });
            }
        }
        self.ask(index, Ask::Multi);
        // Often all of it is sent at once.
        if self.rng.u8(0..3) > 0 {
            for _ in 0..self.rng.usize(0..8) {
                self.queue_something(index);
            }
            let ask = if self.rng.u8(0..8) == 0 { Ask::Discard } else { Ask::Exec };
            self.ask(index, ask);
        }
    }

    fn queue_something(&mut self, index: usize) {
        let mut ask = self.plain_ask(index);
        if matches!(ask, Ask::Wait | Ask::Unknown | Ask::ClientId) {
            ask = Ask::Ping;
        }
        if self.clients[index].habit.moves && self.rng.u8(0..20) == 0 {
            ask = Ask::Select { database: self.rng.u32(0..3) };
        }
        self.ask(index, ask);
    }

    fn ask_in_transaction(&mut self, index: usize) {
        match self.rng.u8(0..10) {
            0..6 => self.queue_something(index),
            6..9 => _ = self.ask(index, Ask::Exec),
            _ => _ = self.ask(index, Ask::Discard),
        }
    }

    fn some_channels(&mut self) -> Vec<u8> {
        let mut channels: Vec<u8> = (0..CHANNELS).filter(|_| self.rng.bool()).collect();
        if channels.is_empty() {
            channels.push(self.rng.u8(0..CHANNELS));
        }
        channels
    }

    fn ask_subscribed(&mut self, index: usize) {
        let ask = match self.rng.u8(0..10) {
            0..4 => Ask::Ping,
            4..7 => Ask::Subscribe { channels: self.some_channels() },
            7 | 8 => Ask::Unsubscribe { channels: self.some_channels() },
            _ => Ask::Unsubscribe { channels: Vec::new() },
        };
        self.ask(index, ask);
    }

    fn ask_raw(&mut self, index: usize) {
        let ask = self.plain_ask(index);
        let reads_only = self.clients[index].mode == Mode::Tcp(TcpRole::Replica);
        let fits = matches!(ask, Ask::Echo { .. } | Ask::Ping | Ask::Get { .. } | Ask::MGet { .. })
            || (!reads_only
                && matches!(ask, Ask::Set { .. } | Ask::Incr { .. } | Ask::Delete { .. }));
        self.ask(index, if fits { ask } else { Ask::Ping });
    }

    /// Large replies that nobody reads, or messages.
    fn ask_and_never_read(&mut self, index: usize) {
        self.clients[index].expects_end = true;
        if self.clients[index].habit.subscribes {
            let channels = (0..CHANNELS).collect();
            self.ask(index, Ask::Subscribe { channels });
            self.clients[index].state = State::Silent;
            return;
        }
        let key = self.rng.u8(0..KEYS);
        let len = self.rng.usize(1000..self.clients[index].habit.value_len);
        if self.clients[index].mode != Mode::Read {
            self.ask(index, Ask::Set { key, len });
        }
        for _ in 0..self.rng.usize(1..30) {
            let ask = if self.rng.bool() { Ask::Get { key } } else { Ask::Echo { len } };
            self.ask(index, ask);
        }
    }

    fn be_rude(&mut self, index: usize) {
        match self.rng.u8(0..4) {
            0 => {
                self.ask(index, Ask::Garbage);
                self.clients[index].expects_end = true;
                self.clients[index].state = State::Silent;
            }
            1 => {
                self.ask(index, Ask::Quit);
                self.clients[index].expects_end = true;
                self.clients[index].state = State::Silent;
            }
            _ => {
                // Half a request, and then nothing, for now or for ever.
                let len = self.rng.usize(1..1000);
                let half = format!("*2\r\n$4\r\nECHO\r\n${len}\r\n");
                let client = &mut self.clients[index];
                client.out.extend_from_slice(half.as_bytes());
                client.state = State::Silent;
                if self.rng.bool() {
                    self.client_writes(index);
                    self.client_closes(index);
                }
            }
        }
    }
}

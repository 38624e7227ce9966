//! One client's connection, made anew whenever it is lost.

use std::io;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use resp::Value;

use super::counts::{OpCounts, code, kind};
use super::journal::{Outcome, Written};
use super::{LoadBuilder, Seen, lock};
use crate::client::Client;

/// Before a connection is tried again.
const PAUSE: Duration = Duration::from_millis(10);

pub(super) struct Session<'a> {
    setup: &'a LoadBuilder,
    seen: &'a Mutex<Seen>,
    client: Option<Client>,
}

/// How an exchange went.
pub(super) enum Answer {
    /// A reply that is no error.
    Reply(Value),
    /// An error reply; counted.
    Error(Vec<u8>),
    /// The connection was lost after the command was sent; counted.
    Lost,
    /// It was never sent; counted.
    NotSent,
}

impl<'a> Session<'a> {
    pub(super) fn new(setup: &'a LoadBuilder, seen: &'a Mutex<Seen>) -> Self {
        Self { setup, seen, client: None }
    }

    /// Sends all `commands` at once and hands each answer to `check`, which says what is wrong
    /// with it if anything is.
    pub(super) fn exchange(
        &mut self,
        commands: &[Vec<Vec<u8>>],
        check: impl FnMut(usize, &Answer) -> Result<(), String>,
    ) {
        self.exchange_counted(commands, |seen| &mut seen.counts, check);
    }

    /// As [`Session::exchange`], counted elsewhere than with the client's other commands.
    pub(super) fn exchange_counted(
        &mut self,
        commands: &[Vec<Vec<u8>>],
        counts: impl Fn(&mut Seen) -> &mut OpCounts,
        mut check: impl FnMut(usize, &Answer) -> Result<(), String>,
    ) {
        let start = Instant::now();
        let mut failure = self.send(commands).err();
        let sent = failure.as_ref().is_none_or(|(sent, _)| *sent);
        for index in 0..commands.len() {
            let answer = match (&mut self.client, &failure) {
                (Some(client), None) => match client.try_receive() {
                    Ok(Value::Error(text)) => Answer::Error(text),
                    Ok(value) => Answer::Reply(value),
                    Err(error) => {
                        failure = Some((true, error));
                        Answer::Lost
                    }
                },
                _ if sent => Answer::Lost,
                _ => Answer::NotSent,
            };
            let verdict = check(index, &answer);
            let mut seen = lock(self.seen);
            let counts = counts(&mut seen);
            let after = start.elapsed();
            match (&answer, &failure) {
                (Answer::Reply(_), _) => counts.answered(after),
                (Answer::Error(text), _) => counts.failed(&code(text), after),
                (_, Some((_, error))) => counts.failed(kind(error), after),
                (_, None) => {}
            }
            if let Err(wrong) = verdict {
                counts.wrong(wrong);
            }
        }
        if failure.is_some() {
            self.client = None;
            thread::sleep(PAUSE);
        }
    }

    /// Sends and closes without reading.
    pub(super) fn send_and_close(&mut self, commands: &[Vec<Vec<u8>>]) {
        let _ = self.send(commands);
        self.client = None;
    }

    /// Counts a reply as wrong, after all.
    pub(super) fn report(&self, wrong: String) {
        lock(self.seen).counts.wrong(wrong);
    }

    pub(super) fn remember(&self, key: String, outcome: Outcome) {
        let value_bytes = self.setup.value_bytes.clone();
        lock(self.seen).journal.push(Written { key, outcome, value_bytes });
    }

    /// The flag of the error: may a command have been sent?
    fn send(&mut self, commands: &[Vec<Vec<u8>>]) -> Result<(), (bool, io::Error)> {
        if self.client.is_none() {
            let mut client =
                Client::try_connect(&self.setup.address).map_err(|error| (false, error))?;
            client.set_timeout(self.setup.timeout);
            self.client = Some(client);
        }
        let Some(client) = &mut self.client else { return Ok(()) };
        let mut bytes = Vec::new();
        for command in commands {
            let arguments: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
            resp::write_command(&mut bytes, &arguments);
        }
        client.try_send_raw(&bytes).map_err(|error| (true, error))
    }
}

/// A command from its arguments.
pub(super) fn command<const N: usize>(arguments: [&[u8]; N]) -> Vec<Vec<u8>> {
    arguments.map(<[u8]>::to_vec).into()
}

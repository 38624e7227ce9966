//! A client that writes each time to another key of its own and remembers the answer.

use resp::Value;

use super::journal::Outcome;
use super::session::{Answer, Session, command};
use super::{LoadBuilder, tagged};

/// What `WAIT` waits for at most, in milliseconds.
const WAIT_MS: &[u8] = b"200";

pub(super) struct Writer {
    id: usize,
    sequence: u64,
    confirms: bool,
}

impl Writer {
    pub(super) fn new(id: usize, confirms: bool) -> Self {
        Self { id, sequence: 0, confirms }
    }

    pub(super) fn turn(&mut self, setup: &LoadBuilder, session: &mut Session<'_>) {
        self.sequence += 1;
        let key = format!("{}:{}:{}", setup.written, self.id, self.sequence);
        let value = tagged(&key, &setup.value_bytes);
        let mut outcome = Outcome::Unknown;
        session.exchange(&[command([b"SET", key.as_bytes(), &value])], |_, answer| {
            outcome = outcome_of(answer);
            match answer {
                Answer::Reply(reply) if *reply != Value::Simple("OK".into()) => {
                    Err(format!("SET {key}: {reply:.60?}"))
                }
                _ => Ok(()),
            }
        });
        if self.confirms && outcome == Outcome::Acknowledged && confirm(session) {
            outcome = Outcome::Confirmed;
        }
        session.remember(key, outcome);
    }
}

/// Does a replica have what this connection has written? The connection is the one that the write
/// was acknowledged on: on a fresh one WAIT looks at nothing.
fn confirm(session: &mut Session<'_>) -> bool {
    let mut confirmed = false;
    let wait = [command([b"WAIT", b"1", WAIT_MS])];
    session.exchange_counted(
        &wait,
        |seen| &mut seen.waits,
        |_, answer| match answer {
            Answer::Reply(Value::Integer(replicas)) => {
                confirmed = *replicas >= 1;
                Ok(())
            }
            Answer::Reply(other) => Err(format!("WAIT: {other:.60?}")),
            _ => Ok(()),
        },
    );
    confirmed
}

fn outcome_of(answer: &Answer) -> Outcome {
    match answer {
        Answer::Reply(_) => Outcome::Acknowledged,
        Answer::Error(text) if text.starts_with(b"OUTCOMEUNKNOWN") => Outcome::Unknown,
        Answer::Error(_) | Answer::NotSent => Outcome::Refused,
        Answer::Lost => Outcome::Unknown,
    }
}

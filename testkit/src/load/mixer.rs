//! A client that mixes reads, writes and echoes on keys of its own, and knows what may come back.

use resp::Value;

use super::reader::excerpt;
use super::session::{Answer, Session, command};
use super::{LoadBuilder, tagged};

/// Few, so that a batch often reads what it has just written.
const KEYS: u64 = 4;

pub(super) struct Mixer {
    id: usize,
    /// Of the last write that was sent; versions only grow.
    version: u64,
    /// Part of the keys' names, and another one whenever a write's reply was not seen: that write may yet run, behind
    /// what is written on the next connection.
    generation: u64,
}

/// One command of a batch, and what its reply may be.
enum Step {
    Set,
    /// A value of this key; exactly this version if the batch has written it before.
    Get {
        key: String,
        version: Option<u64>,
    },
    Echo {
        text: Vec<u8>,
    },
}

impl Mixer {
    pub(super) fn new(id: usize) -> Self {
        Self { id, version: 0, generation: 0 }
    }

    pub(super) fn turn(
        &mut self,
        setup: &LoadBuilder,
        session: &mut Session<'_>,
        random: &mut fastrand::Rng,
    ) {
        let mut steps = Vec::new();
        let mut commands = Vec::new();
        let mut written = [None; KEYS as usize];
        // A batch either reads only, and may go to a replica, or writes as well.
        let writes = random.bool();
        for _ in 0..random.usize(setup.pipeline.clone()) {
            let number = random.usize(..written.len());
            let key = format!("mixed:{}:{}:{number}", self.id, self.generation);
            match random.u8(..if writes { 3 } else { 2 }) {
                0 => {
                    commands.push(command([b"GET", key.as_bytes()]));
                    steps.push(Step::Get { key, version: written[number] });
                }
                1 => {
                    self.version += 1;
                    let tag = format!("echo:{}:{}", self.id, self.version);
                    let text = tagged(&tag, &setup.value_bytes);
                    commands.push(command([b"ECHO", &text]));
                    steps.push(Step::Echo { text });
                }
                _ => {
                    self.version += 1;
                    let value = tagged(&format!("{key}:{}", self.version), &setup.value_bytes);
                    commands.push(command([b"SET", key.as_bytes(), &value]));
                    written[number] = Some(self.version);
                    steps.push(Step::Set);
                }
            }
        }
        if setup.close_one_in > 0 && random.usize(..setup.close_one_in) == 0 {
            self.generation += 1;
            return session.send_and_close(&commands);
        }
        let mut broken = false;
        let mut early = Vec::new();
        session.exchange(&commands, |index, answer| match answer {
            Answer::Reply(reply) if steps[index].is_early(setup, self.version, reply) => {
                early.push(steps[index].check(setup, self.version, broken, reply));
                Ok(())
            }
            Answer::Reply(reply) => steps[index].check(setup, self.version, broken, reply),
            // A write that failed leaves open what the rest of the batch reads.
            _ => {
                broken = true;
                Ok(())
            }
        });
        self.generation += u64::from(broken);
        // Where a write's outcome is unknown, a read before it may have been sent again after it.
        if !broken {
            early.into_iter().filter_map(Result::err).for_each(|wrong| session.report(wrong));
        }
    }
}

impl Step {
    /// Is the reply a value that the batch writes only later?
    fn is_early(&self, setup: &LoadBuilder, last: u64, reply: &Value) -> bool {
        let Self::Get { key, version: Some(exact) } = self else { return false };
        version_of(reply, key, setup).is_some_and(|found| found > *exact && found <= last)
    }

    fn check(
        &self,
        setup: &LoadBuilder,
        last: u64,
        broken: bool,
        reply: &Value,
    ) -> Result<(), String> {
        let right = match self {
            Self::Set => *reply == Value::Simple("OK".into()),
            Self::Echo { text } => reply.as_bytes() == Some(text),
            Self::Get { key, version } => {
                let exact = version.filter(|_| !broken);
                match (version_of(reply, key, setup), exact) {
                    (Some(found), Some(exact)) => found == exact,
                    (Some(found), None) => found <= last,
                    (None, exact) => *reply == Value::Null && exact.is_none(),
                }
            }
        };
        let wanted = match self {
            Self::Set => "SET".to_owned(),
            Self::Echo { text } => excerpt(&Value::Bulk(text.clone())),
            Self::Get { key, version } => format!("GET {key} (version {version:?}, last {last})"),
        };
        if right { Ok(()) } else { Err(format!("{wanted}: {}", excerpt(reply))) }
    }
}

/// The version of a whole, unbroken value of `key`.
fn version_of(reply: &Value, key: &str, setup: &LoadBuilder) -> Option<u64> {
    let value = reply.as_bytes()?;
    let rest = value.strip_prefix(key.as_bytes())?.strip_prefix(b":")?;
    let digits = rest.split(|byte| *byte == b':').next()?;
    let version: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (value == tagged(&format!("{key}:{version}"), &setup.value_bytes)).then_some(version)
}

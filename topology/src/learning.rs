//! Commands that the built-in table lacks, as the nodes' `COMMAND INFO` describes them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use resp::Value;

use crate::{CommandFlags, Learned, LearnedCommands, Time};

/// How long a name that the nodes do not know is not asked for again.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// Descriptions kept.
const MAX_LEARNED: usize = 4096;
/// Names kept as unknown.
const MAX_UNKNOWN: usize = 1024;
/// Names waiting to be asked for.
const MAX_WANTED: usize = 64;
/// The longest name that is asked for, in bytes.
const MAX_NAME: usize = 64;

/// What the nodes of a pool taught, and what they did not know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Learning {
    learned: Arc<LearnedCommands>,
    unknown: HashMap<Box<[u8]>, Time>,
    wanted: HashSet<Box<[u8]>>,
    in_flight: bool,
}

impl Learning {
    pub(crate) fn learned(&self) -> &Arc<LearnedCommands> {
        &self.learned
    }

    /// A client sent a command of this name.
    pub(crate) fn want(&mut self, name: Box<[u8]>, now: Time) {
        self.unknown.retain(|_, asked| now.since(*asked) < FORGET_AFTER);
        let known = self.learned.contains_key(&name) || self.unknown.contains_key(&name);
        let room = self.wanted.len() < MAX_WANTED
            && self.unknown.len() < MAX_UNKNOWN
            && self.learned.len() < MAX_LEARNED;
        if !known && room && !name.is_empty() && name.len() <= MAX_NAME {
            self.wanted.insert(name);
        }
    }

    pub(crate) fn is_due(&self) -> bool {
        !self.in_flight && !self.wanted.is_empty()
    }

    /// The names to ask a node for now.
    pub(crate) fn ask(&mut self) -> Vec<Box<[u8]>> {
        self.in_flight = true;
        self.wanted.drain().collect()
    }

    /// What a node said of each of `names`; `None` if it did not answer: they are asked for when they are met again.
    /// Is there something new?
    pub(crate) fn described(
        &mut self,
        names: Vec<Box<[u8]>>,
        answer: Option<Vec<Option<Learned>>>,
        now: Time,
    ) -> bool {
        self.in_flight = false;
        let Some(answer) = answer else { return false };
        let mut found = Vec::new();
        for (name, learned) in names.into_iter().zip(answer) {
            match learned {
                Some(learned) => found.push((name, learned)),
                None => _ = self.unknown.insert(name, now),
            }
        }
        let news = !found.is_empty();
        if news {
            Arc::make_mut(&mut self.learned).extend(found);
        }
        news
    }
}

impl Learned {
    /// Parses the reply of `COMMAND INFO` for so many names: a description each, `None` for one that the node does not know.
    pub fn parse_all(reply: &Value, names: usize) -> Option<Vec<Option<Self>>> {
        let entries = reply.as_array().filter(|entries| entries.len() == names)?;
        Some(entries.iter().map(Self::parse).collect())
    }

    fn parse(entry: &Value) -> Option<Self> {
        let [_name, arity, flags, first_key, last_key, key_step, ..] = entry.as_array()? else {
            return None;
        };
        let number = |value: &Value| i32::try_from(value.as_int()?).ok();
        let flags = flags.as_array()?;
        let has = |flag: &str| flags.iter().any(|value| value.as_bytes() == Some(flag.as_bytes()));
        Some(Self {
            flags: CommandFlags {
                readonly: has("readonly"),
                write: has("write"),
                blocking: has("blocking"),
                module: has("module"),
            },
            arity: number(arity)?,
            first_key: number(first_key)?,
            last_key: number(last_key)?,
            key_step: number(key_step)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<Box<[u8]>> {
        names.iter().map(|name| name.as_bytes().into()).collect()
    }

    fn some_command() -> Learned {
        Learned {
            flags: CommandFlags { readonly: true, ..CommandFlags::default() },
            arity: 2,
            first_key: 1,
            last_key: 1,
            key_step: 1,
        }
    }

    #[test]
    fn a_reply_of_command_info_is_read() {
        let reply = b"*2\r\n*7\r\n$8\r\njson.get\r\n:-2\r\n*2\r\n+readonly\r\n+module\r\n:1\r\n:1\r\n:1\r\n*0\r\n*-1\r\n";
        let limits = resp::ValueLimits { max_bytes: 4096, max_elements: 64, max_depth: 8 };
        let reply = Value::parse(reply, &limits).unwrap().unwrap().0;
        let flags = CommandFlags { readonly: true, module: true, ..CommandFlags::default() };
        let expected = Learned { flags, arity: -2, first_key: 1, last_key: 1, key_step: 1 };
        assert_eq!(Learned::parse_all(&reply, 2), Some(vec![Some(expected), None]));
        assert_eq!(Learned::parse_all(&reply, 3), None);
        assert_eq!(Learned::parse_all(&Value::Error(b"NOPERM".to_vec()), 1), None);
    }

    #[test]
    fn an_unknown_name_is_asked_for_again_after_a_minute() {
        let mut learning = Learning::default();
        learning.want((*b"FOO").into(), Time::ZERO);
        assert!(learning.is_due());
        assert_eq!(learning.ask(), names(&["FOO"]));
        learning.described(names(&["FOO"]), Some(vec![None]), Time::from_millis(10));
        learning.want((*b"FOO").into(), Time::from_millis(60_000));
        assert!(!learning.is_due());
        learning.want((*b"FOO").into(), Time::from_millis(60_010));
        assert!(learning.is_due());
    }

    #[test]
    fn what_was_learned_stays() {
        let mut learning = Learning::default();
        learning.want((*b"JSON.GET").into(), Time::ZERO);
        learning.want((*b"JSON.GET").into(), Time::ZERO);
        let asked = learning.ask();
        assert!(learning.described(asked, Some(vec![Some(some_command())]), Time::ZERO));
        assert_eq!(learning.learned().get(b"JSON.GET".as_slice()), Some(&some_command()));
        learning.want((*b"JSON.GET").into(), Time::from_millis(100_000));
        assert!(!learning.is_due());
    }

    #[test]
    fn a_question_without_an_answer_is_asked_again_when_the_name_is_met_again() {
        let mut learning = Learning::default();
        learning.want((*b"FOO").into(), Time::ZERO);
        let asked = learning.ask();
        learning.want((*b"BAR").into(), Time::ZERO);
        assert!(!learning.is_due());
        assert!(!learning.described(asked, None, Time::ZERO));
        assert_eq!(learning.ask(), names(&["BAR"]));
        learning.described(names(&["BAR"]), None, Time::ZERO);
        learning.want((*b"FOO").into(), Time::ZERO);
        assert_eq!(learning.ask(), names(&["FOO"]));
    }

    #[test]
    fn a_flood_of_names_is_bounded() {
        let mut learning = Learning::default();
        for round in 0..100u64 {
            for name in 0..100u64 {
                let name = format!("X{}", round * 100 + name);
                learning.want(name.into_bytes().into(), Time::ZERO);
            }
            let asked = if learning.is_due() { learning.ask() } else { Vec::new() };
            assert!(asked.len() <= MAX_WANTED);
            let answer = vec![None; asked.len()];
            learning.described(asked, Some(answer), Time::ZERO);
        }
        assert!(learning.unknown.len() < MAX_UNKNOWN + MAX_WANTED);
        learning.want(vec![b'X'; 65].into(), Time::from_millis(120_000));
        assert!(!learning.is_due());
    }
}

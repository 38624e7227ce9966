//! Where a command's keys are.

use std::fmt;
use std::ops::ControlFlow;

use crate::command::Command;
use crate::streams;

/// Where a command's keys are. Arguments are counted from the name, which is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// It takes none.
    None,
    /// In one place.
    At(KeySpec),
    /// In several places, in this order.
    Specs(&'static [KeySpec]),
    /// `SORT`, `GEORADIUS`: the first argument, and the destination behind the last `STORE` or
    /// `STOREDIST` of the options.
    Store {
        /// Index of the first option.
        options: u8,
    },
    /// `XREAD`, `XREADGROUP`: the first half of what follows `STREAMS`.
    Streams,
    /// `MIGRATE`: one key, or those behind `KEYS`.
    Migrate,
}

/// One place where keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySpec {
    /// From `first` to `last`, each `step`th argument.
    Range {
        /// Index of the first key.
        first: u8,
        /// Index of the last key; negative: counted from the end, -1 is the last argument.
        last: i8,
        /// Distance between two keys.
        step: u8,
    },
    /// Argument `at` says how many; the first is the next one.
    Count {
        /// Index of the number of keys.
        at: u8,
        /// Distance between two keys.
        step: u8,
    },
}

/// Why the keys could not be found. The node will refuse the command too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// There are too few arguments, or the keyword before the keys is missing.
    Missing,
    /// The number of keys is no number, is 0 where keys are needed, or goes beyond the arguments.
    Count,
    /// The options contradict each other, or there are not as many identifiers as streams.
    Syntax,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyError::Missing => "keys are missing",
            KeyError::Count => "the number of keys does not fit the arguments",
            KeyError::Syntax => "the arguments around the keys make no sense",
        })
    }
}

impl std::error::Error for KeyError {}

impl Keys {
    /// In one place, from `first` to `last`.
    pub(crate) const fn range(first: u8, last: i8, step: u8) -> Keys {
        Keys::At(range(first, last, step))
    }

    /// As many as argument `at` says.
    pub(crate) const fn count(at: u8, step: u8) -> Keys {
        Keys::At(count(at, step))
    }
}

pub(crate) const fn range(first: u8, last: i8, step: u8) -> KeySpec {
    KeySpec::Range { first, last, step }
}

pub(crate) const fn count(at: u8, step: u8) -> KeySpec {
    KeySpec::Count { at, step }
}

/// Appends the indexes of the key arguments to `out`; nothing when it fails. `arg(i)` is argument
/// `i`; the name is 0.
pub fn keys<'a>(
    command: &Command,
    argc: usize,
    arg: impl Fn(usize) -> &'a [u8],
    out: &mut Vec<usize>,
) -> Result<(), KeyError> {
    let before = out.len();
    let visited = Line { argc, arg: &arg }.visit(command, &mut |index| {
        out.push(index);
        ControlFlow::Continue(())
    });
    visited.map(|_| ()).inspect_err(|_| out.truncate(before))
}

/// Hands the index of each key argument to `visit` until that breaks off.
///
/// # Errors
///
/// As [`keys`]; some keys may have been visited before.
pub fn visit_keys<'a>(
    command: &Command,
    argc: usize,
    arg: impl Fn(usize) -> &'a [u8],
    mut visit: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, KeyError> {
    Line { argc, arg: &arg }.visit(command, &mut visit)
}

/// The index of the only key of a command that never has another one.
pub const fn only_key(command: &Command) -> Option<usize> {
    match command.keys {
        Keys::At(KeySpec::Range { first, last, .. }) if last > 0 && first == last as u8 => {
            Some(first as usize)
        }
        _ => None,
    }
}

/// The index of the first key, or none; it looks no further, so it is cheap.
pub fn first_key<'a>(
    command: &Command,
    argc: usize,
    arg: impl Fn(usize) -> &'a [u8],
) -> Option<usize> {
    let mut first = None;
    let visited = Line { argc, arg: &arg }.visit(command, &mut |index| {
        first = Some(index);
        ControlFlow::Break(())
    });
    visited.ok().and(first)
}

/// Whether the visitor has seen enough, or what is wrong with the line.
type Visited = Result<ControlFlow<()>, KeyError>;

const GO_ON: Visited = Ok(ControlFlow::Continue(()));

/// A command line.
struct Line<'f, F> {
    argc: usize,
    arg: &'f F,
}

impl<'a, F: Fn(usize) -> &'a [u8]> Line<'_, F> {
    /// Hands the index of each key to `visit` until that breaks off.
    fn visit(
        &self,
        command: &Command,
        visit: &mut impl FnMut(usize) -> ControlFlow<()>,
    ) -> Visited {
        let needed = !command.flags.no_mandatory_keys();
        match command.keys {
            Keys::None => GO_ON,
            Keys::At(spec) => self.spec(spec, needed, visit),
            Keys::Specs(specs) => {
                for &spec in specs {
                    if self.spec(spec, needed, visit)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                GO_ON
            }
            Keys::Store { options } => self.store(options.into(), visit),
            Keys::Streams => self.streams(visit),
            Keys::Migrate => self.migrate(visit),
        }
    }

    fn spec(
        &self,
        spec: KeySpec,
        needed: bool,
        visit: &mut impl FnMut(usize) -> ControlFlow<()>,
    ) -> Visited {
        match spec {
            KeySpec::Range { first, last, step } => {
                let distance = usize::from(last.unsigned_abs());
                let last = if last < 0 { self.argc.saturating_sub(distance) } else { distance };
                self.range(first.into(), last, step, visit)
            }
            KeySpec::Count { at, step } => {
                let at = usize::from(at);
                if at >= self.argc {
                    return Err(KeyError::Missing);
                }
                let further = match number((self.arg)(at)).ok_or(KeyError::Count)? {
                    0 if needed => return Err(KeyError::Count),
                    0 => return GO_ON,
                    number => (number - 1).saturating_mul(step.into()),
                };
                let last = (at + 1).saturating_add(further);
                self.range(at + 1, last, step, visit).map_err(|_| KeyError::Count)
            }
        }
    }

    /// Visits `first`, `first + step`, … up to `last`.
    fn range(
        &self,
        first: usize,
        last: usize,
        step: u8,
        visit: &mut impl FnMut(usize) -> ControlFlow<()>,
    ) -> Visited {
        if last >= self.argc || last < first {
            return Err(KeyError::Missing);
        }
        Ok((first..=last).step_by(usize::from(step).max(1)).try_for_each(visit))
    }

    /// Of several destinations the last one counts (sort.c `sortGetKeys`, db.c
    /// `georadiusGetKeys`).
    fn store(&self, options: usize, visit: &mut impl FnMut(usize) -> ControlFlow<()>) -> Visited {
        const WITH_VALUE: [&[u8]; 3] = [b"BY", b"GET", b"COUNT"];
        if self.range(1, 1, 1, visit)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let mut destination = None;
        let mut index = options;
        while index < self.argc {
            index += if self.is(index, b"STORE") || self.is(index, b"STOREDIST") {
                destination = Some(index + 1).filter(|&index| index < self.argc).or(destination);
                2
            } else if self.is(index, b"LIMIT") {
                3
            } else if WITH_VALUE.iter().any(|word| self.is(index, word)) {
                2
            } else {
                1
            };
        }
        Ok(destination.map_or(ControlFlow::Continue(()), visit))
    }

    /// As many identifiers follow as there are keys.
    fn streams(&self, visit: &mut impl FnMut(usize) -> ControlFlow<()>) -> Visited {
        let first = streams::options(self.argc, self.arg).keys.ok_or(KeyError::Missing)?;
        let both = self.argc - first;
        if !both.is_multiple_of(2) {
            return Err(KeyError::Syntax);
        }
        self.range(first, first + both / 2 - 1, 1, visit)
    }

    /// `MIGRATE host port key|"" database timeout [COPY] [REPLACE] [AUTH …] [AUTH2 … …]
    /// [KEYS key …]` (db.c `migrateGetKeys`).
    fn migrate(&self, visit: &mut impl FnMut(usize) -> ControlFlow<()>) -> Visited {
        const KEY: usize = 3;
        if self.argc <= KEY {
            return Err(KeyError::Missing);
        }
        let mut index = 6;
        while index < self.argc && !self.is(index, b"KEYS") {
            index += if self.is(index, b"AUTH2") {
                3
            } else if self.is(index, b"AUTH") {
                2
            } else {
                1
            };
        }
        match ((self.arg)(KEY).is_empty(), index < self.argc) {
            (true, true) => self.range(index + 1, self.argc - 1, 1, visit),
            (true, false) => Err(KeyError::Missing),
            (false, true) => Err(KeyError::Syntax),
            (false, false) => self.range(KEY, KEY, 1, visit),
        }
    }

    fn is(&self, index: usize, word: &[u8]) -> bool {
        (self.arg)(index).eq_ignore_ascii_case(word)
    }
}

/// A number of keys.
fn number(text: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(text).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup;

    /// The keys of a line; `""` is an empty argument.
    fn of(line: &str) -> Result<Vec<String>, KeyError> {
        let words: Vec<&str> = line.split(' ').map(|word| word.trim_matches('"')).collect();
        let command = lookup(words[0].as_bytes()).unwrap();
        let command = match words.get(1) {
            Some(name) if command.has_subcommands() => command.subcommand(name.as_bytes()).unwrap(),
            _ => command,
        };
        let arg = |index: usize| words[index].as_bytes();
        let mut found = Vec::new();
        let outcome = keys(command, words.len(), arg, &mut found);
        let first = first_key(command, words.len(), arg);
        match outcome {
            Ok(()) => assert_eq!(first, found.first().copied(), "{line}"),
            Err(_) => assert!(found.is_empty(), "{line}"),
        }
        outcome.map(|()| found.iter().map(|&index| words[index].to_owned()).collect())
    }

    fn check(rows: &[(&str, &[&str])]) {
        for (line, expected) in rows {
            assert_eq!(of(line).unwrap(), *expected, "{line}");
        }
    }

    fn refuse(error: KeyError, lines: &[&str]) {
        for line in lines {
            assert_eq!(of(line), Err(error), "{line}");
        }
    }

    #[test]
    fn fixed_places() {
        check(&[
            ("GET a", &["a"]),
            ("MSET a 1 b 2", &["a", "b"]),
            ("BITOP AND d a b", &["d", "a", "b"]),
            ("BLPOP a b 0", &["a", "b"]),
            ("RENAME a b", &["a", "b"]),
            ("LMOVE a b LEFT RIGHT", &["a", "b"]),
            ("OBJECT ENCODING a", &["a"]),
            ("XGROUP CREATE a g 0", &["a"]),
            ("PING a", &[]),
            ("CONFIG GET a", &[]),
        ]);
        // A channel is no key.
        check(&[("PUBLISH c m", &[]), ("SPUBLISH c m", &[]), ("SUBSCRIBE c", &[])]);
        refuse(KeyError::Missing, &["GET", "BLPOP a", "BITOP AND", "OBJECT ENCODING", "RENAME a"]);
    }

    #[test]
    fn counted() {
        check(&[
            ("EVAL x 0", &[]),
            ("EVAL x 0 a b", &[]),
            ("EVAL x 2 a b c", &["a", "b"]),
            ("FCALL_RO f 1 a", &["a"]),
            ("ZUNION 2 a b WEIGHTS 1 2", &["a", "b"]),
            ("ZUNIONSTORE d 2 a b", &["d", "a", "b"]),
            ("ZDIFFSTORE d 1 a", &["d", "a"]),
            ("SINTERCARD 2 a b LIMIT 1", &["a", "b"]),
            ("LMPOP 1 a LEFT", &["a"]),
            ("BLMPOP 0 2 a b LEFT COUNT 3", &["a", "b"]),
            ("BZMPOP 0 1 a MIN", &["a"]),
            ("MSETEX 2 a 1 b 2 EX 5", &["a", "b"]),
            ("SUNIONCARD 2 a b", &["a", "b"]),
        ]);
        refuse(
            KeyError::Count,
            &[
                "EVAL x 3 a b",
                "EVAL x -1 a",
                "EVAL x many a",
                "EVAL x \"\" a",
                "EVAL x 99999999999999999999 a",
                "EVAL x 18446744073709551615 a",
                "ZUNION 0 a",
                "ZUNIONSTORE d 3 a b",
                "MSETEX 2 a 1",
                "MSETEX 18446744073709551615 a 1",
                "LMPOP +1 a LEFT",
            ],
        );
        refuse(KeyError::Missing, &["EVAL x", "ZUNION", "ZUNIONSTORE d", "BLMPOP 0"]);
    }

    #[test]
    fn stores() {
        check(&[
            ("SORT a", &["a"]),
            ("SORT a BY w_* LIMIT 0 5 GET # GET v_* DESC STORE d", &["a", "d"]),
            ("SORT a store d STORE e", &["a", "e"]),
            ("SORT a BY STORE GET STORE", &["a"]),
            ("SORT a LIMIT STORE 1", &["a"]),
            ("SORT a STORE", &["a"]),
            ("SORT a STORE d STORE", &["a", "d"]),
            ("SORT_RO a BY w_*", &["a"]),
            ("GEORADIUS a 1 2 3 m", &["a"]),
            ("GEORADIUS a 1 2 3 m WITHDIST COUNT 5 ANY STORE d", &["a", "d"]),
            ("GEORADIUS a 1 2 3 m STORE d STOREDIST e", &["a", "e"]),
            ("GEORADIUS a 1 2 3 m STOREDIST STORE ASC", &["a", "STORE"]),
            ("GEORADIUSBYMEMBER a STORE 3 m STORE d", &["a", "d"]),
            ("GEORADIUSBYMEMBER a b 3 m STOREDIST d", &["a", "d"]),
            ("GEORADIUS_RO a 1 2 3 m", &["a"]),
            ("GEOSEARCHSTORE d a FROMMEMBER m BYRADIUS 1 m", &["d", "a"]),
        ]);
        refuse(KeyError::Missing, &["SORT", "GEORADIUS"]);
    }

    #[test]
    fn streams() {
        check(&[
            ("XREAD STREAMS a 0", &["a"]),
            ("XREAD COUNT 2 BLOCK 0 STREAMS a b 0 0", &["a", "b"]),
            ("XREAD STREAMS STREAMS 0", &["STREAMS"]),
            ("XREADGROUP GROUP STREAMS c NOACK streams a >", &["a"]),
            ("XREADGROUP COUNT 1 GROUP g STREAMS STREAMS a >", &["a"]),
        ]);
        refuse(KeyError::Syntax, &["XREAD STREAMS a b 0", "XREAD STREAMS a"]);
        refuse(KeyError::Missing, &["XREAD", "XREAD STREAMS", "XREAD COUNT STREAMS a 0"]);
    }

    #[test]
    fn migrate() {
        check(&[
            ("MIGRATE h 1 a 0 100", &["a"]),
            ("MIGRATE h 1 a 0 100 COPY AUTH KEYS", &["a"]),
            ("MIGRATE h 1 \"\" 0 100 KEYS a b", &["a", "b"]),
            ("MIGRATE h 1 \"\" 0 100 REPLACE AUTH2 KEYS KEYS keys a", &["a"]),
        ]);
        refuse(KeyError::Syntax, &["MIGRATE h 1 a 0 100 KEYS b"]);
        refuse(
            KeyError::Missing,
            &["MIGRATE h 1", "MIGRATE h 1 \"\" 0 100", "MIGRATE h 1 \"\" 0 100 KEYS"],
        );
    }

    #[test]
    fn out_keeps_what_it_had() {
        let mut out = vec![7];
        let command = lookup(b"ZUNIONSTORE").unwrap();
        let words = [b"ZUNIONSTORE".as_slice(), b"d", b"9", b"a"];
        assert_eq!(keys(command, 4, |index| words[index], &mut out), Err(KeyError::Count));
        assert_eq!(out, [7]);
        assert_eq!(keys(lookup(b"GET").unwrap(), 2, |_| b"", &mut out), Ok(()));
        assert_eq!(out, [7, 1]);
    }
}

//! Whether a command waits, and for how long.

use std::time::Duration;

use crate::command::Command;
use crate::kind::Kind;
use crate::streams;

/// How a blocking command waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Index of the argument that holds the timeout: what to change to wait for the rest of it.
    pub timeout_arg: usize,
    /// What that argument counts.
    pub unit: Unit,
    /// At most this long. None: for ever, or not a timeout (which the node will refuse at once).
    pub timeout: Option<Duration>,
}

/// What the timeout of a blocking command counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds, with decimals.
    Seconds,
    /// Whole milliseconds.
    Millis,
}

/// Does this command wait with these arguments (`XREAD` without `BLOCK` does not), and for how
/// long? `arg(i)` is argument `i`; the name is 0. None: it is an ordinary command.
pub fn blocks<'a>(
    command: &Command,
    argc: usize,
    arg: impl Fn(usize) -> &'a [u8],
) -> Option<Block> {
    if command.kind != Kind::Blocking {
        return None;
    }
    let (timeout_arg, unit) = match command.name {
        "BLPOP" | "BRPOP" | "BZPOPMIN" | "BZPOPMAX" => (argc.checked_sub(1)?, Unit::Seconds),
        "BLMPOP" | "BZMPOP" => (1, Unit::Seconds),
        "BRPOPLPUSH" => (3, Unit::Seconds),
        "BLMOVE" | "BLMOVEM" => (5, Unit::Seconds),
        "XREAD" | "XREADGROUP" => (streams::options(argc, &arg).timeout?, Unit::Millis),
        _ => return None,
    };
    if timeout_arg == 0 || timeout_arg >= argc {
        return None;
    }
    Some(Block { timeout_arg, unit, timeout: parse(arg(timeout_arg), unit) })
}

fn parse(text: &[u8], unit: Unit) -> Option<Duration> {
    let text = std::str::from_utf8(text).ok()?;
    let timeout = match unit {
        Unit::Seconds => Duration::try_from_secs_f64(text.parse().ok()?).ok()?,
        Unit::Millis => Duration::from_millis(text.parse().ok()?),
    };
    (!timeout.is_zero()).then_some(timeout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup;

    fn of(line: &str) -> Option<Block> {
        let words: Vec<&str> = line.split(' ').collect();
        let command = lookup(words[0].as_bytes()).unwrap();
        blocks(command, words.len(), |index| words[index].as_bytes())
    }

    fn seconds(timeout_arg: usize, seconds: f64) -> Option<Block> {
        let timeout = Some(Duration::from_secs_f64(seconds));
        Some(Block { timeout_arg, unit: Unit::Seconds, timeout })
    }

    #[test]
    fn each_command_has_its_timeout_in_its_place() {
        assert_eq!(of("BLPOP a b 1.5"), seconds(3, 1.5));
        assert_eq!(of("brpop a 2"), seconds(2, 2.0));
        assert_eq!(of("BZPOPMIN a 2"), seconds(2, 2.0));
        assert_eq!(of("BZPOPMAX a b c 0.01"), seconds(4, 0.01));
        assert_eq!(of("BRPOPLPUSH a b 3"), seconds(3, 3.0));
        assert_eq!(of("BLMOVE a b LEFT RIGHT 3"), seconds(5, 3.0));
        assert_eq!(of("BLMOVEM a b LEFT RIGHT 3 COUNT 2 BULK"), seconds(5, 3.0));
        assert_eq!(of("BLMPOP 4 2 a b LEFT COUNT 3"), seconds(1, 4.0));
        assert_eq!(of("BZMPOP 4 1 a MIN"), seconds(1, 4.0));
    }

    #[test]
    fn streams_wait_only_with_block() {
        let millis = |timeout_arg, timeout| {
            Some(Block {
                timeout_arg,
                unit: Unit::Millis,
                timeout: Some(Duration::from_millis(timeout)),
            })
        };
        assert_eq!(of("XREAD COUNT 1 BLOCK 250 STREAMS a 0"), millis(4, 250));
        assert_eq!(of("XREADGROUP GROUP g c block 9 STREAMS a >"), millis(5, 9));
        assert_eq!(of("XREAD STREAMS BLOCK 5"), None);
        assert_eq!(of("XREADGROUP GROUP BLOCK 5 STREAMS a >"), None);
        assert_eq!(of("XREAD BLOCK"), None);
    }

    #[test]
    fn for_ever_and_nonsense_have_no_timeout() {
        for timeout in ["0", "0.0", "-1", "soon", "", "nan", "inf", "1e300"] {
            let block = of(&format!("BLPOP a {timeout}")).unwrap();
            assert_eq!(block, Block { timeout_arg: 2, unit: Unit::Seconds, timeout: None });
        }
        assert_eq!(of("XREAD BLOCK 1.5 STREAMS a 0").unwrap().timeout, None);
        assert_eq!(of("XREAD BLOCK 0 STREAMS a 0").unwrap().timeout, None);
    }

    #[test]
    fn others_do_not_block() {
        for line in ["GET k", "WAIT 1 0", "LMPOP 1 a LEFT", "BLPOP", "BLMOVE a b", "BLMPOP"] {
            assert_eq!(of(line), None, "{line}");
        }
    }

    #[test]
    fn every_blocking_command_is_known_here() {
        for command in crate::all().iter().filter(|command| command.kind == Kind::Blocking) {
            let block = blocks(command, 6, |index| if index == 1 { b"BLOCK" } else { b"1" });
            assert!(block.is_some(), "{}", command.name);
        }
    }
}

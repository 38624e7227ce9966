//! Which writes may be run twice.

use crate::command::Command;

/// Has this write the same effect on the data when it is run twice with these arguments? Its reply
/// may differ (`DEL` counts). `arg(i)` is argument `i`; the name is 0.
pub fn idempotent<'a>(command: &Command, argc: usize, arg: impl Fn(usize) -> &'a [u8]) -> bool {
    if !command.flags.idempotent() || !command.accepts(argc) {
        return false;
    }
    match command.name {
        "SET" => only_expiry(argc, &arg),
        "ZADD" => no_condition(argc, &arg),
        // A condition (NX, XX, GT, LT) may hold the first time only.
        "EXPIREAT" | "PEXPIREAT" => argc == 3,
        _ => true,
    }
}

/// `SET key value` with nothing but a new expiry: NX, XX, GET, KEEPTTL, IFEQ and what may come
/// later depend on what was there.
fn only_expiry<'a>(argc: usize, arg: &impl Fn(usize) -> &'a [u8]) -> bool {
    const EXPIRIES: [&[u8]; 4] = [b"EX", b"PX", b"EXAT", b"PXAT"];
    let is_expiry = |index| EXPIRIES.iter().any(|word| arg(index).eq_ignore_ascii_case(word));
    argc == 3 || argc == 5 && is_expiry(3)
}

/// `ZADD key [CH] score member …`: the other options depend on what was there.
fn no_condition<'a>(argc: usize, arg: &impl Fn(usize) -> &'a [u8]) -> bool {
    let score = (2..argc).map(arg).find(|word| !word.eq_ignore_ascii_case(b"CH"));
    let text = score.and_then(|score| std::str::from_utf8(score).ok());
    text.is_some_and(|text| text.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup;

    fn of(line: &str) -> bool {
        let words: Vec<&str> = line.split(' ').collect();
        let command = lookup(words[0].as_bytes()).unwrap();
        idempotent(command, words.len(), |index| words[index].as_bytes())
    }

    #[test]
    fn what_may_run_twice() {
        for line in [
            "SET k v",
            "set k v ex 10",
            "SET k v PXAT 1700000000000",
            "SETEX k 10 v",
            "PSETEX k 10 v",
            "MSET a 1 b 2",
            "HSET h f v",
            "HMSET h f v",
            "DEL a b",
            "UNLINK a",
            "HDEL h f",
            "SADD s a b",
            "SREM s a",
            "ZADD z 1 a 2 b",
            "ZADD z CH 1 a",
            "ZADD z -inf NX",
            "ZREM z a",
            "EXPIREAT k 1700000000",
            "PEXPIREAT k 1700000000000",
            "PERSIST k",
        ] {
            assert!(of(line), "{line}");
        }
    }

    #[test]
    fn what_may_not() {
        for line in [
            "SET k v NX",
            "SET k v xx",
            "SET k v GET",
            "SET k v KEEPTTL",
            "SET k v IFEQ w",
            "SET k v EX 10 NX",
            "SET k v NX EX 10",
            "SET k v NEW 10",
            "ZADD z NX 1 a",
            "ZADD z CH GT 1 a",
            "ZADD z INCR 1 a",
            "ZADD z CH NEW 1 a",
            "EXPIREAT k 1700000000 NX",
            "PEXPIREAT k 1700000000000 GT",
            "EXPIRE k 10",
            "INCR k",
            "APPEND k v",
            "RPUSH l a",
            "LPOP l",
            "SETNX k v",
            "MSETNX a 1",
            "XADD s * f v",
            "GETSET k v",
            "GETDEL k",
            "RENAME a b",
            "COPY a b",
            "EVAL x 0",
            "PUBLISH c m",
            "GET k",
            "SET k",
            "PERSIST",
        ] {
            assert!(!of(line), "{line}");
        }
    }
}

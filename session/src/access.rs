//! What a client may do, where Redkeel itself knows the users.

use std::cell::Cell;
use std::ops::ControlFlow;

use commands::{Command, KeyError, Kind, SubscribeKind};
use config::{Patterns, User};

use crate::{Call, Rejection, glob};

/// Who a client is, as far as its rights go.
#[derive(Clone, Copy, Debug)]
pub enum Access<'a> {
    /// The nodes decide.
    Open,
    /// Not logged in where one has to be.
    Stranger,
    /// Logged in.
    User(&'a User),
}

/// Why this client may not run `call`, if it may not. Of a command that is still coming, only what has come is
/// looked at: what cannot be decided by that is refused as well.
pub(crate) fn denied(call: Call<'_>, access: Access<'_>) -> Option<Rejection> {
    let entry = Entry::of(call);
    if let Some(command) = entry.command.filter(|command| command.flags.no_auth()) {
        // The nodes are not asked what is wrong with it.
        let stranger = matches!(access, Access::Stranger);
        return (stranger && !command.accepts(call.announced())).then_some(Rejection::Arity);
    }
    let user = match access {
        Access::Open => return None,
        Access::Stranger => return Some(Rejection::Stranger),
        Access::User(user) => user,
    };
    if entry.is_coming {
        return Some(Rejection::Undecided);
    }
    if !user.grants.allow(entry.command, call.name()) {
        return Some(Rejection::Command { with_subcommand: entry.is_subcommand });
    }
    if let Patterns::Some(patterns) = &user.keys
        && let Err(rejection) = keys(call, entry, patterns)
    {
        return Some(rejection);
    }
    if let (Patterns::Some(patterns), Some(command)) = (&user.channels, entry.command)
        && let Err(rejection) = channels(call, command, patterns)
    {
        return Some(rejection);
    }
    None
}

/// What the table has of a command.
#[derive(Clone, Copy)]
struct Entry {
    command: Option<&'static Command>,
    /// Of a container, and known: errors name it.
    is_subcommand: bool,
    /// A container's subcommand that the table does not have: it may name keys.
    is_unknown_subcommand: bool,
    /// The subcommand has not come yet.
    is_coming: bool,
}

impl Entry {
    fn of(call: Call<'_>) -> Self {
        let command = commands::lookup(call.name());
        let plain =
            Self { command, is_subcommand: false, is_unknown_subcommand: false, is_coming: false };
        match command {
            Some(container) if container.has_subcommands() && call.announced() > 1 => {
                if call.len() < 2 {
                    return Self { is_coming: true, ..plain };
                }
                match container.subcommand(call.arg(1)) {
                    Some(known) => Self { command: Some(known), is_subcommand: true, ..plain },
                    None => Self { is_unknown_subcommand: true, ..plain },
                }
            }
            _ => plain,
        }
    }
}

fn keys(call: Call<'_>, entry: Entry, patterns: &[Box<[u8]>]) -> Result<(), Rejection> {
    let Some(command) = entry.command.filter(|_| !entry.is_unknown_subcommand) else {
        return Err(Rejection::Key);
    };
    if matches!(command.name, "SORT" | "SORT_RO") {
        sort(call)?;
    }
    let argc = call.announced();
    // An argument that decides where the keys are has not come.
    let unseen = Cell::new(false);
    let arg = |index: usize| {
        if index >= call.len() {
            unseen.set(true);
        }
        call.arg(index)
    };
    let mut outcome = Ok(());
    let visited = commands::visit_keys(command, argc, arg, |index| {
        if index >= call.len() {
            unseen.set(true);
        } else if !matches_any(patterns, call.arg(index)) {
            outcome = Err(Rejection::Key);
        }
        if outcome.is_err() || unseen.get() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    outcome?;
    match visited {
        _ if unseen.get() => Err(Rejection::Undecided),
        Ok(_) => Ok(()),
        Err(_) if !command.accepts(argc) => Err(Rejection::Arity),
        Err(KeyError::Missing | KeyError::Count | KeyError::Syntax) => Err(Rejection::Key),
    }
}

/// BY and GET name keys only together with what the list holds, so that whoever may not use all keys may not use them
/// (sort.c `sortCommandGeneric`).
fn sort(call: Call<'_>) -> Result<(), Rejection> {
    if call.len() < call.announced() {
        return Err(Rejection::Undecided);
    }
    let mut index = 2;
    while index < call.len() {
        let is = |word: &[u8]| call.arg(index).eq_ignore_ascii_case(word);
        index += if is(b"GET") {
            return Err(Rejection::SortGet);
        } else if is(b"BY") && call.arg(index + 1).contains(&b'*') {
            return Err(Rejection::SortBy);
        } else if is(b"LIMIT") {
            3
        } else if is(b"BY") || is(b"STORE") {
            2
        } else {
            1
        };
    }
    Ok(())
}

fn channels(call: Call<'_>, command: &Command, patterns: &[Box<[u8]>]) -> Result<(), Rejection> {
    let (all, literal) = match command.kind {
        Kind::Subscribe(SubscribeKind::Subscribe | SubscribeKind::Ssubscribe) => (true, false),
        Kind::Subscribe(SubscribeKind::Psubscribe) => (true, true),
        _ if matches!(command.name, "PUBLISH" | "SPUBLISH") => (false, false),
        _ => return Ok(()),
    };
    let end = if all { call.announced() } else { call.announced().min(2) };
    if end > call.len() {
        return Err(Rejection::Undecided);
    }
    // acl.c `ACLCheckChannelAgainstList`: a pattern has to be the same as one of the user's.
    let may = |channel: &[u8]| {
        if literal {
            patterns.iter().any(|pattern| **pattern == *channel)
        } else {
            matches_any(patterns, channel)
        }
    };
    if (1..end).all(|index| may(call.arg(index))) { Ok(()) } else { Err(Rejection::Channel) }
}

fn matches_any(patterns: &[Box<[u8]>], name: &[u8]) -> bool {
    patterns.iter().any(|pattern| glob::matches(pattern, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::with_call;
    use commands::{Grants, Rule};
    use resp::{Limits, RequestScanner};

    fn user(rules: &str, keys: &str, channels: &str) -> User {
        let rules: Vec<Rule> = rules.split(' ').map(|rule| Rule::parse(rule).unwrap()).collect();
        let patterns = |text: &str| match text {
            "*" => Patterns::All,
            text => Patterns::Some(text.split_whitespace().map(|p| p.as_bytes().into()).collect()),
        };
        User {
            name: "u".to_owned(),
            passwords: Vec::new(),
            grants: Grants::of(&rules),
            keys: patterns(keys),
            channels: patterns(channels),
        }
    }

    fn check(user: &User, rows: &[(&str, Option<Rejection>)]) {
        for (line, expected) in rows {
            let found = with_call(line, |call| denied(call, Access::User(user)));
            assert_eq!(found, *expected, "{line}");
        }
    }

    const NO_COMMAND: Option<Rejection> = Some(Rejection::Command { with_subcommand: false });
    const NO_SUBCOMMAND: Option<Rejection> = Some(Rejection::Command { with_subcommand: true });
    const NO_KEY: Option<Rejection> = Some(Rejection::Key);
    const NO_CHANNEL: Option<Rejection> = Some(Rejection::Channel);

    #[test]
    fn strangers_may_log_in_and_leave() {
        let stranger = |line: &str| with_call(line, |call| denied(call, Access::Stranger));
        for line in ["AUTH x", "auth a b", "HELLO 3", "QUIT", "RESET"] {
            assert_eq!(stranger(line), None, "{line}");
        }
        for line in ["PING", "GET a", "NOSUCH", "MULTI", "ACL WHOAMI", "CLIENT ID", "SYNC"] {
            assert_eq!(stranger(line), Some(Rejection::Stranger), "{line}");
        }
        assert_eq!(stranger("AUTH"), Some(Rejection::Arity));
    }

    #[test]
    fn every_key_has_to_be_allowed() {
        let user = user("+@all +sort +sort_ro +eval +migrate", "a* b*", "*");
        check(
            &user,
            &[
                ("GET a", None),
                ("get x", NO_KEY),
                ("MSET a 1 b 2", None),
                ("MSET a 1 x 2", NO_KEY),
                ("MGET x a", NO_KEY),
                ("SORT a", None),
                ("SORT a STORE x", NO_KEY),
                ("SORT a STORE x STORE b", None),
                ("SORT a BY x* ALPHA", Some(Rejection::SortBy)),
                ("SORT a BY nosort GET x_*", Some(Rejection::SortGet)),
                ("SORT a BY nosort GET #", Some(Rejection::SortGet)),
                ("SORT_RO a BY x*", Some(Rejection::SortBy)),
                ("SORT a LIMIT GET BY", None),
                ("GEORADIUS a 1 2 3 m STORE x", NO_KEY),
                ("GEORADIUSBYMEMBER a m 3 m STOREDIST b", None),
                ("XREAD COUNT 1 STREAMS a x 0 0", NO_KEY),
                ("XREAD STREAMS a b 0 0", None),
                ("XREADGROUP GROUP g c STREAMS x >", NO_KEY),
                ("ZUNIONSTORE a 2 b x", NO_KEY),
                ("ZUNIONSTORE a 2 b a", None),
                ("ZUNIONSTORE a 9 b a", NO_KEY),
                ("EVAL x 1 x", NO_KEY),
                ("EVAL x 1 a x", None),
                ("EVAL x 0", None),
                ("BITOP AND a b x", NO_KEY),
                ("OBJECT ENCODING x", NO_KEY),
                ("OBJECT ENCODING a", None),
                ("MEMORY USAGE x", NO_KEY),
                ("MIGRATE h 1 a 0 9 KEYS x", NO_KEY),
                ("MIGRATE h 1 \u{0} 0 9", NO_KEY),
                ("BLPOP a x 0", NO_KEY),
                ("COPY a x", NO_KEY),
                ("GET", Some(Rejection::Arity)),
                ("GET a b", None),
                ("PING", None),
                ("JSON.GET a", NO_KEY),
                ("OBJECT NOSUCH a", NO_KEY),
            ],
        );
    }

    #[test]
    fn commands_are_named_with_their_subcommands() {
        let user = user("+get +config|get", "*", "*");
        check(
            &user,
            &[
                ("GET a", None),
                ("SET a 1", NO_COMMAND),
                ("CONFIG GET a", None),
                ("CONFIG SET a b", NO_SUBCOMMAND),
                ("config nosuch", NO_COMMAND),
                ("CONFIG", NO_COMMAND),
                ("CLIENT ID", NO_SUBCOMMAND),
                ("NOSUCH", NO_COMMAND),
                ("AUTH a b", None),
                ("QUIT", None),
            ],
        );
    }

    #[test]
    fn channels() {
        let user = user("+@all", "*", "news:* jo?");
        check(
            &user,
            &[
                ("SUBSCRIBE news:a joe", None),
                ("SUBSCRIBE news:a x", NO_CHANNEL),
                ("SSUBSCRIBE x", NO_CHANNEL),
                ("PSUBSCRIBE news:*", None),
                ("PSUBSCRIBE news:a*", NO_CHANNEL),
                ("PUBLISH news:a x", None),
                ("PUBLISH x news:a", NO_CHANNEL),
                ("SPUBLISH x a", NO_CHANNEL),
                ("UNSUBSCRIBE x", None),
                ("PUNSUBSCRIBE x", None),
            ],
        );
    }

    /// A large command is decided as soon as what decides has come, never before.
    #[test]
    fn what_is_still_coming_is_not_guessed() {
        let user = user("+@all +sort", "a*", "c*");
        let decide = |line: &str, have: usize| {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            let mut bytes = Vec::new();
            resp::write_command(&mut bytes, &words);
            let mut scanner = RequestScanner::new();
            let argc = u32::try_from(words.len()).unwrap();
            scanner.scan(&bytes, &Limits::default()).unwrap();
            denied(Call::begun(&bytes, &scanner.args()[..have], argc), Access::User(&user))
        };
        const LATER: Option<Rejection> = Some(Rejection::Undecided);
        assert_eq!(decide("SET a x", 1), LATER);
        assert_eq!(decide("SET a x", 2), None);
        assert_eq!(decide("SET x x", 2), NO_KEY);
        assert_eq!(decide("MSET a 1 a 2", 3), LATER);
        assert_eq!(decide("MSET a 1 a 2", 4), None);
        assert_eq!(decide("MSET x 1 a 2", 2), NO_KEY);
        assert_eq!(decide("ZUNIONSTORE a 2 a a", 2), LATER);
        assert_eq!(decide("ZUNIONSTORE a 2 a x", 5), NO_KEY);
        assert_eq!(decide("SORT a STORE x", 3), LATER);
        assert_eq!(decide("XREAD COUNT 1 STREAMS a 0", 3), LATER);
        assert_eq!(decide("OBJECT FREQ a", 1), LATER);
        assert_eq!(decide("PUBLISH c m", 1), LATER);
        assert_eq!(decide("PUBLISH c m", 2), None);
        assert_eq!(decide("SUBSCRIBE c c", 2), LATER);
        assert_eq!(decide("PING m", 1), None);
    }
}

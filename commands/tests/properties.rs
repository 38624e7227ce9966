//! Whatever a client sends, looking at it does no harm.

use commands::{Command, all, blocks, first_key, idempotent, keys, lookup};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Words that mean something to one of the parsers, numbers, and anything.
fn word() -> impl Strategy<Value = Vec<u8>> {
    let meaningful = [
        "STREAMS",
        "BLOCK",
        "GROUP",
        "COUNT",
        "CLAIM",
        "NOACK",
        "KEYS",
        "AUTH",
        "AUTH2",
        "STORE",
        "STOREDIST",
        "BY",
        "GET",
        "LIMIT",
        "NX",
        "CH",
        "INCR",
        "EX",
        "PXAT",
    ];
    let numbers =
        ["", "0", "1", "2", "3", "-1", "1.5", "inf", "4294967296", "18446744073709551615", "1e999"];
    prop_oneof![
        3 => select(meaningful.map(|word| word.as_bytes().to_vec()).to_vec()),
        3 => select(numbers.map(|word| word.as_bytes().to_vec()).to_vec()),
        1 => vec(any::<u8>(), 0..12),
    ]
}

fn command() -> impl Strategy<Value = &'static Command> {
    select(all().iter().collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn any_line_can_be_looked_at(command in command(), line in vec(word(), 0..12)) {
        let arg = |index: usize| line[index].as_slice();
        let mut found = Vec::new();
        let outcome = keys(command, line.len(), arg, &mut found);
        prop_assert!(found.iter().all(|&index| 0 < index && index < line.len()));
        prop_assert!(outcome.is_ok() || found.is_empty());
        if outcome.is_ok() {
            prop_assert_eq!(first_key(command, line.len(), arg), found.first().copied());
        }
        if let Some(block) = blocks(command, line.len(), arg) {
            prop_assert!(0 < block.timeout_arg && block.timeout_arg < line.len());
            prop_assert!(block.timeout.is_none_or(|timeout| !timeout.is_zero()));
        }
        if idempotent(command, line.len(), arg) {
            prop_assert!(command.flags.write() && command.accepts(line.len()));
        }
    }

    #[test]
    fn any_name_can_be_looked_up(name in vec(any::<u8>(), 0..40)) {
        let found = lookup(&name);
        prop_assert!(found.is_none_or(|command| command.name.as_bytes().eq_ignore_ascii_case(&name)));
    }

    #[test]
    fn case_does_not_matter(command in command(), lower in vec(any::<bool>(), 40)) {
        let name: Vec<u8> = command.name.bytes().zip(lower)
            .map(|(byte, lower)| if lower { byte.to_ascii_lowercase() } else { byte })
            .collect();
        let found = match name.split(|&byte| byte == b' ').collect::<Vec<_>>()[..] {
            [name] => lookup(name),
            [container, name] => lookup(container).and_then(|container| container.subcommand(name)),
            _ => None,
        };
        prop_assert_eq!(found.map(|found| found.name), Some(command.name));
    }
}

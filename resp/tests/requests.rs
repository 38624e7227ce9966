//! Random requests through the scanner, in pieces and damaged.

#[path = "checks/request.rs"]
mod check;

use check::check_request;
use proptest::collection::vec;
use proptest::prelude::*;
use resp::{Limits, RequestScanner, Scan, inline_to_multibulk, write_command};

fn args() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(vec(any::<u8>(), 0..40), 1..12)
}

fn command(args: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    write_command(&mut out, &args.iter().map(Vec::as_slice).collect::<Vec<_>>());
    out
}

/// Bytes that look like requests more often than random ones do.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        4 => args().prop_map(|args| command(&args)),
        1 => "[*$][-+]?[0-9]{0,4}\r?\n?".prop_map(String::into_bytes),
        1 => "[ a-z\"'\\\\x]{0,12}\r?\n".prop_map(String::into_bytes),
        1 => Just(b"\r\n".to_vec()),
        1 => vec(any::<u8>(), 0..8),
        1 => (60usize..70).prop_map(|len| vec![b'x'; len]),
    ];
    vec(fragment, 0..6).prop_map(|fragments| fragments.concat())
}

/// Quotes an argument so that an inline command can carry it.
fn quoted(arg: &[u8]) -> String {
    let mut out = String::from("\"");
    for byte in arg {
        out.push_str(&format!("\\x{byte:02x}"));
    }
    out + "\""
}

proptest! {
    #[test]
    fn written_commands_are_scanned_back(commands in vec(args(), 1..5)) {
        let input: Vec<u8> = commands.iter().flat_map(|args| command(args)).collect();
        let mut scanner = RequestScanner::new();
        let mut rest = input.as_slice();
        for args in &commands {
            let len = command(args).len();
            let scanned = scanner.scan(rest, &Limits::default());
            prop_assert_eq!(scanned, Ok(Scan::Complete { len, inline: false }));
            let seen: Vec<_> = scanner.args().iter().map(|arg| arg.of(rest).to_vec()).collect();
            prop_assert_eq!(&seen, args);
            rest = &rest[len..];
        }
        prop_assert!(rest.is_empty());
        check_request(&input);
    }

    #[test]
    fn quoted_arguments_are_the_arguments(args in args()) {
        let line = args.iter().map(|arg| quoted(arg)).collect::<Vec<_>>().join(" ");
        let mut out = Vec::new();
        inline_to_multibulk(line.as_bytes(), &mut out).unwrap();
        prop_assert_eq!(out, command(&args));
    }

    #[test]
    fn pieces_of_requests_hold_the_rules(input in fragments()) {
        check_request(&input);
    }

    #[test]
    fn damaged_requests_hold_the_rules(
        args in args(),
        at: prop::sample::Index,
        byte: u8,
    ) {
        let mut input = command(&args);
        let at = at.index(input.len());
        input[at] = byte;
        check_request(&input);
    }

    #[test]
    fn garbage_holds_the_rules(input in vec(any::<u8>(), 0..200)) {
        check_request(&input);
    }
}

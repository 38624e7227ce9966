//! Whatever a file holds, importing it does not panic, and what comes out is accepted.

mod common;

use common::{CONTEXT, FORMATS, Folder, folder, inputs};
use import::{Format, Imported};
use proptest::prelude::*;

/// One change of a text, at a place given as a share of it.
#[derive(Clone, Debug)]
enum Edit {
    Delete(f64, usize),
    Insert(f64, &'static str),
    Repeat(f64, usize),
    /// A part is put elsewhere.
    Move(f64, f64, usize),
}

/// What an edit may put in.
const TOKENS: [&str; 40] = [
    "\"",
    "'",
    "\\",
    ":",
    ",",
    "[",
    "]",
    "{",
    "}",
    "#",
    "\n",
    "\r\n",
    "\t",
    "\0",
    " ",
    "  ",
    "-",
    "- ",
    "*",
    "&",
    "|",
    "!",
    "%",
    "0",
    "-1",
    "99999999999999999999",
    "1.5",
    "é",
    "𝄞",
    "\u{202e}",
    "true",
    "~",
    "/",
    "@",
    "$",
    "redis",
    "6379",
    "backup",
    "ssl",
    "none",
];

fn edit() -> impl Strategy<Value = Edit> {
    let token = prop::sample::select(TOKENS.to_vec());
    prop_oneof![
        (0.0..1.0f64, 1..20usize).prop_map(|(at, len)| Edit::Delete(at, len)),
        (0.0..1.0f64, token).prop_map(|(at, token)| Edit::Insert(at, token)),
        (0.0..1.0f64, 1..60usize).prop_map(|(at, len)| Edit::Repeat(at, len)),
        (0.0..1.0f64, 0.0..1.0f64, 1..60usize)
            .prop_map(|(from, to, len)| Edit::Move(from, to, len)),
    ]
}

fn apply(text: &str, edit: &Edit) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let place = |share: f64, chars: &[char]| (share * chars.len() as f64) as usize;
    match *edit {
        Edit::Delete(at, len) => {
            let at = place(at, &chars);
            chars.drain(at..(at + len).min(chars.len()));
        }
        Edit::Insert(at, token) => {
            let at = place(at, &chars);
            chars.splice(at..at, token.chars());
        }
        Edit::Repeat(at, len) => {
            let at = place(at, &chars);
            let part: Vec<char> = chars[at..(at + len).min(chars.len())].to_vec();
            chars.splice(at..at, part);
        }
        Edit::Move(from, to, len) => {
            let from = place(from, &chars);
            let part: Vec<char> = chars.drain(from..(from + len).min(chars.len())).collect();
            let to = place(to, &chars);
            chars.splice(to..to, part);
        }
    }
    chars.into_iter().collect()
}

fn bases() -> Vec<(Format, &'static str, String)> {
    let mut bases = Vec::new();
    for (format, name) in FORMATS {
        for path in inputs(name) {
            bases.push((format, name, std::fs::read_to_string(path).expect("a fixture")));
        }
    }
    bases
}

/// Imports a text, and checks what comes out.
#[allow(clippy::panic, reason = "a test fails by panicking")]
fn check(format: Format, name: &str, text: &str) {
    let imported = import::import(format, "a.file", text, &Folder(folder(name)));
    let left = match imported {
        Ok(Imported { file, pools, left }) => {
            let loaded = config::load("a.toml", &file, &CONTEXT)
                .unwrap_or_else(|wrong| panic!("{text}\n---\n{file}\n---\n{wrong}"));
            assert_eq!(loaded.config.pools.len(), pools, "{file}");
            left
        }
        Err(refused) => {
            assert!(!refused.why.contains("is refused"), "{text}\n---\n{refused:?}");
            assert!(!refused.why.is_empty() && !refused.why.contains('\n'), "{refused:?}");
            refused.left
        }
    };
    for left in left {
        let line = left.to_string();
        assert!(left.line >= 1 && !line.contains('\n') && !left.why.is_empty(), "{line:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in "[a-z0-9 :.{}\\[\\]\"'\\\\#*&,\n-]{0,200}") {
        for (format, name) in FORMATS {
            check(format, name, &text);
        }
    }

    #[test]
    fn files_with_edits(
        (format, name, base) in prop::sample::select(bases()),
        edits in prop::collection::vec(edit(), 1..6),
    ) {
        check(format, name, &edits.iter().fold(base, |text, edit| apply(&text, edit)));
    }
}

//! Whatever a file holds, reading it does not panic and does not give its secrets away.

#[path = "checks/text.rs"]
mod check;
mod common;

use check::rendered;
use common::fixtures;
use proptest::prelude::*;

/// One change of a text, at a place given as a share of it.
#[derive(Clone, Debug)]
enum Edit {
    Delete(f64, usize),
    Insert(f64, &'static str),
    Repeat(f64, usize),
}

/// What an edit may put in.
const TOKENS: [&str; 36] = [
    "\"",
    "'",
    "\"\"\"",
    "'''",
    "\\",
    "=",
    ".",
    ",",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "#",
    "\n",
    "\r\n",
    "\t",
    "\0",
    " ",
    "-",
    "0",
    "99999999999999999999",
    "1.5",
    "é",
    "𝄞",
    "\u{202e}",
    "password",
    "pool",
    "main",
    "listen = ",
    "servers = ",
    "unix:",
    "redis://u:p@",
    "true",
    "1979-05-27",
];

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (0.0..1.0f64, 1..20usize).prop_map(|(at, len)| Edit::Delete(at, len)),
        (0.0..1.0f64, prop::sample::select(TOKENS.to_vec()))
            .prop_map(|(at, token)| Edit::Insert(at, token)),
        (0.0..1.0f64, 1..60usize).prop_map(|(at, len)| Edit::Repeat(at, len)),
    ]
}

fn apply(text: &str, edit: &Edit) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let place = |share: f64| (share * chars.len() as f64) as usize;
    match *edit {
        Edit::Delete(at, len) => {
            let at = place(at);
            chars.drain(at..(at + len).min(chars.len()));
        }
        Edit::Insert(at, token) => {
            let at = place(at);
            chars.splice(at..at, token.chars());
        }
        Edit::Repeat(at, len) => {
            let at = place(at);
            let part: Vec<char> = chars[at..(at + len).min(chars.len())].to_vec();
            chars.splice(at..at, part);
        }
    }
    chars.into_iter().collect()
}

fn bases() -> Vec<String> {
    let files = fixtures("right").into_iter().chain(fixtures("wrong"));
    let mut bases: Vec<String> =
        files.map(|path| std::fs::read_to_string(path).expect("a fixture")).collect();
    bases.push(config::sample_file());
    bases
}

const SECRET: &str = "hunter2";

/// Texts around the secret: before it, behind it.
const AROUND: [(&str, &str); 6] = [
    ("[pool.main.upstream]\nusername = \"app\"\npassword = \"", "\"\nconnections = 1\n"),
    ("[pool.main.upstream]\npassword = '", "'\n\n[log]\nlevel = \"info\"\n"),
    ("upstream = { username = \"app\", password = \"", "\", connections = 1 }\nworkers = 1\n"),
    ("[pool.main.upstream]\npassword = \"\"\"\n", "\n\"\"\"\nconnections = 1\n"),
    ("[pool.main]\nlisten = \"127.0.0.1:1\"\nservers = [\"redis://app:", "@10.0.0.1:6379\"]\n"),
    ("[pool.main.users.app]\npassword = { sha256 = \"", "\" }\n[admin]\nlisten = \"none\"\n"),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        rendered(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_text_of_toml_characters(text in "[a-b0-9.=\"'\\[\\]{},# \n\\\\-]{0,100}") {
        rendered(&text);
    }

    #[test]
    fn files_with_edits(
        base in prop::sample::select(bases()),
        edits in prop::collection::vec(edit(), 1..6),
    ) {
        rendered(&edits.iter().fold(base, |text, edit| apply(&text, edit)));
    }

    /// One slip of the finger anywhere but in the secret itself.
    #[test]
    fn a_slip_gives_no_secret_away(
        (before, after) in prop::sample::select(AROUND.to_vec()),
        at in 0.0..1.0f64,
        slip in prop_oneof![
            Just(None),
            prop::sample::select(vec!["\"", "'", "=", " ", "\n", "x", "#", "[", "}", ","]).prop_map(Some),
        ],
        replace in any::<bool>(),
    ) {
        let slipped = |text: &str| {
            let mut chars: Vec<char> = text.chars().collect();
            let at = (at * chars.len() as f64) as usize;
            let end = if replace || slip.is_none() { at + 1 } else { at };
            chars.splice(at..end, slip.unwrap_or("").chars());
            chars.into_iter().collect::<String>()
        };
        for text in [
            format!("{}{SECRET}{after}", slipped(before)),
            format!("{before}{SECRET}{}", slipped(after)),
        ] {
            let rendered = rendered(&text);
            prop_assert!(!rendered.contains(SECRET), "{}\n---\n{}", text, rendered);
        }
    }
}

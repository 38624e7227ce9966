//! How every command travels, as a list that a person has read: a command that is new, or falls
//! through the rule into another kind, shows as a difference.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

#[test]
fn kinds_are_those_that_were_reviewed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kinds.txt");
    let mut kinds = String::new();
    for command in commands::all() {
        writeln!(kinds, "{:<30}{:?}", command.name, command.kind).unwrap();
    }
    if env::var_os("BLESS").is_some() {
        fs::write(&path, &kinds).unwrap();
    }
    let reviewed = fs::read_to_string(&path).unwrap();
    let (reviewed, kinds): (Vec<_>, Vec<_>) = (reviewed.lines().collect(), kinds.lines().collect());
    let gone: Vec<_> = reviewed.iter().filter(|line| !kinds.contains(line)).collect();
    let new: Vec<_> = kinds.iter().filter(|line| !reviewed.contains(line)).collect();
    assert!(
        gone.is_empty() && new.is_empty(),
        "tests/kinds.txt says {gone:#?}, the table {new:#?}; once that is right: \
         BLESS=1 cargo test -p commands --test kinds"
    );
}

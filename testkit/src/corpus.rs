//! The corpora of the fuzzers, replayed in ordinary tests.

use std::path::Path;

/// Runs `check` on every file of `fuzz/corpus/NAME`.
///
/// # Panics
///
/// If there are hardly any, or where `check` does; the file's name stands before that.
pub fn replay(name: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let entries = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("the corpus {}: {error}", folder.display()));
    let mut files = 0;
    for entry in entries {
        let path = entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display())).path();
        let seed = std::fs::read(&path);
        let seed = seed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        println!("{}", path.display());
        check(&seed);
        files += 1;
    }
    assert!(files > 10, "the corpus {} is there", folder.display());
}

//! The seeds of the fuzz targets, replayed with the targets' own checks.

#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

#[path = "checks/reply.rs"]
mod check_reply;
#[path = "checks/request.rs"]
mod check_request;

use std::path::Path;

/// Runs `check` on every file of a corpus.
fn replay(corpus: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(corpus);
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Shown with the failure of a seed.
        println!("{}", path.display());
        check(&std::fs::read(path).unwrap());
        files += 1;
    }
    assert!(files > 10, "the corpus is there");
}

#[test]
fn requests() {
    replay("request", check_request::check_request);
}

#[test]
fn replies() {
    replay("reply", check_reply::check_reply);
}

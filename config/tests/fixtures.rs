//! Every file under `fixtures/wrong` has exactly the diagnostics beside it; every one under `fixtures/right` has none.

mod common;

use common::{CONTEXT, compare, fixtures};

#[test]
fn wrong_files_are_explained() {
    let files = fixtures("wrong");
    assert!(files.len() >= 40, "{} files", files.len());
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy();
        let text = std::fs::read_to_string(&path).unwrap();
        let rendered = match config::load(&name, &text, &CONTEXT) {
            Ok(loaded) => loaded.warnings.render(false),
            Err(diagnostics) => diagnostics.render(false),
        };
        assert!(!rendered.is_empty(), "{name} has nothing wrong");
        assert!(!rendered.contains("hunter2"), "{name} gives a secret away:\n{rendered}");
        compare(&path.with_extension("expected"), &rendered, "UPDATE_EXPECT");
    }
}

#[test]
fn every_expectation_has_its_file() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/wrong");
    for entry in std::fs::read_dir(folder).unwrap() {
        assert!(entry.unwrap().path().with_extension("toml").exists());
    }
}

#[test]
fn right_files_load_without_a_word() {
    for path in fixtures("right") {
        let text = std::fs::read_to_string(&path).unwrap();
        let loaded = config::load(&path.display().to_string(), &text, &CONTEXT);
        let warnings = loaded.unwrap_or_else(|diagnostics| panic!("{diagnostics}")).warnings;
        assert!(warnings.is_empty(), "{warnings}");
    }
}

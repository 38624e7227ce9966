//! Every fixture gives exactly the file beside it (`.toml`) and the leftovers beside it (`.left`).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{CONTEXT, FORMATS, Folder, folder, inputs};
use import::{Imported, Left};

#[test]
fn fixtures_are_imported_as_expected() {
    for (format, name) in FORMATS {
        let files = inputs(name);
        assert!(!files.is_empty(), "no fixtures for {name}");
        for path in files {
            let origin = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let (file, left) = match import::import(format, &origin, &text, &Folder(folder(name))) {
                Ok(Imported { file, pools, left }) => {
                    let loaded = config::load(&origin, &file, &CONTEXT)
                        .unwrap_or_else(|wrong| panic!("{origin}:\n{file}\n{wrong}"));
                    assert_eq!(loaded.config.pools.len(), pools, "{origin}");
                    (file, lines(&left))
                }
                Err(refused) => (String::new(), lines(&refused.left) + &refused.why + "\n"),
            };
            assert!(!left.contains("hunter2"), "{origin} gives a secret away:\n{left}");
            compare(&path.with_extension("toml"), &file);
            compare(&path.with_extension("left"), &left);
        }
    }
}

/// What the documents of this field show is carried over whole.
#[test]
fn the_files_that_people_have_leave_nothing_over() {
    for (name, file) in [
        ("haproxy", "one-primary.left"),
        ("haproxy", "read-only.left"),
        ("nutcracker", "ketama-eject.left"),
        ("envoy", "maglev.left"),
    ] {
        let left = std::fs::read_to_string(folder(name).join(file)).unwrap();
        assert_eq!(left, "", "{file}");
    }
}

fn lines(left: &[Left]) -> String {
    left.iter().map(|left| format!("{left}\n")).collect()
}

fn compare(path: &std::path::Path, expected: &str) {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, expected).unwrap();
        return;
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is not as it should be; UPDATE_EXPECT=1 rewrites it.\n--- it should be:\n{expected}\n--- it is:\n{found}",
        path.display()
    );
}

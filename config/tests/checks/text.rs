//! What holds for any text: shared by the property tests and the fuzz target.

use std::path::Path;

use config::{Context, Secrets};

#[path = "secrets.rs"]
mod secrets;

use secrets::{SECRET, is_password_in};

/// Finds nothing.
struct Nothing;

impl Secrets for Nothing {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Err("No such file or directory".to_owned())
    }
}

/// All there is to say about a text. Neither reading nor rendering panics, and what is refused is explained.
pub(crate) fn rendered(text: &str) -> String {
    let context = Context { secrets: &Nothing, default_workers: 1 };
    let (loaded, diagnostics) = match config::load("test.toml", text, &context) {
        Ok(loaded) => (true, loaded.warnings),
        Err(diagnostics) => (false, diagnostics),
    };
    let errors = diagnostics.count(config::Severity::Error);
    assert_eq!(loaded, errors == 0, "{diagnostics}");
    let (colored, plain) = (diagnostics.render(true), diagnostics.render(false));
    if is_password_in(text) {
        assert!(!colored.contains(SECRET) && !plain.contains(SECRET), "{text}\n---\n{plain}");
    }
    plain
}

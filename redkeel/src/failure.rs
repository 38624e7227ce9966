//! Why a subcommand ended without success, and with which exit code.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// Bad usage or configuration: `EX_USAGE` of sysexits.h.
const USAGE: u8 = 64;
/// A fault of Redkeel itself: `EX_SOFTWARE` of sysexits.h.
const INTERNAL: u8 = 70;
/// Anything else.
const OTHER: u8 = 1;

/// What to say on stderr, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    /// The user has to change the command line.
    pub(crate) fn usage(error: anyhow::Error) -> Self {
        Self { code: USAGE, text: line(&error) }
    }

    /// The user has to change the configuration; `diagnostics` says how.
    pub(crate) fn configuration(diagnostics: String) -> Self {
        Self { code: USAGE, text: diagnostics }
    }

    /// Redkeel is wrong.
    pub(crate) fn internal(error: impl Into<anyhow::Error>) -> Self {
        Self { code: INTERNAL, text: line(&error.into()) }
    }

    /// What there is to say.
    pub(crate) fn text(&self) -> &str {
        self.text.trim_end()
    }

    /// Says what happened, and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        complain(&self.text);
        ExitCode::from(self.code)
    }
}

/// The world outside is not as it should be: an address in use, nobody who answers.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { code: OTHER, text: line(&error) }
    }
}

fn line(error: &anyhow::Error) -> String {
    format!("redkeel: {error:#}\n")
}

/// Prints to stderr. A stderr that is closed must not bring the process down.
pub(crate) fn complain(text: &str) {
    drop(std::io::stderr().write_all(text.as_bytes()));
}

/// The exit code for what clap refused or, for `--help` and `--version`, was asked to print.
pub(crate) fn of_command_line(error: &clap::Error) -> ExitCode {
    // A closed stdout or stderr: nobody reads it, nothing to do.
    drop(error.print());
    if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

/// A panic is a fault of Redkeel itself; the panic hook has said where.
pub(crate) fn catching_panics(run: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        Err(Failure::internal(anyhow::anyhow!(
            "a panic, which is a bug; please report it with the log"
        )))
    })
}

//! Standard output.

use std::io::{self, ErrorKind, Write};

use anyhow::Context;

use crate::failure::Failure;

/// Prints `text`. A reader that has seen enough (`| head`) is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("standard output")?
        }
        _ => Ok(()),
    }
}

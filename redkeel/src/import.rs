//! `redkeel import`: another proxy's configuration as one of Redkeel's.

use std::path::Path;

use anyhow::{Context, anyhow};
use import::{Files, Imported, Left};

use crate::cli::ImportArgs;
use crate::failure::{Failure, complain};
use crate::output::print;

/// Prints the file, and on stderr what it could not carry over.
pub(crate) fn import(args: &ImportArgs) -> Result<(), Failure> {
    let origin = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file)
        .with_context(|| format!("cannot read the file {origin}"))
        .map_err(Failure::usage)?;
    match import::import(args.format.into(), &origin, &text, &System) {
        Ok(Imported { file, pools, left }) => {
            complain(&lines(&left));
            print(&file)?;
            complain(&format!(
                "redkeel: {} carried over, {} left over\n",
                counted(pools, "pool"),
                counted(left.len(), "directive")
            ));
            Ok(())
        }
        Err(refused) => {
            complain(&lines(&refused.left));
            Err(Failure::usage(anyhow!(refused.why)))
        }
    }
}

fn lines(left: &[Left]) -> String {
    left.iter().map(|left| format!("{left}\n")).collect()
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Included files from the file system.
struct System;

impl Files for System {
    fn read(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(Path::new(path)).map_err(|error| error.to_string())
    }
}

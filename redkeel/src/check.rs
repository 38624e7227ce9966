//! `redkeel check`: is this file right?

use crate::cli::CheckArgs;
use crate::failure::{Failure, complain};
use crate::output::print;
use crate::source;

/// Says what is wrong with the file on stderr, and what it amounts to if nothing is.
pub(crate) fn check(args: &CheckArgs) -> Result<(), Failure> {
    let loaded = source::of_file(&args.file)?;
    complain(&source::render(&loaded.warnings));
    let pools = &loaded.config.pools;
    let listeners: usize = pools.iter().map(|pool| pool.listeners.len()).sum();
    let servers: usize = pools.iter().map(|pool| pool.servers.len()).sum();
    print(&format!(
        "{}: right: {}, {}, {}\n",
        args.file.display(),
        counted(pools.len(), "pool"),
        counted(listeners, "listener"),
        counted(servers, "server")
    ))
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

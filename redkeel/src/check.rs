//! `redkeel check`: is this file right?

use config::Source;

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
    let servers: usize = pools.iter().map(|pool| pool.servers().len()).sum();
    let sentinels: usize = pools.iter().map(|pool| sentinels(&pool.source)).sum();
    let mut parts = vec![counted(pools.len(), "pool"), counted(listeners, "listener")];
    if servers > 0 {
        parts.push(counted(servers, "server"));
    }
    if sentinels > 0 {
        parts.push(counted(sentinels, "Sentinel"));
    }
    print(&format!("{}: right: {}\n", args.file.display(), parts.join(", ")))
}

fn sentinels(source: &Source) -> usize {
    match source {
        Source::Servers(_) => 0,
        Source::Sentinel(sentinel) => sentinel.sentinels.len(),
    }
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

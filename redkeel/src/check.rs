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
    let routes: usize = pools.iter().map(|pool| pool.routes.len()).sum();
    let sources = pools.iter().map(|pool| Counts::of(&pool.source));
    let counts = sources.fold(Counts::default(), Counts::and);
    let mut parts = vec![counted(pools.len(), "pool"), counted(listeners, "listener")];
    for (number, noun) in [
        (routes, "route"),
        (counts.shards, "shard"),
        (counts.servers, "server"),
        (counts.sentinels, "Sentinel"),
    ] {
        if number > 0 {
            parts.push(counted(number, noun));
        }
    }
    print(&format!("{}: right: {}\n", args.file.display(), parts.join(", ")))
}

/// What a source of nodes names.
#[derive(Default)]
struct Counts {
    shards: usize,
    servers: usize,
    sentinels: usize,
}

impl Counts {
    fn of(source: &Source) -> Self {
        let none = Self::default();
        match source {
            Source::Servers(servers) => Self { servers: servers.len(), ..none },
            Source::Sentinel(sentinel) => Self { sentinels: sentinel.sentinels.len(), ..none },
            Source::Shards(shards) => Self {
                shards: shards.members.len(),
                servers: shards.members.iter().map(|shard| shard.servers.len()).sum(),
                ..none
            },
            Source::Routes => none,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            shards: self.shards + other.shards,
            servers: self.servers + other.servers,
            sentinels: self.sentinels + other.sentinels,
        }
    }
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

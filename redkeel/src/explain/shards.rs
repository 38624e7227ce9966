//! Pools with shards or routes: which of their groups gets a command, and why.
//!
//! What is split, merged and refused says `session::shards`, and where a key is `engine::Territory`, as for the data plane.

use std::sync::Arc;

use commands::{Command, SubscribeKind};
use config::{Config, Mirrored, Mode, OnShardDown, Pool, Shards, Source};
use engine::{Located, Territory};
use routing::Distribution;
use session::shards::{Cursor, Layout, Merge, Plan, plan};
use session::{Call, Local, PinReason, Way};
use topology::LearnedCommands;

use super::{field, shown, travels};

/// What stands before the node, where it is one of several shards.
const THERE: &str = "there, ";
/// And where it is in several.
const IN_EACH: &str = "in each of them, ";

/// All pools, with the groups of those that have shards or routes.
pub(super) struct Groups(Vec<Arc<Pool>>);

impl Groups {
    pub(super) fn of(config: &Config) -> Self {
        Self(config.clone().with_groups().pools.into_iter().map(Arc::new).collect())
    }

    /// Says where a command goes of a pool that has some; `None` for one with nodes of its own.
    pub(super) fn explain(
        &self,
        pool: &Pool,
        mode: Mode,
        call: Call<'_>,
        way: Way,
        command: Option<&'static Command>,
    ) -> Option<String> {
        // As it is with groups: of a pool with routes, its nodes are one of them.
        let pool = self.0.iter().find(|own| own.name == pool.name)?;
        let territory = Territory::of(pool, &self.0)?;
        let asked = Asked { groups: &self.0, pool, territory: &territory, mode, call, command };
        Some(asked.text(way))
    }
}

/// A command at one listener of a pool.
struct Asked<'a> {
    groups: &'a [Arc<Pool>],
    pool: &'a Pool,
    territory: &'a Territory,
    mode: Mode,
    call: Call<'a>,
    command: Option<&'static Command>,
}

impl Asked<'_> {
    fn text(&self, way: Way) -> String {
        match way {
            Way::Local(local) => field("answered", local_text(local)),
            Way::Reject(_) => travels(self.call, self.command, self.mode, way, self.pool, ""),
            Way::Pinned { reason: PinReason::Multi, .. } => {
                let text = "that of the first key behind it; a command with keys of another gets -CROSSSHARD";
                field("shard", text) + &self.travel(way, None, THERE)
            }
            Way::Pinned { reason: PinReason::Subscribe(kind), .. } => self.subscription(kind),
            Way::Lane { .. } | Way::Everywhere | Way::Pinned { .. } => {
                let view = self.territory.view(self.reads());
                let plan = plan(self.call, self.command, &LearnedCommands::new(), &view);
                self.keys(&plan)
                    + &self.planned(way, plan)
                    + &self.if_down(&plan)
                    + &self.mirrored()
            }
        }
    }

    fn reads(&self) -> bool {
        self.command.is_some_and(|command| command.flags.readonly())
    }

    // === where the keys are ===

    /// Those arguments that decide, and what they are.
    fn located(&self, plan: &Plan) -> (&'static str, Vec<usize>) {
        let (call, command) = (self.call, self.command);
        match command {
            Some(Command { name: "PUBLISH" | "SPUBLISH", .. }) if matches!(plan, Plan::One(_)) => {
                ("channel", vec![1])
            }
            Some(command) => {
                let mut found = Vec::new();
                let arg = |index| call.arg(index);
                let whole = commands::keys(command, call.len(), arg, &mut found).is_ok();
                ("key", if whole { found } else { Vec::new() })
            }
            None => ("key", (1..call.len()).take(1).collect()),
        }
    }

    fn keys(&self, plan: &Plan) -> String {
        let view = self.territory.view(self.reads());
        let (label, indexes) = self.located(plan);
        let keys = indexes.into_iter().map(|index| self.call.arg(index));
        let located = keys.filter_map(|key| Some((key, view.locate(key)?)));
        located
            .map(|(key, located)| {
                field(label, &format!("{}: {}", shown(key), located_text(key, &located)))
            })
            .collect()
    }

    /// Is any of them placed by a distribution of which this is true?
    fn any_pool(&self, plan: &Plan, is: impl Fn(&Shards) -> bool) -> bool {
        let view = self.territory.view(self.reads());
        let (_, indexes) = self.located(plan);
        let mut located = indexes.into_iter().filter_map(|index| view.locate(self.call.arg(index)));
        located.any(|located| {
            let pool = self.groups.iter().find(|pool| pool.name == located.pool);
            matches!(pool.map(|pool| &pool.source), Some(Source::Shards(shards)) if is(shards))
        })
    }

    fn if_down(&self, plan: &Plan) -> String {
        if self.any_pool(plan, |shards| shards.on_shard_down != OnShardDown::Fail) {
            let text =
                "the shard's keys go to the others until it is back (on_shard_down = \"rehash\")";
            return field("if down", text);
        }
        String::new()
    }

    // === where the command goes ===

    fn planned(&self, way: Way, plan: Plan) -> String {
        match plan {
            Plan::One(_)
                if self
                    .any_pool(&plan, |own| own.sharding.distribution == Distribution::Random) =>
            {
                self.travel(way, None, THERE)
            }
            Plan::One(place) => {
                let why = match (self.located(&plan).1.is_empty(), self.command) {
                    (true, Some(command)) if command.flags.script() => {
                        field("shard", "the first: a script without keys may write all the same")
                    }
                    (false, None) => {
                        let text =
                            "that of the first argument, until a node has said where the keys are";
                        field("shard", text)
                    }
                    _ => String::new(),
                };
                let name = self.territory.name(place);
                why + &self.travel(way, Some(name), &format!("{name}: "))
            }
            Plan::Any => {
                let text = "any that can answer; one that the client uses already, if there is one";
                field("shard", text) + &self.travel(way, None, THERE)
            }
            Plan::Split { step, merge } => {
                self.parts(step, merge) + &self.travel(way, None, IN_EACH)
            }
            Plan::All(merge) => self.all(merge) + &self.travel(way, None, IN_EACH),
            Plan::Scan => {
                let shards: Vec<&str> = self.territory.shards().collect();
                let now = Cursor::parse(self.call.arg(1), shards.len())
                    .and_then(|cursor| shards.get(cursor.shard).map(|name| (name, cursor.own)));
                let text = match now {
                    Some((name, own)) => format!(
                        "one after the other; this cursor is of {name}, which gets its own, {own}"
                    ),
                    None => "one after the other; this is no cursor".to_owned(),
                };
                field("shards", &text) + &self.travel(way, None, THERE)
            }
            Plan::Written => {
                let text = "those that the client has written to; the smallest number is answered";
                field("shards", text) + &self.travel(way, None, IN_EACH)
            }
            Plan::Crosses { one, other } => {
                let text = format!(
                    "-CROSSSHARD: '{}' and '{}' are not on one shard (a hash tag keeps keys together)",
                    shown(self.call.arg(one)),
                    shown(self.call.arg(other))
                );
                field("refused", &text)
            }
            Plan::OneServer => {
                field("refused", "-CROSSSHARD: it is about one server; send it to a node")
            }
        }
    }

    /// From the group on, as in any pool. Of several the first one's settings are shown; those of a pool's shards are the same.
    fn travel(&self, way: Way, group: Option<&str>, place: &str) -> String {
        let name = group.or_else(|| self.territory.shards().next()).unwrap_or_default();
        let settings = self.groups.iter().find(|pool| pool.name == name);
        let settings = settings.map_or(self.pool, |pool| pool);
        travels(self.call, self.command, self.mode, way, settings, place)
    }

    /// Which keys each shard gets.
    fn parts(&self, step: usize, merge: Merge) -> String {
        let view = self.territory.view(self.reads());
        let mut parts: Vec<(usize, Vec<String>)> = Vec::new();
        for index in (1..self.call.len()).step_by(step) {
            let (place, key) = (view.shard(self.call.arg(index)), shown(self.call.arg(index)));
            match parts.iter_mut().find(|(own, _)| *own == place) {
                Some((_, keys)) => keys.push(key),
                None => parts.push((place, vec![key])),
            }
        }
        let not_one = match merge {
            Merge::Interleave => "",
            _ => {
                "; not atomic: where a part fails, the error names the shards that have done theirs"
            }
        };
        let text = format!("into {} parts; {}{not_one}", parts.len(), merge_text(merge));
        let mut lines = field("split", &text);
        for (place, keys) in parts {
            let text = format!("{}: {}", self.territory.name(place), keys.join(" "));
            lines += &field("part", &text);
        }
        lines
    }

    fn all(&self, merge: Merge) -> String {
        let shards: Vec<&str> = self.territory.shards().collect();
        field("shards", &format!("all of them: {}", shards.join(", ")))
            + &field("merged", merge_text(merge))
    }

    fn subscription(&self, kind: SubscribeKind) -> String {
        let patterns = matches!(kind, SubscribeKind::Psubscribe | SubscribeKind::Punsubscribe);
        let mut lines = String::new();
        if patterns {
            lines += &field("shards", "all of them: messages of any shard may match a pattern");
        } else {
            let view = self.territory.view(false);
            for channel in self.call.rest() {
                if let Some(located) = view.locate(channel) {
                    let text = located_text(channel, &located);
                    lines += &field("channel", &format!("{}: {text}", shown(channel)));
                }
            }
        }
        lines
            + &field(
                "confirmed",
                "by Redkeel, once the shards have, with the count over all of them",
            )
    }

    // === what another pool gets ===

    fn mirrored(&self) -> String {
        let call = self.call;
        let Some(command) = self.command.filter(|command| !command.flags.blocking()) else {
            return String::new();
        };
        let Some(key) = commands::first_key(command, call.len(), |index| call.arg(index)) else {
            return String::new();
        };
        let Some(located) = self.territory.locate_mirrored(call.arg(key)) else {
            return String::new();
        };
        let prefix = located.route.unwrap_or_default();
        let route = self.pool.routes.iter().find(|route| route.prefix.as_bytes() == prefix);
        let Some(mirror) = route.and_then(|route| route.mirror.as_ref()) else {
            return String::new();
        };
        let wanted = match mirror.commands {
            Mirrored::All => true,
            Mirrored::Reads => self.reads(),
            Mirrored::Writes => !self.reads(),
        };
        let text = format!(
            "{} % of such commands outside transactions to pool {}; nobody waits for its replies",
            f64::from(mirror.share.per_million()) / 10_000.0,
            mirror.pool
        );
        if wanted { field("mirrored", &text) } else { String::new() }
    }
}

fn located_text(key: &[u8], located: &Located<'_>) -> String {
    let route = match located.route {
        Some([]) => format!("no other route fits, pool {}; ", located.pool),
        Some(prefix) => format!("route \"{}\", pool {}; ", prefix.escape_ascii(), located.pool),
        None => String::new(),
    };
    let Some((sharding, placed)) = &located.placed else {
        return format!("{route}on {}", located.group);
    };
    if sharding.distribution == Distribution::Random {
        return format!("{route}on any shard, whatever the key (random)");
    }
    let Some(point) = placed.point else {
        return format!("{route}on {}, the only shard", located.group);
    };
    let what = if placed.hashed == (0..key.len()) {
        "all of it".to_owned()
    } else {
        format!("its tag \"{}\"", key[placed.hashed.clone()].escape_ascii())
    };
    format!(
        "{route}{} of {what} is {}, {} {point} of {} is {}",
        hash_name(sharding),
        placed.hash,
        sharding.distribution.point_word(),
        sharding.distribution,
        located.group
    )
}

/// What hashes the keys.
fn hash_name(sharding: &routing::Sharding) -> String {
    match sharding.distribution {
        Distribution::Ketama | Distribution::Modula | Distribution::Random => {
            sharding.hash.to_string()
        }
        Distribution::Ring => "md5".to_owned(),
        Distribution::Slots => "crc16".to_owned(),
        Distribution::Maglev | Distribution::EnvoyRing | Distribution::EnvoyRingMurmur2 => {
            "murmur2".to_owned()
        }
    }
}

fn merge_text(merge: Merge) -> &'static str {
    match merge {
        Merge::Interleave => "values are put in the order of the keys",
        Merge::Sum => "numbers are added",
        Merge::Least => "the smallest number is answered",
        Merge::Greatest => "the greatest number is answered",
        Merge::LeastEach => "of each place the smallest number",
        Merge::Same => "one success is answered, where all succeed",
        Merge::Concat => "lists are put one behind the other",
        Merge::Union => "lists are joined, each element once",
        Merge::SumByName => "the numbers of each name are added",
        Merge::AnyKey => "one of the keys, at random",
        Merge::AnyDone => "one success is enough",
        Merge::Info => "amounts are added, everything else is the first shard's",
        Merge::Config => "a value that is not the same everywhere is shown of each, with commas",
    }
}

fn local_text(local: Local) -> &'static str {
    match local {
        Local::Auth | Local::Hello | Local::Select => {
            "by one shard, or by Redkeel; what it grants holds for all shards"
        }
        Local::Client => "by Redkeel; CLIENT TRACKING is told to all shards",
        Local::Exec | Local::Discard => "by the shard that has the transaction",
        Local::Info => {
            "by all shards, with the pool's clients: amounts are added, everything else is the first shard's"
        }
        Local::Unwatch => "by the shard that watches; without WATCH: by Redkeel",
        Local::WhoAmI => "by Redkeel: the nodes would name the user of `upstream`",
        Local::Reset => "by Redkeel: the client is as new",
        Local::Quit => "by Redkeel, then the connection is closed",
        Local::HangUp => "not at all: the connection is closed, as it is what an HTTP client sends",
    }
}

//! Every option, once: its name, kind, default and meaning.
//!
//! The parser takes known keys, bounds and defaults from here; `docs/configuration.md` and
//! `redkeel.sample.toml` are rendered from here.

pub(crate) mod limits;
pub(crate) mod listener;
pub(crate) mod pool;
pub(crate) mod root;
pub(crate) mod routes;
pub(crate) mod sentinel;
pub(crate) mod shards;
pub(crate) mod timing;
pub(crate) mod tls;
pub(crate) mod upstream;
pub(crate) mod users;

use crate::diagnostics::Report;
use crate::kinds::{Kind, Show};
use crate::tree::{Span, Value};

/// An option with a default.
pub(crate) struct Setting<K: Kind> {
    pub(crate) key: &'static str,
    pub(crate) kind: K,
    pub(crate) default: fn() -> K::Value,
    /// One sentence.
    pub(crate) meaning: &'static str,
    /// Further sentences, for the reference only.
    pub(crate) more: &'static str,
}

/// An option that may be absent, or that must be there.
pub(crate) struct Optional<K: Kind> {
    pub(crate) key: &'static str,
    pub(crate) kind: K,
    /// What holds without it; `None`: it must be there.
    pub(crate) absent: Option<&'static str>,
    /// As written in a file.
    pub(crate) example: &'static str,
    /// One sentence.
    pub(crate) meaning: &'static str,
    /// Further sentences, for the reference only.
    pub(crate) more: &'static str,
}

/// The options of one table of the file.
pub(crate) struct OptionTable {
    /// What its header says, with `NAME` and `ADDRESS` for what varies; empty where it has none.
    pub(crate) path: &'static str,
    /// For messages and headings.
    pub(crate) place: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) options: &'static [&'static dyn Described],
    /// Keys of tables within it.
    pub(crate) tables: &'static [&'static str],
    /// Keys that later versions bring.
    pub(crate) later: &'static [Later],
}

/// A key, or the value of one, that is known but not available in this version.
pub(crate) struct Later {
    pub(crate) key: &'static str,
    /// What to use instead.
    pub(crate) instead: &'static str,
    /// A value that asks for nothing, and is accepted.
    pub(crate) harmless: fn(&Value) -> bool,
}

/// What the reference and the sample file tell of an option.
pub(crate) trait Described: Sync {
    fn key(&self) -> &'static str;
    fn values(&self) -> String;
    fn choices(&self) -> Vec<(&'static str, &'static str)>;
    fn later(&self) -> &'static [Later];
    fn presence(&self) -> Presence;
    fn meaning(&self) -> &'static str;
    fn more(&self) -> &'static str;
}

/// What holds where an option is not written.
pub(crate) enum Presence {
    /// This value, as written in a file.
    Default(String),
    /// No value of its own.
    Absent { instead: &'static str, example: &'static str },
    /// It must be written.
    Required { example: &'static str },
}

/// In the order of the reference.
pub(crate) static TABLES: [&OptionTable; 20] = [
    &root::TABLE,
    &root::LOG,
    &root::DNS,
    &root::ADMIN,
    &pool::TABLE,
    &listener::TABLE,
    &shards::TABLE,
    &shards::SHARD,
    &sentinel::TABLE,
    &tls::SENTINELS,
    &routes::TABLE,
    &routes::MIRROR_TABLE,
    &pool::NODE,
    &timing::HEALTH,
    &timing::TIMEOUTS,
    &limits::TABLE,
    &upstream::TABLE,
    &tls::NODES,
    &tls::CLIENTS,
    &users::TABLE,
];

impl<K: Show> Described for Setting<K> {
    fn key(&self) -> &'static str {
        self.key
    }

    fn values(&self) -> String {
        self.kind.values()
    }

    fn choices(&self) -> Vec<(&'static str, &'static str)> {
        self.kind.choices()
    }

    fn later(&self) -> &'static [Later] {
        self.kind.later()
    }

    fn presence(&self) -> Presence {
        Presence::Default(self.kind.show(&(self.default)()))
    }

    fn meaning(&self) -> &'static str {
        self.meaning
    }

    fn more(&self) -> &'static str {
        self.more
    }
}

impl<K: Kind> Described for Optional<K> {
    fn key(&self) -> &'static str {
        self.key
    }

    fn values(&self) -> String {
        self.kind.values()
    }

    fn choices(&self) -> Vec<(&'static str, &'static str)> {
        self.kind.choices()
    }

    fn later(&self) -> &'static [Later] {
        self.kind.later()
    }

    fn presence(&self) -> Presence {
        match self.absent {
            Some(instead) => Presence::Absent { instead, example: self.example },
            None => Presence::Required { example: self.example },
        }
    }

    fn meaning(&self) -> &'static str {
        self.meaning
    }

    fn more(&self) -> &'static str {
        self.more
    }
}

impl OptionTable {
    pub(crate) fn is_top_level(&self) -> bool {
        self.tables.contains(&"pool")
    }

    /// Is it a key of this or of a later version?
    pub(crate) fn knows(&self, key: &str) -> bool {
        self.keys().chain(self.later.iter().map(|later| later.key)).any(|known| known == key)
    }

    /// Options and tables within.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.options.iter().map(|option| option.key()).chain(self.tables.iter().copied())
    }
}

impl Later {
    /// `what`: as the reader wrote it.
    pub(crate) fn report(&self, what: &str, span: Span, report: &mut Report) {
        report
            .error(span, format!("`{what}` is not available in this version"))
            .with_help(self.instead);
    }
}

/// No value is harmless.
pub(crate) fn never(_: &Value) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Context, load};
    use crate::model::Config;
    use crate::secret::NoSecrets;

    /// Every option, by its table, with a value that is not its default.
    const OTHERS: [(&str, &[(&str, &str)]); 17] = [
        ("", &[("workers", "7"), ("drain_timeout", "'1s'")]),
        ("log", &[("level", "'debug'"), ("format", "'json'")]),
        ("dns", &[("servers", "['10.0.0.53', '[::1]:5353']")]),
        ("admin", &[("listen", "'none'"), ("token", "'x'")]),
        (
            "pool.NAME",
            &[
                ("listen", "'127.0.0.1:1'"),
                ("mode", "'read'"),
                ("servers", "['10.0.0.1:6379', '10.0.0.2:1']"),
                ("reads", "'any'"),
                ("balance", "'hash'"),
                ("auth", "'none'"),
                ("max_lag", "'1s'"),
                ("retry_writes", "'idempotent'"),
                ("anti_flap", "'1s'"),
                ("refuse", "['FLUSHALL']"),
                ("allow", "['10.0.0.0/8']"),
                ("deny", "['10.0.0.0/8']"),
                ("zone", "'a'"),
            ],
        ),
        ("pool.NAME.nodes.\"ADDRESS\"", &[("weight", "2"), ("zone", "'a'"), ("backup", "true")]),
        (
            "pool.NAME.sentinel",
            &[
                ("master", "'other'"),
                ("sentinels", "['10.0.0.1:26379', '10.0.0.2:1']"),
                ("username", "'x'\npassword = 'x'"),
                ("password", "'x'"),
            ],
        ),
        ("pool.NAME.sentinel.tls", SERVER_OTHERS),
        (
            "pool.NAME.shards",
            &[
                ("servers", "['10.0.0.1:6379', '10.0.0.2:1']"),
                ("distribution", "'modula'"),
                ("hash", "'md5'"),
                ("hash_tag", "'none'"),
                ("char_sign", "'unsigned'"),
                ("size", "5"),
                ("on_shard_down", "'rehash'"),
                ("min_shards", "1\non_shard_down = 'rehash'"),
                ("msetnx", "'allow'"),
            ],
        ),
        (
            "[pool.NAME.routes]",
            &[
                ("prefix", "'x'"),
                ("pool", "'other'"),
                ("reads", "'other'"),
                ("mirror", "{ pool = 'other' }"),
            ],
        ),
        (
            "pool.NAME.health",
            &[
                ("interval", "'1s'"),
                ("fast_interval", "'20ms'"),
                ("down_interval", "'1s'"),
                ("rise", "5"),
                ("fall", "5"),
                ("timeout", "'1s'"),
                ("slow_start", "'1s'"),
            ],
        ),
        (
            "pool.NAME.timeouts",
            &[("connect", "'2s'"), ("request", "'2s'"), ("hold", "'2s'"), ("client_idle", "'2s'")],
        ),
        (
            "pool.NAME.limits",
            &[
                ("max_clients", "1"),
                ("max_bulk", "'1mb'"),
                ("max_request", "'2gb'"),
                ("max_args", "1"),
                ("client_output", "'1mb'"),
                ("hold_bytes", "'1mb'"),
                ("hold_requests", "1"),
                ("retries", "0"),
                ("max_pinned", "1"),
                ("max_lanes", "1"),
                ("login_failures", "1"),
            ],
        ),
        (
            "pool.NAME.upstream",
            &[
                ("username", "'x'\npassword = 'x'"),
                ("password", "'x'"),
                ("connections", "2"),
                ("proxy_protocol", "'v2'"),
            ],
        ),
        (
            "pool.NAME.users.\"USER\"",
            &[
                ("password", "['x', 'y']"),
                ("commands", "['+get']"),
                ("keys", "['x']"),
                ("channels", "['x']"),
            ],
        ),
        ("pool.NAME.upstream.tls", SERVER_OTHERS),
        (
            "pool.NAME.tls",
            &[
                ("cert", "'x'\nkey = 'x'"),
                ("key", "'x'\ncert = 'x'"),
                ("client_ca", "'x'\ncert = 'x'\nkey = 'x'"),
            ],
        ),
    ];

    const SERVER_OTHERS: &[(&str, &str)] = &[
        ("ca", "'x'"),
        ("cert", "'x'\nkey = 'x'"),
        ("key", "'x'\ncert = 'x'"),
        ("server_name", "'x'"),
        ("verify", "false"),
    ];

    fn config(path: &str, key: &str, value: &str) -> Config {
        let line = format!("{key} = {value}\n");
        let mut text = String::new();
        if path.is_empty() {
            text.push_str(&line);
        }
        text.push_str("[pool.main]\n");
        for (required, value) in [("listen", "'127.0.0.1:6379'"), ("servers", "['10.0.0.1:6379']")]
        {
            let replaces = path.starts_with("pool.NAME.sentinel") || path == "pool.NAME.shards";
            let replaced = replaces && required == "servers";
            if (path, key) != ("pool.NAME", required) && !replaced {
                text.push_str(&format!("{required} = {value}\n"));
            }
        }
        match path {
            "" => {}
            "pool.NAME" => text.push_str(&line),
            path => {
                if path.contains("USER") {
                    text.push_str("auth = 'users'\n");
                }
                let header = path.replace("NAME", "main").replace("ADDRESS", "10.0.0.1:6379");
                let header = header.replace("USER", "default");
                let required = [("master", "'mymaster'"), ("sentinels", "['10.0.0.1:26379']")];
                if path.starts_with("pool.NAME.sentinel") {
                    text.push_str("[pool.main.sentinel]\n");
                    for (other, value) in required {
                        if path != "pool.NAME.sentinel" || other != key {
                            text.push_str(&format!("{other} = {value}\n"));
                        }
                    }
                }
                if path != "pool.NAME.sentinel" {
                    text.push_str(&format!("[{header}]\n"));
                }
                text.push_str(&line);
                if path == "pool.NAME.shards" && key != "servers" {
                    text.push_str("servers = ['10.0.0.1:6379']\n");
                }
                if path.contains("routes") {
                    let prefix = if key == "prefix" { "" } else { "prefix = 'a'\n" };
                    text.push_str(&format!(
                        "{prefix}[pool.other]\nlisten = '127.0.0.1:2'\nservers = ['10.0.0.9:1']\n"
                    ));
                }
                if path.contains("USER") && key != "password" {
                    text.push_str("password = 'x'\n");
                }
            }
        }
        let context = Context { secrets: &NoSecrets, default_workers: 2 };
        load("test", &text, &context).unwrap_or_else(|diagnostics| panic!("{diagnostics}")).config
    }

    #[test]
    fn every_option_takes_effect() {
        let defaults = config("", "workers", "2");
        // An entry of `listen` has no header; the fixtures have its options.
        let tables = TABLES.iter().filter(|table| !table.path.is_empty() || table.is_top_level());
        for table in tables {
            let (_, others) = OTHERS.iter().find(|(path, _)| *path == table.path).unwrap();
            let keys: Vec<&str> = table.options.iter().map(|option| option.key()).collect();
            for key in &keys {
                assert!(others.iter().any(|(other, _)| other == key), "no value for {key}");
            }
            for (key, value) in *others {
                assert!(keys.contains(key), "{key} is no option");
                assert_ne!(config(table.path, key, value), defaults, "{}: {key}", table.path);
            }
        }
    }

    #[test]
    fn names_are_those_of_the_model() {
        for variant in pool::READS.kind.variants {
            assert_eq!(variant.name, variant.value.as_str());
        }
        for variant in pool::BALANCE.kind.variants {
            assert_eq!(variant.name, variant.value.as_str());
        }
        for variant in shards::DISTRIBUTION.kind.variants {
            assert_eq!(variant.name, variant.value.as_str());
        }
        for variant in shards::HASH.kind.variants {
            assert_eq!(variant.name, variant.value.as_str());
        }
        for variant in shards::CHAR_SIGN.kind.variants {
            assert_eq!(variant.name, variant.value.as_str());
        }
    }

    #[test]
    fn keys_are_unique_within_a_table() {
        for table in TABLES {
            let mut keys: Vec<&str> =
                table.keys().chain(table.later.iter().map(|later| later.key)).collect();
            let count = keys.len();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), count, "{}", table.place);
        }
    }
}

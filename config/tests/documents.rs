//! The reference page and the sample file are what the options say.

mod common;

use std::path::Path;

use common::{CONTEXT, compare};

fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

#[test]
fn the_reference_page_is_current() {
    let path = repository("docs/configuration.md");
    compare(&path, &config::reference_page(), "UPDATE_DOCS");
}

#[test]
fn the_sample_file_is_current() {
    compare(&repository("redkeel.sample.toml"), &config::sample_file(), "UPDATE_DOCS");
}

#[test]
fn the_sample_file_means_the_defaults() {
    let smallest = "
        [pool.main]
        listen = '127.0.0.1:6379'
        servers = ['10.0.0.1:6379', '10.0.0.2:6379', '10.0.0.3:6379']";
    let smallest = config::load("smallest", smallest, &CONTEXT).unwrap();
    let sample = config::load("sample", &config::sample_file(), &CONTEXT).unwrap();
    assert_eq!(sample.config, smallest.config);
    assert!(sample.warnings.is_empty(), "{}", sample.warnings);
}

/// What is commented out is an example that works.
#[test]
fn the_sample_file_loads_with_every_example() {
    let mut header = String::new();
    let mut within = |line: &str| {
        if line.starts_with('[') {
            header = line.to_owned();
        }
        header.clone()
    };
    let pool = uncommented(|line| {
        let header = within(line);
        header.starts_with("[pool.main.shards")
            || (header == "[pool.main]" && line.starts_with("servers = "))
    });
    let config::Source::Sentinel(sentinel) = &pool.source else { panic!("{pool:?}") };
    assert_eq!((&*sentinel.master, sentinel.sentinels.len()), ("mymaster", 3));
    let credentials = sentinel.credentials.as_ref().unwrap();
    assert_eq!(credentials.username.as_deref(), Some("sentinel-user"));
    assert!(sentinel.tls.is_some() && pool.upstream.tls.is_some() && pool.listeners[0].tls);
    // The other sources, in the place of the table.
    let pool = uncommented(|line| {
        let header = within(line);
        header.starts_with("[pool.main.sentinel")
            || (header == "[pool.main]" && line.starts_with("servers = "))
            || (line.starts_with("size = "))
            || line.starts_with("min_shards = ")
    });
    let config::Source::Shards(shards) = &pool.source else { panic!("{pool:?}") };
    assert_eq!((&*shards.members[1].name, shards.members.len()), ("server2", 3));
    let pool = uncommented(|line| {
        let header = within(line);
        header.starts_with("[pool.main.sentinel") || header.starts_with("[pool.main.shards")
    });
    assert_eq!((&*pool.routes[0].prefix, pool.routes.len()), ("user:", 1));
    assert_eq!(pool.servers().len(), 3);
    assert_eq!(pool.nodes.keys().collect::<Vec<_>>(), ["10.0.0.3:6379"]);
    assert_eq!(pool.zone.as_deref(), Some("eu-west-1a"));
    assert_eq!((pool.users.len(), &*pool.users[0].name), (1, "default"));
    let credentials = pool.upstream.credentials.as_ref().unwrap();
    assert_eq!(credentials.username.as_deref(), Some("app"));
    assert_eq!(credentials.password.reveal(), "from-the-environment");
}

/// The pool of the sample with its examples, but for some lines.
#[allow(clippy::panic, reason = "a test fails by panicking")]
fn uncommented(mut leave_out: impl FnMut(&str) -> bool) -> config::Pool {
    let sample = config::sample_file();
    let lines = sample.lines().map(|line| match line.strip_prefix("# ") {
        Some(code) if code.starts_with('[') || is_option(code) => code,
        None if line == "auth = \"pass-through\"" => "auth = \"users\"",
        _ => line,
    });
    let lines: Vec<&str> = lines.filter(|line| !leave_out(line)).collect();
    let mut text = lines.join("\n");
    for other in ["users", "old", "shadow"] {
        text += &format!("\n[pool.{other}]\nservers = [\"10.1.0.1:6379\"]\n");
    }
    let mut loaded = config::load("sample", &text, &CONTEXT)
        .unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    loaded.config.pools.remove(0)
}

fn is_option(line: &str) -> bool {
    line.split_once(" = ")
        .is_some_and(|(key, _)| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
}

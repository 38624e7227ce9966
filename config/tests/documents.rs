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
    let sample = config::sample_file();
    let uncommented: Vec<&str> = sample
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(code) if code.starts_with('[') || is_option(code) => code,
            _ => line,
        })
        .collect();
    let loaded = config::load("sample", &uncommented.join("\n"), &CONTEXT)
        .unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let pool = &loaded.config.pools[0];
    assert_eq!(pool.nodes.keys().collect::<Vec<_>>(), ["10.0.0.3:6379"]);
    assert_eq!(pool.zone.as_deref(), Some("eu-west-1a"));
    let credentials = pool.upstream.credentials.as_ref().unwrap();
    assert_eq!(credentials.username.as_deref(), Some("app"));
    assert_eq!(credentials.password.reveal(), "from-the-environment");
}

fn is_option(line: &str) -> bool {
    line.split_once(" = ")
        .is_some_and(|(key, _)| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
}

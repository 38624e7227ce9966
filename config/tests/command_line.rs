//! A configuration without a file.

mod common;

use std::time::Duration;

use common::CONTEXT;
use config::{Config, Endpoint, Mode, Overrides};

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn pool(listen: &[&str], servers: &[&str], mode: Option<&str>) -> Result<Config, String> {
    config::from_command_line(&strings(listen), &strings(servers), mode, &CONTEXT)
        .map_err(|diagnostics| diagnostics.render(false))
}

#[test]
fn means_the_same_as_a_file() {
    let file = "
        [pool.main]
        listen = ['127.0.0.1:6379', 'unix:/run/x.sock']
        servers = ['10.0.0.1:6379', '[::1]:6379']
        mode = 'write'";
    let file = config::load("file", file, &CONTEXT).unwrap().config;
    let line = pool(
        &["127.0.0.1:6379", "unix:/run/x.sock"],
        &["10.0.0.1:6379", "[::1]:6379"],
        Some("write"),
    );
    assert_eq!(line, Ok(file));
}

#[test]
fn the_mode_is_split_unless_said() {
    let config = pool(&["127.0.0.1:6379"], &["10.0.0.1:6379"], None).unwrap();
    assert_eq!(config.pools[0].listeners[0].mode, Mode::Split);
}

#[test]
fn points_into_the_command_line() {
    let errors = pool(&["6379"], &["10.0.0.1:6379", "10.0.0.2"], Some("spilt")).unwrap_err();
    let expected = r#"error: a listener needs an address before its port
 --> command line:1:22
  |
1 | redkeel run --listen 6379 --servers 10.0.0.1:6379,10.0.0.2 --mode spilt
  |                      ^^^^
  |
  = help: `"127.0.0.1:6379"` for this host only, `"0.0.0.0:6379"` for every IPv4 address

error: a server needs a port
 --> command line:1:51
  |
1 | redkeel run --listen 6379 --servers 10.0.0.1:6379,10.0.0.2 --mode spilt
  |                                                   ^^^^^^^^
  |
  = help: for example `"10.0.0.2:6379"`

error: unknown value for `mode`
 --> command line:1:67
  |
1 | redkeel run --listen 6379 --servers 10.0.0.1:6379,10.0.0.2 --mode spilt
  |                                                                   ^^^^^
  |
  = help: did you mean `split`? The choices are `split`, `write`, `read` and `tcp`

command line: 3 errors
"#;
    assert_eq!(errors, expected);
}

#[test]
fn says_what_is_missing() {
    let errors = pool(&[], &[], None).unwrap_err();
    assert!(errors.contains("`--listen`") && errors.contains("`--servers`"), "{errors}");
}

#[test]
fn tcp_needs_a_file() {
    let errors = pool(&["127.0.0.1:1"], &["10.0.0.1:6379"], Some("tcp")).unwrap_err();
    assert!(errors.contains("configuration file"), "{errors}");
}

#[test]
fn credentials_in_an_address_are_not_shown() {
    let errors = pool(&["127.0.0.1:1"], &["redis://app:hunter2@10.0.0.1:6379"], None).unwrap_err();
    assert!(errors.contains("10.0.0.1:6379") && !errors.contains("hunter2"), "{errors}");
}

#[test]
fn overrides_win() {
    let mut config = pool(&["127.0.0.1:6379"], &["10.0.0.1:6379"], None).unwrap();
    let overrides =
        Overrides { workers: Some(5), admin: Some("none"), drain_timeout: Some("100ms") };
    overrides.apply(&mut config).unwrap();
    assert_eq!(config.workers, 5);
    assert_eq!(config.admin.listen, None);
    assert_eq!(config.drain_timeout, Duration::from_millis(100));

    let admin = Overrides { admin: Some("127.0.0.1:0"), ..Overrides::default() };
    admin.apply(&mut config).unwrap();
    let address = Endpoint::Tcp { host: "127.0.0.1".to_owned(), port: 0 };
    assert_eq!(config.admin.listen, Some(address));
    assert_eq!(config.workers, 5);
}

#[test]
fn overrides_are_checked() {
    let mut config = pool(&["127.0.0.1:6379"], &["10.0.0.1:6379"], None).unwrap();
    let overrides =
        Overrides { workers: Some(0), admin: Some("0.0.0.0:6379"), drain_timeout: Some("5") };
    let errors = overrides.apply(&mut config).unwrap_err().render(false);
    for part in
        ["`--workers` must not be 0", "listens", "`--drain-timeout` lacks a unit", "3 errors"]
    {
        assert!(errors.contains(part), "{part}: {errors}");
    }
}

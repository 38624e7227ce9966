//! The command line of the real binary: texts and exit codes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// How a run ended.
#[derive(Debug, PartialEq)]
struct Outcome {
    code: i32,
    stdout: String,
    stderr: String,
}

fn redkeel(arguments: &[&str]) -> Outcome {
    redkeel_with(arguments, &[])
}

fn redkeel_with(arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
    let output = Command::new(env!("CARGO_BIN_EXE_redkeel"))
        .args(arguments)
        .env_remove("REDKEEL_ADMIN")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    Outcome {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A file for one test, removed with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("redkeel-{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

const GOOD: &str = r#"
[pool.main]
listen  = ["127.0.0.1:6379", { address = "127.0.0.1:6380", mode = "read" }]
servers = ["10.0.0.1:6379", "10.0.0.2:6379"]
refuse  = ["FLUSHALL"]
retry_writes = "idempotent"

[pool.raw]
listen  = { address = "unix:/run/raw.sock", mode = "tcp", role = "primary" }
servers = ["10.0.0.1:6379"]
"#;

#[test]
fn help_goes_to_stdout_and_has_an_example() {
    for arguments in [
        &["--help"][..],
        &["run", "--help"],
        &["check", "--help"],
        &["import", "--help"],
        &["explain", "--help"],
        &["status", "--help"],
        &["switchover", "--help"],
    ] {
        let outcome = redkeel(arguments);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{arguments:?}");
        assert!(outcome.stdout.contains("Example"), "{}", outcome.stdout);
    }
    let version = redkeel(&["--version"]);
    assert_eq!(version.stdout, format!("redkeel {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn bad_usage_exits_with_64_and_says_what_to_do() {
    for (arguments, said) in [
        (&[][..], "Usage: redkeel <COMMAND>"),
        (&["stauts"], "a similar subcommand exists: 'status'"),
        (&["run"], "Name a configuration file with -c FILE"),
        (&["run", "--listen", "127.0.0.1:0"], "--servers <A,B,C>"),
        (&["run", "-c", "x.toml", "--mode", "read"], "cannot be used with"),
        (&["run", "-c", "/nowhere/x.toml"], "cannot read the configuration file /nowhere/x.toml"),
        (&["run", "--listen", "127.0.0.1", "--servers", "a:1"], "a listener needs a port"),
        (&["run", "--listen", "127.0.0.1:0", "--servers", "a:1", "--mode", "spilt"], "split"),
        (&["run", "--listen", "127.0.0.1:0", "--servers", "a:1", "--workers", "many"], "many"),
        (&["run", "--listen", "127.0.0.1:0", "--servers", "a:1", "--workers", "0"], "--workers"),
        (&["run", "--listen", "127.0.0.1:0", "--servers", "a:1", "--drain-timeout", "5"], "5s"),
        (&["check"], "<FILE>"),
        (&["import", "nginx", "x.conf"], "[possible values: haproxy, nutcracker, envoy, predixy]"),
        (&["import", "haproxy", "/nowhere/x.cfg"], "cannot read the file /nowhere/x.cfg"),
        (&["explain"], "<COMMAND>..."),
        (&["status", "--admin", "nowhere"], "--admin \"nowhere\" is no address"),
    ] {
        let outcome = redkeel(arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (64, ""), "{arguments:?}: {outcome:?}");
        assert!(outcome.stderr.contains(said), "{arguments:?}: {}", outcome.stderr);
    }
}

#[test]
fn check_says_what_a_right_file_amounts_to() {
    let file = Scratch::new("good.toml", GOOD);
    let outcome = redkeel(&["check", file.path()]);
    let said = format!("{}: right: 2 pools, 3 listeners, 3 servers\n", file.path());
    assert_eq!(outcome, Outcome { code: 0, stdout: said, stderr: String::new() });
}

#[test]
fn check_shows_the_line_and_the_nearest_key_and_no_secret() {
    let wrong =
        GOOD.to_owned() + "[pool.raw.upstream]\nusernmae = \"app\"\npassword = \"hunter2\"\n";
    let file = Scratch::new("wrong.toml", &wrong);
    let outcome = redkeel(&["check", file.path()]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (64, ""), "{outcome:?}");
    for said in ["usernmae", "`username`", &format!("{}:12:1", file.path())] {
        assert!(outcome.stderr.contains(said), "{said} in {}", outcome.stderr);
    }
    assert!(!outcome.stderr.contains("hunter2"), "{}", outcome.stderr);
}

#[test]
fn an_address_in_use_is_named_with_what_to_change() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let pool = ["run", "--listen", "127.0.0.1:0", "--servers", "127.0.0.1:1", "--admin", &address];
    let outcome = redkeel(&pool);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    let said = format!("redkeel: cannot listen at {address} for the administration endpoint");
    assert!(outcome.stderr.contains(&said), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("Address already in use"), "{}", outcome.stderr);
}

// === explain ===

#[test]
fn explain_tells_each_way_a_command_can_go() {
    let file = Scratch::new("explain.toml", GOOD);
    let mut text = String::new();
    for command in [
        "GET user:1",
        "SET user:1 x",
        "MSET a 1 b 2",
        "INCR",
        "EVAL script 1 key",
        "SCAN 0",
        "CONFIG GET maxmemory",
        "SCRIPT LOAD x",
        "BLPOP queue 0",
        "XREAD BLOCK 0 STREAMS s $",
        "SUBSCRIBE news",
        "MULTI",
        "WATCH k",
        "WAIT 1 100",
        "SELECT 1",
        "AUTH x",
        "flushall",
        "PSYNC ? -1",
        "JSON.GET doc",
    ] {
        let mut arguments = vec!["explain", "-c", file.path()];
        arguments.extend(command.split(' '));
        let outcome = redkeel(&arguments);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
        text += &format!("$ redkeel explain -c redkeel.toml {command}\n{}\n", outcome.stdout);
    }
    golden("tests/golden/explain.txt", &text);
}

/// Shards, and routes to pools that have some or none.
const SHARDED: &str = r#"
[pool.main]
listen = ["127.0.0.1:6379", { address = "127.0.0.1:6380", mode = "read" }]
shards = { servers = ["10.0.0.1:6379:1 s1", { name = "s2", servers = ["10.0.0.2:6379", "10.0.0.3:6379"] }] }
reads  = "replica"

[[pool.main.routes]]
prefix = "session:"
pool   = "sessions"
mirror = { pool = "shadow", share = "2.5%" }

[[pool.main.routes]]
prefix = "moving:"
pool   = "sessions"
reads  = "main"

[pool.sessions]
servers = ["10.0.1.1:6379"]
retry_writes = "idempotent"

[pool.shadow.shards]
distribution  = "maglev"
on_shard_down = "rehash"
servers       = ["10.0.2.1:6379", "10.0.2.2:6379"]

[pool.caches]
listen = "127.0.0.1:6381"
shards = { distribution = "slots", on_shard_down = "rehash", servers = ["10.0.3.1:6379", "10.0.3.2:6379"] }

"#;

const DRAWN: &str = r#"
[pool.drawn]
listen = "127.0.0.1:6379"
shards = { distribution = "random", servers = ["10.0.0.1:6379", "10.0.0.2:6379"] }
"#;

#[test]
fn explain_tells_which_shard_a_command_goes_to() {
    let sharded = Scratch::new("explain-shards.toml", SHARDED);
    let drawn = Scratch::new("explain-drawn.toml", DRAWN);
    let mut text = String::new();
    for command in [
        "GET user:1",
        "GET {user:1}:name",
        "SET session:1 x",
        "GET moving:1",
        "MGET a b session:1 a",
        "MSET a 1 b 2",
        "RENAME a b",
        "EVAL script 0",
        "PING",
        "DBSIZE",
        "SCAN 7",
        "WAIT 1 100",
        "MONITOR",
        "SUBSCRIBE news",
        "PSUBSCRIBE news*",
        "PUBLISH news hello",
        "MULTI",
        "WATCH a",
        "BLPOP queue 0",
        "SCRIPT LOAD x",
        "SELECT 1",
        "INFO",
        "JSON.GET doc",
        "PSYNC ? -1",
    ] {
        let file = if text.is_empty() { &drawn } else { &sharded };
        let mut arguments = vec!["explain", "-c", file.path()];
        arguments.extend(command.split(' '));
        let outcome = redkeel(&arguments);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
        text += &format!("$ redkeel explain -c redkeel.toml {command}\n{}\n", outcome.stdout);
    }
    golden("tests/golden/explain-shards.txt", &text);
}

#[test]
fn explain_needs_no_file() {
    let outcome = redkeel(&["explain", "GET", "-k"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    for mode in ["(split)", "(read)", "(write)", "keys        -k"] {
        assert!(outcome.stdout.contains(mode), "{mode} in {}", outcome.stdout);
    }
}

// === status ===

/// Answers one request with `answer`, on a free port.
fn serve(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        assert!(request.starts_with(b"GET /api/v1/status HTTP/1.0\r\n"));
        stream.write_all(answer.as_bytes()).unwrap();
    });
    address
}

/// The example of docs/api.md, which the `admin` crate's tests keep true.
fn example() -> String {
    let page = fs::read_to_string(manifest("../docs/api.md")).unwrap();
    let (_, rest) = page.split_once("<!-- example -->\n```json\n").unwrap();
    rest.split_once("\n```").unwrap().0.to_owned()
}

#[test]
fn status_shows_pools_and_nodes_as_tables() {
    let address = serve(format!("HTTP/1.0 200 OK\r\n\r\n{}", example()));
    let outcome = redkeel(&["status", "--admin", &address]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    golden("tests/golden/status.txt", &outcome.stdout);
}

#[test]
fn status_as_json_is_the_answer_itself() {
    let address = serve(format!("HTTP/1.0 200 OK\r\n\r\n{}", example()));
    let outcome = redkeel_with(&["status", "--json"], &[("REDKEEL_ADMIN", &address)]);
    assert_eq!(outcome, Outcome { code: 0, stdout: example() + "\n", stderr: String::new() });
}

#[test]
fn status_of_nobody_says_where_it_looked() {
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let outcome = redkeel(&["status", "--admin", &free]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""));
    let said = format!("redkeel: no answer from {free}; is redkeel running");
    assert!(outcome.stderr.starts_with(&said), "{}", outcome.stderr);
}

#[test]
fn status_of_something_else_is_no_status() {
    for (answer, said) in [
        ("-ERR unknown command\r\n", "it does not speak HTTP"),
        ("HTTP/1.1 404 Not Found\r\n\r\n", "it answered with status 404"),
        ("HTTP/1.1 200 OK\r\n\r\n<html>", "answered something else than a status"),
    ] {
        let address = serve(answer.to_owned());
        let outcome = redkeel(&["status", "--admin", &address]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{answer}");
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    }
}

// === the reference page ===

#[test]
fn the_manuals_page_of_the_command_line_is_what_help_prints() {
    const START: &str = "<!-- Rendered from --help";
    let path = manifest("../docs/command-line.md");
    let page = fs::read_to_string(&path).unwrap();
    let (written, _) = page.split_once(START).unwrap();
    let mut text = format!(
        "{written}{START}: `UPDATE_DOCS=1 cargo test -p redkeel` writes what follows. -->\n"
    );
    for command in ["run", "check", "import", "explain", "status", "switchover"] {
        let help = redkeel(&[command, "--help"]).stdout;
        text += &format!("\n## `redkeel {command}`\n\n```text\n{}\n```\n", help.trim_end());
    }
    golden("../docs/command-line.md", &text);
}

// === files ===

fn manifest(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Compares `actual` with a file, or writes the file where `UPDATE_DOCS=1` is set.
fn golden(path: &str, actual: &str) {
    let path = manifest(path);
    if std::env::var_os("UPDATE_DOCS").is_some_and(|set| set == "1") {
        fs::write(&path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == actual,
        "{} is out of date; run the tests with UPDATE_DOCS=1. It should be:\n{actual}",
        path.display()
    );
}

#[test]
fn import_prints_a_file_and_says_with_lines_what_is_left_over() {
    let pool = |name: &str, redis: bool| {
        format!(
            "{name}:\n  listen: 127.0.0.1:22121\n  redis: {redis}\n  redis_auth: hunter2\n  redis_db: 1\n  servers:\n   - 10.0.0.1:6379:1\n"
        )
    };
    let file = Scratch::new("nutcracker.yml", &(pool("cache", true) + &pool("memcache", false)));
    let outcome = redkeel(&["import", "nutcracker", file.path()]);
    let expected = format!(
        "{0}:5: `redis_db: 1` is left over: clients choose their database: SELECT after connecting\n\
         {0}:8: `memcache:` is left over: a pool for memcached (it has no `redis: true`)\n\
         redkeel: 1 pool carried over, 2 directives left over\n",
        file.path()
    );
    assert_eq!((outcome.code, outcome.stderr), (0, expected));
    let written = Scratch::new("imported.toml", &outcome.stdout);
    let checked = redkeel(&["check", written.path()]);
    assert_eq!((checked.code, &*checked.stderr), (0, ""), "{}", outcome.stdout);

    let file = Scratch::new("memcached.yml", &pool("memcache", false));
    let outcome = redkeel(&["import", "nutcracker", file.path()]);
    assert_eq!((outcome.code, &*outcome.stdout), (64, ""));
    let end =
        format!("redkeel: there is nothing in {} that could be a pool of Redkeel's\n", file.path());
    assert!(outcome.stderr.ends_with(&end), "{}", outcome.stderr);

    let file = Scratch::new("broken.yml", "cache: [\n");
    let outcome = redkeel(&["import", "nutcracker", file.path()]);
    assert_eq!((outcome.code, &*outcome.stdout), (64, ""));
    assert!(outcome.stderr.contains("not valid YAML"), "{}", outcome.stderr);
}

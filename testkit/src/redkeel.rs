//! The proxy itself, as a user runs it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::address::Address;
use crate::client::Client;
use crate::folder::Folder;
use crate::http::{self, HttpReply};
use crate::log::LogLine;
use crate::process::Process;
use crate::usage;
use crate::wait::{eventually, within_time};

const START: Duration = Duration::from_secs(20);
/// Longer than the default drain timeout.
const EXIT: Duration = Duration::from_secs(40);

/// What the proxy is to be started with.
#[derive(Clone, Debug)]
pub struct RedkeelBuilder {
    binary: PathBuf,
    config: Option<String>,
    arguments: Vec<String>,
    expected: Vec<String>,
    cpu: Option<usize>,
    listeners: usize,
}

impl RedkeelBuilder {
    /// Runs with this configuration file. Listeners on port 0 take a free one. Where the text has
    /// no `[log]` it logs JSON; where it has no `[admin]`, that listens on a free port.
    pub fn config(mut self, text: &str) -> Self {
        self.config = Some(completed(text));
        self
    }

    /// Further arguments of `redkeel run`.
    pub fn args<A: AsRef<str>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Accepts WARN and ERROR lines that contain this text.
    pub fn expect_log(mut self, text: &str) -> Self {
        self.expected.push(text.into());
        self
    }

    /// Binds the process to one CPU (on Linux).
    pub fn cpu(mut self, cpu: usize) -> Self {
        self.cpu = Some(cpu);
        self
    }

    /// How many listeners the start waits for (1).
    pub fn listeners(mut self, count: usize) -> Self {
        self.listeners = count;
        self
    }

    /// Starts the proxy and waits until it listens.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[track_caller]
    pub fn start(self) -> Redkeel {
        let folder = Folder::new("redkeel");
        let mut command = Command::new(&self.binary);
        command.current_dir(folder.path()).arg("run");
        if let Some(config) = &self.config {
            command.arg("-c").arg(folder.write("redkeel.toml", config));
        } else if !self.arguments.iter().any(|argument| argument == "--admin") {
            command.args(["--admin", "127.0.0.1:0"]);
        }
        command.args(&self.arguments);
        let log = folder.path().join("log");
        let process = Process::start_on("redkeel", command, log, self.cpu);
        let mut redkeel = Redkeel { process, folder, expected: self.expected, checked: false };
        redkeel.wait_listening(self.listeners);
        redkeel
    }
}

/// With a log and an administration endpoint that a test can read, where the text has none.
fn completed(text: &str) -> String {
    let mut text = text.to_owned();
    if !text.contains("[log]") {
        text.push_str("\n[log]\nformat = \"json\"\n");
    }
    if !text.contains("[admin]") {
        text.push_str("\n[admin]\nlisten = \"127.0.0.1:0\"\n");
    }
    text
}

/// A running proxy. On drop (and by [`Redkeel::stop`]) it is sent SIGTERM, must exit with 0, and
/// must have logged no WARN or ERROR that the test had not announced.
#[derive(Debug)]
pub struct Redkeel {
    // Before the folder: the process goes first.
    process: Process,
    folder: Folder,
    expected: Vec<String>,
    /// Its end has been looked at, or a test does not want that.
    checked: bool,
}

impl Redkeel {
    /// What it is to be started with; `binary` is `env!("CARGO_BIN_EXE_redkeel")` in its own tests.
    pub fn builder(binary: impl AsRef<Path>) -> RedkeelBuilder {
        RedkeelBuilder {
            binary: binary.as_ref().into(),
            config: None,
            arguments: Vec::new(),
            expected: Vec::new(),
            cpu: None,
            listeners: 1,
        }
    }

    /// The address of its first listener.
    #[track_caller]
    pub fn address(&self) -> Address {
        self.address_of(|_| true)
    }

    /// The address of the first listener of `pool` in `mode`.
    #[track_caller]
    pub fn address_in(&self, pool: &str, mode: &str) -> Address {
        self.address_of(|line| {
            line.field("pool").as_deref() == Some(pool)
                && line.field("mode").as_deref() == Some(mode)
        })
    }

    #[track_caller]
    fn address_of(&self, wanted: impl Fn(&LogLine) -> bool) -> Address {
        let lines = self.log_lines();
        let line = lines.iter().find(|line| line.is("listening") && wanted(line));
        let address = line.and_then(|line| line.field("address"));
        Address::from(address.expect("a log line of that listener").as_str())
    }

    /// The address of the admin endpoint.
    #[track_caller]
    pub fn admin_address(&self) -> Address {
        let lines = self.log_lines();
        let line = lines.iter().find(|line| line.is("admin listening"));
        let address = line.and_then(|line| line.field("address"));
        Address::from(address.expect("a log line of the admin endpoint").as_str())
    }

    /// A connection to its first listener.
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(self.address())
    }

    /// `GET path` of the admin endpoint.
    #[track_caller]
    pub fn admin_get(&self, path: &str) -> HttpReply {
        http::get(&self.admin_address(), path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// `POST path` of the admin endpoint, with a JSON body.
    #[track_caller]
    pub fn admin_post(&self, path: &str, body: &str) -> HttpReply {
        http::post(&self.admin_address(), path, "Content-Type: application/json\r\n", body)
            .unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// `/api/v1/status`.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.try_status().unwrap_or_else(|error| panic!("/api/v1/status: {error}"))
    }

    /// As [`Redkeel::status`].
    pub fn try_status(&self) -> io::Result<Value> {
        let reply = http::get(&self.admin_address(), "/api/v1/status")?;
        serde_json::from_str(&reply.body).map_err(io::Error::from)
    }

    /// Waits until the status fulfils `condition`.
    #[track_caller]
    pub fn wait_until(&self, within: Duration, what: &str, condition: impl Fn(&Value) -> bool) {
        eventually(within, what, || {
            let status = self.status();
            if condition(&status) { Ok(()) } else { Err(format!("{status:#}")) }
        });
    }

    /// The process number.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Resident memory in bytes (Linux).
    #[track_caller]
    pub fn rss(&self) -> u64 {
        usage::resident_bytes(self.pid()).expect("a living process on Linux")
    }

    /// CPU time used (Linux).
    #[track_caller]
    pub fn cpu(&self) -> Duration {
        usage::cpu_time(self.pid()).expect("a living process on Linux")
    }

    /// Its folder.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// All that it has logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// As [`Redkeel::log`], line by line.
    pub fn log_lines(&self) -> Vec<LogLine> {
        self.log().lines().map(LogLine::parse).collect()
    }

    /// From now on accepts WARN and ERROR lines that contain this text (earlier ones too).
    pub fn expect_log(&mut self, text: &str) {
        self.expected.push(text.into());
    }

    /// Writes another configuration file in the place of the first, completed like that.
    pub fn rewrite_config(&self, text: &str) {
        self.folder.write("redkeel.toml", &completed(text));
    }

    /// Sends a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for its end after a signal; the log is not checked.
    #[track_caller]
    pub fn wait_exit(&mut self, within: Duration) -> ExitStatus {
        self.checked = true;
        self.process.wait_exit(within)
    }

    /// `kill -9`; the log is not checked.
    pub fn kill9(&mut self) {
        self.checked = true;
        self.process.kill9();
    }

    /// SIGTERM, and waits for its end.
    ///
    /// # Panics
    ///
    /// When it exits late or with another code than 0, or has logged an unexpected WARN or ERROR.
    #[track_caller]
    pub fn stop(mut self) {
        self.stop_and_check();
    }

    #[track_caller]
    fn stop_and_check(&mut self) {
        self.checked = true;
        self.process.signal(Signal::TERM);
        let status = self.process.wait_exit(EXIT);
        let log = self.process.log();
        let unexpected = unexpected_lines(&log, &self.expected);
        assert!(unexpected.is_empty(), "redkeel logged:\n{}", unexpected.join("\n"));
        assert!(status.success(), "redkeel ended with {status}:\n{}", self.process.log_tail());
    }

    #[track_caller]
    fn wait_listening(&mut self, listeners: usize) {
        let ready = within_time(START, || {
            if !self.process.is_running() {
                // Waiting longer is of no use; the caller says what it logged.
                return Ok(false);
            }
            let lines = self.log_lines();
            let listening = lines.iter().filter(|line| line.is("listening")).count();
            if listening >= listeners { Ok(true) } else { Err(format!("{listening} listeners")) }
        });
        if ready != Ok(true) {
            self.checked = true;
            panic!("redkeel is not listening ({ready:?}):\n{}", self.process.log_tail());
        }
    }
}

impl Drop for Redkeel {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- the end of redkeel's log ---\n{}", self.process.log_tail());
        } else if !self.checked {
            self.stop_and_check();
        }
    }
}

/// The WARN and ERROR lines that contain none of the `expected` texts.
fn unexpected_lines<'a>(log: &'a str, expected: &[String]) -> Vec<&'a str> {
    log.lines()
        .filter(|line| LogLine::parse(line).is_trouble())
        .filter(|line| !expected.iter().any(|text| line.contains(text.as_str())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stand-in for the proxy: logs what it is told to and ends as it is told to.
    fn stand_in(folder: &Folder, line: &str, exit_code: i32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let script = format!(
            "#!/bin/sh\ntrap 'exit {exit_code}' TERM\n\
             echo '{{\"level\":\"INFO\",\"message\":\"listening\",\"pool\":\"main\",\
             \"address\":\"127.0.0.1:7\",\"mode\":\"split\"}}' >&2\n\
             echo '{line}' >&2\nwhile :; do sleep 0.01; done\n"
        );
        let path = folder.write("stand-in", &script);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    const WARNING: &str = r#"{"level":"WARN","message":"node down"}"#;

    #[test]
    fn a_quiet_run_that_ends_well_passes() {
        let folder = Folder::new("stand-in");
        let redkeel = Redkeel::builder(stand_in(&folder, "", 0)).start();
        assert_eq!(redkeel.address_in("main", "split"), Address::from("127.0.0.1:7"));
        redkeel.stop();
    }

    #[test]
    #[should_panic(expected = "node down")]
    fn an_unexpected_warning_fails_the_test_on_drop() {
        let folder = Folder::new("stand-in");
        let redkeel = Redkeel::builder(stand_in(&folder, WARNING, 0)).start();
        eventually(START, "the warning", || redkeel.log().contains("node down"));
    }

    #[test]
    fn an_expected_warning_passes() {
        let folder = Folder::new("stand-in");
        let redkeel =
            Redkeel::builder(stand_in(&folder, WARNING, 0)).expect_log("node down").start();
        eventually(START, "the warning", || redkeel.log().contains("node down"));
    }

    #[test]
    #[should_panic(expected = "exit status: 70")]
    fn another_exit_code_fails_the_test() {
        let folder = Folder::new("stand-in");
        Redkeel::builder(stand_in(&folder, "", 70)).start().stop();
    }

    #[test]
    #[should_panic(expected = "no such pool")]
    fn an_early_end_is_reported_with_its_log() {
        let folder = Folder::new("stand-in");
        let path = stand_in(&folder, "", 0);
        std::fs::write(&path, "#!/bin/sh\necho no such pool >&2\nexit 64\n").unwrap();
        Redkeel::builder(path).start();
    }
}

//! The picture: one screen that refreshes on a terminal, lines elsewhere.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::OpCounts;

/// What rates and percentiles are measured over.
const WINDOW: Duration = Duration::from_secs(1);
/// How many past events the screen has room for.
const EVENTS: usize = 14;

const HOME: &str = "\x1b[H";
const CLEAR: &str = "\x1b[2J";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";
const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

pub(super) struct Screen {
    is_terminal: bool,
    hint: &'static str,
    start: Instant,
    events: Vec<String>,
    reads: Recent,
    writes: Recent,
    last_line: Instant,
}

/// The counts of the last whole window.
struct Recent {
    since: Instant,
    earlier: OpCounts,
    shown: Shown,
}

#[derive(Clone, Default)]
struct Shown {
    per_second: f64,
    p50: Duration,
    p99: Duration,
    ok: u64,
    errors: u64,
    longest: Duration,
}

impl Screen {
    /// `hint` stands below the picture.
    pub(super) fn new(hint: &'static str) -> Self {
        let now = Instant::now();
        let is_terminal = io::stdout().is_terminal();
        if is_terminal {
            print!("{CLEAR}");
        }
        Self {
            is_terminal,
            hint,
            start: now,
            events: Vec::new(),
            reads: Recent::new(now),
            writes: Recent::new(now),
            last_line: now,
        }
    }

    /// Something has happened: it is shown from now on, or printed.
    pub(super) fn event(&mut self, text: &str) {
        let line = format!("{:6.1} s  {text}", self.start.elapsed().as_secs_f64());
        if !self.is_terminal {
            println!("{line}");
        }
        self.events.push(line);
    }

    pub(super) fn draw(
        &mut self,
        address: &str,
        status: &Value,
        reads: OpCounts,
        writes: OpCounts,
    ) {
        let now = Instant::now();
        self.reads.update(now, reads);
        self.writes.update(now, writes);
        if self.is_terminal {
            let frame = self.frame(address, &status["pools"][0]);
            // In one write, so that no half-drawn picture is seen.
            print!("{HOME}{}{CLEAR_BELOW}", frame.replace('\n', &format!("{CLEAR_LINE}\n")));
        } else if now >= self.last_line + WINDOW {
            self.last_line = now;
            println!("{}", self.line(&status["pools"][0]));
        }
        let _ = io::stdout().flush();
    }

    /// What follows stands below the last picture.
    pub(super) fn leave(&mut self) {
        println!();
    }

    fn frame(&self, address: &str, pool: &Value) -> String {
        let mut frame = String::new();
        let seconds = self.start.elapsed().as_secs_f64();
        let _ = writeln!(frame, "{BOLD}Redkeel at {address}{PLAIN}   {seconds:6.1} s\n");
        let _ = writeln!(
            frame,
            "{:<18}{:<10}{:<10}{:<7}{:>8}{:>9}{:>9}{:>9}",
            "node", "role", "health", "reads", "lag", "ops/s", "p50 ms", "p99 ms"
        );
        for node in pool["nodes"].as_array().into_iter().flatten() {
            frame.push_str(&node_line(node, &pool["primary"]));
        }
        let _ = writeln!(frame, "{}\n", pool["why"].as_str().unwrap_or_default());
        let _ = writeln!(
            frame,
            "{:<18}{:>9}{:>12}{:>9}{:>9}{:>9}{:>17}",
            "clients", "ops/s", "answered", "errors", "p50 ms", "p99 ms", "longest wait ms"
        );
        for (name, shown) in [("reads", &self.reads.shown), ("writes", &self.writes.shown)] {
            let color = if shown.errors > 0 { RED } else { GREEN };
            let _ = writeln!(
                frame,
                "{name:<18}{:>9.0}{:>12}{color}{:>9}{PLAIN}{:>9.2}{:>9.2}{:>17.1}",
                shown.per_second,
                shown.ok,
                shown.errors,
                millis(shown.p50),
                millis(shown.p99),
                millis(shown.longest)
            );
        }
        frame.push('\n');
        for event in &self.events[self.events.len().saturating_sub(EVENTS)..] {
            let _ = writeln!(frame, "{event}");
        }
        let _ = writeln!(frame, "\n{}", self.hint);
        frame
    }

    fn line(&self, pool: &Value) -> String {
        let (reads, writes) = (&self.reads.shown, &self.writes.shown);
        format!(
            "{:6.1} s    reads {:.0}/s, p99 {:.1} ms, {} errors; writes {:.0}/s, p99 {:.1} ms, \
             {} errors; primary {}",
            self.start.elapsed().as_secs_f64(),
            reads.per_second,
            millis(reads.p99),
            reads.errors,
            writes.per_second,
            millis(writes.p99),
            writes.errors,
            pool["primary"].as_str().unwrap_or("none"),
        )
    }
}

fn node_line(node: &Value, primary: &Value) -> String {
    let text = |field: &str| node[field].as_str().unwrap_or("-").to_owned();
    let number = |value: &Value, scale: f64, digits: usize| match value.as_f64() {
        Some(number) => format!("{:.digits$}", number / scale),
        None => "-".to_owned(),
    };
    let health = text("health");
    let color = if health == "up" { GREEN } else { RED };
    let mark = if node["name"] == *primary { BOLD } else { "" };
    let recent = &node["latency"]["recent"];
    format!(
        "{mark}{:<18}{:<10}{PLAIN}{color}{:<10}{PLAIN}{:<7}{:>8}{:>9}{:>9}{:>9}\n",
        text("name"),
        text("role"),
        health,
        if node["readable"] == true { "yes" } else { "no" },
        number(&node["lag_seconds"], 1.0, 1),
        number(&node["commands_per_second"], 1.0, 0),
        number(&recent["p50_us"], 1000.0, 2),
        number(&recent["p99_us"], 1000.0, 2),
    )
}

impl Recent {
    fn new(now: Instant) -> Self {
        Self { since: now, earlier: OpCounts::default(), shown: Shown::default() }
    }

    fn update(&mut self, now: Instant, counts: OpCounts) {
        self.shown.ok = counts.ok;
        self.shown.errors = counts.errors_total();
        self.shown.longest = counts.longest;
        let elapsed = now - self.since;
        if elapsed < WINDOW {
            return;
        }
        let new = counts.since(&self.earlier);
        self.shown.per_second = new.ok as f64 / elapsed.as_secs_f64();
        self.shown.p50 = new.quantile(0.5);
        self.shown.p99 = new.quantile(0.99);
        self.since = now;
        self.earlier = counts;
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_one_line_whatever_is_known_of_it() {
        let node: Value = serde_json::from_str(
            r#"{"name":"a:1","role":"replica","health":"up","readable":true,"lag_seconds":0.25,
                "commands_per_second":1234.4,"latency":{"recent":{"p50_us":80,"p99_us":null}}}"#,
        )
        .unwrap();
        let line = node_line(&node, &Value::Null);
        let words: Vec<&str> = line.split_whitespace().collect();
        assert!(line.contains("a:1") && line.contains("1234") && line.contains("0.08"), "{line}");
        assert_eq!(words.last(), Some(&"-"), "{line}");
        assert_eq!(node_line(&Value::Null, &Value::Null).lines().count(), 1);
    }
}

//! `redkeel status`: what a running proxy says of itself, as tables.

use std::fmt::Write;

use admin::{NodeStatus, Percentiles, PoolStatus, SentinelsStatus, Status};
use anyhow::Context;
use config::Endpoint;

use crate::cli::StatusArgs;
use crate::failure::Failure;
use crate::http;
use crate::output::print;
use crate::source;
use crate::table::Table;

/// Where a proxy answers unless it was told otherwise.
const DEFAULT_ADMIN: &str = "127.0.0.1:9736";

/// Asks the proxy and prints its answer.
pub(crate) fn status(args: &StatusArgs) -> Result<(), Failure> {
    let endpoint = endpoint(args.admin.clone(), std::env::var("REDKEEL_ADMIN").ok())?;
    let answer = http::get(&endpoint, "/api/v1/status").with_context(|| {
        format!(
            "no answer from {endpoint}; is redkeel running, and is this its [admin] listen address? \
             --admin or REDKEEL_ADMIN names another"
        )
    })?;
    if args.json {
        return print(&(answer + "\n"));
    }
    let status = serde_json::from_str(&answer)
        .with_context(|| format!("{endpoint} answered something else than a status"))?;
    print(&tables(&status))
}

/// The command line wins over the environment.
pub(crate) fn endpoint(
    argument: Option<String>,
    environment: Option<String>,
) -> Result<Endpoint, Failure> {
    let (name, text) = match (argument, environment) {
        (Some(text), _) => ("--admin", text),
        (None, Some(text)) => ("REDKEEL_ADMIN", text),
        (None, None) => ("--admin", DEFAULT_ADMIN.to_owned()),
    };
    source::endpoint(name, &text)
}

fn tables(status: &Status) -> String {
    let mut text = format!(
        "redkeel {}, up {}, {}",
        status.version,
        duration(status.uptime_seconds),
        count(status.workers.len() as u64, "worker")
    );
    for (index, worker) in status.workers.iter().enumerate() {
        if !worker.up {
            push(&mut text, format_args!(", worker {index} does not answer"));
        }
    }
    if status.draining {
        text += ", draining";
    }
    text.push('\n');
    for pool in &status.pools {
        text.push('\n');
        text += &pool_text(pool);
    }
    text
}

fn pool_text(pool: &PoolStatus) -> String {
    let listeners: Vec<String> = pool
        .listeners
        .iter()
        .map(|listener| format!("{} ({})", listener.address, listener.mode))
        .collect();
    let mut text = format!("pool {}  {}\n", pool.name, listeners.join(", "));
    if pool.groups.is_empty() {
        let primary = pool.primary.as_deref().unwrap_or("none");
        let since = duration(pool.since_seconds);
        push(&mut text, format_args!("  primary  {primary}, for {since}: {}\n", pool.why));
    } else {
        let groups = pool.groups.join(", ");
        push(&mut text, format_args!("  groups   {groups}: {}\n", pool.why));
    }
    if let Some(sentinels) = &pool.sentinels {
        push(&mut text, format_args!("  source   {}\n", sentinels_line(sentinels)));
    }
    push(
        &mut text,
        format_args!(
            "  clients  {}, {} reads/s, {} writes/s, {}\n",
            pool.clients.connected,
            rate(pool.reads_per_second),
            rate(pool.writes_per_second),
            percentiles(&pool.latency.recent),
        ),
    );
    if let Some(trouble) = trouble(pool) {
        push(&mut text, format_args!("  trouble  {trouble}\n"));
    }
    if !pool.groups.is_empty() {
        return text;
    }
    let mut table = Table::new([
        "NODE",
        "ROLE",
        "HEALTH",
        "TAKES",
        ">SINCE",
        ">LAG",
        ">CONNS",
        ">IN FLIGHT",
        ">OPS/S",
        ">ERR/S",
        ">P50",
        ">P99",
        "WHY",
    ]);
    for node in &pool.nodes {
        table.row(node_row(pool, node));
    }
    text += &table.render("  ");
    if let Some(sentinels) = &pool.sentinels {
        text += &sentinels_table(sentinels);
    }
    text
}

fn sentinels_line(sentinels: &SentinelsStatus) -> String {
    let agreeing = sentinels.sentinels.iter().filter(|sentinel| sentinel.agrees).count();
    match &sentinels.primary {
        Some(primary) => format!(
            "sentinel {}: {agreeing} of {} name {primary}, epoch {}",
            sentinels.master, sentinels.known, sentinels.epoch
        ),
        None => format!("sentinel {}: {}", sentinels.master, sentinels.why),
    }
}

fn sentinels_table(sentinels: &SentinelsStatus) -> String {
    let mut table = Table::new(["SENTINEL", "ANSWERS", "NAMES", ">EPOCH", "WHY"]);
    for sentinel in &sentinels.sentinels {
        table.row([
            sentinel.name.clone(),
            if sentinel.answers { "yes" } else { "no" }.to_owned(),
            sentinel.primary.clone().unwrap_or_else(|| "-".to_owned()),
            sentinel.epoch.to_string(),
            sentinel.why.clone(),
        ]);
    }
    table.render("  ")
}

/// What an operator should know of at once; `None`: nothing.
fn trouble(pool: &PoolStatus) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(why) = &pool.writes_held {
        parts.push(format!("writes are held: {why}"));
    }
    if pool.held.clients > 0 {
        parts.push(format!("{} held", count(pool.held.clients, "client")));
    }
    if pool.clients.refused > 0 {
        parts.push(format!("{} refused", count(pool.clients.refused, "client")));
    }
    if pool.clients.slow_closed > 0 {
        parts.push(format!("{} closed for not reading", count(pool.clients.slow_closed, "client")));
    }
    let errors = pool.errors.iter().filter(|(_, count)| **count > 0);
    let errors: Vec<String> = errors.map(|(kind, count)| format!("{kind} {count}")).collect();
    if !errors.is_empty() {
        parts.push(format!("errors since the start: {}", errors.join(", ")));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn node_row(pool: &PoolStatus, node: &NodeStatus) -> [String; 13] {
    let writes = pool.primary.as_ref() == Some(&node.name);
    let takes = match (writes, node.readable) {
        (true, true) => "both",
        (true, false) => "writes",
        (false, true) => "reads",
        (false, false) => "-",
    };
    [
        node.name.clone(),
        node.role.clone(),
        node.health.clone(),
        takes.to_owned(),
        duration(node.since_seconds),
        node.lag_seconds.map_or_else(|| "-".to_owned(), |lag| format!("{lag:.1}s")),
        format!("{}+{}", node.lanes, node.pinned),
        node.in_flight.to_string(),
        rate(node.commands_per_second),
        rate(node.errors_per_second),
        micros(node.latency.recent.p50_us),
        micros(node.latency.recent.p99_us),
        node.why.clone(),
    ]
}

fn percentiles(latency: &Percentiles) -> String {
    format!("p50 {}, p99 {}", micros(latency.p50_us), micros(latency.p99_us))
}

fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn rate(per_second: f64) -> String {
    if per_second >= 10.0 || per_second == 0.0 {
        format!("{per_second:.0}")
    } else {
        format!("{per_second:.1}")
    }
}

fn micros(value: Option<u64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(us @ 0..1_000) => format!("{us}us"),
        Some(us @ 1_000..1_000_000) => format!("{:.1}ms", us as f64 / 1e3),
        Some(us) => format!("{:.1}s", us as f64 / 1e6),
    }
}

/// The two largest units: `3d4h`, `2m5s`, `9s`.
fn duration(seconds: f64) -> String {
    let seconds = seconds as u64;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, _, _) => format!("{hours}h{minutes}m"),
        _ => format!("{days}d{hours}h"),
    }
}

fn push(text: &mut String, part: std::fmt::Arguments<'_>) {
    // A String takes everything.
    let written = text.write_fmt(part);
    debug_assert!(written.is_ok());
}

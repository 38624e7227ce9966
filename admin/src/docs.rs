//! The reference pages that are rendered from, or checked against, this crate.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use serde_json::Value;
use topology::{ErrorKind, Time};

use crate::counts::Counted;
use crate::fixture::{self, counts, golden};
use crate::names::{self, BUCKETS_US, Kind, Unit};
use crate::report::{Facts, report};
use crate::sampler::Window;
use crate::status::Status;

#[test]
fn the_metrics_page_of_the_manual_is_rendered_from_the_names() {
    golden("../docs/metrics.md", &metrics_page());
}

fn metrics_page() -> String {
    let mut page = String::from(
        "<!-- Rendered from admin/src/names.rs: `UPDATE_DOCS=1 cargo test -p admin` writes this file. -->\n\
         # Metrics\n\n\
         `GET /metrics` on the administration endpoint (127.0.0.1:9736 unless configured otherwise) answers in\n\
         OpenMetrics text, which Prometheus and whatever reads its format scrape.\n\n\
         Counters are summed over the workers when the page is read and start at 0 with the process. Labels are\n\
         bounded by the configuration: `pool` and `node` are its names, a node's being its address where a name\n\
         stands for several. A node that a name no longer resolves to is no longer shown.\n",
    );
    for (title, prefix) in [("Process", ""), ("Pools", "redkeel_pool_"), ("Nodes", "redkeel_node_")]
    {
        write!(page, "\n## {title}\n\n| metric | kind | unit | labels | meaning |\n| --- | --- | --- | --- | --- |\n")
            .expect("a String takes everything");
        let section = |name: &str| {
            let of = ["redkeel_pool_", "redkeel_node_"].into_iter().find(|of| name.starts_with(of));
            of.unwrap_or("") == prefix
        };
        for metric in names::ALL.iter().filter(|metric| section(metric.name)) {
            let labels: Vec<String> =
                metric.labels.iter().map(|label| format!("`{label}`")).collect();
            writeln!(
                page,
                "| `{}` | {} | {} | {} | {} |",
                metric.name,
                kind(metric.kind),
                unit(metric.unit),
                labels.join(", "),
                metric.help
            )
            .expect("a String takes everything");
        }
    }
    page + &histograms() + &error_kinds()
}

fn histograms() -> String {
    let bounds: Vec<String> = BUCKETS_US.iter().map(|bound| shown(*bound)).collect();
    format!(
        "\n## Histograms\n\n\
         Buckets have the upper bounds {} and infinity. They are derived from finer ones whose width is 1/32 of\n\
         their value: what lies within 1/32 of a bound may count above it, and `_sum` is exact within 1/64.\n",
        bounds.join(", ")
    )
}

fn shown(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{} ms", micros as f64 / 1e3),
        _ => format!("{} s", micros as f64 / 1e6),
    }
}

fn error_kinds() -> String {
    let mut page = String::from(
        "\n## Kinds of `redkeel_pool_errors_total`\n\n\
         Error replies that Redkeel itself gave; what a node answered counts in `redkeel_node_errors_total`.\n\n\
         | kind | meaning |\n| --- | --- |\n",
    );
    for kind in ErrorKind::ALL {
        writeln!(page, "| `{}` | {} |", kind.as_str(), meaning(kind))
            .expect("a String takes everything");
    }
    page
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
        Kind::Info => "info",
    }
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::None => "",
        Unit::Seconds => "seconds",
        Unit::Bytes => "bytes",
    }
}

fn meaning(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NoPrimary => "`-NOPRIMARY`: there was no primary within `timeouts.hold`",
        ErrorKind::NoReplica => "`-NOREPLICA`: no node could take a read within `timeouts.hold`",
        ErrorKind::OutcomeUnknown => {
            "`-OUTCOMEUNKNOWN`: a write was sent and its answer was lost; it may have run"
        }
        ErrorKind::Limit => "`-LIMIT`: one of the pool's `limits`",
        ErrorKind::ExecAbort => "`-EXECABORT`: the connection of an open transaction was lost",
        ErrorKind::ReadOnly => "`-READONLY`: a write on a listener of mode `read`",
        ErrorKind::CrossShard => {
            "`-CROSSSHARD`: its keys are on several shards, or several could not do it as one"
        }
        ErrorKind::Refused => "a command that is refused always, or by `refuse`",
        ErrorKind::Protocol => "a broken frame; its client is closed",
        ErrorKind::Denied => {
            "`-NOAUTH`, `-WRONGPASS`, `-NOPERM` with `auth = \"users\"`; a login refused because of `login_failures`"
        }
        ErrorKind::Command => {
            "any other error in Redis' own words: unknown command, wrong number of arguments"
        }
    }
}

// === docs/api.md ===

/// The made-up world's status, ten seconds of traffic after an earlier sample.
fn status() -> Status {
    let (snapshot, listeners) = (fixture::snapshot(), fixture::listeners());
    let facts = Facts {
        snapshot: &snapshot,
        listeners: &listeners,
        worker_clients: &[4, 3],
        version: "1.2.3",
        draining: false,
        now: Time::from_millis(12_000),
    };
    let later = Counted { sum: counts(3), answered: vec![true, true] };
    report(&facts, &Window { earlier: counts(1), later, seconds: 10.0 })
}

#[test]
fn the_manual_explains_each_field_of_the_status_and_shows_an_answer() {
    const START: &str = "<!-- example -->\n```json\n";
    const END: &str = "\n```\n<!-- end of the example -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api.md");
    let page = std::fs::read_to_string(path).expect("docs/api.md");
    let (before, rest) = page.split_once(START).expect("the example's start");
    let (_, after) = rest.split_once(END).expect("the example's end");

    let explained: BTreeSet<String> = before
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(field, _)| field.to_owned())
        .filter(|field| !field.starts_with('/'))
        .collect();
    let value = serde_json::to_value(status()).expect("a status is JSON");
    let mut fields = BTreeSet::new();
    collect_fields(&value, "", &mut fields);
    assert_eq!(explained, fields);

    let example = serde_json::to_string_pretty(&status()).expect("a status is JSON");
    golden("../docs/api.md", &format!("{before}{START}{example}{END}{after}"));
}

/// Paths like `pools[].nodes[].role`; what has the same shape in two places is explained once.
fn collect_fields(value: &Value, path: &str, fields: &mut BTreeSet<String>) {
    const ONCE: [&str; 3] = ["latency.recent", "latency.since_start", "errors"];
    match value {
        Value::Object(object) if !ONCE.iter().any(|once| path.ends_with(once)) => {
            for (name, value) in object {
                let dot = if path.is_empty() { "" } else { "." };
                collect_fields(value, &format!("{path}{dot}{name}"), fields);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                collect_fields(element, &format!("{path}[]"), fields);
            }
        }
        _ => {
            fields.insert(path.to_owned());
        }
    }
}

#[test]
fn rates_and_recent_figures_are_those_of_the_window_only() {
    let status = status();
    let main = &status.pools[0];
    assert_eq!((main.reads_per_second, main.writes_per_second), (1_800.0, 200.0));
    assert_eq!((main.latency.recent.count, main.latency.since_start.count), (8, 12));
    assert_eq!(main.nodes[0].commands_per_second, 600.0);
    assert_eq!(status.pools[1].latency.recent.p50_us, None);
}

//! The measurements as tables.

use std::fmt::Write as _;

use super::LoadResult;
use super::bounds::{Bound, Limit};
use super::idle::IdleMemory;
use super::load::{Load, Turn};

/// The medians of one load.
pub(super) fn table(load: &Load, result: &LoadResult) -> String {
    let mut text = format!(
        "\n{}\n{:<12}{:>10}{:>15}{:>15}{:>9}{:>9}{:>12}{:>9}\n",
        load.description,
        load.name,
        "ops/s",
        "proxy µs/cmd",
        "redis µs/cmd",
        "p50 ms",
        "p99 ms",
        "p50 µs (1)",
        "RSS MiB"
    );
    for contestant in &result.contestants {
        let Turn { ops_per_second, proxy_cpu_us, redis_cpu_us, p50_ms, p99_ms, .. } =
            &contestant.median;
        let _ = writeln!(
            text,
            "{:<12}{ops_per_second:>10.0}{:>15}{redis_cpu_us:>15.2}{p50_ms:>9.3}{p99_ms:>9.3}{:>12}{:>9}",
            contestant.contestant,
            maybe(*proxy_cpu_us, 2),
            maybe(contestant.median.single_p50_us, 1),
            maybe(contestant.median.rss_mib, 1),
        );
    }
    text
}

/// What silent clients cost.
pub(super) fn idle_table(results: &[IdleMemory]) -> String {
    let mut text = format!(
        "\nsilent clients, each after one PING\n{:<12}{:>10}{:>14}{:>14}{:>16}\n",
        "idle", "clients", "before MiB", "after MiB", "bytes/client"
    );
    let mebibytes = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
    for idle in results {
        let _ = writeln!(
            text,
            "{:<12}{:>10}{:>14.1}{:>14.1}{:>16.0}",
            idle.contestant,
            idle.clients,
            mebibytes(idle.before_bytes),
            mebibytes(idle.after_bytes),
            idle.bytes_per_client()
        );
    }
    text
}

/// The promises.
pub(super) fn bounds_table(bounds: &[Bound]) -> String {
    let mut text = String::from("\nbounds\n");
    for bound in bounds {
        let limit = match bound.limit {
            Limit::AtMost(limit) => format!("<= {limit}"),
            Limit::AtLeast(limit) => format!(">= {limit}"),
        };
        let verdict = if bound.is_met() { "ok" } else { "MISSED" };
        let _ = writeln!(text, "{:<60}{:>8.2}  {limit:<8}  {verdict}", bound.what, bound.measured);
    }
    text
}

fn maybe(number: Option<f64>, digits: usize) -> String {
    number.map_or_else(|| "-".into(), |number| format!("{number:.digits$}"))
}

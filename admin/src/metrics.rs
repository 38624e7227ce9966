//! `/metrics`: one moment as OpenMetrics text.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use config::Config;
use histogram::Histogram;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{self, Registry};
use topology::{
    Ending, ErrorKind, Handshake, Health, NodeCounts, NodeView, PoolCounts, PoolView, Role,
    SentinelView, Snapshot, Time,
};

use crate::counts::{self, Counted};
use crate::latency::coarse;
use crate::names::{self, Kind, Metric, Unit};
use crate::process::ProcessUsage;
use crate::serving::{pool_takes_reads, pool_takes_writes};
use crate::switchover::Tally;

/// Everything that the page shows.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) config: Arc<Config>,
    pub(crate) counted: Counted,
    pub(crate) worker_clients: Vec<usize>,
    pub(crate) process: ProcessUsage,
    pub(crate) started: SystemTime,
    pub(crate) draining: bool,
    pub(crate) evidence_dropped: u64,
    pub(crate) version: &'static str,
    pub(crate) switchovers: Tally,
}

/// One sample of a family.
enum Value<'a> {
    Count(u64),
    Number(f64),
    Durations(&'a Histogram),
}

impl Page {
    /// The text.
    pub(crate) fn render(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

impl Collector for Page {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Families { encoder };
        self.process(&mut out)?;
        self.pools_as_seen(&mut out)?;
        self.sentinels(&mut out)?;
        self.pools_as_counted(&mut out)?;
        self.nodes_as_seen(&mut out)?;
        self.nodes_as_counted(&mut out)
    }
}

// === the process ===

impl Page {
    fn process(&self, out: &mut Families<'_>) -> fmt::Result {
        out.one(&names::BUILD_INFO, [self.version], Value::Count(1))?;
        out.one(&names::SNAPSHOT_VERSION, [], Value::Count(self.snapshot.version))?;
        out.one(&names::DRAINING, [], flag(self.draining))?;
        out.one(&names::EVIDENCE_DROPPED, [], Value::Count(self.evidence_dropped))?;
        out.family(
            &names::WORKER_UP,
            self.counted.answered.iter().enumerate().map(|(w, up)| ([w.to_string()], flag(*up))),
        )?;
        out.family(
            &names::WORKER_CLIENTS,
            self.worker_clients
                .iter()
                .enumerate()
                .map(|(w, clients)| ([w.to_string()], Value::Count(*clients as u64))),
        )?;
        let usage = &self.process;
        out.one(&names::PROCESS_START_TIME, [], self.timestamp(Time::ZERO))?;
        out.one(&names::PROCESS_CPU, [], Value::Number(usage.cpu_seconds))?;
        for (metric, value) in [
            (&names::PROCESS_RESIDENT_MEMORY, usage.resident_bytes),
            (&names::PROCESS_OPEN_FDS, usage.open_fds),
            (&names::PROCESS_MAX_FDS, usage.max_fds),
        ] {
            let sample = value.map(|value| ([], Value::Count(value)));
            out.family::<0, String>(metric, sample.into_iter())?;
        }
        Ok(())
    }

    /// A moment of the process's clock as seconds since the Unix epoch.
    fn timestamp(&self, time: Time) -> Value<'static> {
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = started + time.since(Time::ZERO);
        // To the millisecond, like every time that is shown.
        Value::Number((at.as_secs_f64() * 1000.0).round() / 1000.0)
    }
}

// === pools ===

type PoolReading = (&'static Metric, fn(&PoolCounts) -> u64);

const POOL_READINGS: [PoolReading; 21] = [
    (&names::POOL_CLIENTS, |pool| pool.clients),
    (&names::POOL_CLIENTS_ACCEPTED, |pool| pool.clients_total),
    (&names::POOL_CLIENTS_REFUSED, |pool| pool.clients_refused_total),
    (&names::POOL_CLIENTS_DENIED, |pool| pool.clients_denied_total),
    (&names::POOL_CLIENTS_HEADERLESS, |pool| pool.clients_headerless_total),
    (&names::POOL_LOGIN_FAILURES, |pool| pool.login_failures_total),
    (&names::POOL_LOGINS_REFUSED, |pool| pool.logins_refused_total),
    (&names::POOL_CLIENTS_SLOW_CLOSED, |pool| pool.clients_slow_closed_total),
    (&names::POOL_CLIENT_RECEIVED, |pool| pool.client_bytes_in_total),
    (&names::POOL_CLIENT_SENT, |pool| pool.client_bytes_out_total),
    (&names::POOL_HELD_CLIENTS, |pool| pool.held),
    (&names::POOL_HELD_BYTES, |pool| pool.held_bytes),
    (&names::POOL_HELD_REQUESTS, |pool| pool.held_requests),
    (&names::POOL_HELD_COMMANDS, |pool| pool.held_total),
    (&names::POOL_RETRIES, |pool| pool.retries_total),
    (&names::POOL_RETRIES_REFUSED, |pool| pool.retries_refused_total),
    (&names::POOL_PINNED, |pool| pool.pinned),
    (&names::POOL_SUBSCRIPTION_GAPS, |pool| pool.subscription_gaps_total),
    (&names::POOL_STRAY_PUSHES, |pool| pool.stray_pushes_total),
    (&names::POOL_MIRRORS, |pool| pool.mirrors_total),
    (&names::POOL_MIRRORS_DROPPED, |pool| pool.mirrors_dropped_total),
];

impl Page {
    fn pools_as_seen(&self, out: &mut Families<'_>) -> fmt::Result {
        out.family(
            &names::POOL_WRITABLE,
            self.pools()
                .zip(&self.config.pools)
                .map(|((view, _), pool)| ([&*view.name], flag(pool_takes_writes(pool, view)))),
        )?;
        out.family(
            &names::POOL_READABLE,
            self.pools()
                .zip(&self.config.pools)
                .map(|((view, _), pool)| ([&*view.name], flag(pool_takes_reads(pool, view)))),
        )?;
        out.family(
            &names::POOL_PRIMARY_CHANGED,
            self.pools().filter_map(|(view, _)| {
                let since = view.shards.iter().map(|shard| shard.since).max()?;
                Some(([&*view.name], self.timestamp(since)))
            }),
        )?;
        let switched =
            || self.pools().map(|(view, _)| (&*view.name, self.switchovers.of(&view.name)));
        out.family(
            &names::POOL_SWITCHOVERS,
            switched().flat_map(|(name, counts)| {
                Ending::ALL.map(|ending| {
                    let count = counts.endings.get(ending.as_str()).copied().unwrap_or(0);
                    ([name, ending.as_str()], Value::Count(count))
                })
            }),
        )?;
        out.family(
            &names::POOL_SWITCHOVER_HOLD,
            switched().map(|(name, counts)| {
                ([name], Value::Number(counts.longest_hold.as_micros() as f64 / 1e6))
            }),
        )
    }

    fn pools_as_counted(&self, out: &mut Families<'_>) -> fmt::Result {
        let counted = || self.pools().filter_map(|(view, counts)| Some((&*view.name, counts?)));
        for (metric, read) in POOL_READINGS {
            out.family(
                metric,
                counted().map(|(name, counts)| ([name], Value::Count(read(counts)))),
            )?;
        }
        out.family(
            &names::POOL_COMMANDS,
            counted().flat_map(|(name, counts)| {
                [("read", counts.reads_total), ("write", counts.writes_total)]
                    .map(|(kind, count)| ([name, kind], Value::Count(count)))
            }),
        )?;
        out.family(
            &names::POOL_ERRORS,
            counted().flat_map(|(name, counts)| {
                std::iter::zip(ErrorKind::ALL, counts.errors_total)
                    .map(move |(kind, count)| ([name, kind.as_str()], Value::Count(count)))
            }),
        )?;
        out.family(
            &names::POOL_TLS_HANDSHAKES,
            counted().flat_map(|(name, counts)| {
                let sides =
                    [("client", counts.tls_clients_total), ("node", counts.tls_nodes_total)];
                sides.into_iter().flat_map(move |(side, ended)| {
                    std::iter::zip(Handshake::ALL, ended).map(move |(result, count)| {
                        ([name, side, result.as_str()], Value::Count(count))
                    })
                })
            }),
        )?;
        out.family(
            &names::POOL_DURATION,
            counted().map(|(name, counts)| ([name], Value::Durations(&counts.latency))),
        )
    }

    /// Each pool with its counters, if a worker has told any.
    fn pools(&self) -> impl Iterator<Item = (&PoolView, Option<&PoolCounts>)> {
        let counts = &self.counted.sum.pools;
        self.snapshot.pools.iter().enumerate().map(|(index, view)| (&**view, counts.get(index)))
    }
}

// === Sentinels ===

type SentinelReading = (&'static Metric, fn(&SentinelView) -> u64);

const SENTINEL_READINGS: [SentinelReading; 4] = [
    (&names::SENTINEL_UP, |sentinel| sentinel.answers.into()),
    (&names::SENTINEL_AGREES, |sentinel| sentinel.agrees.into()),
    (&names::SENTINEL_TILT, |sentinel| sentinel.tilt.into()),
    (&names::SENTINEL_EPOCH, |sentinel| sentinel.epoch),
];

impl Page {
    /// Nothing of pools whose nodes come from elsewhere.
    fn sentinels(&self, out: &mut Families<'_>) -> fmt::Result {
        let watched =
            || self.pools().filter_map(|(pool, _)| Some((&*pool.name, pool.sentinels.as_deref()?)));
        out.family(
            &names::POOL_SENTINELS,
            watched().map(|(pool, view)| ([pool], Value::Count(view.known as u64))),
        )?;
        out.family(
            &names::POOL_SENTINEL_MAJORITY,
            watched().map(|(pool, view)| ([pool], flag(view.primary.is_some()))),
        )?;
        for (metric, read) in SENTINEL_READINGS {
            out.family(
                metric,
                watched().flat_map(|(pool, view)| {
                    let sentinels = view.sentinels.iter();
                    sentinels.map(move |one| ([pool, &*one.name], Value::Count(read(one))))
                }),
            )?;
        }
        Ok(())
    }
}

// === nodes ===

type NodeReading = (&'static Metric, fn(&NodeCounts) -> u64);

const NODE_READINGS: [NodeReading; 8] = [
    (&names::NODE_COMMANDS, |node| node.commands_total),
    (&names::NODE_ERRORS, |node| node.errors_total),
    (&names::NODE_IN_FLIGHT, |node| node.in_flight),
    (&names::NODE_CONNECTS, |node| node.connects_total),
    (&names::NODE_CONNECT_FAILURES, |node| node.connect_failures_total),
    (&names::NODE_CONNECTIONS_LOST, |node| node.lost_total),
    (&names::NODE_SENT, |node| node.bytes_out_total),
    (&names::NODE_RECEIVED, |node| node.bytes_in_total),
];

/// A node with what its samples are told from.
struct SeenNode<'a> {
    labels: [&'a str; 2],
    view: &'a NodeView,
    /// The node that its shard's writes go to.
    is_primary: bool,
    counts: Option<&'a NodeCounts>,
}

impl Page {
    fn nodes_as_seen(&self, out: &mut Families<'_>) -> fmt::Result {
        let seen = || self.nodes();
        out.family(
            &names::NODE_UP,
            seen().map(|node| (node.labels, flag(node.view.health == Health::Up))),
        )?;
        out.family(
            &names::NODE_ROLE,
            seen().flat_map(|node| {
                let [pool, name] = node.labels;
                [Role::Primary, Role::Replica, Role::Unknown]
                    .map(|role| ([pool, name, role.as_str()], flag(node.view.role == role)))
            }),
        )?;
        out.family(&names::NODE_WRITABLE, seen().map(|node| (node.labels, flag(node.is_primary))))?;
        out.family(
            &names::NODE_READABLE,
            seen().map(|node| (node.labels, flag(node.view.readable))),
        )?;
        out.family(
            &names::NODE_LAG,
            seen().filter_map(|node| {
                Some((node.labels, Value::Number(node.view.lag?.time.as_secs_f64())))
            }),
        )?;
        out.family(
            &names::NODE_LAG_BYTES,
            seen().filter_map(|node| Some((node.labels, Value::Count(node.view.lag?.bytes)))),
        )?;
        out.family(
            &names::NODE_CHANGED,
            seen().map(|node| (node.labels, self.timestamp(node.view.since))),
        )
    }

    fn nodes_as_counted(&self, out: &mut Families<'_>) -> fmt::Result {
        let counted = || self.nodes().filter_map(|node| Some((node.labels, node.counts?)));
        for (metric, read) in NODE_READINGS {
            out.family(
                metric,
                counted().map(|(labels, counts)| (labels, Value::Count(read(counts)))),
            )?;
        }
        out.family(
            &names::NODE_CONNECTIONS,
            counted().flat_map(|([pool, node], counts)| {
                [("lane", counts.lanes), ("pinned", counts.pinned)]
                    .map(|(kind, count)| ([pool, node, kind], Value::Count(count)))
            }),
        )?;
        out.family(
            &names::NODE_DURATION,
            counted().map(|(labels, counts)| (labels, Value::Durations(&counts.latency))),
        )
    }

    /// The nodes of all pools. One that the Snapshot no longer has is no longer shown.
    fn nodes(&self) -> impl Iterator<Item = SeenNode<'_>> {
        // Those of other pools are shown with them.
        let own = self.pools().filter(|(pool, _)| pool.groups.is_empty());
        own.flat_map(|(pool, pool_counts)| {
            pool.shards.iter().flat_map(move |shard| {
                shard.nodes.iter().map(move |view| SeenNode {
                    labels: [&pool.name, &view.name],
                    view,
                    is_primary: shard.primary == Some(view.id),
                    counts: pool_counts.and_then(|counts| counts::node(counts, view.id)),
                })
            })
        })
    }
}

// === encoding ===

fn flag(value: bool) -> Value<'static> {
    Value::Count(value.into())
}

/// Writes families: a description, then its samples.
struct Families<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Families<'_> {
    fn one<const N: usize>(
        &mut self,
        metric: &Metric,
        labels: [&str; N],
        value: Value<'_>,
    ) -> fmt::Result {
        self.family(metric, std::iter::once((labels, value)))
    }

    fn family<'v, const N: usize, L: AsRef<str>>(
        &mut self,
        metric: &Metric,
        samples: impl Iterator<Item = ([L; N], Value<'v>)>,
    ) -> fmt::Result {
        debug_assert_eq!(metric.labels.len(), N, "{} has other labels", metric.name);
        let unit = match metric.unit {
            Unit::None => None,
            Unit::Seconds => Some(registry::Unit::Seconds),
            Unit::Bytes => Some(registry::Unit::Bytes),
        };
        let kind = match metric.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
            Kind::Info => MetricType::Info,
        };
        let stem = metric.stem();
        let mut family = self.encoder.encode_descriptor(stem, metric.help, unit.as_ref(), kind)?;
        for (values, value) in samples {
            let labels: Vec<(&str, &str)> =
                metric.labels.iter().copied().zip(values.iter().map(AsRef::as_ref)).collect();
            if metric.kind == Kind::Info {
                family.encode_info(&labels)?;
            } else if labels.is_empty() {
                sample(&mut family, metric.kind, &value)?;
            } else {
                sample(&mut family.encode_family(&labels)?, metric.kind, &value)?;
            }
        }
        Ok(())
    }
}

fn sample(encoder: &mut MetricEncoder<'_>, kind: Kind, value: &Value<'_>) -> fmt::Result {
    match (kind, value) {
        (Kind::Counter, Value::Count(count)) => {
            encoder.encode_counter::<NoLabelSet, _, f64>(count, None)
        }
        (Kind::Counter, Value::Number(number)) => {
            encoder.encode_counter::<NoLabelSet, _, f64>(number, None)
        }
        (_, Value::Count(count)) => encoder.encode_gauge(count),
        (_, Value::Number(number)) => encoder.encode_gauge(number),
        (_, Value::Durations(fine)) => {
            let coarse = coarse(fine);
            encoder.encode_histogram::<NoLabelSet>(
                coarse.sum_seconds,
                coarse.count,
                &coarse.buckets,
                None,
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::fixture::{self, golden};

    #[test]
    fn the_whole_page() {
        let text = fixture::page().render().expect("a String takes everything");
        golden("tests/golden/metrics.txt", &text);
    }

    #[test]
    fn every_metric_is_on_the_page_and_nothing_else() {
        let text = fixture::page().render().expect("a String takes everything");
        let shown: BTreeSet<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .map(|line| {
                let (family, kind) = line.split_once(' ').expect("name and type");
                match kind {
                    "counter" => format!("{family}_total"),
                    "info" => format!("{family}_info"),
                    _ => family.to_owned(),
                }
            })
            .collect();
        let named = names::ALL.iter().map(|metric| metric.name.to_owned()).collect();
        assert_eq!(shown, named);
    }

    #[test]
    fn labels_are_escaped() {
        let mut page = fixture::page();
        let mut snapshot = Snapshot::clone(&page.snapshot);
        let mut pool = PoolView::clone(&snapshot.pools[0]);
        pool.shards[0].nodes[0].name = Arc::from("unix:/run/a\"b\\c\nd");
        snapshot.pools[0] = Arc::new(pool);
        page.snapshot = Arc::new(snapshot);
        let text = page.render().expect("a String takes everything");
        let expected = r#"redkeel_node_up{pool="main",node="unix:/run/a\"b\\c\nd"} 1"#;
        assert!(text.contains(expected), "{text}");
    }
}

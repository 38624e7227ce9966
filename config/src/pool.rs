//! One pool: `[pool.NAME]` and the tables within it.

use crate::bounds::{Bound, at_most};
use crate::diagnostics::Report;
use crate::kinds::{Durations, ModeName, Show};
use crate::listeners::{self, OfPool, Taken};
use crate::load::Context;
use crate::model::{Health, Limits, Listener, Pool, Timeouts, Upstream};
use crate::nodes;
use crate::options::{limits, pool, timing, tls as tls_options, upstream};
use crate::routes::{self, Neighbours};
use crate::section::Section;
use crate::shards;
use crate::source;
use crate::tls;
use crate::tree::{Field, Span, Value};
use crate::users;

/// Longer names would fill status pages and metrics.
const MAX_NAME_BYTES: usize = 64;

const NAMED: &str = "a pool is a table with a name of its own: `[pool.main]`";

/// The pools of the field `pool`.
pub(crate) fn fields<'a>(field: &'a Field, report: &mut Report) -> &'a [Field] {
    if let Value::Table(fields) = &field.node.value {
        return fields;
    }
    let found = field.node.value.type_name();
    report
        .error(field.key_span.clone(), format!("`pool` must be a table, not {found}"))
        .with_help(NAMED);
    &[]
}

/// Fit for use only if nothing was reported as an error. `None`: not a pool at all.
pub(crate) fn pool(
    field: &Field,
    neighbours: &Neighbours<'_>,
    context: &Context<'_>,
    taken: &mut Taken,
    report: &mut Report,
) -> Option<Pool> {
    let Value::Table(fields) = &field.node.value else {
        report
            .error(field.key_span.clone(), format!("`{}` is not a pool", field.key))
            .with_help(NAMED);
        return None;
    };
    let unknown = |inner: &&Field| !pool::TABLE.knows(&inner.key);
    if let Some(inner) = fields.iter().filter(unknown).find(|inner| is_pool(inner)) {
        report
            .error(inner.key_span.clone(), "a dot in the name of a pool")
            .with_help(format!("for example `[pool.{}-{}]`", field.key, inner.key));
        return None;
    }
    check_name(field, report);
    let path = format!("pool.{}", field.key);
    let place = format!("`[{path}]`");
    let mut section = Section::new(&place, &pool::TABLE, fields, field.node.span.clone());
    section.check_unknown(report);
    if !neighbours.is_target(&field.key) {
        section.require(pool::LISTEN.key, pool::LISTEN.example, report);
    }
    let listeners = listeners(&mut section, &field.key, taken, report);
    let (source, servers) = source::source(&mut section, &path, context, report);
    let routes = routes::routes(&section, &field.key, &path, neighbours, report);
    shards::refuse_tcp(&section, &listeners, report);
    routes::refuse_tcp(&section, &listeners, report);
    let (health, timeouts) = timing(&mut section, &path, report);
    let (limits, upstream) = capacity(&mut section, &path, context, report);
    let auth = section.setting(&pool::AUTH, report);
    let nodes = nodes::nodes(&mut section, &path, &servers, report);
    let zone = nodes::zone(&mut section, &nodes, report);
    let users = users::users(&section, auth, &path, context, report);
    users::refuse_tcp(auth, &section, &listeners, report);
    if let Some(tls) = &upstream.tls {
        tls::check_names(tls, &servers, report);
    }
    let tls = tls::towards_clients(&mut section, &path, context, report);
    tls::check_use(&section, &listeners, report);
    users::warn_of_open_door(&section, auth, &upstream, &listeners, tls.as_ref(), report);
    Some(Pool {
        name: field.key.clone(),
        listeners,
        reads: section.setting(&pool::READS, report),
        balance: section.setting(&pool::BALANCE, report),
        auth,
        max_lag: section.setting(&pool::MAX_LAG, report),
        retry_writes: section.setting(&pool::RETRY_WRITES, report),
        anti_flap: section.setting(&pool::ANTI_FLAP, report),
        refuse: section.setting(&pool::REFUSE, report),
        zone,
        nodes,
        source,
        routes,
        health,
        timeouts,
        limits,
        upstream,
        users,
        tls,
    })
}

/// Has it what only a pool has? `[pool.a.b]` is a table `b` in the pool `a`.
fn is_pool(field: &Field) -> bool {
    let Value::Table(fields) = &field.node.value else { return false };
    fields.iter().any(|field| field.key == pool::SERVERS.key || field.key == pool::LISTEN.key)
}

fn check_name(field: &Field, report: &mut Report) {
    let name = &field.key;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let starts = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if !starts || !name.bytes().all(allowed) || name.len() > MAX_NAME_BYTES {
        report.error(field.key_span.clone(), "not a name for a pool").with_help(format!(
            "letters, digits, `-` and `_`, beginning with a letter or digit, at most {MAX_NAME_BYTES}"
        ));
    }
}

fn listeners(
    section: &mut Section<'_>,
    name: &str,
    taken: &mut Taken,
    report: &mut Report,
) -> Vec<Listener> {
    let mode: ModeName = section.setting(&pool::MODE, report);
    let of_pool = OfPool {
        mode,
        allow: section.optional(&pool::ALLOW, report),
        deny: section.optional(&pool::DENY, report).unwrap_or_default(),
    };
    let entries = section.optional(&pool::LISTEN, report).unwrap_or_default();
    if section.is_broken_at(pool::MODE.key) {
        return Vec::new();
    }
    let has_tls = section.field(tls_options::KEY).is_some();
    listeners::listeners(entries, &of_pool, has_tls, &format!("pool `{name}`"), taken, report)
}

fn timing(pool: &mut Section<'_>, path: &str, report: &mut Report) -> (Health, Timeouts) {
    let mut section = pool.table("health", &format!("{path}.health"), &timing::HEALTH, report);
    let health = Health {
        interval: section.setting(&timing::INTERVAL, report),
        fast_interval: section.setting(&timing::FAST_INTERVAL, report),
        down_interval: section.setting(&timing::DOWN_INTERVAL, report),
        rise: section.setting(&timing::RISE, report),
        fall: section.setting(&timing::FALL, report),
        timeout: section.setting(&timing::TIMEOUT, report),
        slow_start: section.setting(&timing::SLOW_START, report),
    };
    let bound = |option, value| Bound::<Durations> { section: &section, option, value };
    let fast = bound(&timing::FAST_INTERVAL, &health.fast_interval);
    at_most(&fast, &bound(&timing::INTERVAL, &health.interval), report);
    at_most(&fast, &bound(&timing::DOWN_INTERVAL, &health.down_interval), report);
    let found_out_by = [timing::FALL.key, timing::TIMEOUT.key];
    let found_out_by = found_out_by.into_iter().find_map(|key| section.span_of(key));

    let place = format!("{path}.timeouts");
    let mut section = pool.table("timeouts", &place, &timing::TIMEOUTS, report);
    let timeouts = Timeouts {
        connect: section.setting(&timing::CONNECT, report),
        request: section.setting(&timing::REQUEST, report),
        hold: section.setting(&timing::HOLD, report),
        client_idle: section.setting(&timing::CLIENT_IDLE, report),
    };
    if let Some(span) = section.span_of(timing::HOLD.key).or(found_out_by) {
        warn_of_short_hold(span, &health, &timeouts, report);
    }
    (health, timeouts)
}

/// A node that is silent is found out when `fall` probes have timed out.
fn warn_of_short_hold(span: Span, health: &Health, timeouts: &Timeouts, report: &mut Report) {
    let found_out = health.timeout.saturating_mul(health.fall);
    if timeouts.hold.is_zero() || timeouts.hold >= found_out {
        return;
    }
    let show = |duration| timing::HOLD.kind.show(duration);
    let (hold, found_out) = (show(&timeouts.hold), show(&found_out));
    report
        .warning(
            span,
            format!("`hold` ({hold}) ends before a silent node is found out ({found_out})"),
        )
        .with_help(format!(
            "that takes `fall` ({}) times the `timeout` ({}) of `health`; raise `hold` above it",
            health.fall,
            show(&health.timeout)
        ));
}

fn capacity(
    pool: &mut Section<'_>,
    path: &str,
    context: &Context<'_>,
    report: &mut Report,
) -> (Limits, Upstream) {
    let place = format!("{path}.limits");
    let mut section = pool.table("limits", &place, &limits::TABLE, report);
    let limits = Limits {
        max_clients: section.setting(&limits::MAX_CLIENTS, report),
        max_bulk: section.setting(&limits::MAX_BULK, report),
        max_request: section.setting(&limits::MAX_REQUEST, report),
        max_args: section.setting(&limits::MAX_ARGS, report),
        client_output: section.setting(&limits::CLIENT_OUTPUT, report),
        hold_bytes: section.setting(&limits::HOLD_BYTES, report),
        hold_requests: section.setting(&limits::HOLD_REQUESTS, report),
        retries: section.setting(&limits::RETRIES, report),
        max_pinned: section.setting(&limits::MAX_PINNED, report),
        max_lanes: section.setting(&limits::MAX_LANES, report),
        login_failures: section.setting(&limits::LOGIN_FAILURES, report),
    };
    let bulk = Bound { section: &section, option: &limits::MAX_BULK, value: &limits.max_bulk };
    let request =
        Bound { section: &section, option: &limits::MAX_REQUEST, value: &limits.max_request };
    at_most(&bulk, &request, report);

    let place = format!("{path}.upstream");
    let mut upstream_section = pool.table("upstream", &place, &upstream::TABLE, report);
    let upstream = Upstream {
        credentials: source::credentials(
            &mut upstream_section,
            &upstream::USERNAME,
            &upstream::PASSWORD,
            context,
            report,
        ),
        connections: upstream_section.setting(&upstream::CONNECTIONS, report),
        proxy_protocol: upstream_section.optional(&upstream::PROXY_PROTOCOL, report),
        tls: tls::towards_servers(
            &mut upstream_section,
            &place,
            &tls_options::NODES,
            context,
            report,
        ),
    };
    let connections = Bound {
        section: &upstream_section,
        option: &upstream::CONNECTIONS,
        value: &upstream.connections,
    };
    let lanes = Bound { section: &section, option: &limits::MAX_LANES, value: &limits.max_lanes };
    at_most(&connections, &lanes, report);
    (limits, upstream)
}

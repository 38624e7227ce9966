//! The listeners of a pool, and no address twice.

use std::net::IpAddr;

use crate::diagnostics::Report;
use crate::kinds::{ListenerEntry, ModeName};
use crate::model::{Endpoint, Listener, Mode};
use crate::network::Network;
use crate::options::pool as pool_options;
use crate::section::Section;
use crate::tree::Span;

/// Every address that something already listens at.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    by: Vec<(Endpoint, Option<Span>, String)>,
}

impl Taken {
    /// Notes an address; reports it if it is taken. `span`: `None` for a default.
    pub(crate) fn take(
        &mut self,
        endpoint: &Endpoint,
        span: Option<Span>,
        owner: &str,
        report: &mut Report,
    ) {
        let other = self.by.iter().find(|(other, ..)| overlap(other, endpoint));
        if let (Some((other, other_span, other_owner)), Some(span)) = (other, &span) {
            let message = if other == endpoint {
                format!("`{endpoint}` is listened at twice")
            } else {
                format!("`{endpoint}` overlaps with `{other}`")
            };
            let error = report.error(span.clone(), message);
            error.with_label(format!("for {owner}"));
            match other_span {
                Some(other_span) => {
                    error.with_related(other_span.clone(), format!("for {other_owner}"));
                    error.with_help("give one of them another address or port");
                }
                None => {
                    let help = format!("it is the default of {other_owner}; move one of them");
                    error.with_help(help);
                }
            }
        }
        self.by.push((endpoint.clone(), span, owner.to_owned()));
    }
}

/// Can the two not both be listened at? Port 0 is a free one each time.
pub(crate) fn overlap(a: &Endpoint, b: &Endpoint) -> bool {
    match (a, b) {
        (Endpoint::Tcp { port: 0, .. }, _) | (_, Endpoint::Tcp { port: 0, .. }) => false,
        (Endpoint::Tcp { host: a, port: a_port }, Endpoint::Tcp { host: b, port: b_port }) => {
            a_port == b_port && (a == b || covers(a, b) || covers(b, a))
        }
        _ => a == b,
    }
}

/// Does `all` stand for every address of `one`'s family?
fn covers(all: &str, one: &str) -> bool {
    let (Ok(all), Ok(one)) = (all.parse::<IpAddr>(), one.parse::<IpAddr>()) else { return false };
    all.is_unspecified() && all.is_ipv4() == one.is_ipv4()
}

/// What holds for listeners that do not say it themselves.
pub(crate) struct OfPool {
    pub(crate) mode: ModeName,
    pub(crate) allow: Option<Vec<Network>>,
    pub(crate) deny: Vec<Network>,
}

/// The listeners of a pool, each with its own mode or the pool's.
pub(crate) fn listeners(
    entries: Vec<ListenerEntry>,
    pool: &OfPool,
    has_tls: bool,
    owner: &str,
    taken: &mut Taken,
    report: &mut Report,
) -> Vec<Listener> {
    let mut listeners = Vec::new();
    for entry in entries {
        taken.take(&entry.address.value, Some(entry.address.span.clone()), owner, report);
        let mode = mode(&entry, pool.mode, report);
        let tls = speaks_tls(&entry, has_tls, report);
        listeners.extend(mode.map(|mode| Listener {
            address: entry.address.value,
            mode,
            proxy_protocol: entry.proxy_protocol,
            allow: entry.allow.or_else(|| pool.allow.clone()),
            deny: entry.deny.unwrap_or_else(|| pool.deny.clone()),
            tls,
        }));
    }
    listeners
}

/// Reports the first `tcp` listener of a pool that has to look at what clients send.
pub(crate) fn refuse_tcp(
    pool: &Section<'_>,
    listeners: &[Listener],
    why: &str,
    report: &mut Report,
) {
    let raw = listeners.iter().find(|listener| matches!(listener.mode, Mode::Tcp(_)));
    if let Some(raw) = raw {
        let span = pool.span_of(pool_options::LISTEN.key).unwrap_or_else(|| pool.span());
        report.error(span, format!("`{}` passes bytes through, but {why}", raw.address)).with_help(
            "a `tcp` listener looks at no key; choose another mode, or a pool for it alone",
        );
    }
}

/// Redis has no TLS at a unix socket: there it has to be asked for.
fn speaks_tls(entry: &ListenerEntry, has_tls: bool, report: &mut Report) -> bool {
    match &entry.tls {
        Some(tls) if tls.value && !has_tls => {
            report.error(tls.span.clone(), "TLS needs a certificate").with_help(
                "name it under `[pool.NAME.tls]`: `cert = \"server.pem\"`, `key = \"server.key\"`",
            );
            false
        }
        Some(tls) => tls.value,
        None => has_tls && matches!(entry.address.value, Endpoint::Tcp { .. }),
    }
}

fn mode(entry: &ListenerEntry, pool_mode: ModeName, report: &mut Report) -> Option<Mode> {
    let name = entry.mode.unwrap_or(pool_mode);
    match (name, &entry.role) {
        (ModeName::Tcp, Some(role)) => return Some(Mode::Tcp(role.value)),
        (ModeName::Tcp, None) => {
            report.error(entry.address.span.clone(), "a `tcp` listener needs a `role`").with_help(
                format!(
                    "`{{ address = \"{}\", mode = \"tcp\", role = \"primary\" }}`, or \"replica\"",
                    entry.address.value
                ),
            );
            return None;
        }
        (_, Some(role)) => {
            report
                .error(role.span.clone(), "`role` is for `tcp` listeners only")
                .with_help("leave it out: the role follows from the mode");
            return None;
        }
        (_, None) => {}
    }
    match name {
        ModeName::Split => Some(Mode::Split),
        ModeName::Write => Some(Mode::Write),
        ModeName::Read => Some(Mode::Read),
        ModeName::Tcp => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps() {
        let tcp = |host: &str, port| Endpoint::Tcp { host: host.to_owned(), port };
        for (a, b, expected) in [
            (tcp("127.0.0.1", 1), tcp("127.0.0.1", 1), true),
            (tcp("127.0.0.1", 1), tcp("127.0.0.1", 2), false),
            (tcp("127.0.0.1", 1), tcp("127.0.0.2", 1), false),
            (tcp("0.0.0.0", 1), tcp("127.0.0.1", 1), true),
            (tcp("0.0.0.0", 1), tcp("::1", 1), false),
            (tcp("::", 1), tcp("::1", 1), true),
            (tcp("::", 1), tcp("0.0.0.0", 1), false),
            (tcp("0.0.0.0", 0), tcp("0.0.0.0", 0), false),
            (tcp("0.0.0.0", 1), Endpoint::Unix("/x".into()), false),
            (Endpoint::Unix("/x".into()), Endpoint::Unix("/x".into()), true),
        ] {
            assert_eq!(overlap(&a, &b), expected, "{a} {b}");
            assert_eq!(overlap(&b, &a), expected, "{b} {a}");
        }
    }
}

//! `bind`: where clients connect.

use std::net::Ipv6Addr;

use super::sink::Sink;
use super::words::Directive;
use crate::draft::accepts_listener;

/// One `bind` line.
#[derive(Clone, Debug)]
pub(super) struct Bind {
    /// As Redkeel writes them.
    pub(super) addresses: Vec<String>,
    pub(super) proxy_protocol: bool,
    pub(super) tls: Option<Tls>,
    pub(super) line: usize,
    pub(super) text: String,
}

/// TLS towards clients.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tls {
    /// With their keys within.
    pub(super) certificates: Vec<String>,
    pub(super) client_ca: Option<String>,
}

/// More ports of one line than this are a mistake.
const MAX_PORTS: u16 = 64;

pub(super) fn bind(directive: &Directive, base: &Base, sink: &mut Sink<'_>) -> Option<Bind> {
    let (dual, parameters) = (directive.words.iter().any(|word| word == "v4v6"), directive.rest(2));
    let mut addresses = Vec::new();
    for text in directive.word(1).split(',') {
        match listening(text, dual) {
            Ok(listening) => {
                for address in listening {
                    match accepts_listener(&address) {
                        Ok(()) => addresses.push(address),
                        Err(why) => sink.left(directive, why),
                    }
                }
            }
            Err(why) => sink.left(directive, why),
        }
    }
    let mut bind = Bind {
        addresses,
        proxy_protocol: false,
        tls: None,
        line: directive.line,
        text: directive.text.clone(),
    };
    self::parameters(parameters, base, &mut bind, directive, sink);
    if bind.tls.as_ref().is_some_and(|tls| tls.certificates.is_empty()) {
        sink.left(directive, "`ssl` without a certificate that can be carried over (`crt`)");
        return None;
    }
    (!bind.addresses.is_empty()).then_some(bind)
}

/// Where relative paths of certificates begin (`global`).
#[derive(Clone, Debug, Default)]
pub(super) struct Base {
    pub(super) certificates: String,
    pub(super) authorities: String,
}

impl Base {
    pub(super) fn certificate(&self, path: &str) -> String {
        join(&self.certificates, path)
    }

    pub(super) fn authority(&self, path: &str) -> String {
        join(&self.authorities, path)
    }
}

fn join(base: &str, path: &str) -> String {
    if base.is_empty() || path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{}/{path}", base.trim_end_matches('/'))
    }
}

fn parameters(
    words: &[String],
    base: &Base,
    bind: &mut Bind,
    directive: &Directive,
    sink: &mut Sink<'_>,
) {
    let (mut ssl, mut tls, mut verify, mut ca) = (false, Tls::default(), false, None);
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "ssl" => ssl = true,
            "crt" => match words.next().unwrap_or_default() {
                path if path.ends_with('/') => {
                    sink.part(
                        directive,
                        word,
                        "a folder: name each certificate in `cert` and `key` of `tls`",
                    );
                }
                path => tls.certificates.push(base.certificate(path)),
            },
            "ca-file" => ca = words.next().map(|path| base.authority(path)),
            "verify" => match words.next().unwrap_or_default() {
                "required" => verify = true,
                "none" => {}
                _ => sink.part(
                    directive,
                    word,
                    "a certificate is asked for of every client or of none",
                ),
            },
            "accept-proxy" => bind.proxy_protocol = true,
            "v4v6"
            | "defer-accept"
            | "tfo"
            | "no-sslv3"
            | "no-tlsv10"
            | "no-tlsv11"
            | "v6only"
            | "transparent"
            | "prefer-client-ciphers"
            | "no-tls-tickets" => {}
            "name" | "id" | "alpn" | "npn" | "backlog" | "maxconn" | "nice" | "thread"
            | "process" | "shards" | "tcp-ut" | "mss" | "ssl-min-ver" | "ssl-max-ver"
            | "ciphers" | "ciphersuites" | "curves" | "ecdhe" | "guid-prefix" | "cc" => {
                let why = match word {
                    "maxconn" => "the limit is the pool's: `max_clients`",
                    "ssl-min-ver" | "ssl-max-ver" | "ciphers" | "ciphersuites" | "curves"
                    | "ecdhe" => "TLS 1.2 and 1.3, with their safe ciphers only",
                    _ => "it changes nothing here",
                };
                words.next();
                sink.needless_part(directive, word, why);
            }
            "mode" | "user" | "group" | "uid" | "gid" => {
                words.next();
                let why = "the socket gets the permissions that the umask leaves: set that where Redkeel is started";
                sink.part(directive, word, why);
            }
            other => {
                // Whether a value follows is not known: the rest is one.
                sink.part(directive, other, "Redkeel has no such setting of a listener");
                break;
            }
        }
    }
    if verify {
        tls.client_ca = ca;
    }
    if ssl {
        bind.tls = Some(tls);
    }
}

/// `*:6379`, `:6379`, `10.0.0.1:6379-6381`, `:::6379`, `ipv4@…`, `/run/redis.sock`.
fn listening(text: &str, dual: bool) -> Result<Vec<String>, &'static str> {
    let (family, text) = match text.split_once('@') {
        Some((family, text)) => (family, text),
        None => ("", text),
    };
    if family == "unix" || text.starts_with('/') {
        return Ok(vec![format!("unix:{text}")]);
    }
    if !matches!(family, "" | "ipv4" | "ipv6" | "tcp" | "tcp4" | "tcp6") {
        return Err("an address of a kind that Redkeel does not have");
    }
    if text.contains('$') {
        return Err("an address from the environment: write it out");
    }
    let (host, ports) = text.rsplit_once(':').ok_or("it has no port")?;
    let hosts = match host.trim_matches(['[', ']']) {
        "" | "*" if family.ends_with('6') => vec!["[::]".to_owned()],
        "" | "*" => vec!["0.0.0.0".to_owned()],
        "::" if dual => vec!["0.0.0.0".to_owned(), "[::]".to_owned()],
        host if host.parse::<Ipv6Addr>().is_ok() => vec![format!("[{host}]")],
        host => vec![host.to_owned()],
    };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last): (u16, u16) =
        first.parse().ok().zip(last.parse().ok()).ok_or("its port is no number")?;
    if last < first || last - first >= MAX_PORTS {
        return Err("too many ports: list those that are used");
    }
    let at = |port| hosts.iter().map(move |host| format!("{host}:{port}"));
    Ok((first..=last).flat_map(at).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("*:6379", &["0.0.0.0:6379"][..]),
            (":6379", &["0.0.0.0:6379"]),
            ("10.0.0.1:6379-6380", &["10.0.0.1:6379", "10.0.0.1:6380"]),
            (":::6379", &["0.0.0.0:6379", "[::]:6379"]),
            ("[::1]:6379", &["[::1]:6379"]),
            ("ipv6@:6379", &["[::]:6379"]),
            ("ipv4@redis.internal:6379", &["redis.internal:6379"]),
            ("/run/r.sock", &["unix:/run/r.sock"]),
            ("unix@/run/r.sock", &["unix:/run/r.sock"]),
        ] {
            assert_eq!(listening(text, true).unwrap(), expected, "{text}");
        }
        for text in ["abns@x", "fd@3", "6379", "${IP}:6379", "a:b", "a:2-1", "a:1-65535"] {
            assert!(listening(text, false).is_err(), "{text}");
        }
    }
}

//! Addresses: `10.0.0.1:6379`, `[::1]:6379`, `redis.internal:6379`, `unix:/run/redis.sock`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

use super::{Kind, Show, wrong_type};
use crate::diagnostics::Report;
use crate::model::Endpoint;
use crate::tree::{Node, Value};

/// An address to listen at.
pub(crate) struct ListenAddress;

/// An address to listen at, or `"none"`.
pub(crate) struct AdminAddress;

/// What an address is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Listen,
    Connect,
}

/// Why a text is no address.
pub(super) struct Wrong {
    pub(super) message: &'static str,
    pub(super) help: String,
}

/// `sun_path` of Linux holds 108 bytes, the last of them 0.
const MAX_UNIX_PATH_BYTES: usize = 107;

impl Kind for ListenAddress {
    type Value = Endpoint;

    fn values(&self) -> String {
        "address".to_owned()
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<Endpoint> {
        match &node.value {
            Value::Text(text) => read(text, Use::Listen, node, report),
            _ => {
                wrong_type(key, "an address", "\"127.0.0.1:6379\"", node, report);
                None
            }
        }
    }
}

impl Kind for AdminAddress {
    type Value = Option<Endpoint>;

    fn values(&self) -> String {
        "address or \"none\"".to_owned()
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<Option<Endpoint>> {
        match &node.value {
            Value::Text(text) if text == "none" => Some(None),
            Value::Text(text) => read(text, Use::Listen, node, report).map(Some),
            _ => {
                wrong_type(key, "an address", "\"127.0.0.1:9736\"", node, report);
                None
            }
        }
    }
}

impl Show for AdminAddress {
    fn show(&self, endpoint: &Option<Endpoint>) -> String {
        endpoint.as_ref().map_or("\"none\"".to_owned(), |endpoint| format!("\"{endpoint}\""))
    }
}

/// An address to connect to, outside of a configuration. The error says what to write instead.
impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text, Use::Connect).map_err(|wrong| format!("{}; {}", wrong.message, wrong.help))
    }
}

fn read(text: &str, purpose: Use, node: &Node, report: &mut Report) -> Option<Endpoint> {
    match parse(text, purpose) {
        Ok(endpoint) => Some(endpoint),
        Err(wrong) => {
            report.error(node.span.clone(), wrong.message).with_help(wrong.help);
            None
        }
    }
}

pub(super) fn parse(text: &str, purpose: Use) -> Result<Endpoint, Wrong> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path);
    }
    if text.starts_with('/') {
        return Err(wrong(
            "a unix socket lacks its prefix",
            format!("did you mean `\"unix:{text}\"`?"),
        ));
    }
    if text.starts_with("srv:") {
        let help = "only `servers` takes names of services";
        return Err(wrong("a service is no address", help));
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        return Err(url(scheme, rest));
    }
    let (host, port) = split(text, purpose)?;
    let host = self::host(host, port, purpose)?;
    // Not `parse` alone, which takes a sign.
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    let port = match port.parse::<u16>() {
        Ok(0) if purpose == Use::Connect => {
            return Err(wrong(
                "a node cannot have port 0",
                format!("for example `\"{}\"`", at(&host, "6379")),
            ));
        }
        Ok(port) if digits => port,
        _ => {
            let help = "a port is a number up to 65535; weights and names of nodes go to \
                        `[pool.NAME.nodes.\"ADDRESS\"]`";
            return Err(wrong("not a port", help));
        }
    };
    Ok(Endpoint::Tcp { host, port })
}

pub(super) fn wrong(message: &'static str, help: impl Into<String>) -> Wrong {
    Wrong { message, help: help.into() }
}

/// `host:port`, with brackets where the host has colons.
fn at(host: &str, port: &str) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn unix(path: &str) -> Result<Endpoint, Wrong> {
    if !path.starts_with('/') {
        let help = "for example `\"unix:/run/redkeel/main.sock\"`";
        return Err(wrong("a unix socket needs an absolute path", help));
    }
    if path.len() > MAX_UNIX_PATH_BYTES || path.contains('\0') {
        let help = format!("at most {MAX_UNIX_PATH_BYTES} bytes, none of them 0");
        return Err(wrong("the system does not take this path for a socket", help));
    }
    Ok(Endpoint::Unix(PathBuf::from(path)))
}

/// Never shows what stands before an `@`.
fn url(scheme: &str, rest: &str) -> Wrong {
    if scheme == "unix" {
        return wrong("an address is not a URL", "for example `\"unix:/run/redkeel/main.sock\"`");
    }
    let host = rest.rsplit('@').next().unwrap_or(rest).split('/').next().unwrap_or_default();
    let mut help = match parse(host, Use::Connect) {
        Ok(endpoint) => format!("did you mean `\"{endpoint}\"`?"),
        Err(_) => "write host and port only, for example `\"10.0.0.1:6379\"`".to_owned(),
    };
    if rest.contains('@') {
        help.push_str(" Credentials go to `[pool.NAME.upstream]`");
    }
    wrong("an address is not a URL", help)
}

/// Host, without brackets, and port.
fn split(text: &str, purpose: Use) -> Result<(&str, &str), Wrong> {
    let no_port = match purpose {
        Use::Listen => "a listener needs a port",
        Use::Connect => "a server needs a port",
    };
    if let Some(rest) = text.strip_prefix('[') {
        return match rest.split_once(']') {
            Some((host, _)) if host.parse::<Ipv6Addr>().is_err() => {
                Err(wrong("not an IPv6 address", "brackets hold an IPv6 address: `\"[::1]:6379\"`"))
            }
            Some((host, "")) => Err(wrong(no_port, format!("for example `\"[{host}]:6379\"`"))),
            Some((host, rest)) if rest.starts_with(':') => Ok((host, &rest[1..])),
            _ => Err(wrong("not an address", "for example `\"[::1]:6379\"`")),
        };
    }
    match text.rsplit_once(':') {
        None if text.is_empty() => {
            Err(wrong("an empty address", "for example `\"10.0.0.1:6379\"`"))
        }
        None if purpose == Use::Listen && text.parse::<u16>().is_ok() => Err(wrong(
            "a listener needs an address before its port",
            format!(
                "`\"127.0.0.1:{text}\"` for this host only, `\"0.0.0.0:{text}\"` for every IPv4 address"
            ),
        )),
        None => Err(wrong(no_port, format!("for example `\"{text}:6379\"`"))),
        Some((host, port)) if host.contains(':') => {
            let help = match (host.parse::<Ipv6Addr>(), text.parse::<Ipv6Addr>()) {
                (Ok(_), _) => format!("did you mean `\"[{host}]:{port}\"`?"),
                (_, Ok(_)) => format!("did you mean `\"[{text}]:6379\"`?"),
                _ => "one host and one port: `\"10.0.0.1:6379\"`, `\"[::1]:6379\"`; weights and names \
                      of nodes go to `[pool.NAME.nodes.\"ADDRESS\"]`"
                    .to_owned(),
            };
            let message = if host.parse::<Ipv6Addr>().or(text.parse::<Ipv6Addr>()).is_ok() {
                "an IPv6 address needs brackets"
            } else {
                "not an address"
            };
            Err(wrong(message, help))
        }
        Some((host, "")) => Err(wrong(no_port, format!("for example `\"{host}:6379\"`"))),
        Some(split) => Ok(split),
    }
}

/// In one spelling: IP addresses as their standard library prints them, names in lower case.
fn host(host: &str, port: &str, purpose: Use) -> Result<String, Wrong> {
    if host.is_empty() || host == "*" {
        return Err(match purpose {
            Use::Listen => wrong(
                "a listener needs an address before its port",
                format!(
                    "`\"0.0.0.0:{port}\"` for every IPv4 address, `\"[::]:{port}\"` for every IPv6 one"
                ),
            ),
            Use::Connect => {
                wrong("a server needs a host", format!("for example `\"10.0.0.1:{port}\"`"))
            }
        });
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        if purpose == Use::Connect && ip.is_unspecified() {
            let help = format!("for example `\"127.0.0.1:{port}\"`");
            return Err(wrong("this address stands for no host", help));
        }
        return Ok(ip.to_string());
    }
    // A name's last label is never all digits (RFC 3696 §2): this was meant as an IPv4 address.
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.rsplit('.').next().unwrap_or(name).bytes().all(|b| b.is_ascii_digit()) {
        let help =
            format!("four numbers up to 255, for example `\"{}:{port}\"`", Ipv4Addr::LOCALHOST);
        return Err(wrong("not an IPv4 address", help));
    }
    host_name(name)?;
    Ok(host.to_ascii_lowercase())
}

pub(super) fn host_name(name: &str) -> Result<(), Wrong> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(letter);
    if name.len() > 253 || !name.split('.').all(label) {
        let help = "a host is a name of letters, digits, `-`, `_` and dots, or an IP address; \
                    several addresses are several strings";
        return Err(wrong("not a host name", help));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Option<Endpoint> {
        Some(Endpoint::Tcp { host: host.to_owned(), port })
    }

    #[test]
    fn addresses() {
        for (text, listen, connect) in [
            ("10.0.0.1:6379", tcp("10.0.0.1", 6379), tcp("10.0.0.1", 6379)),
            ("[::1]:6379", tcp("::1", 6379), tcp("::1", 6379)),
            ("[0:0:0::1]:6379", tcp("::1", 6379), tcp("::1", 6379)),
            ("Redis.Internal:6379", tcp("redis.internal", 6379), tcp("redis.internal", 6379)),
            ("a_b-c.d.:1", tcp("a_b-c.d.", 1), tcp("a_b-c.d.", 1)),
            ("localhost:65535", tcp("localhost", 65535), tcp("localhost", 65535)),
            ("0.0.0.0:6379", tcp("0.0.0.0", 6379), None),
            ("[::]:6379", tcp("::", 6379), None),
            ("127.0.0.1:0", tcp("127.0.0.1", 0), None),
        ] {
            assert_eq!(parse(text, Use::Listen).ok(), listen, "{text}");
            assert_eq!(parse(text, Use::Connect).ok(), connect, "{text}");
        }
        let socket = Endpoint::Unix(PathBuf::from("/run/x.sock"));
        assert_eq!(parse("unix:/run/x.sock", Use::Connect).ok(), Some(socket));
    }

    #[test]
    fn no_addresses() {
        for text in [
            "",
            ":",
            "*",
            "a",
            "a:",
            ":1",
            "*:1",
            "a:b",
            "a:65536",
            "a:-1",
            "a:+1:",
            "::1",
            "::1:6379",
            "[::1]",
            "[::1",
            "[::1]6379",
            "[a]:1",
            "10.0.0.256:1",
            "10.0.0:1",
            "1:2",
            "a b:1",
            "a..b:1",
            "a,b:1",
            "redis://a:1",
            "redis://u:p@a:1",
            "/run/x",
            "unix:x",
            "unix:",
            "srv:_redis._tcp.x",
            "10.0.0.1:6379:1 name",
            "é:1",
        ] {
            assert!(parse(text, Use::Listen).is_err(), "{text}");
            assert!(parse(text, Use::Connect).is_err(), "{text}");
        }
        assert!(parse(&format!("unix:/{}", "x".repeat(107)), Use::Listen).is_err());
    }

    #[test]
    fn a_url_gives_its_credentials_away_nowhere() {
        let wrong = parse("redis://app:hunter2@10.0.0.1:6379/0", Use::Connect).err().unwrap();
        assert!(
            !wrong.help.contains("hunter2") && wrong.help.contains("10.0.0.1:6379"),
            "{}",
            wrong.help
        );
    }
}

//! The shards of a pool: `"host:port:weight name"`, or a table with a name, a weight and nodes.

use std::net::Ipv6Addr;

use routing::{Distribution, LONGEST_NAME};

use super::address::{self, Use};
use super::{Kind, Placed, wrong_entry, wrong_type};
use crate::diagnostics::Report;
use crate::model::{Endpoint, ServerName};
use crate::options::shards;
use crate::section::Section;
use crate::tree::{Node, Span, Value};

/// A list of shards.
pub(crate) struct ShardList;

/// What the distribution calls a shard.
pub(crate) struct ShardName;

/// More would be a mistake: each has nodes, probes and connections of its own.
pub(crate) const MAX_SHARDS: usize = 1000;

/// Of one shard; all together have a limit of their own.
pub(crate) const MAX_WEIGHT: u32 = 100_000;

const EXAMPLE: &str = "\"10.0.0.1:6379:1 server1\"";

/// One shard as written.
#[derive(Debug)]
pub(crate) struct ShardEntry {
    pub(crate) name: Name,
    /// Where the name stands.
    pub(crate) name_span: Span,
    pub(crate) weight: u32,
    pub(crate) servers: Vec<Placed<ServerName>>,
    /// Stands for the entry as a whole.
    pub(crate) span: Span,
}

/// What a shard is called.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// As written.
    Given(String),
    /// By its address: as the distribution has it.
    OfAddress(String, u16),
    /// By the path of its socket: as the distribution has it.
    OfPath(String),
}

impl Name {
    pub(crate) fn text(&self, distribution: Distribution) -> String {
        match self {
            Self::Given(name) => name.clone(),
            Self::OfAddress(host, port) => distribution.name_of_address(host, *port),
            Self::OfPath(path) => distribution.name_of_path(path),
        }
    }
}

impl Kind for ShardList {
    type Value = Vec<ShardEntry>;

    fn values(&self) -> String {
        "list of nodes and tables".to_owned()
    }

    /// A wrong one is reported and left out.
    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<Self::Value> {
        let Value::List(items) = &node.value else {
            wrong_type(key, "a list of shards", &format!("[{EXAMPLE}]"), node, report);
            return None;
        };
        if items.is_empty() || items.len() > MAX_SHARDS {
            let what = if items.is_empty() { "is empty" } else { "has too many entries" };
            report
                .error(node.span.clone(), format!("`{key}` {what}"))
                .with_help(format!("one to {MAX_SHARDS} shards, for example `{EXAMPLE}`"));
            return None;
        }
        Some(items.iter().filter_map(|item| shard(key, item, report)).collect())
    }
}

fn shard(key: &str, node: &Node, report: &mut Report) -> Option<ShardEntry> {
    let span = node.span.clone();
    match &node.value {
        Value::Text(text) => match line(text) {
            Ok((name, weight, server)) => Some(ShardEntry {
                name,
                name_span: span.clone(),
                weight,
                servers: vec![Placed { value: server, span: span.clone() }],
                span,
            }),
            Err(wrong) => {
                report.error(span, wrong.message).with_help(wrong.help);
                None
            }
        },
        Value::Table(fields) => {
            let place = shards::SHARD.place;
            let mut section = Section::new(place, &shards::SHARD, fields, span.clone());
            section.check_keys(report);
            section.require(shards::NAME.key, shards::NAME.example, report);
            section.require(shards::NODES.key, shards::NODES.example, report);
            let name = section.placed(&shards::NAME, report);
            let weight = section.setting(&shards::WEIGHT, report);
            let servers = section.optional(&shards::NODES, report);
            let (name, servers) = (name?, servers?);
            let (name, name_span) = (Name::Given(name.value), name.span);
            let entry = ShardEntry { name, name_span, weight, servers, span };
            (!section.is_broken()).then_some(entry)
        }
        _ => {
            wrong_entry(key, "a node or a table", EXAMPLE, node, report);
            None
        }
    }
}

impl Kind for ShardName {
    type Value = String;

    fn values(&self) -> String {
        "text without spaces".to_owned()
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<String> {
        let Value::Text(text) = &node.value else {
            wrong_type(key, "a string", "\"server1\"", node, report);
            return None;
        };
        match check_name(text) {
            Ok(()) => Some(text.clone()),
            Err(wrong) => {
                report.error(node.span.clone(), wrong.message).with_help(wrong.help);
                None
            }
        }
    }
}

fn check_name(name: &str) -> Result<(), address::Wrong> {
    let is_wrong = |c: char| c.is_whitespace() || c.is_control();
    if name.is_empty() || name.len() > LONGEST_NAME || name.contains(is_wrong) {
        let help = format!(
            "one to {LONGEST_NAME} bytes, no spaces and no control characters: `\"server1\"`"
        );
        return Err(address::wrong("not a name for a shard", help));
    }
    Ok(())
}

/// `host:port`, `host:port:weight` or `host:port:weight name`; the same with `unix:/path` for host and port.
fn line(text: &str) -> Result<(Name, u32, ServerName), address::Wrong> {
    let text = text.trim();
    let (place, name) = match text.rsplit_once([' ', '\t']) {
        Some((place, name)) => (place.trim_end(), Some(name)),
        None => (text, None),
    };
    let (place, weight) = split_weight(place)?;
    if place.starts_with("srv:") {
        let help = "write it as a table: `{ name = \"server1\", servers = [\"srv:_redis._tcp.internal\"] }`";
        return Err(address::wrong("a service is no single node", help));
    }
    let endpoint = address::parse(place, Use::Connect)?;
    if let Some(name) = name {
        check_name(name)?;
    }
    let name = name.map_or_else(|| unnamed(place, &endpoint), |name| Name::Given(name.to_owned()));
    Ok((name, weight, ServerName::At(endpoint)))
}

/// The host as written: the distribution hashes it.
fn unnamed(place: &str, endpoint: &Endpoint) -> Name {
    match endpoint {
        Endpoint::Unix(path) => Name::OfPath(path.display().to_string()),
        Endpoint::Tcp { port, .. } => {
            let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
            Name::OfAddress(host.trim_matches(['[', ']']).to_owned(), *port)
        }
    }
}

/// The place without the weight behind it, which is 1 where there is none.
fn split_weight(place: &str) -> Result<(&str, u32), address::Wrong> {
    let Some((before, weight)) = place.rsplit_once(':') else { return Ok((place, 1)) };
    if place.contains("://") {
        // What is wrong with a URL is said of an address.
        return Ok((place, 1));
    }
    let is_path = place.starts_with(['/', 'u']) && place.contains('/');
    let is_weighted = match before.rsplit_once(']') {
        _ if is_path => before.contains('/') && weight.bytes().all(|b| b.is_ascii_digit()),
        Some((_, port)) => !port.is_empty(),
        None => match before.rsplit_once(':') {
            Some((host, port)) if host.contains(':') => {
                return Err(unbracketed(host, port, weight));
            }
            Some(_) => true,
            None => false,
        },
    };
    if !is_weighted {
        return Ok((place, 1));
    }
    let digits = !weight.is_empty() && weight.bytes().all(|b| b.is_ascii_digit());
    match weight.parse() {
        Ok(weight @ 1..=MAX_WEIGHT) if digits => Ok((before, weight)),
        _ => {
            let help = format!("a number from 1 to {MAX_WEIGHT} behind the port: `{EXAMPLE}`");
            Err(address::wrong("not a weight", help))
        }
    }
}

/// twemproxy takes IPv6 addresses as they are; here they have brackets, as everywhere in the file.
fn unbracketed(host: &str, port: &str, weight: &str) -> address::Wrong {
    match host.parse::<Ipv6Addr>() {
        Ok(_) => address::wrong(
            "an IPv6 address needs brackets",
            format!("did you mean `\"[{host}]:{port}:{weight}\"`?"),
        ),
        Err(_) => address::wrong("not a shard", format!("for example `{EXAMPLE}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        for (text, name, weight, server) in [
            ("10.0.0.1:6379", "10.0.0.1:6379", 1, "10.0.0.1:6379"),
            ("10.0.0.1:6379:5", "10.0.0.1:6379", 5, "10.0.0.1:6379"),
            ("10.0.0.1:6379:5 server1", "server1", 5, "10.0.0.1:6379"),
            ("10.0.0.1:6379 server1", "server1", 1, "10.0.0.1:6379"),
            ("  10.0.0.1:6379:5 \t server1 ", "server1", 5, "10.0.0.1:6379"),
            ("Redis-1.Internal:6379:1", "Redis-1.Internal:6379", 1, "redis-1.internal:6379"),
            ("10.0.0.1:11211:1", "10.0.0.1", 1, "10.0.0.1:11211"),
            ("10.0.0.1:11211:1 10.0.0.1:11211", "10.0.0.1:11211", 1, "10.0.0.1:11211"),
            ("[::1]:6379", "::1:6379", 1, "[::1]:6379"),
            ("[::1]:6379:2", "::1:6379", 2, "[::1]:6379"),
            ("unix:/tmp/r.sock", "/tmp/r.sock:", 1, "unix:/tmp/r.sock"),
            ("unix:/tmp/r.sock:3", "/tmp/r.sock:", 3, "unix:/tmp/r.sock"),
            ("unix:/tmp/r.sock:3 a", "a", 3, "unix:/tmp/r.sock"),
        ] {
            let (found, of, at) = line(text).ok().unwrap_or_else(|| panic!("{text}"));
            let found = found.text(Distribution::Ketama);
            assert_eq!((&*found, of, &*at.to_string()), (name, weight, server), "{text}");
        }
    }

    #[test]
    fn no_lines() {
        for text in [
            "",
            " ",
            "server1",
            "10.0.0.1",
            "10.0.0.1:6379:0",
            "10.0.0.1:6379:",
            "10.0.0.1:6379:+1",
            "10.0.0.1:6379:100001",
            "10.0.0.1:6379:a",
            "10.0.0.1:6379:1:1",
            "::1:6379:1",
            "[::1]:6379:0",
            "[::1]:1:1:1",
            "/tmp/r.sock:1",
            "unix:r.sock:1",
            "srv:_redis._tcp.internal",
            "10.0.0.1:6379:1 a b",
            "10.0.0.1:6379:1 \u{7f}",
        ] {
            assert!(line(text).is_err(), "{text}");
        }
    }
}

//! The nodes of a pool: addresses, and names of services.

use super::address::{self, Use};
use super::{Kind, Placed, wrong_entry, wrong_type};
use crate::diagnostics::Report;
use crate::model::ServerName;
use crate::tree::{Node, Value};

/// A list of the nodes' addresses.
pub(crate) struct Servers;

impl Kind for Servers {
    type Value = Vec<Placed<ServerName>>;

    fn values(&self) -> String {
        "list of addresses and `srv:` names".to_owned()
    }

    /// A wrong one is reported and left out.
    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<Self::Value> {
        let Value::List(items) = &node.value else {
            wrong_type(key, "a list of addresses", "[\"10.0.0.1:6379\"]", node, report);
            return None;
        };
        if items.is_empty() {
            report
                .error(node.span.clone(), format!("`{key}` is empty"))
                .with_help("name at least one node, for example `\"10.0.0.1:6379\"`");
            return None;
        }
        let mut servers = Vec::new();
        for item in items {
            let Value::Text(text) = &item.value else {
                wrong_entry(key, "an address", "\"10.0.0.1:6379\"", item, report);
                continue;
            };
            match parse(text) {
                Ok(value) => servers.push(Placed { value, span: item.span.clone() }),
                Err(wrong) => {
                    report.error(item.span.clone(), wrong.message).with_help(wrong.help);
                }
            }
        }
        Some(servers)
    }
}

/// The server that a text names.
pub(crate) fn parse_server(text: &str) -> Option<ServerName> {
    parse(text).ok()
}

fn parse(text: &str) -> Result<ServerName, address::Wrong> {
    match text.strip_prefix("srv:") {
        Some(name) => service(name).map(ServerName::Service),
        None => address::parse(text, Use::Connect).map(ServerName::At),
    }
}

/// `_service._protocol.name` (RFC 2782), without a port: the records have it.
fn service(name: &str) -> Result<String, address::Wrong> {
    if name.contains(':') {
        let (name, _) = name.rsplit_once(':').unwrap_or((name, ""));
        let help = format!("the records have the ports: `\"srv:{name}\"`");
        return Err(address::wrong("an `srv:` name has no port", help));
    }
    let labels: Vec<&str> = name.split('.').collect();
    if labels.len() < 3 || !labels.iter().take(2).all(|label| label.starts_with('_')) {
        let help = "for example `\"srv:_redis._tcp.internal\"`";
        return Err(address::wrong("not the name of a service", help));
    }
    address::host_name(name).map(|()| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services() {
        for (text, name) in [
            ("srv:_redis._tcp.internal", Some("_redis._tcp.internal")),
            (
                "srv:_Redis._TCP.redis.default.svc.cluster.local.",
                Some("_redis._tcp.redis.default.svc.cluster.local."),
            ),
            ("srv:_redis._tcp.internal:6379", None),
            ("srv:redis.internal", None),
            ("srv:_redis._tcp", None),
            ("srv:_redis._tcp..x", None),
            ("srv:", None),
            ("srv:_a._b.c d", None),
        ] {
            let expected = name.map(|name| ServerName::Service(name.to_owned()));
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn what_a_server_prints_is_read_back() {
        for text in [
            "10.0.0.1:6379",
            "[fe80::1]:6379",
            "redis.internal:6379",
            "unix:/run/x.sock",
            "srv:_redis._tcp.internal",
        ] {
            assert_eq!(parse_server(text).map(|server| server.to_string()).as_deref(), Some(text));
        }
    }
}

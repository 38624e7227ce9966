//! What several parts of Envoy's configuration are written with.

use std::time::Duration;

use crate::value::Value;
use crate::yaml::Node;

/// A value within mappings: the keys in turn.
pub(super) fn at<'a>(node: &'a Node, path: &[&str]) -> Option<&'a Node> {
    path.iter().try_fold(node, |node, key| node.get(key))
}

pub(super) fn text<'a>(node: &'a Node, path: &[&str]) -> Option<&'a str> {
    at(node, path).and_then(Node::scalar)
}

/// A duration of protobuf's JSON: `0.25s`, `5s`.
pub(super) fn duration(text: &str) -> Option<Value> {
    let number = text.strip_suffix('s')?;
    let (seconds, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if seconds.is_empty() || !digits(seconds) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let nanos: u64 = format!("{fraction:0<9}").parse().ok()?;
    Some(Value::duration(Duration::from_secs(seconds.parse().ok()?) + Duration::from_nanos(nanos)))
}

pub(super) fn flag(node: &Node, path: &[&str]) -> bool {
    text(node, path) == Some("true")
}

/// A text, a file or an environment variable (`DataSource`), as a password.
pub(super) fn secret(node: &Node) -> Option<Value> {
    if let Some(text) = node.scalar().or(text(node, &["inline_string"])) {
        return Some(Value::text(text));
    }
    if let Some(path) = text(node, &["filename"]) {
        return Some(Value::Table(vec![("file", Value::text(path))]));
    }
    let name = text(node, &["environment_variable"])?;
    Some(Value::Table(vec![("env", Value::text(name))]))
}

/// `socket_address` or `pipe`, as Redkeel writes it. IPv6 addresses have no brackets in Envoy's files.
pub(super) fn address(node: &Node) -> Option<Address> {
    if let Some(path) = text(node, &["pipe", "path"]) {
        return Some(Address {
            host: String::new(),
            written: format!("unix:{path}"),
            hashed: path.to_owned(),
        });
    }
    let host = text(node, &["socket_address", "address"])?;
    let port = text(node, &["socket_address", "port_value"])?;
    let written = match host.parse::<std::net::Ipv6Addr>() {
        Ok(_) => format!("[{host}]:{port}"),
        Err(_) => format!("{host}:{port}"),
    };
    Some(Address { host: host.to_owned(), hashed: written.clone(), written })
}

/// An address of a listener or of a host.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// Empty: the path of a socket.
    pub(super) host: String,
    pub(super) written: String,
    /// What Envoy's rings hash, if it is no name.
    pub(super) hashed: String,
}

impl Address {
    /// Is it a name that has to be resolved?
    pub(super) fn is_name(&self) -> bool {
        !self.host.is_empty() && self.host.parse::<std::net::IpAddr>().is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in
            [("5s", "\"5s\""), ("0.25s", "\"250ms\""), ("0s", "\"0s\""), ("0.0001s", "\"100us\"")]
        {
            assert_eq!(duration(text).unwrap().to_string(), expected);
        }
        for text in ["5", "s", "-1s", "1.s5", "1e3s", "99999999999999999999999s"] {
            assert!(duration(text).is_none(), "{text}");
        }
    }
}

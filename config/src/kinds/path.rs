//! Paths of files, and names of hosts.

use std::net::IpAddr;
use std::path::PathBuf;

use super::{Kind, wrong_entry, wrong_type};
use crate::diagnostics::Report;
use crate::tree::{Node, Value};

/// A path.
pub(crate) struct OneFile;

/// A path or a list of them.
pub(crate) struct OneOrMoreFiles;

/// A name of DNS or an IP address, without a port.
pub(crate) struct HostName;

const EXAMPLE: &str = "\"server.pem\"";

/// Certificates at one listener.
const MOST_FILES: usize = 64;

impl Kind for OneFile {
    type Value = PathBuf;

    fn values(&self) -> String {
        "path".to_owned()
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<PathBuf> {
        match &node.value {
            Value::Text(text) => path(key, text, node, report),
            _ => {
                wrong_type(key, "a path", EXAMPLE, node, report);
                None
            }
        }
    }
}

impl Kind for OneOrMoreFiles {
    type Value = Vec<PathBuf>;

    fn values(&self) -> String {
        "path or list of paths".to_owned()
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<Vec<PathBuf>> {
        let items = match &node.value {
            Value::Text(text) => return path(key, text, node, report).map(|path| vec![path]),
            Value::List(items) => items,
            _ => {
                wrong_type(key, "a path or a list of paths", EXAMPLE, node, report);
                return None;
            }
        };
        if items.is_empty() || items.len() > MOST_FILES {
            let what = if items.is_empty() { "is empty" } else { "has too many entries" };
            report
                .error(node.span.clone(), format!("`{key}` {what}"))
                .with_help(format!("one to {MOST_FILES} files, for example `{EXAMPLE}`"));
            return None;
        }
        items
            .iter()
            .map(|item| match &item.value {
                Value::Text(text) => path(key, text, item, report),
                _ => {
                    wrong_entry(key, "a path", EXAMPLE, item, report);
                    None
                }
            })
            .collect()
    }
}

fn path(key: &str, text: &str, node: &Node, report: &mut Report) -> Option<PathBuf> {
    if text.is_empty() || text.contains(char::is_control) {
        report
            .error(node.span.clone(), format!("`{key}` is no path"))
            .with_help(format!("for example `{EXAMPLE}`"));
        return None;
    }
    Some(text.into())
}

impl Kind for HostName {
    type Value = String;

    fn values(&self) -> String {
        "name or IP address".to_owned()
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<String> {
        let Value::Text(text) = &node.value else {
            wrong_type(key, "a name", "\"redis.internal\"", node, report);
            return None;
        };
        if text.parse::<IpAddr>().is_ok() || is_name(text) {
            return Some(text.clone());
        }
        report
            .error(node.span.clone(), format!("`{key}` is neither a name nor an IP address"))
            .with_help("as in the certificate, without a port: for example `\"redis.internal\"`");
        None
    }
}

/// RFC 1123, section 2.1, with the underscores that many networks use.
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(allowed)
    };
    text.len() <= 253 && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (text, expected) in [
            ("redis.internal", true),
            ("redis.internal.", true),
            ("a_b", true),
            ("", false),
            ("a..b", false),
            ("*.internal", false),
            ("redis:6379", false),
            ("a b", false),
        ] {
            assert_eq!(is_name(text), expected, "{text}");
        }
    }
}

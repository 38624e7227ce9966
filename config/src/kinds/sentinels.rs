//! The addresses of Sentinels.

use super::{Kind, Placed, parse_server, wrong_entry, wrong_type};
use crate::diagnostics::Report;
use crate::model::Endpoint;
use crate::tree::{Node, Value};

/// A list of the Sentinels' addresses, each once.
pub(crate) struct Sentinels;

const EXAMPLE: &str = "\"10.0.0.1:26379\"";

/// Sentinels that are asked, with those that are found.
const MOST: usize = 32;

impl Kind for Sentinels {
    type Value = Vec<Endpoint>;

    fn values(&self) -> String {
        "list of addresses".to_owned()
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<Self::Value> {
        let Value::List(items) = &node.value else {
            wrong_type(key, "a list of addresses", "[\"10.0.0.1:26379\"]", node, report);
            return None;
        };
        if items.is_empty() || items.len() > MOST {
            let what = if items.is_empty() { "is empty" } else { "has too many entries" };
            report
                .error(node.span.clone(), format!("`{key}` {what}"))
                .with_help(format!("one to {MOST} Sentinels, for example `{EXAMPLE}`"));
            return None;
        }
        let mut read: Vec<Placed<Endpoint>> = Vec::new();
        let mut right = true;
        for item in items {
            let Some(value) = sentinel(key, item, report) else {
                right = false;
                continue;
            };
            if let Some(other) = read.iter().find(|other| other.value == value) {
                report
                    .error(item.span.clone(), format!("`{value}` stands twice in `{key}`"))
                    .with_related(other.span.clone(), "here first")
                    .with_help("name each Sentinel once: their majority counts");
                right = false;
            }
            read.push(Placed { value, span: item.span.clone() });
        }
        right.then(|| read.into_iter().map(|sentinel| sentinel.value).collect())
    }
}

fn sentinel(key: &str, item: &Node, report: &mut Report) -> Option<Endpoint> {
    let Value::Text(text) = &item.value else {
        wrong_entry(key, "an address", EXAMPLE, item, report);
        return None;
    };
    let (message, help) = match (text.parse::<Endpoint>(), parse_server(&format!("{text}:26379"))) {
        (Ok(endpoint @ Endpoint::Tcp { .. }), _) => return Some(endpoint),
        (Ok(Endpoint::Unix(_)), _) => (
            "a Sentinel is not reached by a unix socket".to_owned(),
            format!("for example `{EXAMPLE}`"),
        ),
        (Err(_), Some(endpoint)) => {
            ("a Sentinel needs a port".to_owned(), format!("for example `\"{endpoint}\"`"))
        }
        (Err(wrong), None) => {
            let (message, help) = wrong.split_once("; ").unwrap_or((&wrong, EXAMPLE));
            (message.to_owned(), help.to_owned())
        }
    };
    report.error(item.span.clone(), message).with_help(help);
    None
}

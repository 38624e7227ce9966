//! Lists of networks.

use super::{Kind, wrong_entry, wrong_type};
use crate::diagnostics::Report;
use crate::network::Network;
use crate::tree::{Node, Value};

/// A list of networks and single addresses.
pub(crate) struct Networks;

const EXAMPLE: &str = "\"10.0.0.0/8\"";

impl Kind for Networks {
    type Value = Vec<Network>;

    fn values(&self) -> String {
        "list of networks".to_owned()
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<Vec<Network>> {
        let Value::List(items) = &node.value else {
            wrong_type(key, "a list of networks", "[\"10.0.0.0/8\"]", node, report);
            return None;
        };
        let networks: Vec<Network> =
            items.iter().filter_map(|item| network(key, item, report)).collect();
        (networks.len() == items.len()).then_some(networks)
    }
}

fn network(key: &str, item: &Node, report: &mut Report) -> Option<Network> {
    let Value::Text(text) = &item.value else {
        wrong_entry(key, "a network", EXAMPLE, item, report);
        return None;
    };
    let help = match text.parse() {
        Ok(network) => return Some(network),
        Err(Some(meant)) => {
            format!("bits behind the network's own are set; did you mean `\"{meant}\"`?")
        }
        Err(None) => format!("for example `{EXAMPLE}`, or one address"),
    };
    report
        .error(item.span.clone(), format!("`{key}` contains what is not a network"))
        .with_help(help);
    None
}

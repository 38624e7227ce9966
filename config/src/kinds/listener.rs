//! Listeners: an address, or a table with an address, a mode and a role.

use super::{Kind, ListenAddress, Placed, wrong_type};
use crate::diagnostics::Report;
use crate::model::{Endpoint, TcpRole};
use crate::network::Network;
use crate::options::listener;
use crate::section::Section;
use crate::tree::{Node, Value};

/// One listener or a list of them.
pub(crate) struct Listeners;

/// A listener as written: its mode may be the pool's.
#[derive(Debug)]
pub(crate) struct ListenerEntry {
    pub(crate) address: Placed<Endpoint>,
    pub(crate) mode: Option<ModeName>,
    pub(crate) role: Option<Placed<TcpRole>>,
    pub(crate) proxy_protocol: bool,
    pub(crate) allow: Option<Vec<Network>>,
    pub(crate) deny: Option<Vec<Network>>,
    pub(crate) tls: Option<Placed<bool>>,
}

/// A mode as written: `tcp` needs a role beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModeName {
    Split,
    Write,
    Read,
    Tcp,
}

impl Kind for Listeners {
    type Value = Vec<ListenerEntry>;

    fn values(&self) -> String {
        "address, table, or list of them".to_owned()
    }

    /// A wrong one is reported and left out.
    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<Self::Value> {
        match &node.value {
            Value::List(items) if items.is_empty() => {
                report
                    .error(node.span.clone(), format!("`{key}` is empty"))
                    .with_help("name at least one address, for example `\"127.0.0.1:6379\"`");
                None
            }
            Value::List(items) => {
                Some(items.iter().filter_map(|item| listener(key, item, report)).collect())
            }
            _ => Some(listener(key, node, report).into_iter().collect()),
        }
    }
}

fn listener(key: &str, node: &Node, report: &mut Report) -> Option<ListenerEntry> {
    let span = node.span.clone();
    match &node.value {
        Value::Text(_) => {
            let value = ListenAddress.read(key, node, report)?;
            Some(ListenerEntry {
                address: Placed { value, span },
                mode: None,
                role: None,
                proxy_protocol: false,
                allow: None,
                deny: None,
                tls: None,
            })
        }
        Value::Table(fields) => {
            let mut section = Section::new(listener::TABLE.place, &listener::TABLE, fields, span);
            section.check_keys(report);
            let mode = section.optional(&listener::MODE, report);
            let role = section.placed(&listener::ROLE, report);
            let proxy_protocol = section.setting(&listener::PROXY_PROTOCOL, report);
            let allow = section.optional(&listener::ALLOW, report);
            let deny = section.optional(&listener::DENY, report);
            let tls = section.placed(&listener::TLS, report);
            section.require(listener::ADDRESS.key, listener::ADDRESS.example, report);
            let address = section.placed(&listener::ADDRESS, report)?;
            (!section.is_broken()).then_some(ListenerEntry {
                address,
                mode,
                role,
                proxy_protocol,
                allow,
                deny,
                tls,
            })
        }
        _ => {
            wrong_type(key, "an address or a table", "\"127.0.0.1:6379\"", node, report);
            None
        }
    }
}

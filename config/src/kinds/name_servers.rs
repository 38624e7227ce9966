//! Name servers: IP addresses, with a port where it is not 53.

use std::net::{IpAddr, SocketAddr};

use super::{Kind, Show, wrong_entry, wrong_type};
use crate::diagnostics::Report;
use crate::tree::{Node, Value};

/// A list of name servers.
pub(crate) struct NameServers;

/// The port of DNS.
const PORT: u16 = 53;

impl Kind for NameServers {
    type Value = Vec<SocketAddr>;

    fn values(&self) -> String {
        "list of IP addresses, with or without port".to_owned()
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<Vec<SocketAddr>> {
        let Value::List(items) = &node.value else {
            wrong_type(key, "a list of IP addresses", "[\"10.0.0.53:53\"]", node, report);
            return None;
        };
        let mut servers = Vec::new();
        for item in items {
            let Value::Text(text) = &item.value else {
                wrong_entry(key, "an IP address", "\"10.0.0.53:53\"", item, report);
                continue;
            };
            let ip = || text.parse().map(|ip: IpAddr| SocketAddr::new(ip, PORT));
            match text.parse().or_else(|_| ip()) {
                Ok(server) if server.port() != 0 => servers.push(server),
                _ => {
                    report
                        .error(item.span.clone(), "not the address of a name server")
                        .with_help("an IP address, not a name: `\"10.0.0.53\"`, `\"10.0.0.53:5353\"`, `\"[::1]:53\"`");
                }
            }
        }
        Some(servers)
    }
}

impl Show for NameServers {
    fn show(&self, servers: &Vec<SocketAddr>) -> String {
        let quoted: Vec<String> = servers.iter().map(|server| format!("\"{server}\"")).collect();
        format!("[{}]", quoted.join(", "))
    }
}

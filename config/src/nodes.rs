//! The nodes of a pool: `servers`, and what is particular to one of them.

use std::collections::BTreeMap;

use crate::diagnostics::Report;
use crate::kinds::{Placed, listed, parse_server};
use crate::model::{NodeOptions, ServerName};
use crate::options::{pool, shards};
use crate::section::{Section, table_fields};
use crate::suggest;
use crate::tree::{Field, Node, Value};

/// The servers of a pool, each once.
pub(crate) fn servers(section: &mut Section<'_>, report: &mut Report) -> Vec<Placed<ServerName>> {
    let mut servers: Vec<Placed<ServerName>> = Vec::new();
    for server in section.optional(&pool::SERVERS, report).unwrap_or_default() {
        match servers.iter().find(|other| other.value == server.value) {
            Some(other) => {
                report
                    .error(server.span, format!("`{}` stands twice in `servers`", server.value))
                    .with_related(other.span.clone(), "here first")
                    .with_help("name each node once");
            }
            None => servers.push(server),
        }
    }
    servers
}

/// What is particular to one node, by the text of its name.
pub(crate) fn nodes(
    pool: &mut Section<'_>,
    path: &str,
    servers: &[Placed<ServerName>],
    report: &mut Report,
) -> BTreeMap<String, NodeOptions> {
    let Some(field) = pool.field("nodes") else { return BTreeMap::new() };
    let path = format!("{path}.nodes");
    let example = format!("{path}.\"ADDRESS\"");
    let fields = table_fields(&example, field, report).unwrap_or_default();
    let mut nodes = BTreeMap::new();
    for field in fields {
        let Some(name) = server_name(pool, field, servers, report) else { continue };
        let path = format!("{path}.\"{}\"", field.key);
        let Some(inner) = table_fields(&path, field, report) else { continue };
        let place = format!("`[{path}]`");
        let mut section = Section::new(&place, &pool::NODE, inner, field.node.span.clone());
        section.check_keys(report);
        let options = NodeOptions {
            weight: section.setting(&pool::WEIGHT, report),
            zone: section.optional(&pool::NODE_ZONE, report),
            backup: section.setting(&pool::BACKUP, report),
        };
        if nodes.insert(name, options).is_some() {
            report
                .error(field.key_span.clone(), "this node stands twice in `nodes`")
                .with_help("write all of its options under one header");
        }
    }
    warn_of_nobody(field, servers.len(), &nodes, report);
    nodes
}

/// The name of the server that an entry of `nodes` is about.
fn server_name(
    pool: &Section<'_>,
    field: &Field,
    servers: &[Placed<ServerName>],
    report: &mut Report,
) -> Option<String> {
    let named = parse_server(&field.key);
    let server = servers.iter().find(|server| Some(&server.value) == named.as_ref());
    if let Some(server) = server {
        return Some(server.value.to_string());
    }
    let is_named = [pool::SERVERS.key, shards::KEY].iter().any(|key| pool.field(key).is_some());
    if !is_named {
        return listed_name(named, field, report);
    }
    // What is wrong with `servers` was reported there.
    if !servers.is_empty() && !is_written(&field.key, pool.field(pool::SERVERS.key)) {
        let names: Vec<String> = servers.iter().map(|server| server.value.to_string()).collect();
        let known = || names.iter().map(String::as_str);
        let help = match suggest::nearest(&field.key, known()) {
            Some(near) => format!("did you mean `\"{near}\"`? Or add it to `servers`"),
            None => format!("an address as in `servers`, in quotes: {}", listed(known())),
        };
        report
            .error(field.key_span.clone(), format!("`{}` is no server of this pool", field.key))
            .with_help(help);
    }
    None
}

/// Whether Sentinel lists such a node is not known yet.
fn listed_name(endpoint: Option<ServerName>, field: &Field, report: &mut Report) -> Option<String> {
    if endpoint.is_none() {
        report
            .error(field.key_span.clone(), format!("`{}` is no address", field.key))
            .with_help("host and port in quotes, as Sentinel lists them: `\"10.0.0.1:6379\"`");
    }
    endpoint.map(|endpoint| endpoint.to_string())
}

fn is_written(text: &str, servers: Option<&Field>) -> bool {
    let Some(Field { node: Node { value: Value::List(items), .. }, .. }) = servers else {
        return false;
    };
    items.iter().any(|item| matches!(&item.value, Value::Text(server) if server == text))
}

/// Options that leave no node to read from are hardly meant.
fn warn_of_nobody(
    field: &Field,
    servers: usize,
    nodes: &BTreeMap<String, NodeOptions>,
    report: &mut Report,
) {
    if servers == 0 || nodes.len() < servers {
        return;
    }
    let span = field.key_span.clone();
    if nodes.values().all(|node| node.weight == 0) {
        report
            .warning(span, "every server has the weight 0")
            .with_help("reads have no node to go to; give at least one a weight of 1");
    } else if nodes.values().all(|node| node.backup) {
        report
            .warning(span, "every server is a backup")
            .with_help("a backup serves while the others cannot; here `backup` has no effect");
    }
}

/// The pool's own zone. One that no node is in prefers none.
pub(crate) fn zone(
    section: &mut Section<'_>,
    nodes: &BTreeMap<String, NodeOptions>,
    report: &mut Report,
) -> Option<String> {
    let zone = section.placed(&pool::ZONE, report)?;
    if !nodes.values().any(|node| node.zone.as_ref() == Some(&zone.value)) {
        report
            .warning(zone.span, format!("no server is in the zone `{}`", zone.value))
            .with_help("say where each is: `zone` in `[pool.NAME.nodes.\"ADDRESS\"]`");
    }
    Some(zone.value)
}

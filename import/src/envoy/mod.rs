//! Envoy's bootstrap file, in YAML or JSON: the listeners whose filter is `redis_proxy`, and their clusters.

mod cluster;
mod common;
mod filter;
mod listener;

use crate::document::Document;
use crate::report::Report;
use crate::yaml::{self, Entry, Node};
use listener::Listener;

pub(crate) fn read(text: &str, document: &mut Document, report: &mut Report) -> Result<(), String> {
    let root = yaml::parse(report.file(), text)?;
    let resources = resources(&root);
    let clusters: Vec<&Node> = resources.iter().flat_map(|node| list(node, "clusters")).collect();
    let clusters = cluster::Clusters::new(clusters);
    let mut used = Vec::new();
    for node in resources.iter().flat_map(|node| list(node, "listeners")) {
        let Some(listener) = Listener::new(node, report) else { continue };
        if let Err(why) = listener.write(&clusters, &mut used, document, report) {
            report.left(node.line, &format!("listener {}", listener.name()), why);
        }
    }
    for cluster in clusters.all().filter(|cluster| !used.contains(&cluster.name().to_owned())) {
        let what = format!("cluster {}", cluster.name());
        report.left(cluster.line(), &what, "no listener that is carried over leads to it");
    }
    for entry in root.entries() {
        top_level(entry, document, report);
    }
    Ok(())
}

/// Where listeners and clusters are: in `static_resources`, at the top, or in a list of resources of one type.
fn resources(root: &Node) -> Vec<&Node> {
    let mut found: Vec<&Node> = root.get("static_resources").into_iter().collect();
    found.push(root);
    found
}

fn list<'a>(node: &'a Node, key: &str) -> &'a [Node] {
    node.get(key).map_or(&[][..], Node::items)
}

fn top_level(entry: &Entry, document: &mut Document, report: &mut Report) {
    match &*entry.key {
        "static_resources" => {
            for inner in entry.value.entries() {
                if !matches!(&*inner.key, "listeners" | "clusters") {
                    report.left(inner.line, &inner.text(), "Redkeel has nothing like it");
                }
            }
        }
        "listeners" | "clusters" => {}
        "dynamic_resources" | "xds_config" | "cds_config" | "lds_config" => {
            let why = "what Envoy is told by another program is not in this file: import what it would say";
            report.left(entry.line, &entry.text(), why);
        }
        "admin" => {
            let why = "`[admin]` has status and metrics, on 127.0.0.1:9736 unless told otherwise";
            document.needless(entry.line, &entry.text(), why);
        }
        "node"
        | "stats_sinks"
        | "stats_config"
        | "stats_flush_interval"
        | "layered_runtime"
        | "runtime"
        | "overload_manager"
        | "bootstrap_extensions"
        | "watchdogs"
        | "flags_path" => {
            document.needless(entry.line, &entry.text(), "it is Envoy's own");
        }
        _ => report.left(entry.line, &entry.text(), "Redkeel has nothing like it"),
    }
}

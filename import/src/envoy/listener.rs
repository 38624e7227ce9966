//! Listeners with a `redis_proxy` filter.

use super::cluster::Clusters;
use super::common::{address, at, flag, text};
use super::filter::{Filter, Route};
use crate::document::Document;
use crate::draft::{Pool, Route as Written};
use crate::report::Report;
use crate::value::Value;
use crate::yaml::Node;

/// A listener of Redis clients.
pub(super) struct Listener<'a> {
    node: &'a Node,
    chain: &'a Node,
    filter: &'a Node,
}

impl<'a> Listener<'a> {
    /// `None`: it is none, and left over.
    pub(super) fn new(node: &'a Node, report: &mut Report) -> Option<Self> {
        let name = text(node, &["name"]).unwrap_or_default();
        let chains = node.get("filter_chains").map_or(&[][..], Node::items);
        let mut found = None;
        for chain in chains {
            let filters = chain.get("filters").map_or(&[][..], Node::items);
            match filters.iter().find(|filter| is_redis(filter)) {
                Some(filter) if found.is_none() => found = Some((chain, filter)),
                Some(filter) => {
                    report.left(
                        filter.line,
                        &format!("listener {name}"),
                        "a listener leads to one pool",
                    );
                }
                None => {}
            }
        }
        let Some((chain, filter)) = found else {
            report.left(node.line, &format!("listener {name}"), "it has no `redis_proxy` filter");
            return None;
        };
        for other in chain.get("filters").map_or(&[][..], Node::items) {
            if !std::ptr::eq(other, filter) {
                let what = format!("filter {}", text(other, &["name"]).unwrap_or_default());
                report.left(
                    other.line,
                    &what,
                    "Redkeel has nothing like it; `allow` and `deny` know addresses",
                );
            }
        }
        Some(Self { node, chain, filter })
    }

    pub(super) fn name(&self) -> &'a str {
        text(self.node, &["name"]).unwrap_or_default()
    }

    /// Writes the pool that clients connect to, and those that its routes lead to.
    ///
    /// # Errors
    ///
    /// Why it is left over.
    pub(super) fn write(
        &self,
        clusters: &Clusters<'_>,
        used: &mut Vec<String>,
        document: &mut Document,
        report: &mut Report,
    ) -> Result<(), String> {
        let config = self.filter.get("typed_config").or(self.filter.get("config"));
        let filter = Filter::new(config.ok_or("its filter has no configuration")?, report)?;
        let address =
            self.node.get("address").and_then(address).ok_or("it has no address and port")?;
        let listen = Value::text(&*address.written);
        let mut names = Vec::new();
        let mut pools = Vec::new();
        let plain = |route: &&Route<'_>| route.mirror.is_none() && route.reads.is_none();
        let mut front = match (filter.catch_all.as_ref().filter(plain), filter.routes.as_slice()) {
            (Some(only), []) => {
                let cluster = find(clusters, only.cluster)?;
                used.push(only.cluster.to_owned());
                let name = document.name(only.cluster);
                cluster.pool(&name, Some(listen.clone()), filter.hash_tags, report)?
            }
            _ => {
                let all = filter.routes.iter().chain(&filter.catch_all);
                for cluster in all.flat_map(targets) {
                    if names.iter().any(|(known, _)| *known == cluster) {
                        continue;
                    }
                    let taken: Vec<String> =
                        names.iter().map(|(_, name): &(&str, String)| name.clone()).collect();
                    let name = document.name_beside(cluster, &taken);
                    pools.push(find(clusters, cluster)?.pool(
                        &name,
                        None,
                        filter.hash_tags,
                        report,
                    )?);
                    used.push(cluster.to_owned());
                    names.push((cluster, name));
                }
                let taken: Vec<String> = names.iter().map(|(_, name)| name.clone()).collect();
                let wanted = filter.name().unwrap_or(self.name());
                let name = document.name_beside(wanted, &taken);
                let all = filter.routes.iter().chain(&filter.catch_all);
                let mut written: Vec<Written> =
                    all.map(|route| self::written(route, &names)).collect();
                if filter.catch_all.is_none() {
                    // Envoy answers keys that no route fits with an error.
                    report.left(self.filter.line, "prefix_routes", "without a `catch_all_route`: keys that no prefix fits go to the first cluster");
                    written.push(fallback(&names)?);
                }
                Pool::of_routes(&name, listen.clone(), written)?
            }
        };
        filter.apply(&mut front, &mut pools, report)?;
        self.surroundings(&mut front, listen, report)?;
        let mut all = vec![front];
        all.extend(pools);
        document.push_all(all)
    }

    /// TLS and the PROXY protocol.
    fn surroundings(
        &self,
        pool: &mut Pool,
        listen: Value,
        report: &mut Report,
    ) -> Result<(), String> {
        for filter in self.node.get("listener_filters").map_or(&[][..], Node::items) {
            let name = text(filter, &["name"]).unwrap_or_default();
            if name.contains("proxy_protocol") {
                let listener =
                    vec![("address", listen.clone()), ("proxy_protocol", Value::Flag(true))];
                pool.try_set("", "listen", Value::Table(listener), "")?;
            } else if !name.contains("tls_inspector") {
                report.left(filter.line, &format!("filter {name}"), "Redkeel has nothing like it");
            }
        }
        for key in ["transport_socket", "tls_context"] {
            let Some(socket) = self.chain.get(key) else { continue };
            let context = socket.get("typed_config").unwrap_or(socket);
            let certificates = at(context, &["common_tls_context", "tls_certificates"]);
            let (mut certs, mut keys) = (Vec::new(), Vec::new());
            for certificate in certificates.map_or(&[][..], Node::items) {
                certs
                    .extend(text(certificate, &["certificate_chain", "filename"]).map(Value::text));
                keys.extend(text(certificate, &["private_key", "filename"]).map(Value::text));
            }
            let mut options = vec![("cert", Value::List(certs)), ("key", Value::List(keys))];
            let trusted = ["common_tls_context", "validation_context", "trusted_ca", "filename"];
            if let (true, Some(ca)) =
                (flag(context, &["require_client_certificate"]), text(context, &trusted))
            {
                options.push(("client_ca", Value::text(ca)));
            }
            // Without it clients would be asked to speak plainly: then rather not at all.
            pool.try_all("tls", options, "").map_err(|why| format!("its TLS: {why}"))?;
        }
        Ok(())
    }
}

fn is_redis(filter: &Node) -> bool {
    let name = text(filter, &["name"]).unwrap_or_default();
    let kind = text(filter, &["typed_config", "@type"]).unwrap_or_default();
    name.ends_with("redis_proxy") || kind.ends_with("RedisProxy")
}

fn find<'a>(clusters: &Clusters<'a>, name: &str) -> Result<super::cluster::Cluster<'a>, String> {
    clusters.find(name).ok_or_else(|| format!("there is no cluster {name}"))
}

/// The clusters that a route leads to.
fn targets<'a>(route: &Route<'a>) -> impl Iterator<Item = &'a str> {
    let mirror = route.mirror.as_ref().map(|mirror| mirror.cluster);
    [Some(route.cluster), route.reads, mirror].into_iter().flatten()
}

fn written(route: &Route<'_>, names: &[(&str, String)]) -> Written {
    let name = |cluster: &str| {
        let found = names.iter().find(|(known, _)| *known == cluster);
        found.map_or_else(String::new, |(_, name)| name.clone())
    };
    let mut entries =
        vec![("prefix", Value::text(route.prefix)), ("pool", Value::Text(name(route.cluster)))];
    entries.extend(route.reads.map(|cluster| ("reads", Value::Text(name(cluster)))));
    entries.extend(route.mirror.as_ref().map(|mirror| {
        let table = vec![
            ("pool", Value::Text(name(mirror.cluster))),
            ("share", Value::text(&*mirror.share)),
            ("commands", Value::text(mirror.commands)),
        ];
        ("mirror", Value::Table(table))
    }));
    let targets = targets(route).map(name).collect();
    Written { notes: vec![format!("Line {}.", route.line)], entries, targets }
}

fn fallback(names: &[(&str, String)]) -> Result<Written, String> {
    let (_, first) = names.first().ok_or("it leads to no cluster")?;
    Ok(Written {
        notes: vec!["Envoy answers commands for other keys with an error.".to_owned()],
        entries: vec![("prefix", Value::text("")), ("pool", Value::text(&**first))],
        targets: vec![first.clone()],
    })
}

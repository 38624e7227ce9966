//! Clusters: which nodes there are, and how keys find them.

use super::common::{Address, address, at, duration, flag, secret, text};
use crate::draft::{Origin, Pool};
use crate::report::Report;
use crate::value::Value;
use crate::yaml::{Entry, Fields, Node};

/// All clusters of the file.
pub(super) struct Clusters<'a> {
    all: Vec<Cluster<'a>>,
}

/// One of them.
#[derive(Clone, Copy)]
pub(super) struct Cluster<'a> {
    node: &'a Node,
}

/// A host of a cluster.
struct Host<'a> {
    address: Address,
    /// What a ring hashes in its place, where that is known.
    name: Option<String>,
    weight: Option<&'a str>,
    line: usize,
}

impl<'a> Clusters<'a> {
    pub(super) fn new(nodes: Vec<&'a Node>) -> Self {
        Self { all: nodes.into_iter().map(|node| Cluster { node }).collect() }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Cluster<'a>> {
        self.all.iter().copied()
    }

    pub(super) fn find(&self, name: &str) -> Option<Cluster<'a>> {
        self.all().find(|cluster| cluster.name() == name)
    }
}

/// Which of Envoy's ways to choose a host has a counterpart that finds the same one.
struct Ring {
    distribution: &'static str,
    size: Option<u64>,
}

impl<'a> Cluster<'a> {
    pub(super) fn name(self) -> &'a str {
        text(self.node, &["name"]).unwrap_or_default()
    }

    pub(super) fn line(self) -> usize {
        self.node.line
    }

    /// The pool of its nodes. `listen`: `None` where routes lead to it.
    ///
    /// # Errors
    ///
    /// Why it cannot be one.
    pub(super) fn pool(
        self,
        name: &str,
        listen: Option<Value>,
        hash_tags: bool,
        report: &mut Report,
    ) -> Result<Pool, String> {
        let kind = text(self.node, &["cluster_type", "name"]).unwrap_or_default();
        if kind.contains("redis") {
            let name = self.name();
            return Err(format!(
                "cluster {name} is a Redis Cluster: not available in this version"
            ));
        }
        let hosts = self.hosts(report)?;
        if hosts.is_empty() {
            return Err(format!("cluster {} names no hosts", self.name()));
        }
        let mut pool = match self.ring(report) {
            Some(ring) => self.shards(name, listen, &hosts, &ring, hash_tags, report)?,
            None => {
                let servers =
                    hosts.iter().map(|host| (Value::text(&*host.address.written), String::new()));
                let servers = ("servers", Value::Lines(servers.collect()));
                let mut pool = Pool::new(name, listen, Some(servers))?;
                if hosts.len() > 1 {
                    pool.note(
                        "Its hosts are chosen without heed of keys, so all of them have the same data: one primary and its \
                         replicas. Roles are asked for.",
                    );
                }
                pool
            }
        };
        self.settings(&mut pool, hosts.len(), report);
        Ok(pool)
    }

    fn hosts(self, report: &mut Report) -> Result<Vec<Host<'a>>, String> {
        let by_hostname = flag(
            self.node,
            &["common_lb_config", "consistent_hashing_lb_config", "use_hostname_for_hashing"],
        );
        let mut hosts = Vec::new();
        let localities =
            at(self.node, &["load_assignment", "endpoints"]).map_or(&[][..], Node::items);
        for locality in localities {
            for entry in locality.entries() {
                let why = match &*entry.key {
                    "lb_endpoints" | "locality" => continue,
                    "priority" if entry.value.scalar() == Some("0") => continue,
                    "priority" | "load_balancing_weight" => {
                        "hosts of all localities are alike: keys that Envoy places by it move"
                    }
                    _ => "Redkeel has nothing like it",
                };
                report.left(entry.line, &entry.text(), why);
            }
            for host in locality.get("lb_endpoints").map_or(&[][..], Node::items) {
                let endpoint = host.get("endpoint").unwrap_or(host);
                let Some(address) = endpoint.get("address").and_then(address) else {
                    let line = host.line;
                    return Err(format!(
                        "the host in line {line} has no address and port: without it keys would move"
                    ));
                };
                let hash_key = text(host, &["metadata", "filter_metadata", "envoy.lb", "hash_key"]);
                let hostname = text(endpoint, &["hostname"]).unwrap_or(&address.host);
                let name = match hash_key {
                    Some(key) => Some(key.to_owned()),
                    None if by_hostname && !hostname.is_empty() => Some(hostname.to_owned()),
                    None if address.is_name() => None,
                    None => Some(address.hashed.clone()),
                };
                let weight = text(host, &["load_balancing_weight"]);
                hosts.push(Host { address, name, weight, line: host.line });
            }
        }
        // The older way to name them.
        for host in self.node.get("hosts").map_or(&[][..], Node::items) {
            if let Some(address) = address(host) {
                let name = (!address.is_name()).then(|| address.hashed.clone());
                hosts.push(Host { address, name, weight: None, line: host.line });
            }
        }
        Ok(hosts)
    }

    fn ring(self, report: &mut Report) -> Option<Ring> {
        let policy = text(self.node, &["lb_policy"]).unwrap_or_default().to_ascii_uppercase();
        let number = |path: &[&str]| text(self.node, path).and_then(|text| text.parse().ok());
        match &*policy {
            "MAGLEV" => {
                let size = number(&["maglev_lb_config", "table_size"]);
                Some(Ring { distribution: "maglev", size })
            }
            "RING_HASH" => {
                let function = text(self.node, &["ring_hash_lb_config", "hash_function"]);
                let murmur =
                    function.is_some_and(|name| name.eq_ignore_ascii_case("MURMUR_HASH_2"));
                let size = number(&["ring_hash_lb_config", "minimum_ring_size"]);
                if let Some(node) = at(self.node, &["ring_hash_lb_config", "maximum_ring_size"]) {
                    let why = "a ring that it makes smaller is not matched: keys would move";
                    report.left(node.line, "maximum_ring_size", why);
                }
                let distribution = if murmur { "envoy-ring-murmur2" } else { "envoy-ring" };
                Some(Ring { distribution, size })
            }
            _ => None,
        }
    }

    fn shards(
        self,
        name: &str,
        listen: Option<Value>,
        hosts: &[Host<'_>],
        ring: &Ring,
        hash_tags: bool,
        report: &mut Report,
    ) -> Result<Pool, String> {
        let mut moves = false;
        let shards = hosts.iter().map(|host| {
            if host.name.is_none() && hosts.len() > 1 {
                moves = true;
                let why = "keys will move: Envoy hashes the address that the name resolves to. If that is always the same, make \
                           it the shard's name";
                report.left(host.line, &host.address.written, why);
            }
            let name = host.name.as_deref().unwrap_or(&host.address.hashed);
            let weight = host.weight.unwrap_or("1");
            (Value::Text(format!("{}:{weight} {name}", host.address.written)), String::new())
        });
        let shards = Value::Lines(shards.collect());
        let mut entries = vec![("distribution", Value::text(ring.distribution))];
        entries.extend(ring.size.map(|size| ("size", Value::Integer(size))));
        entries.push(("hash_tag", Value::text(if hash_tags { "{}" } else { "none" })));
        let ejects = self.node.get("health_checks").or(self.node.get("outlier_detection"));
        if ejects.is_some() && hosts.len() > 1 {
            entries.push(("on_shard_down", Value::text("rehash")));
            // Below a half Envoy panics, and takes all hosts again.
            entries.push(("min_shards", Value::Integer(hosts.len().div_ceil(2) as u64)));
        }
        entries.push(("servers", shards));
        let mut pool = Pool::with_table(name, listen, "shards", entries)?;
        pool.note(if moves {
            "Some keys are NOT where Envoy has them: see what is left over."
        } else {
            "Every key is where Envoy has it: the names of the shards, their weights, `distribution`, `size` and `hash_tag` decide that."
        });
        Ok(pool)
    }

    fn settings(self, pool: &mut Pool, hosts: usize, report: &mut Report) {
        let mut fields = Fields::new(self.node);
        for key in [
            "name",
            "lb_policy",
            "ring_hash_lb_config",
            "maglev_lb_config",
            "load_assignment",
            "hosts",
            "cluster_type",
            "type",
        ] {
            fields.take(key);
        }
        self.common(fields.take("common_lb_config"), pool, report);
        if let Some(entry) = fields.take("connect_timeout") {
            time("timeouts", "connect", entry, pool, report);
        }
        if let Some(entry) = fields.take("health_checks") {
            health(entry, pool, report);
        }
        if let Some(entry) = fields.take("outlier_detection") {
            outliers(entry, hosts, pool, report);
        }
        for key in ["typed_extension_protocol_options", "extension_protocol_options"] {
            if let Some(entry) = fields.take(key) {
                credentials(entry, pool, report);
            }
        }
        for key in ["transport_socket", "tls_context"] {
            if let Some(entry) = fields.take(key) {
                tls(entry, pool, report);
            }
        }
        for (key, why) in [
            ("dns_lookup_family", "every address is a node"),
            ("dns_refresh_rate", "an answer is used for its time to live"),
            ("respect_dns_ttl", "an answer is used for its time to live"),
            (
                "circuit_breakers",
                "Envoy does not heed them for Redis; here `limits` bound every queue",
            ),
            ("per_connection_buffer_limit_bytes", "`limits` bound every queue"),
            ("upstream_connection_options", "keepalive is always on"),
            ("alt_stat_name", "metrics have the pool's name"),
        ] {
            if let Some(entry) = fields.take(key) {
                let text = entry.text();
                pool.needless(Origin { line: entry.line, what: &text }, why);
            }
        }
        fields.finish(report, |_| "Redkeel has nothing like it".to_owned());
    }

    fn common(self, entry: Option<&Entry>, pool: &mut Pool, report: &mut Report) {
        let Some(entry) = entry else { return };
        let mut fields = Fields::new(&entry.value);
        if let Some(entry) = fields.take("consistent_hashing_lb_config") {
            let mut fields = Fields::new(&entry.value);
            fields.take("use_hostname_for_hashing");
            fields.finish(report, |_| {
                "keys that it moves to other hosts are not found there".to_owned()
            });
        }
        if let Some(entry) = fields.take("healthy_panic_threshold") {
            let text = entry.text();
            let why = "`min_shards` of the shards are always kept";
            pool.needless(Origin { line: entry.line, what: &text }, why);
        }
        fields.finish(report, |_| "Redkeel has nothing like it".to_owned());
    }
}

fn time(table: &str, key: &str, entry: &Entry, pool: &mut Pool, report: &mut Report) {
    let text = entry.text();
    let origin = Origin { line: entry.line, what: &text };
    match entry.value.scalar().and_then(duration) {
        Some(value) => pool.set(table, key, value, origin, report),
        None => report.left(origin.line, origin.what, "not a duration"),
    }
}

fn number(table: &str, key: &str, entry: &Entry, pool: &mut Pool, report: &mut Report) {
    let text = entry.text();
    let origin = Origin { line: entry.line, what: &text };
    match entry.value.scalar().and_then(|text| text.parse().ok()) {
        Some(number) => pool.set(table, key, Value::Integer(number), origin, report),
        None => report.left(origin.line, origin.what, "not a number"),
    }
}

fn health(entry: &Entry, pool: &mut Pool, report: &mut Report) {
    for (index, check) in entry.value.items().iter().enumerate() {
        if index > 0 {
            report.left(check.line, "health_checks", "nodes are probed in one way");
            continue;
        }
        let mut fields = Fields::new(check);
        for (from, key) in [("interval", "interval"), ("timeout", "timeout")] {
            if let Some(entry) = fields.take(from) {
                time("health", key, entry, pool, report);
            }
        }
        for (from, key) in [("unhealthy_threshold", "fall"), ("healthy_threshold", "rise")] {
            if let Some(entry) = fields.take(from) {
                number("health", key, entry, pool, report);
            }
        }
        if let Some(entry) = fields.take("custom_health_check")
            && let Some(key) = at(&entry.value, &["typed_config", "key"])
        {
            let why = "a node is not taken out by a key of its own: `backup`, or its `weight`";
            report.left(key.line, "custom_health_check … key", why);
        }
        // What Envoy does besides: jitter, pauses, its log.
        for key in [
            "tcp_health_check",
            "interval_jitter",
            "interval_jitter_percent",
            "initial_jitter",
            "no_traffic_interval",
            "no_traffic_healthy_interval",
            "unhealthy_interval",
            "unhealthy_edge_interval",
            "healthy_edge_interval",
            "reuse_connection",
            "event_log_path",
            "always_log_health_check_failures",
        ] {
            if let Some(entry) = fields.take(key) {
                let text = entry.text();
                let why = "every node is probed as Redis, whatever it has to do";
                pool.needless(Origin { line: entry.line, what: &text }, why);
            }
        }
        fields.finish(report, |_| "every node is probed as Redis".to_owned());
    }
}

fn outliers(entry: &Entry, hosts: usize, pool: &mut Pool, report: &mut Report) {
    let mut fields = Fields::new(&entry.value);
    if let Some(entry) = fields.take("consecutive_5xx") {
        number("health", "fall", entry, pool, report);
    }
    let percent = fields.take("max_ejection_percent");
    if let (Some(entry), Some(_)) = (percent, pool.get("shards", "min_shards")) {
        let kept = entry.value.scalar().and_then(|text| text.parse::<usize>().ok());
        let kept = kept.map(|percent| hosts - (hosts * percent.min(100) / 100).clamp(1, hosts));
        let text = entry.text();
        let origin = Origin { line: entry.line, what: &text };
        match kept {
            Some(kept) => {
                pool.set("shards", "min_shards", Value::Integer(kept.max(1) as u64), origin, report)
            }
            None => report.left(origin.line, origin.what, "not a number"),
        }
    }
    for key in [
        "interval",
        "base_ejection_time",
        "max_ejection_time",
        "enforcing_consecutive_5xx",
        "consecutive_gateway_failure",
        "consecutive_local_origin_failure",
        "split_external_local_origin_errors",
        "success_rate_minimum_hosts",
    ] {
        if let Some(entry) = fields.take(key) {
            let text = entry.text();
            let why = "a shard is out once probes find it down, and back once they find it up";
            pool.needless(Origin { line: entry.line, what: &text }, why);
        }
    }
    fields.finish(report, |_| "Redkeel has nothing like it".to_owned());
}

/// `RedisProtocolOptions`: how Envoy logs in at the nodes.
fn credentials(entry: &Entry, pool: &mut Pool, report: &mut Report) {
    for options in entry.value.entries() {
        let mut fields = Fields::new(&options.value);
        fields.take("@type");
        let username = fields.take("auth_username").and_then(|entry| secret(&entry.value));
        let password = fields
            .take("auth_password")
            .and_then(|entry| Some((entry.line, secret(&entry.value)?)));
        if let Some((line, password)) = password {
            let mut all = vec![("password", password)];
            all.extend(username.map(|username| ("username", username)));
            if let Err(why) = pool.try_all("upstream", all, "") {
                report.left(line, "auth_password", why);
            }
        }
        fields.finish(report, |key| match key {
            "credentials" => "one user and password hold for all nodes of a pool".to_owned(),
            "aws_iam" => "a password is a text, a file or an environment variable".to_owned(),
            _ => "Redkeel has nothing like it".to_owned(),
        });
    }
}

/// `UpstreamTlsContext`.
fn tls(entry: &Entry, pool: &mut Pool, report: &mut Report) {
    let context = entry.value.get("typed_config").unwrap_or(&entry.value);
    let file = |path: &[&str]| text(context, path).map(Value::text);
    let mut options = Vec::new();
    let trusted = ["common_tls_context", "validation_context", "trusted_ca", "filename"];
    options.extend(file(&trusted).map(|ca| ("ca", ca)));
    let certificates = at(context, &["common_tls_context", "tls_certificates"]);
    if let Some(certificate) = certificates.and_then(|list| list.items().first()) {
        let pair = text(certificate, &["certificate_chain", "filename"])
            .zip(text(certificate, &["private_key", "filename"]));
        match pair {
            Some((cert, key)) => {
                options.extend([("cert", Value::text(cert)), ("key", Value::text(key))]);
            }
            None => report.left(certificate.line, "tls_certificates", "a certificate is two files"),
        }
    }
    options.extend(text(context, &["sni"]).map(|name| ("server_name", Value::text(name))));
    // Envoy verifies nothing unless it is told whom to trust.
    let note = if options.iter().any(|(key, _)| *key == "ca") {
        ""
    } else {
        options.push(("verify", Value::Flag(false)));
        "Envoy trusts every certificate where it has no `trusted_ca`: better name one, as `ca`."
    };
    if let Err(why) = pool.try_all("upstream.tls", options, note) {
        report.left(entry.line, &entry.text(), why);
    }
}

//! The `redis_proxy` filter: which commands go to which cluster.

use super::common::{at, duration, flag, secret, text};
use crate::draft::{Origin, Pool};
use crate::report::Report;
use crate::value::Value;
use crate::yaml::{Entry, Fields, Node};

/// What a `RedisProxy` says.
pub(super) struct Filter<'a> {
    node: &'a Node,
    pub(super) catch_all: Option<Route<'a>>,
    pub(super) routes: Vec<Route<'a>>,
    pub(super) hash_tags: bool,
}

/// Where keys of one beginning go.
pub(super) struct Route<'a> {
    pub(super) prefix: &'a str,
    pub(super) cluster: &'a str,
    pub(super) reads: Option<&'a str>,
    pub(super) mirror: Option<Mirror<'a>>,
    pub(super) line: usize,
}

pub(super) struct Mirror<'a> {
    pub(super) cluster: &'a str,
    pub(super) share: String,
    pub(super) commands: &'static str,
}

impl<'a> Filter<'a> {
    /// Reads the `typed_config` of a filter.
    ///
    /// # Errors
    ///
    /// Why there is no way to carry it over.
    pub(super) fn new(node: &'a Node, report: &mut Report) -> Result<Self, String> {
        let mut routes = Vec::new();
        let mut catch_all = None;
        let mut filter_routes = Fields::new(node);
        if let Some(entry) = filter_routes.take("prefix_routes") {
            let mut fields = Fields::new(&entry.value);
            for item in fields.take("routes").map_or(&[][..], |entry| entry.value.items()) {
                routes.push(route(item, report)?);
            }
            if let Some(entry) = fields.take("catch_all_route") {
                catch_all = Some(route(&entry.value, report)?);
            }
            if let Some(entry) = fields.take("case_insensitive")
                && entry.value.scalar() == Some("true")
            {
                report.left(entry.line, &entry.text(), "prefixes count as they are written");
            }
            fields.finish(report, |_| "Redkeel has nothing like it".to_owned());
        }
        // The older way to name the one cluster.
        for path in [&["cluster"][..], &["prefix_routes", "catch_all_cluster"]] {
            if let (None, Some(cluster)) = (&catch_all, text(node, path)) {
                let line = at(node, path).map_or(node.line, |node| node.line);
                catch_all = Some(Route { prefix: "", cluster, reads: None, mirror: None, line });
            }
        }
        if routes.is_empty() && catch_all.is_none() {
            return Err("it leads to no cluster".to_owned());
        }
        let hash_tags = flag(node, &["settings", "enable_hashtagging"]);
        Ok(Self { node, catch_all, routes, hash_tags })
    }

    pub(super) fn name(&self) -> Option<&'a str> {
        text(self.node, &["stat_prefix"])
    }

    /// Puts what holds for all clients into the pool that they connect to. `targets`: those that its routes lead to.
    pub(super) fn apply(
        &self,
        pool: &mut Pool,
        targets: &mut [Pool],
        report: &mut Report,
    ) -> Result<(), String> {
        let mut fields = Fields::new(self.node);
        fields.take_any(&["prefix_routes", "cluster"]);
        for key in ["@type", "stat_prefix", "cluster"] {
            fields.take(key);
        }
        let username = fields.take("downstream_auth_username");
        let passwords = fields.take_any(&["downstream_auth_passwords", "downstream_auth_password"]);
        clients(username, passwords, pool)?;
        for target in targets.iter_mut() {
            target.try_set("", "auth", Value::text("none"), "")?;
        }
        if let Some(settings) = fields.take("settings") {
            self::settings(&settings.value, pool, targets, report);
        }
        for (key, why) in [
            ("custom_commands", "commands of modules are learned from the nodes"),
            ("latency_in_micros", "/metrics has histograms in seconds"),
            ("protocol_version", "every client chooses: HELLO 2 or 3 on the same port"),
        ] {
            if let Some(entry) = fields.take(key) {
                let text = entry.text();
                pool.needless(Origin { line: entry.line, what: &text }, why);
            }
        }
        fields.finish(report, |key| match key {
            "faults" => "Redkeel breaks nothing on purpose".to_owned(),
            "external_auth_provider" => "users are in the file, or in the nodes".to_owned(),
            _ => "Redkeel has nothing like it".to_owned(),
        });
        Ok(())
    }
}

fn route<'a>(node: &'a Node, report: &mut Report) -> Result<Route<'a>, String> {
    let mut fields = Fields::new(node);
    let prefix = fields.take("prefix").and_then(|entry| entry.value.scalar()).unwrap_or_default();
    let cluster = fields.take("cluster").and_then(|entry| entry.value.scalar());
    let cluster =
        cluster.ok_or_else(|| format!("the route in line {} has no cluster", node.line))?;
    let reads =
        fields.take("read_command_policy").and_then(|entry| text(&entry.value, &["cluster"]));
    let mut mirror = None;
    if let Some(entry) = fields.take("request_mirror_policy") {
        for item in entry.value.items() {
            match self::mirror(item) {
                Some(read) if mirror.is_none() => mirror = Some(read),
                Some(_) => {
                    report.left(item.line, "request_mirror_policy", "a route has one mirror")
                }
                None => report.left(
                    item.line,
                    "request_mirror_policy",
                    "it names no cluster, or not which share",
                ),
            }
        }
    }
    for key in ["remove_prefix", "key_formatter"] {
        if let Some(entry) = fields.take(key)
            && entry.value.scalar() != Some("false")
        {
            // Other keys would be read and written than those that Envoy's clients have.
            return Err(format!(
                "`{}` in line {}: Redkeel does not change keys",
                entry.key, entry.line
            ));
        }
    }
    fields.finish(report, |_| "Redkeel has nothing like it".to_owned());
    Ok(Route { prefix, cluster, reads, mirror, line: node.line })
}

fn mirror(node: &Node) -> Option<Mirror<'_>> {
    let cluster = text(node, &["cluster"])?;
    let share = match at(node, &["runtime_fraction", "default_value"]) {
        None => "100%".to_owned(),
        Some(value) => {
            let numerator: u64 = text(value, &["numerator"]).unwrap_or("0").parse().ok()?;
            let of = match text(value, &["denominator"]).unwrap_or("HUNDRED") {
                "HUNDRED" => 10_000,
                "TEN_THOUSAND" => 100,
                "MILLION" => 1,
                _ => return None,
            };
            let millionths = numerator.checked_mul(of)?.min(1_000_000);
            let text = format!("{}.{:04}", millionths / 10_000, millionths % 10_000);
            format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
        }
    };
    let commands = if flag(node, &["exclude_read_commands"]) { "writes" } else { "all" };
    Some(Mirror { cluster, share, commands })
}

/// Envoy checks the clients' passwords itself, and logs in at the nodes with the cluster's.
fn clients(
    username: Option<&Entry>,
    passwords: Option<&Entry>,
    pool: &mut Pool,
) -> Result<(), String> {
    let name = username.and_then(|entry| match secret(&entry.value) {
        Some(Value::Text(name)) => Some(name),
        _ => None,
    });
    let secrets: Vec<Value> = passwords.map_or_else(Vec::new, |entry| match entry.value.items() {
        [] => secret(&entry.value).into_iter().collect(),
        items => items.iter().filter_map(secret).collect(),
    });
    let password = match secrets.as_slice() {
        [] => return pool.try_set("", "auth", Value::text("none"), "Clients need no password."),
        [one] => one.clone(),
        more => Value::List(more.to_vec()),
    };
    let name = name.unwrap_or_else(|| "default".to_owned());
    let all = || Value::texts(["*"]);
    let mut options = vec![("password", password)];
    if name != "default" {
        options.extend([
            ("commands", Value::texts(["+@all"])),
            ("keys", all()),
            ("channels", all()),
        ]);
    }
    let table = format!("users.{}", crate::value::key(&name));
    pool.try_pair(("auth", Value::text("users")), &table, options, "")
}

fn settings(node: &Node, pool: &mut Pool, targets: &mut [Pool], report: &mut Report) {
    let mut fields = Fields::new(node);
    if let Some(entry) = fields.take("op_timeout") {
        let text = entry.text();
        let origin = Origin { line: entry.line, what: &text };
        match entry.value.scalar().and_then(duration) {
            Some(value) => {
                for pool in targets.iter_mut().chain([&mut *pool]) {
                    pool.set("timeouts", "request", value.clone(), origin, report);
                }
            }
            None => report.left(origin.line, origin.what, "not a duration"),
        }
    }
    fields.take("enable_hashtagging");
    for (key, why) in [
        ("enable_redirection", "a node's word that its role changed is followed"),
        ("enable_command_stats", "/metrics has every command"),
        ("max_buffer_size_before_flush", "what arrives together leaves together"),
        ("buffer_flush_timeout", "what arrives together leaves together"),
        ("max_upstream_unknown_connections", "connections go to nodes that are known"),
        ("dns_cache_config", "names are resolved again and again"),
        ("connection_rate_limit", "connections are few, and tried again with growing pauses"),
        ("read_policy", "Envoy heeds it only with Redis Cluster; here it is `reads`"),
    ] {
        if let Some(entry) = fields.take(key) {
            let text = entry.text();
            pool.needless(Origin { line: entry.line, what: &text }, why);
        }
    }
    fields.finish(report, |_| "Redkeel has nothing like it".to_owned());
}

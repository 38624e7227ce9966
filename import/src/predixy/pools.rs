//! `SentinelServerPool`, `StandaloneServerPool` and `ClusterServerPool`.

use super::Global;
use super::parse::Node;
use crate::document::Document;
use crate::draft::Pool;
use crate::report::{Report, shown};
use crate::value::Value;

/// Told of a key without its value, which may be a password.
pub(super) const UNKNOWN: &str = "predixy does not know it either";

/// predixy's defaults (Conf.h).
const MASTER_READS: u64 = 50;
const REPLICA_READS: u64 = 0;

/// What a pool of servers says.
#[derive(Default)]
struct Servers<'a> {
    hash: Option<&'a Node>,
    hash_tag: Option<&'a Node>,
    distribution: Option<&'a Node>,
    sentinels: Vec<String>,
    sentinel_password: String,
    groups: Vec<Group<'a>>,
    by_sentinels: bool,
    master: Option<&'a Node>,
    static_replicas: Option<&'a Node>,
    dynamic_replicas: Option<&'a Node>,
    /// What goes into the pool once there is one.
    others: Vec<&'a Node>,
}

/// A primary with its replicas.
struct Group<'a> {
    node: &'a Node,
    servers: Vec<String>,
}

/// Writes the pool, or leaves it over.
pub(super) fn write(
    node: &Node,
    global: &Global<'_>,
    document: &mut Document,
    report: &mut Report,
) {
    let written = if node.is("ClusterServerPool") {
        Err("the nodes of a Redis Cluster: not available in this version".to_owned())
    } else {
        read(node, report).and_then(|servers| pool(node, &servers, global, document, report))
    };
    if let Err(why) = written {
        report.left_of(&node.file, node.line, &node.key, why);
    }
}

fn read<'a>(node: &'a Node, report: &mut Report) -> Result<Servers<'a>, String> {
    let mut servers = Servers { by_sentinels: node.is("SentinelServerPool"), ..Servers::default() };
    for inner in &node.inner {
        match &*inner.key.to_ascii_lowercase() {
            "hash" => servers.hash = Some(inner),
            "hashtag" => servers.hash_tag = Some(inner),
            "distribution" => servers.distribution = Some(inner),
            "masterreadpriority" => servers.master = Some(inner),
            "staticslavereadpriority" => servers.static_replicas = Some(inner),
            "dynamicslavereadpriority" => servers.dynamic_replicas = Some(inner),
            "refreshmethod" => servers.by_sentinels = inner.value.eq_ignore_ascii_case("sentinel"),
            "sentinels" => {
                servers.sentinels = addresses(inner, report);
                servers.sentinel_password.clone_from(&inner.value);
            }
            "group" => {
                servers.groups.push(Group { node: inner, servers: addresses(inner, report) });
            }
            _ => servers.others.push(inner),
        }
    }
    if servers.groups.is_empty() { Err("it has no group".to_owned()) } else { Ok(servers) }
}

/// `+ [password@]host:port [role]`
fn addresses(node: &Node, report: &mut Report) -> Vec<String> {
    let mut addresses = Vec::new();
    for server in &node.inner {
        if server.key != "+" {
            let what = format!("{} …", server.key.rsplit('@').next().unwrap_or_default());
            report.left_of(&server.file, server.line, &what, "servers are written `+ HOST:PORT`");
            continue;
        }
        let text = server.value.split_whitespace().next().unwrap_or_default();
        let (secret, address) = match text.rsplit_once('@') {
            Some((_, address)) => (true, address),
            None => (false, text),
        };
        if secret {
            let why =
                "one password holds for all nodes of a pool: `Password`, here `upstream.password`";
            report.left_of(&server.file, server.line, &format!("+ …@{address}"), why);
        }
        if !address.is_empty() {
            let is_path = address.starts_with('/');
            addresses.push(if is_path { format!("unix:{address}") } else { address.to_owned() });
        }
    }
    addresses
}

fn pool(
    node: &Node,
    servers: &Servers<'_>,
    global: &Global<'_>,
    document: &mut Document,
    report: &mut Report,
) -> Result<(), String> {
    let name = document.name(global.name.as_deref().unwrap_or("main"));
    let mut pool = match servers.groups.as_slice() {
        [group] if servers.by_sentinels => of_sentinels(&name, group, servers, global)?,
        [group] => {
            let nodes = group.servers.iter().map(|server| (Value::text(&**server), String::new()));
            let source = ("servers", Value::Lines(nodes.collect()));
            let mut pool = Pool::new(&name, Some(global.listen()), Some(source))?;
            pool.note("Roles are asked for: which of the servers is first does not matter.");
            pool
        }
        groups => of_shards(&name, groups, servers, global, report)?,
    };
    if let [_] = servers.groups.as_slice() {
        for node in [servers.hash, servers.hash_tag, servers.distribution].into_iter().flatten() {
            needless(node, &mut pool, "there is one group: no key is hashed");
        }
    }
    reads(servers, &mut pool)?;
    for other in &servers.others {
        option(other, &mut pool, report);
    }
    global.apply(&mut pool, report)?;
    pool.note(format!("{}: {}.", node.place(), node.key));
    document.push(pool)
}

fn of_sentinels(
    name: &str,
    group: &Group<'_>,
    servers: &Servers<'_>,
    global: &Global<'_>,
) -> Result<Pool, String> {
    let mut entries = vec![
        ("master", Value::text(&*group.node.value)),
        ("sentinels", Value::texts(servers.sentinels.iter().cloned())),
    ];
    if !servers.sentinel_password.is_empty() {
        entries.push(("password", Value::text(&*servers.sentinel_password)));
    }
    let mut pool = Pool::with_table(name, Some(global.listen()), "sentinel", entries)?;
    if !group.servers.is_empty() {
        pool.note("The Sentinels list the nodes: those of the group are not needed.");
    }
    Ok(pool)
}

/// Several groups: where a key is cannot be kept.
fn of_shards(
    name: &str,
    groups: &[Group<'_>],
    servers: &Servers<'_>,
    global: &Global<'_>,
    report: &mut Report,
) -> Result<Pool, String> {
    if let Some(group) = groups.iter().find(|group| group.servers.is_empty()) {
        return Err(format!(
            "a shard names its nodes, and group {} has none: write them into it (`+ HOST:PORT`), the primary and its \
             replicas; Redkeel finds out which is which",
            group.node.value
        ));
    }
    let members = groups.iter().map(|group| {
        let servers = Value::texts(group.servers.iter().cloned());
        let shard = vec![("name", Value::text(&*group.node.value)), ("servers", servers)];
        (Value::Table(shard), String::new())
    });
    let random = servers.distribution.is_some_and(|node| node.value.eq_ignore_ascii_case("random"));
    let distribution = if random { "random" } else { "maglev" };
    let hash_tag = servers.hash_tag.map_or("none", |node| &*node.value);
    let hash_tag = if hash_tag.is_empty() { "none" } else { hash_tag };
    let entries = vec![
        ("distribution", Value::text(distribution)),
        ("hash_tag", Value::text(hash_tag)),
        ("servers", Value::Lines(members.collect())),
    ];
    let mut pool = Pool::with_table(name, Some(global.listen()), "shards", entries)?;
    if !random {
        let why = "keys will move: no distribution of Redkeel's is predixy's. Write the data anew, or start with empty shards";
        let line = servers.hash.or(servers.distribution);
        let (file, line, text) = match line {
            Some(node) => (&node.file, node.line, node.text()),
            None => (&groups[0].node.file, groups[0].node.line, groups[0].node.text()),
        };
        report.left_of(file, line, &text, why);
        pool.note(
            "Keys are NOT where predixy has them, so the distribution is the one that is most even. Start with empty shards, or \
             write everything anew.",
        );
    }
    if servers.by_sentinels {
        pool.note("Each shard follows the promotions that its Sentinels order by itself: they need not be named.");
    }
    Ok(pool)
}

/// By predixy's priorities: the highest class takes the reads, 0 takes none.
fn reads(servers: &Servers<'_>, pool: &mut Pool) -> Result<(), String> {
    let priority = |node: Option<&Node>, default| {
        node.and_then(|node| node.value.parse().ok()).unwrap_or(default)
    };
    let master: u64 = priority(servers.master, MASTER_READS);
    let replicas = priority(servers.static_replicas, REPLICA_READS)
        .max(priority(servers.dynamic_replicas, REPLICA_READS));
    let reads = match (master, replicas) {
        (_, 0) => "primary",
        (0, _) => "replica",
        _ if master > replicas => "prefer-primary",
        _ if master == replicas => "any",
        _ => "prefer-replica",
    };
    pool.try_set("", "reads", Value::text(reads), "By the read priorities.")
}

fn needless(node: &Node, pool: &mut Pool, why: &str) {
    pool.note(format!("{}, `{}`: not needed, {why}.", node.place(), shown(&node.text())));
}

fn option(node: &Node, pool: &mut Pool, report: &mut Report) {
    let text = node.text();
    let mut left = |why: &str| report.left_of(&node.file, node.line, &text, why);
    match &*node.key.to_ascii_lowercase() {
        "password" => {
            let note = "Of `Password`; better { env = \"REDIS_PASSWORD\" } or { file = \"…\" }.";
            let password = Value::text(&*node.value);
            if let Err(why) = pool.try_set("upstream", "password", password, note) {
                left(&why);
            }
        }
        "servertimeout" => match seconds(&node.value) {
            Some(0) => needless(node, pool, "Redkeel's default is generous, not infinite"),
            Some(micros) => {
                let value = Value::duration(std::time::Duration::from_micros(micros));
                if let Err(why) = pool.try_set("timeouts", "request", value, "") {
                    left(&why);
                }
            }
            None => left("not a time"),
        },
        "serverfailurelimit" => match node.value.parse() {
            Ok(limit) => {
                if let Err(why) = pool.try_set("health", "fall", Value::Integer(limit), "") {
                    left(&why);
                }
            }
            Err(_) => left("not a number"),
        },
        "serverretrytimeout" | "refreshinterval" => {
            let why =
                "nodes are probed five times a second, and promotions are followed as they happen";
            needless(node, pool, why);
        }
        "keepalive" => needless(node, pool, "it is always on"),
        "databases" => needless(node, pool, "every database of the nodes can be selected"),
        _ => report.left_of(&node.file, node.line, &node.key, UNKNOWN),
    }
}

/// Microseconds of `number[s|ms|us]`.
fn seconds(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let worth = match unit {
        "" | "s" => 1_000_000,
        "m" | "ms" => 1000,
        "u" | "us" => 1,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(worth)
}

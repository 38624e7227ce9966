//! twemproxy's `nutcracker.yml` (nc_conf.c).

use std::net::Ipv6Addr;

use crate::document::Document;
use crate::draft::{Origin, Pool};
use crate::report::Report;
use crate::value::Value;
use crate::yaml::{self, Entry, Fields, Node};

/// twemproxy's defaults, of which those of Redkeel differ.
const HASH: &str = "fnv1a_64";
const DISTRIBUTION: &str = "ketama";

/// twemproxy counts connections that were closed, Redkeel probes that took longer than 200 ms: one of them would move keys
/// whenever a node is busy for a moment.
const LEAST_FALL: u64 = 2;

pub(crate) fn read(text: &str, document: &mut Document, report: &mut Report) -> Result<(), String> {
    let root = yaml::parse(report.file(), text)?;
    document.note(
        "Every key is where twemproxy has it: the names of the shards, their weights, `distribution`, `hash`, `hash_tag` \
         and `char_sign` decide that. If twemproxy runs on 64-bit ARM, `char_sign` is \"unsigned\". To give a shard replicas, \
         write it as a table: { name = \"…\", weight = 1, servers = [\"…\", \"…\"] }.",
    );
    for entry in root.entries() {
        if let Err(why) = pool(entry, document, report) {
            report.left(entry.line, &format!("{}:", entry.key), why);
        }
    }
    Ok(())
}

/// `Err`: the pool as a whole is left over.
fn pool(entry: &Entry, document: &mut Document, report: &mut Report) -> Result<(), String> {
    let mut fields = Fields::new(&entry.value);
    if fields.take("redis").and_then(|entry| flag(&entry.value)) != Some(true) {
        return Err("a pool for memcached (it has no `redis: true`)".to_owned());
    }
    let listen = fields.take("listen").ok_or("it has no `listen`")?;
    let (listen_value, permissions) =
        listening(&listen.value).ok_or("its `listen` is no address")?;
    let servers = fields.take("servers").ok_or("it has no `servers`")?;
    let mut word = |key: &'static str, default: &'static str| -> String {
        let entry = fields.take(key);
        entry.and_then(|entry| entry.value.scalar()).unwrap_or(default).to_owned()
    };
    let mut entries = vec![
        ("distribution", Value::Text(word("distribution", DISTRIBUTION))),
        ("hash", Value::Text(word("hash", HASH))),
        ("hash_tag", Value::Text(word("hash_tag", "none"))),
        ("char_sign", Value::text("signed")),
    ];
    let ejects = fields.take("auto_eject_hosts").and_then(|entry| flag(&entry.value)) == Some(true);
    entries.push(("on_shard_down", Value::text(if ejects { "rehash" } else { "fail" })));
    entries.push(("servers", shards(&servers.value)?));
    let name = document.name(&entry.key);
    let mut pool = Pool::with_table(&name, Some(listen_value), "shards", entries)?;
    if name != entry.key {
        pool.note(format!("twemproxy's pool {}, under a name that Redkeel can have.", entry.key));
    }
    if let Some(permissions) = permissions {
        let why = "the socket gets the permissions that the umask leaves: set that where Redkeel is started";
        report.left(listen.line, &format!("listen: … {permissions}"), why);
    }
    ejection(ejects, &mut fields, &mut pool, report);
    settings(&mut fields, &mut pool, report);
    needless(&mut fields, &mut pool);
    fields.finish(report, |_| "twemproxy does not know it either".to_owned());
    document.push(pool)
}

fn ejection(ejects: bool, fields: &mut Fields<'_>, pool: &mut Pool, report: &mut Report) {
    let limit = fields.take("server_failure_limit");
    let retry = fields.take("server_retry_timeout");
    if let Some(limit) = limit {
        let text = limit.text();
        let origin = Origin { line: limit.line, what: &text };
        match number(&limit.value) {
            _ if !ejects => pool.needless(origin, "no shard is taken out"),
            Some(limit) if limit < LEAST_FALL => {
                let note = "Of server_failure_limit, which is lower: one probe that is late is no proof. A refused connection counts at once.";
                if let Err(why) = pool.try_set("health", "fall", Value::Integer(LEAST_FALL), note) {
                    report.left(origin.line, origin.what, why);
                }
            }
            Some(limit) => pool.set("health", "fall", Value::Integer(limit), origin, report),
            None => report.left(origin.line, origin.what, "not a number"),
        }
    }
    if let Some(retry) = retry {
        let text = retry.text();
        let origin = Origin { line: retry.line, what: &text };
        let why = if ejects {
            "a shard is back as soon as probes say so, which costs no client an error"
        } else {
            "no shard is taken out"
        };
        pool.needless(origin, why);
    }
}

fn settings(fields: &mut Fields<'_>, pool: &mut Pool, report: &mut Report) {
    if let Some(entry) = fields.take("timeout") {
        let text = entry.text();
        let origin = Origin { line: entry.line, what: &text };
        match number(&entry.value) {
            Some(ms) => {
                pool.set("timeouts", "connect", Value::millis(ms), origin, report);
                pool.set("timeouts", "request", Value::millis(ms), origin, report);
            }
            None if entry.value.scalar().is_some_and(|text| text.starts_with('-')) => {
                pool.needless(origin, "Redkeel's defaults are not infinite but generous");
            }
            None => report.left(origin.line, origin.what, "not a number of milliseconds"),
        }
    }
    if let Some(entry) = fields.take("server_connections") {
        let text = entry.text();
        let origin = Origin { line: entry.line, what: &text };
        match number(&entry.value) {
            Some(1) => pool.needless(origin, "that is the default"),
            Some(number) => {
                pool.set("upstream", "connections", Value::Integer(number), origin, report);
            }
            None => report.left(origin.line, origin.what, "not a number"),
        }
    }
    if let Some(entry) = fields.take("redis_auth") {
        let password = entry.value.scalar().unwrap_or_default();
        let note = "Of `redis_auth`; better { env = \"REDIS_PASSWORD\" } or { file = \"…\" }. Clients authenticate with it as before: \
                    their AUTH goes to the nodes.";
        if let Err(why) = pool.try_set("upstream", "password", Value::text(password), note) {
            report.left(entry.line, "redis_auth", why);
        }
    }
    if let Some(entry) = fields.take("redis_db") {
        let text = entry.text();
        let origin = Origin { line: entry.line, what: &text };
        match number(&entry.value) {
            Some(0) => pool.needless(origin, "that is the default"),
            _ => report.left(
                origin.line,
                origin.what,
                "clients choose their database: SELECT after connecting",
            ),
        }
    }
}

/// What Redkeel does anyway, or twemproxy does not.
fn needless(fields: &mut Fields<'_>, pool: &mut Pool) {
    for (key, why) in [
        ("command", "commands of modules are learned from the nodes"),
        ("backlog", "the queue of new connections is as long as the system allows"),
        ("preconnect", "every node is connected to and probed from the start"),
        ("tcpkeepalive", "it is always on"),
        ("reuseport", "there is one process with several threads"),
        ("client_connections", "twemproxy does not heed it; `max_clients` of `limits` limits them"),
    ] {
        if let Some(entry) = fields.take(key) {
            let text = entry.text();
            pool.needless(Origin { line: entry.line, what: &text }, why);
        }
    }
}

/// The shards as Redkeel writes them. Without one of them all keys would move.
fn shards(servers: &Node) -> Result<Value, String> {
    let mut shards = Vec::new();
    for server in servers.items() {
        let text = server.scalar().ok_or_else(|| format!("line {}: not a server", server.line))?;
        let line =
            shard(text).map_err(|wrong| format!("line {}, `{text}`: {wrong}", server.line))?;
        shards.push((Value::Text(line), String::new()));
    }
    Ok(Value::Lines(shards))
}

/// `host:port:weight name` in Redkeel's spelling: the name is kept as twemproxy hashes it.
fn shard(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let (place, name) = match text.rsplit_once(' ') {
        Some((place, name)) => (place.trim_end(), format!(" {name}")),
        None => (text, String::new()),
    };
    let (address, weight) = place.rsplit_once(':').ok_or("it has no weight")?;
    if address.starts_with('/') {
        return Ok(format!("unix:{address}:{weight}{name}"));
    }
    let (host, port) = address.rsplit_once(':').ok_or("it has no port or no weight")?;
    if host.parse::<Ipv6Addr>().is_ok() {
        // Brackets are not part of its name: twemproxy has none.
        return Ok(format!("[{host}]:{port}:{weight}{name}"));
    }
    Ok(format!("{address}:{weight}{name}"))
}

/// Where to listen, and the permissions of a unix socket.
fn listening(node: &Node) -> Option<(Value, Option<&str>)> {
    let text = node.scalar()?.trim();
    if text.starts_with('/') {
        let (path, permissions) = match text.split_once(' ') {
            Some((path, permissions)) => (path, Some(permissions.trim())),
            None => (text, None),
        };
        return Some((Value::Text(format!("unix:{path}")), permissions));
    }
    let (host, port) = text.rsplit_once(':')?;
    let address = match host.parse::<Ipv6Addr>() {
        Ok(_) => format!("[{host}]:{port}"),
        Err(_) => text.to_owned(),
    };
    Some((Value::Text(address), None))
}

/// As `conf_set_bool`.
fn flag(node: &Node) -> Option<bool> {
    match node.scalar()? {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn number(node: &Node) -> Option<u64> {
    let text = node.scalar()?;
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_keep_the_name_that_is_hashed() {
        for (text, expected) in [
            ("127.0.0.1:6379:1", "127.0.0.1:6379:1"),
            ("127.0.0.1:6379:1 server1", "127.0.0.1:6379:1 server1"),
            ("/tmp/r.sock:2 a", "unix:/tmp/r.sock:2 a"),
            ("::1:6379:1", "[::1]:6379:1"),
            ("redis.internal:11211:5", "redis.internal:11211:5"),
        ] {
            assert_eq!(shard(text).as_deref(), Ok(expected));
        }
        assert!(shard("127.0.0.1").is_err());
        assert!(shard("a:1").is_err());
    }
}

//! predixy's `predixy.conf`, with the files that it includes.

mod auth;
mod parse;
mod pools;

use crate::Files;
use crate::document::Document;
use crate::draft::Pool;
use crate::report::Report;
use crate::value::Value;
use parse::Node;

/// predixy's own (Conf.cpp).
const BIND: &str = "0.0.0.0:7617";

/// What holds for the one pool that there is.
struct Global<'a> {
    name: Option<String>,
    bind: Option<&'a Node>,
    client_timeout: Option<&'a Node>,
    authority: Option<&'a Node>,
}

pub(crate) fn read(
    text: &str,
    files: &dyn Files,
    document: &mut Document,
    report: &mut Report,
) -> Result<(), String> {
    let nodes = parse::parse(text, files, report)?;
    let mut global = Global { name: None, bind: None, client_timeout: None, authority: None };
    for node in &nodes {
        self::global(node, &mut global, document, report);
    }
    for node in nodes.iter().filter(|node| is_pool(node)) {
        pools::write(node, &global, document, report);
    }
    Ok(())
}

fn is_pool(node: &Node) -> bool {
    let pools = ["ClusterServerPool", "SentinelServerPool", "StandaloneServerPool"];
    node.scope && pools.iter().any(|pool| node.is(pool))
}

fn global<'a>(
    node: &'a Node,
    global: &mut Global<'a>,
    document: &mut Document,
    report: &mut Report,
) {
    let text = node.text();
    let mut left = |why: &str| report.left_of(&node.file, node.line, &text, why);
    match &*node.key.to_ascii_lowercase() {
        "name" => global.name = Some(node.value.clone()),
        "bind" => global.bind = Some(node),
        "clienttimeout" => global.client_timeout = Some(node),
        "authority" => global.authority = Some(node),
        "workerthreads" => match node.value.parse() {
            Ok(number) => {
                if let Err(why) = document.set("", "workers", Value::Integer(number), "") {
                    left(&why);
                }
            }
            Err(_) => left("not a number"),
        },
        "maxmemory" if node.value == "0" => {
            document.needless_at(node.line, &node.place(), &text, "that is no limit")
        }
        "maxmemory" => {
            left(
                "there is no limit of all memory: `client_output`, `hold_bytes` and others of `limits` bound what takes it",
            );
        }
        "bufsize" | "allowmisslog" | "logrotate" => {
            document.needless_at(node.line, &node.place(), &text, "it changes nothing here");
        }
        "log" => {
            document.needless_at(node.line, &node.place(), &text, "Redkeel logs to standard error")
        }
        key if key.starts_with("log") => {
            document.needless_at(node.line, &node.place(), &text, "no line of the log is left out");
        }
        "latencymonitor" => {
            document.needless_at(
                node.line,
                &node.place(),
                &text,
                "/metrics has histograms of every command",
            );
        }
        "customcommand" => {
            document.needless_at(
                node.line,
                &node.place(),
                &text,
                "commands of modules are learned from the nodes",
            );
        }
        "localdc" | "datacenter" => {
            left(
                "a zone is that of one node: `zone` of the pool, and of [pool.NAME.nodes.\"ADDRESS\"]",
            );
        }
        _ if is_pool(node) => {}
        _ => report.left_of(&node.file, node.line, &node.key, pools::UNKNOWN),
    }
}

impl Global<'_> {
    fn listen(&self) -> Value {
        let bind = self.bind.map_or(BIND, |node| &*node.value);
        if bind.starts_with('/') { Value::Text(format!("unix:{bind}")) } else { Value::text(bind) }
    }

    /// Puts what holds for all clients into the pool.
    fn apply(&self, pool: &mut Pool, report: &mut Report) -> Result<(), String> {
        if let Some(node) = self.client_timeout {
            let idle = node.value.parse::<u64>().ok().and_then(|seconds| seconds.checked_mul(1000));
            let set = match idle {
                Some(ms) => pool.try_set("timeouts", "client_idle", Value::millis(ms), ""),
                None => Err("not a number of seconds".to_owned()),
            };
            if let Err(why) = set {
                report.left_of(&node.file, node.line, &node.text(), why);
            }
        }
        match self.authority {
            Some(authority) => auth::apply(authority, pool, report),
            None => pool.try_set("", "auth", Value::text("none"), "predixy asks for no password."),
        }
    }
}

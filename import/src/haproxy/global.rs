//! What holds for the whole process: `global`, `resolvers`, `peers` and the sections that are not about proxies.

use super::bind::Base;
use super::sections::{Kind, Section};
use super::settings::Setting;
use super::sink::Sink;
use super::time::time;
use super::words::Directive;
use crate::value::Value;

/// What the pools get from there.
#[derive(Clone, Debug, Default)]
pub(super) struct Global {
    pub(super) base: Base,
    /// `maxconn`, for pools that have none of their own.
    pub(super) max_clients: Option<Setting>,
}

pub(super) fn global(sections: &[Section], sink: &mut Sink<'_>) -> Global {
    let mut global = Global::default();
    for section in sections {
        match section.kind {
            Kind::Global => {
                for directive in &section.directives {
                    global.directive(directive, sink);
                }
            }
            Kind::Peers => {
                sink.needless(&section.head, "every proxy finds the same primary by itself");
            }
            Kind::Other => sink.left(&section.head, "Redkeel has no such section"),
            _ => {}
        }
    }
    global
}

impl Global {
    fn directive(&mut self, directive: &Directive, sink: &mut Sink<'_>) {
        let value = directive.word(1);
        match directive.word(0) {
            "nbthread" => match value.parse() {
                Ok(number) => set("", "workers", Value::Integer(number), directive, sink),
                Err(_) => sink.left(directive, "not a number"),
            },
            "hard-stop-after" => match time(value) {
                Some(time) => set("", "drain_timeout", time, directive, sink),
                None => sink.left(directive, "not a time"),
            },
            "maxconn" => match value.parse() {
                Ok(number) => {
                    let value = Value::Integer(number);
                    let (line, what) = (directive.line, directive.text.clone());
                    let (table, key) = ("limits", "max_clients");
                    self.max_clients = Some(Setting { table, key, value, line, what });
                }
                Err(_) => sink.left(directive, "not a number"),
            },
            "crt-base" => value.clone_into(&mut self.base.certificates),
            "ca-base" => value.clone_into(&mut self.base.authorities),
            "log" | "log-tag" | "log-send-hostname" => {
                sink.needless(directive, "Redkeel logs to standard error");
            }
            "user" | "group" | "uid" | "gid" | "chroot" | "daemon" | "pidfile" | "ulimit-n"
            | "set-dumpable" | "master-worker" | "nbproc" | "cpu-map" | "cpu-policy"
            | "limited-quiet" | "quiet" | "unix-bind" | "numa-cpu-mapping" => {
                sink.needless(directive, "that is the service manager's, or the system's");
            }
            "stats" => sink.needless(
                directive,
                "`[admin]` has status and metrics, `redkeel status` shows them",
            ),
            "lua-load" | "lua-load-per-thread" | "external-check" | "insecure-fork-wanted" => {
                sink.left(directive, "Redkeel runs no programs");
            }
            "localpeer"
            | "server-state-base"
            | "server-state-file"
            | "stats-file"
            | "spread-checks"
            | "max-spread-checks"
            | "description"
            | "node"
            | "hash-seed"
            | "maxpipes"
            | "noepoll"
            | "busy-polling"
            | "close-spread-time"
            | "grace"
            | "harden.reject-privileged-ports.tcp"
            | "no"
            | "expose-fd" => {
                sink.needless(directive, "it changes nothing here");
            }
            word if word.starts_with("tune.")
                || word.starts_with("ssl-")
                || word.starts_with("profiling.") =>
            {
                sink.needless(directive, "it changes nothing here");
            }
            word if word.starts_with("max") => {
                sink.left(directive, "there is no such limit: see `limits` of a pool");
            }
            _ => sink.left(directive, "Redkeel has nothing like it"),
        }
    }
}

fn set(table: &str, key: &str, value: Value, directive: &Directive, sink: &mut Sink<'_>) {
    if let Err(why) = sink.document.set(table, key, value, "") {
        sink.left(directive, why);
    }
}

/// The name servers, where some server is resolved by them.
pub(super) fn resolvers(sections: &[Section], used: bool, sink: &mut Sink<'_>) {
    let mut servers = Vec::new();
    let mut first = None;
    for section in sections.iter().filter(|section| section.kind == Kind::Resolvers) {
        if !used {
            sink.needless(&section.head, "no server uses it");
            continue;
        }
        for directive in &section.directives {
            match directive.word(0) {
                "nameserver" => {
                    let address = directive.word(2);
                    servers.push(
                        address.split_once('@').map_or(address, |(_, address)| address).to_owned(),
                    );
                    first.get_or_insert(directive);
                }
                "parse-resolv-conf" => {
                    sink.needless(
                        directive,
                        "those of /etc/resolv.conf are asked where none is named",
                    );
                }
                _ => sink.needless(directive, "an answer is used for as long as it is good"),
            }
        }
    }
    if let Some(first) = first {
        set("dns", "servers", Value::texts(servers), first, sink);
    }
}

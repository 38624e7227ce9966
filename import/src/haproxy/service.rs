//! What one backend does, with the frontends that lead to it, or one `listen` section.

use std::collections::BTreeMap;

use super::bind::{Base, Bind, bind};
use super::check::{Checks, Role, secret};
use super::server::{Server, server};
use super::settings::{Setting, Settings};
use super::sink::Sink;
use super::time::time;
use super::watch::Watch;
use super::words::Directive;
use crate::value::Value;

/// Servers, and the addresses at which clients reach them.
#[derive(Clone, Debug, Default)]
pub(super) struct Service {
    pub(super) name: String,
    /// The heads of its sections.
    pub(super) heads: Vec<(usize, String)>,
    pub(super) binds: Vec<Bind>,
    pub(super) servers: Vec<Server>,
    pub(super) checks: Checks,
    pub(super) redis_check: bool,
    /// The algorithm, and where it stands.
    pub(super) balance: Option<(String, usize, String)>,
    pub(super) settings: Settings,
    /// `timeout tunnel`, which takes the place of `timeout client`.
    tunnel: Option<Setting>,
    pub(super) allow: Vec<String>,
    pub(super) deny: Vec<String>,
    /// `use-server` lines.
    pub(super) decided_by: Vec<Directive>,
    /// The Sentinels by whose word they decide.
    pub(super) watch: Option<Watch>,
    /// Names of lists of source addresses.
    sources: BTreeMap<String, Acl>,
}

/// A named list of networks.
#[derive(Clone, Debug)]
struct Acl {
    networks: Vec<String>,
    directive: Directive,
    used: bool,
}

impl Service {
    /// Takes what holds for a section: its defaults first, and each directive once.
    pub(super) fn absorb(&mut self, directives: &[&Directive], base: &Base, sink: &mut Sink<'_>) {
        let defaults: Vec<&Directive> = directives
            .iter()
            .copied()
            .filter(|directive| directive.word(0) == "default-server")
            .collect();
        for directive in directives {
            match directive.word(0) {
                "bind" => self.binds.extend(bind(directive, base, sink)),
                "server" | "server-template" => {
                    self.servers.extend(server(directive, &defaults, base, sink));
                }
                "default-server" | "mode" | "default_backend" => {}
                _ => self.directive(directive, sink),
            }
        }
    }

    /// To be called once everything was taken.
    pub(super) fn finish(&mut self, sink: &mut Sink<'_>) {
        for acl in self.sources.values().filter(|acl| !acl.used) {
            sink.left(&acl.directive, "nothing that is carried over uses it");
        }
        if let Some(tunnel) = self.tunnel.take() {
            self.settings.put(tunnel);
        }
        for server in &self.servers {
            for setting in &server.settings {
                self.settings.agree(setting.clone(), sink.report);
            }
        }
        if let Some((password, line)) = self.checks.password.clone() {
            let username = self.checks.username.clone();
            let setting = |key, value| Setting {
                table: "upstream",
                key,
                value,
                line,
                what: "tcp-check send AUTH".to_owned(),
            };
            self.settings.put(setting("password", secret(&password)));
            if let Some(username) = username {
                self.settings.put(setting("username", Value::Text(username)));
            }
        }
    }

    /// Which nodes its checks let through.
    pub(super) fn role(&self) -> Option<Role> {
        self.checks.role
    }

    fn directive(&mut self, directive: &Directive, sink: &mut Sink<'_>) {
        match directive.word(0) {
            "timeout" => self.timeout(directive, sink),
            "option" => self.option(directive, sink),
            "tcp-check" => self.checks.rule(directive, sink.report),
            "balance" => {
                let place = (directive.word(1).to_owned(), directive.line, directive.text.clone());
                self.balance = Some(place);
            }
            "maxconn" => self.number("limits", "max_clients", directive, sink),
            "retries" => self.number("limits", "retries", directive, sink),
            "acl" => self.acl(directive, sink),
            "tcp-request" => self.tcp_request(directive, sink),
            "use-server" => self.decided_by.push(directive.clone()),
            "use_backend" if directive.rest(2).is_empty() => {}
            "use_backend" => {
                sink.left(
                    directive,
                    "a listener leads to one pool; routes are by the beginning of keys",
                );
            }
            "no" => sink.needless(directive, "it changes nothing here"),
            word => match needless(word) {
                Some(why) => sink.needless(directive, why),
                None => sink.left(directive, "Redkeel has nothing like it"),
            },
        }
    }

    fn timeout(&mut self, directive: &Directive, sink: &mut Sink<'_>) {
        let (table, key) = match directive.word(1) {
            "connect" => ("timeouts", "connect"),
            "server" => ("timeouts", "request"),
            "client" | "tunnel" => ("timeouts", "client_idle"),
            "check" => ("health", "timeout"),
            _ => return sink.needless(directive, "it changes nothing here"),
        };
        let Some(value) = time(directive.word(2)) else {
            return sink.left(directive, "not a time");
        };
        let (line, what) = (directive.line, directive.text.clone());
        let setting = Setting { table, key, value, line, what };
        if directive.word(1) == "tunnel" {
            self.tunnel = Some(setting);
        } else {
            self.settings.put(setting);
        }
    }

    fn option(&mut self, directive: &Directive, sink: &mut Sink<'_>) {
        match directive.word(1) {
            "redis-check" => self.redis_check = true,
            "tcp-check" => {}
            "httpchk" | "pgsql-check" | "mysql-check" | "smtpchk" | "ldap-check"
            | "ssl-hello-chk" | "external-check" | "spop-check" => {
                sink.left(directive, "every node is probed as Redis");
            }
            "redispatch" | "persist" | "allbackups" | "abortonclose" | "prefer-last-server" => {
                sink.needless(directive, "commands, not connections, are led to the nodes");
            }
            "tcpka" | "clitcpka" | "srvtcpka" => sink.needless(directive, "it is always on"),
            "log-health-checks" => {
                sink.needless(directive, "every change of a node's health or role is logged");
            }
            _ => sink.needless(directive, "it changes nothing here"),
        }
    }

    fn number(
        &mut self,
        table: &'static str,
        key: &'static str,
        directive: &Directive,
        sink: &mut Sink<'_>,
    ) {
        match directive.word(1).parse() {
            Ok(number) => self.settings.put(Setting {
                table,
                key,
                value: Value::Integer(number),
                line: directive.line,
                what: directive.text.clone(),
            }),
            Err(_) => sink.left(directive, "not a number"),
        }
    }

    fn acl(&mut self, directive: &Directive, sink: &mut Sink<'_>) {
        let (name, networks) = (directive.word(1), directive.rest(3));
        if directive.word(2) != "src" || networks.iter().any(|word| word.starts_with('-')) {
            return sink.left(directive, "only lists of source addresses are carried over");
        }
        match self.sources.get_mut(name) {
            Some(acl) => acl.networks.extend_from_slice(networks),
            None => {
                let (networks, directive) = (networks.to_vec(), directive.clone());
                self.sources.insert(name.to_owned(), Acl { networks, directive, used: false });
            }
        }
    }

    /// `tcp-request connection reject|accept if|unless [!]{ src … }`, or with the name of a list.
    fn tcp_request(&mut self, directive: &Directive, sink: &mut Sink<'_>) {
        let (stage, verdict) = (directive.word(1), directive.word(2));
        let condition: Vec<&str> = directive.rest(4).iter().map(String::as_str).collect();
        let unless = directive.word(3) == "unless";
        let (negated, condition) = match condition.split_first() {
            Some((&"!", rest)) => (true, rest.to_vec()),
            Some((&"!{", rest)) => (true, [&["{"], rest].concat()),
            Some((first, [])) if first.starts_with('!') => (true, vec![&first[1..]]),
            _ => (false, condition),
        };
        let is_other = unless != negated;
        let networks = match condition.as_slice() {
            ["{", "src", networks @ .., "}"] => {
                Some(networks.iter().map(|text| (*text).to_owned()).collect())
            }
            [name] => self.sources.get_mut(*name).map(|acl| {
                acl.used = true;
                acl.networks.clone()
            }),
            _ => None,
        };
        let networks: Option<Vec<String>> = networks;
        let is_first = self.allow.is_empty() && self.deny.is_empty();
        match (stage, verdict, networks) {
            ("connection", "reject", Some(networks)) if is_other && self.allow.is_empty() => {
                self.allow = networks;
            }
            ("connection", "reject", Some(networks)) if !is_other => self.deny.extend(networks),
            ("connection", "accept", Some(networks)) if !is_other && is_first => {
                self.allow = networks
            }
            ("connection", "reject", None)
                if directive.rest(3).is_empty() && !self.allow.is_empty() => {}
            _ => sink.left(
                directive,
                "of these, lists of source addresses are carried over: `allow` and `deny`",
            ),
        }
    }
}

/// Why a directive has no effect here.
fn needless(word: &str) -> Option<&'static str> {
    Some(match word {
        "log" | "log-format" | "log-format-sd" | "log-tag" | "log-steps" | "error-log-format" => {
            "Redkeel logs to standard error"
        }
        "description"
        | "id"
        | "guid"
        | "enabled"
        | "fullconn"
        | "hash-balance-factor"
        | "backlog"
        | "max-keep-alive-queue"
        | "clitcpka-cnt"
        | "clitcpka-idle"
        | "clitcpka-intvl"
        | "srvtcpka-cnt"
        | "srvtcpka-idle"
        | "srvtcpka-intvl"
        | "errorfile"
        | "errorfiles"
        | "http-reuse"
        | "load-server-state-from-file"
        | "stats"
        | "hash-type"
        | "unique-id-format"
        | "compression" => "it changes nothing here",
        "stick-table" | "stick" => "writes go to the one proven primary, whichever was first",
        _ => return None,
    })
}

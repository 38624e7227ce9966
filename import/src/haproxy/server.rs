//! `server`, `server-template` and `default-server`.

use std::net::Ipv6Addr;

use super::bind::Base;
use super::settings::Setting;
use super::sink::Sink;
use super::time::time;
use super::words::Directive;
use crate::draft::accepts_server;
use crate::value::Value;

/// One server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) name: String,
    /// As Redkeel writes it.
    pub(super) address: String,
    pub(super) weight: Option<u64>,
    pub(super) backup: bool,
    /// Options that hold for the whole pool.
    pub(super) settings: Vec<Setting>,
    pub(super) tls: Option<Tls>,
    pub(super) resolves: bool,
    pub(super) line: usize,
}

/// TLS towards the nodes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tls {
    pub(super) ca: Option<String>,
    /// With its key within.
    pub(super) certificate: Option<String>,
    pub(super) server_name: Option<String>,
    pub(super) unverified: bool,
}

/// A server with what `default-server` says for all. `None`: it is left over.
pub(super) fn server(
    directive: &Directive,
    defaults: &[&Directive],
    base: &Base,
    sink: &mut Sink<'_>,
) -> Option<Server> {
    let is_template = directive.word(0) == "server-template";
    let (at, first) = if is_template { (3, 4) } else { (2, 3) };
    let address = address(directive.word(at)).map_err(str::to_owned);
    let address = match address.and_then(|address| accepts_server(&address).map(|()| address)) {
        Ok(address) => address,
        Err(why) => {
            sink.left(directive, why);
            return None;
        }
    };
    let mut server = Server {
        name: directive.word(1).to_owned(),
        address,
        weight: None,
        backup: false,
        settings: Vec::new(),
        tls: None,
        resolves: false,
        line: directive.line,
    };
    let mut tls = (false, Tls::default());
    let mut usable = true;
    for (directive, from) in
        defaults.iter().map(|directive| (*directive, 1)).chain([(directive, first)])
    {
        let mut reader = Reader { directive, base, server: &mut server, tls: &mut tls, sink };
        usable &= reader.parameters(directive.rest(from));
    }
    server.tls = tls.0.then_some(tls.1);
    if is_template {
        let why = "the name stands for every address that it resolves to, however many";
        sink.needless_part(directive, directive.word(2), why);
    }
    usable.then_some(server)
}

struct Reader<'a, 'b> {
    directive: &'a Directive,
    base: &'a Base,
    server: &'a mut Server,
    /// Whether there is `ssl`, and what goes with it.
    tls: &'a mut (bool, Tls),
    sink: &'a mut Sink<'b>,
}

impl Reader<'_, '_> {
    /// `false`: the server is out of use.
    fn parameters(&mut self, words: &[String]) -> bool {
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_default();
            match word {
                "check" | "no-check" | "enabled" | "non-stick" | "check-ssl" | "no-check-ssl"
                | "check-send-proxy" | "no-backup" | "tfo" | "no-ssl" | "stick"
                | "force-tlsv12" | "force-tlsv13" => {}
                "backup" => self.server.backup = true,
                "disabled" => {
                    self.sink.part(
                        self.directive,
                        word,
                        "a server that is out of use is not in the pool",
                    );
                    return false;
                }
                "weight" => self.weight(value()),
                "inter" => self.time("health", "interval", word, value()),
                "fastinter" => self.time("health", "fast_interval", word, value()),
                "downinter" => self.time("health", "down_interval", word, value()),
                "slowstart" => self.time("health", "slow_start", word, value()),
                "rise" => self.number("health", "rise", word, value()),
                "fall" => self.number("health", "fall", word, value()),
                "send-proxy" => self.set("upstream", "proxy_protocol", Value::text("v1"), word),
                "send-proxy-v2" => self.set("upstream", "proxy_protocol", Value::text("v2"), word),
                "ssl" => self.tls.0 = true,
                "ca-file" => match value() {
                    "@system-ca" => self.tls.1.ca = None,
                    path => self.tls.1.ca = Some(self.base.authority(path)),
                },
                "crt" => self.tls.1.certificate = Some(self.base.certificate(value())),
                "verify" => self.tls.1.unverified = value() == "none",
                "sni" | "check-sni" | "verifyhost" => self.name(word, value()),
                "resolvers" => {
                    value();
                    self.server.resolves = true;
                }
                "maxconn" | "minconn" | "maxqueue" | "pool-max-conn" | "init-addr"
                | "init-state" | "on-marked-down" | "on-marked-up" | "on-error" | "observe"
                | "error-limit" | "id" | "guid" | "tcp-ut" | "resolve-prefer" | "ssl-min-ver"
                | "ssl-max-ver" | "ciphers" | "ciphersuites" | "alpn" | "check-alpn" | "cookie" => {
                    value();
                    self.sink.needless_part(self.directive, word, needless(word));
                }
                other => {
                    // Whether a value follows is not known: the rest is one.
                    let why = "Redkeel has no such setting of a node";
                    self.sink.part(self.directive, other, why);
                    return true;
                }
            }
        }
        true
    }

    fn weight(&mut self, text: &str) {
        match text.parse() {
            Ok(weight) => self.server.weight = Some(weight),
            Err(_) => self.sink.part(self.directive, "weight", "not a number"),
        }
    }

    /// `str(name)` or a plain name.
    fn name(&mut self, word: &str, text: &str) {
        let name =
            text.strip_prefix("str(").and_then(|text| text.strip_suffix(')')).unwrap_or(text);
        if name.contains(['(', ',', '%']) {
            let why = "the name is one text: `server_name` of `upstream.tls`";
            self.sink.part(self.directive, word, why);
        } else {
            self.tls.1.server_name = Some(name.to_owned());
        }
    }

    fn time(&mut self, table: &'static str, key: &'static str, word: &str, text: &str) {
        match time(text) {
            Some(value) => self.set(table, key, value, word),
            None => self.sink.part(self.directive, word, "not a time"),
        }
    }

    fn number(&mut self, table: &'static str, key: &'static str, word: &str, text: &str) {
        match text.parse() {
            Ok(number) => self.set(table, key, Value::Integer(number), word),
            Err(_) => self.sink.part(self.directive, word, "not a number"),
        }
    }

    fn set(&mut self, table: &'static str, key: &'static str, value: Value, word: &str) {
        let what = format!("{} … {word}", self.directive.word(0));
        let line = self.directive.line;
        self.server.settings.retain(|other| (other.table, other.key) != (table, key));
        self.server.settings.push(Setting { table, key, value, line, what });
    }
}

fn needless(word: &str) -> &'static str {
    match word {
        "maxconn" | "minconn" | "maxqueue" | "pool-max-conn" => {
            "all clients share a few connections to each node"
        }
        "init-addr" | "init-state" => "a node gets nothing before a probe has been answered",
        "on-marked-down" | "on-marked-up" => {
            "commands, not connections, are led to the nodes, and follow a change at once"
        }
        "on-error" | "observe" | "error-limit" => {
            "what goes wrong with a command makes Redkeel probe its node at once"
        }
        "ssl-min-ver" | "ssl-max-ver" | "ciphers" | "ciphersuites" => {
            "TLS 1.2 and 1.3, with their safe ciphers only"
        }
        "resolve-prefer" => "every address is a node",
        _ => "it changes nothing here",
    }
}

/// `10.0.0.1:6379`, `::1:6379`, `_redis._tcp.internal`, `/run/redis.sock`.
fn address(text: &str) -> Result<String, &'static str> {
    let text = text.split_once('@').map_or(text, |(_, text)| text);
    if text.contains('$') {
        return Err("an address from the environment: write it out");
    }
    if text.starts_with('/') {
        return Ok(format!("unix:{text}"));
    }
    if text.starts_with('_') {
        return Ok(format!("srv:{text}"));
    }
    let (host, port) = text.rsplit_once(':').ok_or("it has no port: name that of the node")?;
    if port.starts_with(['+', '-']) {
        return Err("its port depends on the client's: one pool for each port");
    }
    let host = host.trim_matches(['[', ']']);
    match host.parse::<Ipv6Addr>() {
        Ok(_) => Ok(format!("[{host}]:{port}")),
        Err(_) => Ok(format!("{host}:{port}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("10.0.0.1:6379", Ok("10.0.0.1:6379")),
            ("ipv4@10.0.0.1:6379", Ok("10.0.0.1:6379")),
            ("::1:6379", Ok("[::1]:6379")),
            ("[::1]:6379", Ok("[::1]:6379")),
            ("unix@/run/r.sock", Ok("unix:/run/r.sock")),
            ("_redis._tcp.internal", Ok("srv:_redis._tcp.internal")),
            ("redis.internal", Err(())),
            ("10.0.0.1:+1", Err(())),
            ("${A}:6379", Err(())),
        ] {
            assert_eq!(address(text).as_deref().map_err(|_| ()), expected, "{text}");
        }
    }
}

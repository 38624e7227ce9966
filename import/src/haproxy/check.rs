//! What a sequence of `tcp-check` rules, or `option redis-check`, asks a server for.

use super::words::Directive;
use crate::draft::Origin;
use crate::report::Report;
use crate::value::Value;

/// Which nodes a check lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Primary,
    Replica,
}

/// What the checks of a section say.
#[derive(Clone, Debug, Default)]
pub(super) struct Checks {
    pub(super) role: Option<Role>,
    /// Something in them is Redis' own.
    pub(super) speaks_redis: bool,
    /// They speak to Sentinels.
    pub(super) asks_sentinel: bool,
    pub(super) username: Option<String>,
    /// With the line where it stands.
    pub(super) password: Option<(String, usize)>,
}

impl Checks {
    /// Takes one `tcp-check` rule.
    pub(super) fn rule(&mut self, directive: &Directive, report: &mut Report) {
        let origin = Origin { line: directive.line, what: &directive.text };
        let known = match directive.word(1) {
            // It only names the step for HAProxy's log.
            "comment" => true,
            "connect" => self.connect(directive.rest(2)),
            "send" | "send-lf" if is_comment(directive.rest(3)) => {
                self.send(directive.word(2), directive.line)
            }
            "expect" => self.expect(directive.rest(2)),
            _ => false,
        };
        if !known {
            let why = "not a check that Redkeel knows: it asks each node for its role, its health and its lag itself";
            report.left(origin.line, origin.what, why);
        }
    }

    /// Parameters that the server has anyway.
    fn connect(&self, parameters: &[String]) -> bool {
        parameters.iter().all(|word| matches!(&**word, "default" | "ssl" | "linger"))
    }

    fn send(&mut self, text: &str, line: usize) -> bool {
        let words = request(text);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let Some((name, arguments)) = words.split_first() else { return false };
        let known = match (&*name.to_ascii_uppercase(), arguments) {
            ("PING" | "QUIT" | "ROLE" | "INFO", _) => true,
            ("AUTH", [password]) => self.credentials(None, password, line),
            ("AUTH", [username, password]) => self.credentials(Some(username), password, line),
            ("SENTINEL", _) => {
                self.asks_sentinel = true;
                true
            }
            _ => false,
        };
        self.speaks_redis |= known;
        known
    }

    fn credentials(&mut self, username: Option<&str>, password: &str, line: usize) -> bool {
        self.username = username.map(str::to_owned);
        self.password = Some((password.to_owned(), line));
        true
    }

    fn expect(&mut self, words: &[String]) -> bool {
        // What comes before the pattern are its kind, `!` and how long to wait.
        let mut words = words.iter().map(String::as_str);
        let mut negated = false;
        let pattern = loop {
            match words.next() {
                Some("!") => negated = true,
                Some(
                    "min-recv" | "comment" | "on-error" | "on-success" | "tout-status"
                    | "error-status" | "ok-status",
                ) => {
                    words.next();
                }
                Some("string" | "rstring") => break words.next().unwrap_or_default(),
                _ => return false,
            }
        };
        let pattern = pattern.trim_matches(['^', '$', '\r', '\n', ' ']).replace("\\", "");
        let lower = pattern.to_ascii_lowercase();
        match (&*lower, negated) {
            ("role:master" | "master", false) | ("role:slave" | "slave", true) => {
                self.role = Some(Role::Primary);
                self.speaks_redis = true;
            }
            ("role:slave" | "slave" | "role:replica", false) | ("role:master" | "master", true) => {
                self.role = Some(Role::Replica);
                self.speaks_redis = true;
            }
            ("+pong" | "pong" | "+ok" | "ok", false) => {}
            // Redkeel looks at these itself.
            ("loading:0" | "master_link_status:up" | "master_sync_in_progress:0", false)
            | ("loading:1" | "master_link_status:down" | "master_sync_in_progress:1", true) => {}
            // The answer of a Sentinel.
            _ if self.asks_sentinel => {}
            _ => return false,
        }
        true
    }
}

/// A password, which may be a variable of the environment: `${NAME}`.
pub(super) fn secret(text: &str) -> Value {
    let name = text.strip_prefix('$').map(|name| name.trim_matches(['{', '}']));
    match name.filter(|name| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    }) {
        Some(name) => Value::Table(vec![("env", Value::text(name))]),
        None => Value::text(text),
    }
}

/// Nothing but a name for HAProxy's log.
fn is_comment(words: &[String]) -> bool {
    match words {
        [] => true,
        [comment, _] => comment == "comment",
        _ => false,
    }
}

/// The words of a command, inline or as an array of strings.
pub(super) fn request(text: &str) -> Vec<String> {
    let text = text.trim_end_matches(['\r', '\n']);
    if !text.starts_with('*') {
        return text.split_whitespace().map(str::to_owned).collect();
    }
    let parts = text.split("\r\n").skip(1);
    parts.filter(|part| !part.starts_with('$')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(rules: &[&str]) -> (Checks, usize) {
        let text = rules.join("\n");
        let mut report = Report::new("a.cfg");
        let mut checks = Checks::default();
        for directive in super::super::words::directives(&text).0 {
            checks.rule(&directive, &mut report);
        }
        (checks, report.finish().len())
    }

    #[test]
    fn sequences() {
        let (checks, left) = checks(&[
            "tcp-check connect",
            "tcp-check send AUTH\\ app\\ hunter2\\r\\n",
            "tcp-check expect string +OK",
            "tcp-check send PING\\r\\n",
            "tcp-check expect string +PONG",
            "tcp-check send info\\ replication\\r\\n",
            "tcp-check expect string role:master min-recv 100",
            "tcp-check send QUIT\\r\\n",
            "tcp-check expect string +OK",
        ]);
        assert_eq!((checks.role, left), (Some(Role::Primary), 0));
        assert_eq!(checks.username.as_deref(), Some("app"));
        assert_eq!(checks.password, Some(("hunter2".to_owned(), 2)));
    }

    #[test]
    fn roles() {
        for (rule, role) in [
            ("tcp-check expect string role:slave", Some(Role::Replica)),
            ("tcp-check expect rstring ^role:slave", Some(Role::Replica)),
            ("tcp-check expect ! string role:master", Some(Role::Replica)),
            ("tcp-check expect min-recv 9 string role:master", Some(Role::Primary)),
            ("tcp-check expect string +PONG", None),
            ("tcp-check expect ! string loading:1", None),
        ] {
            let (checks, left) = checks(&[rule]);
            assert_eq!((checks.role, left), (role, 0), "{rule}");
        }
    }

    #[test]
    fn what_is_not_known_is_left_over() {
        for rule in [
            "tcp-check expect string connected_slaves:2",
            "tcp-check expect binary 2b504f4e47",
            "tcp-check send-binary 50494e47",
            "tcp-check send GET\\ maintenance\\r\\n",
            "tcp-check send PING\\r\\n tcp-check expect string +PONG",
            "tcp-check connect port 6380",
            "tcp-check set-var(check.a) int(1)",
            "tcp-check",
        ] {
            assert_eq!(checks(&[rule]).1, 1, "{rule}");
        }
    }

    #[test]
    fn a_command_may_be_an_array() {
        assert_eq!(request("*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n"), ["AUTH", "x"]);
    }
}

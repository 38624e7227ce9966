//! What of a text must not be shown.

use crate::options::TABLES;
use crate::suggest;
use crate::tree::{Field, Node, Span, Value};

/// What stands before an `@`, and what is no host and port behind `://`: people paste URLs with credentials.
pub(crate) fn credentials(text: &str) -> Vec<Span> {
    let mut found = Vec::new();
    let mut start = 0;
    let ends_word = |c: char| c.is_whitespace() || "\"'`,".contains(c);
    for word in text.split_inclusive(ends_word) {
        let begin = word.find("://").map_or(0, |at| at + 3);
        let end = word.trim_end_matches(ends_word).len();
        let secret = match word.rfind('@') {
            // A rule of an ACL: `+@read`.
            Some(at) if matches!(&word[..at], "+" | "-") => 0..0,
            Some(at) => begin.min(at)..at,
            None if begin > 0 && begin < end && !is_host_and_port(&word[begin..end]) => begin..end,
            None => 0..0,
        };
        if !secret.is_empty() {
            found.push(start + secret.start..start + secret.end);
        }
        start += word.len();
    }
    found
}

/// `host`, `host:6379`, `[::1]:6379`, each with a path or without.
fn is_host_and_port(text: &str) -> bool {
    let authority = text.split(['/', '?']).next().unwrap_or(text);
    let port = authority.rsplit(']').next().unwrap_or(authority).split_once(':');
    port.is_none_or(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
}

/// The secrets of a file that parsed.
pub(crate) fn secrets_of_tree(text: &str, root: &[Field]) -> Vec<Span> {
    let mut found = secrets_of_comments(text);
    for field in root {
        match &field.node.value {
            // A pool may have any name: `[pool.tokens]` is no secret.
            Value::Table(pools) if field.key == "pool" => {
                pools.iter().for_each(|pool| node(&pool.node, false, &mut found));
            }
            _ => fields(std::slice::from_ref(field), false, &mut found),
        }
    }
    found
}

/// Comments beside a secret, and secrets in comments: both keep old passwords.
fn secrets_of_comments(text: &str) -> Vec<Span> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if let (Some(hash), Some(value)) = (line.find('#'), value_of_secret(line, "")) {
            found.push(start + hash.max(value)..start + line.len());
        }
        start += line.len();
    }
    found
}

fn fields(fields: &[Field], inside: bool, found: &mut Vec<Span>) {
    for field in fields {
        // { env = "NAME" } and { file = "…" } say where a secret is, not what it is.
        let source = inside
            && match (&*field.key, &field.node.value) {
                ("env", Value::Text(name)) => is_variable_name(name),
                ("file", _) => true,
                _ => false,
            };
        if !source {
            node(&field.node, inside || is_secret(field), found);
        }
    }
}

fn node(node: &Node, secret: bool, found: &mut Vec<Span>) {
    match &node.value {
        Value::Table(inner) => fields(inner, secret, found),
        Value::List(items) => items.iter().for_each(|item| self::node(item, secret, found)),
        _ if secret => found.push(node.span.clone()),
        _ => {}
    }
}

/// As shells and containers write them; anything else may be the secret itself.
pub(crate) fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_secret(field: &Field) -> bool {
    if field.key != "auth" {
        return is_secret_name(&field.key);
    }
    // Elsewhere `auth` is where the password goes; here it is a choice.
    let Value::Text(value) = &field.node.value else { return true };
    suggest::nearest(value, ["pass-through", "users", "none"]).is_none()
}

/// Does a key of this name, or of a name mistyped like this, hold a secret?
fn is_secret_name(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["pass", "pwd", "secret", "token", "credential", "auth"].iter().any(|part| key.contains(part))
        || key == "pw"
        || suggest::distance(&key, "password") <= 3
        || suggest::distance(&key, "token") <= 1
}

/// What may be a secret in a file that did not parse: what follows a word that looks like the key of one,
/// up to the next header or option.
pub(crate) fn secrets_of_lines(text: &str) -> Vec<Span> {
    let mut found = Vec::new();
    let mut within = false;
    let mut before = "";
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let value = if is_header(line) { None } else { value_of_secret(line, before) };
        let hidden = match value {
            Some(at) => Some(at),
            None if within && !starts_something(line) => Some(0),
            None => None,
        };
        found.extend(hidden.map(|at| start + at..start + line.len()));
        within = hidden.is_some();
        before = last_word(line);
        start += line.len();
    }
    found
}

/// Is this a header, or an option that there is? Anything else may be a secret that goes on.
fn starts_something(line: &str) -> bool {
    let key = line.split_once('=').map(|(key, _)| key.trim());
    is_header(line)
        || key.is_some_and(|key| TABLES.iter().any(|table| table.keys().any(|known| known == key)))
}

fn is_header(line: &str) -> bool {
    let name = line.trim_start().strip_prefix('[').map(|name| name.trim_start_matches('['));
    !line.contains('=')
        && name.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// Where in the line the value behind a secret's key begins.
/// `before`: the last word of the line before.
fn value_of_secret<'a>(line: &'a str, mut before: &'a str) -> Option<usize> {
    let mut at = 0;
    for word in line.split_inclusive(|c: char| !is_of_word(c)) {
        let name = word.trim_end_matches(|c: char| !is_of_word(c));
        let end = at + name.len();
        // A slip may have cut a key in two.
        let cut = || !is_secret_name(before) && is_secret_name(&format!("{before}{name}"));
        if !name.is_empty() && (is_secret_name(name) || cut()) {
            let rest = line[end..].trim_start_matches([' ', '\t', '"', '\'']);
            let after_key = rest.strip_prefix('=').map_or(end, |value| line.len() - value.len());
            let value = line.len() - line[after_key..].trim_start().len();
            if !is_source(&line[value..]) {
                return Some(value);
            }
        }
        at += word.len();
        before = name;
    }
    None
}

fn last_word(line: &str) -> &str {
    line.split(|c: char| !is_of_word(c)).rfind(|word| !word.is_empty()).unwrap_or_default()
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

/// `{ env = …` or `{ file = …`
fn is_source(value: &str) -> bool {
    let key = value.strip_prefix('{').and_then(|fields| fields.split_once('='));
    key.is_some_and(|(key, _)| matches!(key.trim(), "env" | "file"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Report;
    use crate::mask::Masked;
    use crate::tree;

    fn masked_file(text: &str) -> String {
        let fields = tree::parse(text, &mut Report::default());
        Masked::new(text, secrets_of_tree(text, &fields)).text().to_owned()
    }

    fn masked_lines(text: &str) -> String {
        Masked::new(text, secrets_of_lines(text)).text().to_owned()
    }

    #[test]
    fn secrets_of_a_file() {
        for (text, expected) in [
            ("password = 'x'\nlisten = 'y'", "password = ***\nlisten = 'y'"),
            ("\"pass\\u0077ord\" = 'x'", "\"pass\\u0077ord\" = ***"),
            ("requirepass = 5", "requirepass = ***"),
            ("pasword = 'x'", "pasword = ***"),
            ("password = { env = 'NAME' }", "password = { env = 'NAME' }"),
            ("password = { env = 'not a name' }", "password = { env = *** }"),
            ("password = { file = '/x' }", "password = { file = '/x' }"),
            ("password = { sha256 = 'x' }", "password = { sha256 = *** }"),
            ("[users.a]\npassword = ['x', 'y']", "[users.a]\npassword = [***, ***]"),
            ("password = '''x\ny'''\nz = 1", "password = ***\n***\nz = 1"),
            ("auth = 'pass-trough'", "auth = 'pass-trough'"),
            ("auth = 'x'", "auth = ***"),
            ("a = 1 # password: x", "a = 1 # password***"),
            ("password = 'x' # old: x", "password = *** ***"),
            ("servers = ['redis://u:x@h:1']", "servers = ['redis://***@h:1']"),
            ("servers = ['u:x@h:1', 'h:2']", "servers = ['***@h:1', 'h:2']"),
            ("servers = ['redis://u:x', 'h:2']", "servers = ['redis://***', 'h:2']"),
            (
                "servers = ['redis://h:1/0', 'redis://[::1]:1']",
                "servers = ['redis://h:1/0', 'redis://[::1]:1']",
            ),
            ("refuse = ['@dangerous']", "refuse = ['@dangerous']"),
            ("commands = ['+@read', '-@x']", "commands = ['+@read', '-@x']"),
            ("[pool.tokens]\nlisten = 'h:1'", "[pool.tokens]\nlisten = 'h:1'"),
            ("[pool.tokens]\npassword = 'x'", "[pool.tokens]\npassword = ***"),
        ] {
            assert_eq!(masked_file(text), expected, "{text}");
        }
    }

    #[test]
    fn secrets_of_lines_that_do_not_parse() {
        for (text, expected) in [
            ("password = \"x\nlisten = \"y", "password = ***\nlisten = \"y"),
            ("password \"x\"\nlisten = 1", "password ***\nlisten = 1"),
            ("pas sword = 'x'", "pas sword = ***"),
            ("password = 'x'\n[log]", "password = ***\n[log]"),
            ("password = \"\"\"\nx\nb = 1\n\"\"\"\nc = 1", "password = ***\n***\n***\n***\n***"),
            ("passw\nord = 'x'\n  # y\n\nfall = 1", "passw\n***\n***\n\nfall = 1"),
            ("[pool.tokens]\nlisten = 1", "[pool.tokens]\nlisten = 1"),
            ("pas\nsword = 'x'", "pas\nsword = ***"),
            ("password = { env = 'A' ]", "password = { env = 'A' ]"),
            ("{ username = 'a', password = 'x' ", "{ username = 'a', password = ***"),
        ] {
            assert_eq!(masked_lines(text), expected, "{text}");
        }
    }
}

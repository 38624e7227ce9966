//! `Authority`: who may do what.

use super::parse::Node;
use crate::draft::Pool;
use crate::report::Report;
use crate::value::Value;

/// Carries the passwords over. predixy knows clients by their passwords alone; Redkeel by a user, of whom the one whom AUTH means
/// without a name is `default`.
///
/// # Errors
///
/// Why Redkeel refuses what the pool would be.
pub(super) fn apply(authority: &Node, pool: &mut Pool, report: &mut Report) -> Result<(), String> {
    let auths: Vec<&Node> = authority.inner.iter().filter(|node| node.is("Auth")).collect();
    let open = auths.iter().find(|auth| auth.value.is_empty());
    let secret: Vec<&&Node> = auths.iter().filter(|auth| !auth.value.is_empty()).collect();
    match (open, secret.as_slice()) {
        (Some(open), secret) => {
            for auth in secret {
                report.left_of(&auth.file, auth.line, "Auth …", OPEN);
            }
            for limit in limits(open) {
                let why = "keys are those of a user: `keys` of [pool.NAME.users.default]";
                report.left_of(&limit.file, limit.line, &limit.text(), why);
            }
            if mode(open) == "read" {
                pool.try_set(
                    "",
                    "mode",
                    Value::text("read"),
                    "Clients without a password may read.",
                )?;
            }
            pool.try_set("", "auth", Value::text("none"), "Clients need no password.")
        }
        (None, [first, others @ ..]) => {
            for auth in others {
                report.left_of(&auth.file, auth.line, "Auth …", NAMED);
            }
            user(first, pool, report)
        }
        (None, []) => {
            pool.try_set("", "auth", Value::text("none"), "There is no Auth within Authority.")
        }
    }
}

const OPEN: &str = "clients of this pool need no password, as others in the file have none; with `auth = \"users\"` every client has one";
const NAMED: &str = "AUTH with a password alone means the user `default`: write this one as a user, [pool.NAME.users.NAME], whose \
                     clients say AUTH NAME PASSWORD";

fn user(auth: &Node, pool: &mut Pool, report: &mut Report) -> Result<(), String> {
    let commands = match mode(auth).as_str() {
        "read" => vec!["+@read", "+@connection"],
        "admin" => vec!["+@all"],
        _ => vec!["+@all", "-@admin", "-@dangerous"],
    };
    let mut options =
        vec![("password", Value::text(&*auth.value)), ("commands", Value::texts(commands))];
    if let Some(keys) = keys(auth, report) {
        options.push(("keys", Value::texts(keys)));
    }
    let note = "Better { sha256 = \"…\" }, { env = \"…\" } or { file = \"…\" }.";
    pool.try_pair(("auth", Value::text("users")), "users.default", options, note)
}

/// A pattern is for reads and writes alike: never more than predixy allows.
fn keys(auth: &Node, report: &mut Report) -> Option<Vec<String>> {
    limits(auth).next()?;
    let writes = limits(auth).any(|limit| limit.is("WriteKeyPrefix"));
    let mut keys = Vec::new();
    for limit in limits(auth) {
        if limit.is("ReadKeyPrefix") && (writes || mode(auth) != "read") {
            let why =
                "`keys` of a user are for reads and writes alike: it has those that it may write";
            report.left_of(&limit.file, limit.line, &limit.text(), why);
        } else {
            keys.extend(limit.value.split_whitespace().map(pattern));
        }
    }
    Some(keys)
}

/// Keys that begin so, as `KEYS` has it.
fn pattern(prefix: &str) -> String {
    let mut pattern = String::new();
    for c in prefix.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "*"
}

fn mode(auth: &Node) -> String {
    let mode = auth.inner.iter().find(|node| node.is("Mode"));
    mode.map_or_else(String::new, |node| node.value.to_ascii_lowercase())
}

fn limits(auth: &Node) -> impl Iterator<Item = &Node> {
    auth.inner.iter().filter(|node| node.key.to_ascii_lowercase().ends_with("keyprefix"))
}

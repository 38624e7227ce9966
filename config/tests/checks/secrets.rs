//! A password in a text is in no diagnostic of it: shared by the replayed corpus and the fuzz target.

use toml::{Table, Value};

/// The password that corpora and dictionaries use.
pub(crate) const SECRET: &str = "hunter2";

/// Is the secret in this text, and nothing but a password? Then nobody may be shown it.
pub(crate) fn is_password_in(text: &str) -> bool {
    if text.matches(SECRET).count() != 1 {
        return false;
    }
    match text.parse::<Table>() {
        Ok(root) => root.iter().any(|(key, value)| match value {
            // A pool may have any name.
            Value::Table(pools) if key == "pool" => pools.values().any(holds),
            value => is_password(key, value),
        }),
        // What does not parse has lines at the most.
        Err(_) => text.split('\n').any(is_password_line),
    }
}

fn is_password(key: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => matches!(key, "password" | "token") && text.contains(SECRET),
        value => holds(value),
    }
}

fn holds(value: &Value) -> bool {
    match value {
        Value::Table(fields) => fields.iter().any(|(key, value)| is_password(key, value)),
        Value::Array(items) => items.iter().any(holds),
        _ => false,
    }
}

fn is_password_line(line: &str) -> bool {
    let value = line.trim_start().strip_prefix("password").map(str::trim_start);
    let value = value.and_then(|rest| rest.strip_prefix('=')).map(str::trim_start);
    value.is_some_and(|value| !value.starts_with('{') && value.contains(SECRET))
}

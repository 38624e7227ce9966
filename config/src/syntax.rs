//! What the TOML parser says, with what to do about it.

use toml::de::Error;

use crate::diagnostics::Report;

/// Reports syntax errors, the first of each line: what follows on a line mostly follows from it.
pub(crate) fn report(errors: &[Error], text: &str, report: &mut Report) {
    let mut last_line = None;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let line = text.get(..span.start).unwrap_or(text).matches('\n').count();
        if last_line.replace(line) == Some(line) {
            continue;
        }
        let (what, expected) = match error.message().split_once(", expected ") {
            Some((what, expected)) => (what, Some(expected)),
            None => (error.message(), None),
        };
        let (what, help) = match (what, help(what)) {
            ("string values must be quoted", _) if span.is_empty() => {
                ("a key without a value", Some("write it behind the `=`, or leave the line out"))
            }
            other => other,
        };
        let item = report.error(span, format!("not valid TOML: {what}"));
        match (help, expected) {
            (Some(help), _) => {
                item.with_help(help);
            }
            (None, Some(expected)) if expected != "nothing" => {
                item.with_help(format!("expected {expected}"));
            }
            _ => {}
        }
    }
}

/// What to do about the mistakes that are made most.
fn help(what: &str) -> Option<&'static str> {
    Some(match what {
        "duplicate key" => "every key and every `[header]` stands once",
        "string values must be quoted" => {
            "texts, durations, sizes and addresses stand in quotes: `\"10s\"`"
        }
        "invalid float" | "invalid decimal integer" | "invalid integer" | "invalid datetime" => {
            "if this is no number, it stands in quotes: `\"127.0.0.1:6379\"`, `\"10s\"`"
        }
        "invalid basic string" | "invalid literal string" => {
            "close the string on the line where it begins"
        }
        "missing escaped value" | "too few unicode value digits" => {
            "write a backslash as `\\\\`, or the string in single quotes"
        }
        "key with no value" => "options are written `key = value`",
        "invalid unquoted key" => {
            "a key with other characters stands in quotes: `[pool.main.nodes.\"10.0.0.1:6379\"]`"
        }
        "missing comma between array elements" | "unclosed array" => {
            "a list is written `[\"a\", \"b\"]`: is a comma or the `]` missing?"
        }
        "missing comma between key-value pairs" | "unclosed inline table" => {
            "a table within a line is written `{ a = 1, b = 2 }`: is a comma or the `}` missing?"
        }
        _ => return None,
    })
}

//! Names of commands.

use super::{Kind, Show, wrong_entry, wrong_type};
use crate::diagnostics::Report;
use crate::tree::{Node, Value};

/// A list of commands, each `NAME` or `NAME SUBCOMMAND`; upper case in the model.
pub(crate) struct Commands;

/// Refused whatever the list says: they would make a client a replica.
const ALWAYS_REFUSED: [&str; 3] = ["SYNC", "PSYNC", "REPLCONF"];

impl Kind for Commands {
    type Value = Vec<String>;

    fn values(&self) -> String {
        "list of commands".to_owned()
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<Vec<String>> {
        let Value::List(items) = &node.value else {
            wrong_type(key, "a list of commands", "[\"FLUSHALL\", \"CONFIG SET\"]", node, report);
            return None;
        };
        let mut commands: Vec<String> = Vec::new();
        for item in items {
            let Some(command) = command(key, item, report) else { continue };
            if commands.contains(&command) {
                report.warning(item.span.clone(), format!("`{command}` stands twice in `{key}`"));
            } else if ALWAYS_REFUSED.contains(&command.as_str()) {
                report
                    .warning(item.span.clone(), format!("`{command}` is always refused"))
                    .with_help("it can be left out");
            } else {
                commands.push(command);
            }
        }
        Some(commands)
    }
}

impl Show for Commands {
    fn show(&self, commands: &Vec<String>) -> String {
        let quoted: Vec<String> = commands.iter().map(|command| format!("\"{command}\"")).collect();
        format!("[{}]", quoted.join(", "))
    }
}

fn command(key: &str, item: &Node, report: &mut Report) -> Option<String> {
    let Value::Text(text) = &item.value else {
        wrong_entry(key, "a command", "\"CONFIG SET\"", item, report);
        return None;
    };
    let words: Vec<String> = text.split_whitespace().map(str::to_ascii_uppercase).collect();
    // Commands of modules have dots: JSON.SET.
    let named = |word: &String| {
        word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'_' || b == b'-')
    };
    if matches!(words.len(), 1 | 2) && words.iter().all(named) {
        return Some(words.join(" "));
    }
    let help = if text.starts_with('@') {
        "categories cannot be refused: name each command".to_owned()
    } else if text.contains('|') {
        format!("a subcommand follows after a space: `\"{}\"`", text.replace('|', " "))
    } else if text.contains(',') {
        "one string for each command".to_owned()
    } else {
        "a name, or a name and a subcommand: `\"FLUSHALL\"`, `\"CONFIG SET\"`".to_owned()
    };
    report
        .error(item.span.clone(), format!("`{key}` contains what is not a command"))
        .with_help(help);
    None
}

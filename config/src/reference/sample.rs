//! `redkeel.sample.toml`.

use crate::options::{Described, OptionTable, Presence, TABLES, routes, sentinel, shards, tls};

const HEAD: &str = "\
# Every option of Redkeel with its default; docs/configuration.md tells more.
# What is commented out has no default, or is an example. `redkeel check FILE` validates a file.
";

/// The pool and the node that the sample is about.
const POOL: &str = "main";
const NODE: &str = "10.0.0.3:6379";

/// Columns of a comment.
const WIDTH: usize = 100;

/// A file with every option. It loads, and means the same as one with nothing but the required options.
pub fn sample_file() -> String {
    let mut file = HEAD.to_owned();
    for table in TABLES {
        match table.path {
            "" if table.is_top_level() => options(&mut file, table),
            "" => entry(&mut file, table),
            path => {
                let path =
                    path.replace("NAME", POOL).replace("ADDRESS", NODE).replace("USER", "default");
                file.push('\n');
                comment(&mut file, "# ", table.meaning);
                file.push_str(&format!("{}[{path}]\n", mark(table)));
                options(&mut file, table);
            }
        }
    }
    file
}

fn options(file: &mut String, table: &OptionTable) {
    for option in table.options {
        let (value, mark) = match option.presence() {
            Presence::Default(text) => (text, mark(table)),
            Presence::Required { example } => (example.to_owned(), mark(table)),
            Presence::Absent { example, .. } => (example.to_owned(), "# "),
        };
        file.push('\n');
        comment(file, "# ", &explained(*option));
        file.push_str(&format!("{mark}{} = {value}\n", option.key()));
    }
}

/// What is particular to one node or user, what stands in the place of `servers`, and TLS are examples.
fn mark(table: &OptionTable) -> &'static str {
    let is_example = table.path.contains("ADDRESS")
        || table.path.contains("USER")
        || table.path == sentinel::TABLE.path
        || table.path == shards::TABLE.path
        || table.path == routes::TABLE.path
        || table.path.ends_with(tls::KEY);
    if is_example { "# " } else { "" }
}

/// A table without a header: it stands within an option of the table before.
fn entry(file: &mut String, table: &OptionTable) {
    file.push('\n');
    comment(file, "# ", table.meaning);
    for option in table.options {
        comment(file, "#   ", &format!("`{}`: {}", option.key(), explained(*option)));
    }
}

fn explained(option: &dyn Described) -> String {
    let mut text = option.meaning().to_owned();
    if !option.choices().is_empty() {
        text.push_str(&format!(" One of {}.", option.values().replace(" |", ",")));
    }
    match option.presence() {
        Presence::Absent { instead, .. } => text.push_str(&format!(" Without it: {instead}.")),
        Presence::Required { .. } => text.push_str(" Required."),
        Presence::Default(_) => {}
    }
    text
}

/// A comment, wrapped.
fn comment(file: &mut String, mark: &str, text: &str) {
    let mut line = mark.trim_end().to_owned();
    for word in text.split(' ') {
        let start = line.len() < mark.len();
        if !start && line.chars().count() + 1 + word.chars().count() > WIDTH {
            file.push_str(&line);
            file.push('\n');
            line = mark.trim_end().to_owned();
        }
        let indent = if line.len() < mark.len() { &mark[line.len()..] } else { " " };
        line.push_str(indent);
        line.push_str(word);
    }
    file.push_str(&line);
    file.push('\n');
}

//! `docs/configuration.md`.

use std::fmt::Write;

use crate::options::{Described, OptionTable, Presence, TABLES};

/// The reference of all options, in Markdown.
pub fn reference_page() -> String {
    let mut page = include_str!("intro.md").to_owned();
    for table in TABLES {
        section(&mut page, table);
    }
    reserved(&mut page);
    page
}

fn section(page: &mut String, table: &OptionTable) {
    let mut letters = table.place.chars();
    let place: String =
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    line(page, &format!("\n## {place}\n\n{}\n", table.meaning));
    line(page, "| option | value | default | meaning |");
    line(page, "| --- | --- | --- | --- |");
    for option in table.options {
        let default = match option.presence() {
            Presence::Default(text) => format!("`{text}`"),
            Presence::Absent { instead, .. } => instead.to_owned(),
            Presence::Required { .. } => "required".to_owned(),
        };
        let row = format!(
            "| `{}` | {} | {default} | {} |",
            option.key(),
            values(*option),
            meaning(*option)
        );
        line(page, &row);
    }
}

/// The choices of a choice are told with their meanings.
fn values(option: &dyn Described) -> String {
    match option.choices().as_slice() {
        [] => option.values().replace('|', "or"),
        _ => "one of".to_owned(),
    }
}

fn meaning(option: &dyn Described) -> String {
    let mut meaning = option.meaning().to_owned();
    if !option.more().is_empty() {
        meaning.push(' ');
        meaning.push_str(option.more());
    }
    for (index, (name, explained)) in option.choices().iter().enumerate() {
        meaning.push_str(if index == 0 { "<br>" } else { ";<br>" });
        meaning.push_str(&format!("`\"{name}\"`"));
        if !explained.is_empty() {
            meaning.push_str(&format!(": {explained}"));
        }
    }
    meaning
}

/// What the parser knows only to explain that it is not there.
fn reserved(page: &mut String) {
    line(
        page,
        "\n## Not in this version\n\nThese keys and values are known and refused, with an explanation:\n",
    );
    for table in TABLES {
        for later in table.later {
            line(page, &format!("- `{}` in {}: {}", later.key, table.place, later.instead));
        }
        for option in table.options {
            for later in option.later() {
                let value = format!("{} = \"{}\"", option.key(), later.key);
                line(page, &format!("- `{value}` in {}: {}", table.place, later.instead));
            }
        }
    }
}

fn line(page: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(page, "{text}");
}

//! What a user may run, and with which keys and channels.

use commands::{Categories, Rule, RuleError};

use super::{Kind, listed, wrong_entry, wrong_type};
use crate::diagnostics::Report;
use crate::model::Patterns;
use crate::suggest;
use crate::tree::{Node, Value};

/// A list of ACL rules for commands.
pub(crate) struct CommandRules;

/// A list of patterns of names.
pub(crate) struct NamePatterns {
    /// What an ACL of Redis writes before such a pattern.
    pub(crate) sign: char,
}

impl Kind for CommandRules {
    type Value = Vec<Rule>;

    fn values(&self) -> String {
        "list of rules".to_owned()
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<Vec<Rule>> {
        let Value::List(items) = &node.value else {
            wrong_type(key, "a list of rules", "[\"+@read\", \"-@dangerous\"]", node, report);
            return None;
        };
        let rules: Vec<Rule> = items.iter().filter_map(|item| rule(key, item, report)).collect();
        (rules.len() == items.len()).then_some(rules)
    }
}

fn rule(key: &str, item: &Node, report: &mut Report) -> Option<Rule> {
    let Value::Text(text) = &item.value else {
        wrong_entry(key, "a rule", "\"+@read\"", item, report);
        return None;
    };
    let rule = match Rule::parse(text) {
        Ok(rule) => rule,
        Err(wrong) => {
            let help = match &wrong {
                RuleError::Category(name) => {
                    match suggest::nearest(name, Categories::all_names()) {
                        Some(near) => format!("did you mean `@{near}`?"),
                        None => format!("the categories are {}", listed(Categories::all_names())),
                    }
                }
                RuleError::Sign | RuleError::Name => {
                    "for example `\"+@read\"`, `\"-keys\"`, `\"+config|get\"`".to_owned()
                }
                RuleError::Subcommand(_) => {
                    "name the command alone, and all of its subcommands are meant".to_owned()
                }
            };
            report.error(item.span.clone(), format!("`{key}`: {wrong}")).with_help(help);
            return None;
        }
    };
    // Those of modules have dots: JSON.SET.
    if let Some(name) = rule.unknown_name().filter(|name| !name.contains('.')) {
        let known = commands::all().iter().map(|command| command.name);
        let help = match suggest::nearest(name, known) {
            Some(near) => format!("did you mean `{}`?", near.to_ascii_lowercase()),
            None => "it is taken for a module's".to_owned(),
        };
        let name = name.to_ascii_lowercase();
        report.warning(item.span.clone(), format!("no command `{name}` is known")).with_help(help);
    }
    Some(rule)
}

impl Kind for NamePatterns {
    type Value = Patterns;

    fn values(&self) -> String {
        "list of patterns".to_owned()
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<Patterns> {
        let Value::List(items) = &node.value else {
            wrong_type(key, "a list of patterns", "[\"report:*\"]", node, report);
            return None;
        };
        let mut patterns: Vec<Box<[u8]>> = Vec::new();
        for item in items {
            patterns.push(self.pattern(key, item, report)?);
        }
        let all = patterns.iter().any(|pattern| **pattern == *b"*");
        Some(if all { Patterns::All } else { Patterns::Some(patterns) })
    }
}

impl NamePatterns {
    fn pattern(&self, key: &str, item: &Node, report: &mut Report) -> Option<Box<[u8]>> {
        let Value::Text(text) = &item.value else {
            wrong_entry(key, "a pattern", "\"report:*\"", item, report);
            return None;
        };
        let help = if text.is_empty() {
            "leave it out; `\"*\"` stands for everything".to_owned()
        } else if let Some(pattern) = text.strip_prefix(self.sign) {
            format!("write the pattern alone: `\"{pattern}\"`")
        } else if ["%R~", "%W~", "%RW~"].iter().any(|sign| text.starts_with(sign)) {
            "a pattern is for reading and writing; `commands` says which of both".to_owned()
        } else {
            return Some(text.as_bytes().into());
        };
        report
            .error(item.span.clone(), format!("`{key}` contains what is not a pattern"))
            .with_help(help);
        None
    }
}

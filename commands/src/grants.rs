//! What a user may run: ACL rules (`+@read`, `-config|set`) in order, starting from nothing.

use std::collections::BTreeMap;
use std::fmt;

use crate::categories::Categories;
use crate::command::Command;
use crate::lookup::{self, COUNT, all};

const WORDS: usize = COUNT.div_ceil(64);

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    grants: bool,
    of: Of,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Of {
    /// `@all`.
    All,
    /// `@hash`.
    Category(Categories),
    /// A command, with all of its subcommands; by its name, upper case, where the table has none of that name.
    Command(String),
    /// `config|get`.
    Subcommand(String, String),
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleError {
    /// It begins with neither `+` nor `-`.
    Sign,
    /// There is no such category.
    Category(String),
    /// It is no name of a command, or of a command and a subcommand with a `|` between.
    Name,
    /// The command has no subcommands, or none of this name.
    Subcommand(String),
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RuleError::Sign => f.write_str("a rule begins with `+` or `-`"),
            RuleError::Category(name) => write!(f, "there is no category `@{name}`"),
            RuleError::Name => f.write_str("this is no name of a command"),
            RuleError::Subcommand(name) => write!(f, "there is no subcommand `{name}`"),
        }
    }
}

impl std::error::Error for RuleError {}

impl Rule {
    /// Reads `+get`, `-@dangerous`, `+config|get`, in any case.
    ///
    /// # Errors
    ///
    /// What is wrong with it. A command that the table does not have is none: it may be a module's.
    pub fn parse(text: &str) -> Result<Rule, RuleError> {
        let (grants, name) = match text.split_at_checked(1) {
            Some(("+", name)) => (true, name),
            Some(("-", name)) => (false, name),
            _ => return Err(RuleError::Sign),
        };
        if let Some(category) = name.strip_prefix('@') {
            let category = category.to_ascii_lowercase();
            let of = match Categories::named(&category) {
                Some(known) => Of::Category(known),
                None if category == "all" => Of::All,
                None => return Err(RuleError::Category(category)),
            };
            return Ok(Rule { grants, of });
        }
        let is_name = |name: &str| {
            let ordinary = |b: u8| b.is_ascii_alphanumeric() || b"._-:".contains(&b);
            !name.is_empty() && name.bytes().all(ordinary)
        };
        let of = match name.split_once('|') {
            None if is_name(name) => Of::Command(name.to_ascii_uppercase()),
            Some((name, sub)) if is_name(name) && is_name(sub) => {
                let known = lookup::lookup(name.as_bytes());
                if known.is_some_and(|known| known.subcommand(sub.as_bytes()).is_none()) {
                    return Err(RuleError::Subcommand(sub.to_owned()));
                }
                Of::Subcommand(name.to_ascii_uppercase(), sub.to_ascii_uppercase())
            }
            _ => return Err(RuleError::Name),
        };
        Ok(Rule { grants, of })
    }

    /// The name of the command that it is about, where the table has none of that name.
    pub fn unknown_name(&self) -> Option<&str> {
        match &self.of {
            Of::Command(name) | Of::Subcommand(name, _) => {
                lookup::lookup(name.as_bytes()).is_none().then_some(name)
            }
            Of::All | Of::Category(_) => None,
        }
    }

    /// Does it grant something?
    pub fn grants(&self) -> bool {
        self.grants
    }
}

/// What a list of rules grants.
#[derive(Clone, PartialEq, Eq)]
pub struct Grants {
    /// By the command's place in the table. A container's own bit is for subcommands that the table does not have.
    known: [u64; WORDS],
    /// Commands that the table does not have, in upper case.
    named: BTreeMap<Box<[u8]>, bool>,
    /// All others that the table does not have.
    others: bool,
}

impl Grants {
    /// Nothing.
    pub const NOTHING: Grants = Grants { known: [0; WORDS], named: BTreeMap::new(), others: false };

    /// What the rules grant, in order, starting from nothing.
    pub fn of<'r>(rules: impl IntoIterator<Item = &'r Rule>) -> Grants {
        let mut grants = Grants::NOTHING;
        for rule in rules {
            grants.apply(rule);
        }
        grants
    }

    fn apply(&mut self, rule: &Rule) {
        match &rule.of {
            Of::All => {
                self.named.clear();
                self.others = rule.grants;
                for command in all() {
                    if !rule.grants || !is_explicit(command) {
                        self.set(command, rule.grants);
                    }
                }
            }
            Of::Category(category) => {
                // What needs to be granted in so many words is not granted by a category like `@keyspace`.
                let explicit = category.has_any_of(Categories::EXPLICIT);
                let of = |command: &Command| command.categories.has_any_of(*category);
                for command in all() {
                    // Nobody knows the category of a subcommand that the table does not have.
                    let unknown = command.has_subcommands() && !command.accepts(1);
                    let granted = of(command) && !unknown && (explicit || !is_explicit(command));
                    let taken = of(command) || lookup::subcommands(command).iter().any(of);
                    if if rule.grants { granted } else { taken } {
                        self.set(command, rule.grants);
                    }
                }
            }
            Of::Command(name) => match lookup::lookup(name.as_bytes()) {
                Some(command) => {
                    self.set(command, rule.grants);
                    for subcommand in lookup::subcommands(command) {
                        self.set(subcommand, rule.grants);
                    }
                }
                None => {
                    self.named.insert(name.as_bytes().into(), rule.grants);
                }
            },
            Of::Subcommand(name, sub) => {
                let known = lookup::lookup(name.as_bytes())
                    .and_then(|command| command.subcommand(sub.as_bytes()));
                if let Some(known) = known {
                    self.set(known, rule.grants);
                }
            }
        }
    }

    /// May this command be run? `name`: as sent, for one that the table does not have.
    pub fn allow(&self, command: Option<&Command>, name: &[u8]) -> bool {
        match command {
            Some(command) => {
                let (word, bit) = place(command);
                self.known[word] & bit != 0
            }
            None if self.named.is_empty() => self.others,
            None => {
                let named = self.named.get(&*name.to_ascii_uppercase());
                named.copied().unwrap_or(self.others)
            }
        }
    }

    /// May scripts or functions be run?
    pub fn allow_scripts(&self) -> bool {
        all().iter().any(|command| command.flags.script() && self.allow(Some(command), b""))
    }

    fn set(&mut self, command: &Command, granted: bool) {
        let (word, bit) = place(command);
        if granted {
            self.known[word] |= bit;
        } else {
            self.known[word] &= !bit;
        }
    }
}

/// Is it granted only by its name, or by one of the categories that say what it can do? A container is, where one of
/// its subcommands is: nobody knows what those are that the table does not have.
fn is_explicit(command: &Command) -> bool {
    let explicit = |command: &Command| command.categories.has_any_of(Categories::EXPLICIT);
    explicit(command) || lookup::subcommands(command).iter().any(explicit)
}

fn place(command: &Command) -> (usize, u64) {
    let position = usize::from(command.position);
    (position / 64, 1 << (position % 64))
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = all().iter().filter(|command| self.allow(Some(command), b""));
        f.debug_struct("Grants")
            .field("known", &known.map(|command| command.name).collect::<Vec<_>>())
            .field("named", &self.named.len())
            .field("others", &self.others)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(rules: &str) -> Grants {
        let rules: Vec<Rule> = rules.split_whitespace().map(|r| Rule::parse(r).unwrap()).collect();
        Grants::of(&rules)
    }

    fn allowed(grants: &Grants, name: &str) -> bool {
        let (name, sub) = name.split_once('|').unwrap_or((name, ""));
        let command = lookup::lookup(name.as_bytes());
        let command = match command {
            Some(command) if !sub.is_empty() => command.subcommand(sub.as_bytes()),
            command => command,
        };
        grants.allow(command, name.as_bytes())
    }

    fn check(rules: &str, yes: &[&str], no: &[&str]) {
        let grants = grants(rules);
        for name in yes {
            assert!(allowed(&grants, name), "{rules}: {name} is refused");
        }
        for name in no {
            assert!(!allowed(&grants, name), "{rules}: {name} is allowed");
        }
    }

    #[test]
    fn rules_apply_in_order() {
        check("", &[], &["get", "ping", "json.get", "config|get"]);
        check("+get", &["get", "GET"], &["set", "getex"]);
        check("+@read", &["get", "hget", "scan", "object|encoding"], &["set", "eval_ro"]);
        check("+@read -get", &["mget"], &["get"]);
        check("-get +@read", &["get"], &["set"]);
        check("+@read +@write -@hash", &["get", "set"], &["hget", "hset"]);
        check("+@all -@all +get", &["get"], &["set", "json.get"]);
    }

    #[test]
    fn subcommands_have_their_own_rules() {
        check("+config|get", &["config|get"], &["config|set", "config"]);
        check("+config -config|set", &["config|get", "config|resetstat"], &["config|set"]);
        check("+@all -client|setname", &["client|id", "get"], &["client|setname"]);
        check("+client", &["client|kill", "client|id", "client"], &[]);
        check("+client -@dangerous", &["client|id"], &["client|kill", "client"]);
        check("+@connection", &["command", "command|count", "ping"], &["client", "client|kill"]);
    }

    #[test]
    fn what_is_dangerous_is_granted_in_so_many_words() {
        check(
            "+@all",
            &["get", "set", "multi", "subscribe", "client|id", "json.get", "object"],
            &["keys", "flushall", "config|get", "client|kill", "eval", "fcall_ro", "client", "acl"],
        );
        check(
            "+@all",
            &[],
            &["script|load", "function|load", "config", "debug", "sort", "monitor"],
        );
        check("+@read +@write +@keyspace", &["del"], &["keys", "flushall", "sort", "migrate"]);
        check("+@dangerous", &["keys", "flushall", "config|set"], &["get", "eval"]);
        check("+@scripting", &["eval", "fcall", "script|load"], &["get", "script"]);
        check("+@all +keys", &["keys", "get"], &["flushall"]);
        check("+@all +@dangerous +@scripting -flushall", &["eval", "keys"], &["flushall"]);
        assert!(!grants("+@all").allow_scripts());
        assert!(grants("+fcall").allow_scripts());
    }

    #[test]
    fn commands_that_the_table_lacks() {
        check("+@read +@write +@fast +@slow", &[], &["json.get"]);
        check("+json.get", &["json.get", "JSON.GET"], &["json.set"]);
        check("+@all -json.del", &["json.get"], &["json.del"]);
        assert_eq!(Rule::parse("+json.get").unwrap().unknown_name(), Some("JSON.GET"));
        assert_eq!(Rule::parse("+get").unwrap().unknown_name(), None);
    }

    #[test]
    fn what_is_no_rule() {
        for (text, error) in [
            ("get", RuleError::Sign),
            ("", RuleError::Sign),
            ("+@raed", RuleError::Category("raed".to_owned())),
            ("+", RuleError::Name),
            ("+a b", RuleError::Name),
            ("+config|nosuch", RuleError::Subcommand("nosuch".to_owned())),
            ("+get|x", RuleError::Subcommand("x".to_owned())),
            ("é", RuleError::Sign),
        ] {
            assert_eq!(Rule::parse(text), Err(error), "{text}");
        }
    }
}

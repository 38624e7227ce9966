//! The kinds of values that options have: how each is written, read and described.

mod address;
mod choice;
mod command;
mod duration;
mod hash_tag;
mod integer;
mod listener;
mod name_servers;
mod networks;
mod password;
mod path;
mod quantity;
mod routes;
mod rules;
mod sentinels;
mod server;
mod shards;
mod size;
mod text;
mod user_password;

pub(crate) use address::{AdminAddress, ListenAddress};
pub(crate) use choice::{Choice, Variant};
pub(crate) use command::Commands;
pub(crate) use duration::Durations;
pub(crate) use hash_tag::HashTag;
pub(crate) use integer::Integers;
pub(crate) use listener::{ListenerEntry, Listeners, ModeName};
pub(crate) use name_servers::NameServers;
pub(crate) use networks::Networks;
pub(crate) use password::{Password, Passwords};
pub(crate) use path::{HostName, OneFile, OneOrMoreFiles};
pub(crate) use routes::{MirrorEntry, MirrorTable, PoolName, Prefix, Shares};
pub(crate) use rules::{CommandRules, NamePatterns};
pub(crate) use sentinels::Sentinels;
pub(crate) use server::{Servers, parse_server};
pub(crate) use shards::{MAX_SHARDS, MAX_WEIGHT, ShardEntry, ShardList, ShardName};
pub(crate) use size::{GB, KB, MB, Sizes};
pub(crate) use text::{Flag, Text};
pub(crate) use user_password::{UserPassword, UserPasswords};

use crate::diagnostics::Report;
use crate::options::Later;
use crate::tree::{Node, Span};

/// How the values of an option are written.
pub(crate) trait Kind: Sync {
    /// What a value means.
    type Value;

    /// What may be written, for the reference.
    fn values(&self) -> String;

    /// The names to choose from, with their meanings, where it is a choice.
    fn choices(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    /// The names that later versions bring.
    fn later(&self) -> &'static [Later] {
        &[]
    }

    /// Reads the value of `key`. `None`: it was wrong, and reported.
    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<Self::Value>;
}

/// A kind whose values can be written down, for defaults and messages.
pub(crate) trait Show: Kind {
    /// As in the file.
    fn show(&self, value: &Self::Value) -> String;
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// `a`, `b` and `c`, each in backticks.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.pop() {
        Some(last) if names.is_empty() => last,
        Some(last) => format!("{} and {last}", names.join(", ")),
        None => String::new(),
    }
}

/// An entry of a list that is not what it should be.
fn wrong_entry(key: &str, expected: &str, example: &str, node: &Node, report: &mut Report) {
    let found = node.value.type_name();
    report
        .error(node.span.clone(), format!("an entry of `{key}` must be {expected}, not {found}"))
        .with_label(format!("expected {expected}"))
        .with_help(format!("for example `{example}`"));
}

/// `example`: as it should be written.
fn wrong_type(key: &str, expected: &str, example: &str, node: &Node, report: &mut Report) {
    let found = node.value.type_name();
    report
        .error(node.span.clone(), format!("`{key}` must be {expected}, not {found}"))
        .with_label(format!("expected {expected}"))
        .with_help(format!("for example `{key} = {example}`"));
}

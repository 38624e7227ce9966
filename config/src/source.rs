//! Where the nodes of a pool come from: exactly one source.

use crate::diagnostics::{Diagnostic, Report};
use crate::kinds::{Passwords, Placed, Text};
use crate::load::Context;
use crate::model::{Credentials, Sentinel, ServerName, Source};
use crate::nodes;
use crate::options::{
    Optional, pool, routes as route_options, sentinel, shards as shard_options, tls as tls_options,
};
use crate::routes;
use crate::secret;
use crate::section::Section;
use crate::shards;
use crate::tls;
use crate::tree::Field;

/// The key, and the last part of the table's header.
const SENTINEL: &str = "sentinel";

/// The source of a pool, and its servers with their places.
pub(crate) fn source(
    section: &mut Section<'_>,
    path: &str,
    context: &Context<'_>,
    report: &mut Report,
) -> (Source, Vec<Placed<ServerName>>) {
    check(section, report);
    let servers = nodes::servers(section, report);
    if section.field(shard_options::KEY).is_some() {
        let (shards, servers) = shards::shards(section, path, report);
        return (Source::Shards(shards), servers);
    }
    if section.field(SENTINEL).is_none() {
        let names = servers.iter().map(|server| server.value.clone()).collect();
        let is_routed = !routes::has_source(section) && section.field(route_options::KEY).is_some();
        let source = if is_routed { Source::Routes } else { Source::Servers(names) };
        return (source, servers);
    }
    let path = format!("{path}.{SENTINEL}");
    let table = section.table(SENTINEL, &path, &sentinel::TABLE, report);
    let is_table = !section.is_broken_at(SENTINEL);
    (Source::Sentinel(sentinels(table, is_table, &path, context, report)), servers)
}

/// A pool has exactly one source of nodes.
fn check(section: &mut Section<'_>, report: &mut Report) {
    let named = |keys: &[&str]| -> Vec<&Field> {
        section.fields().iter().filter(|field| keys.contains(&&*field.key)).collect()
    };
    let (sources, later) = (named(&pool::SOURCES), named(&pool::LATER_SOURCES));
    match (sources.as_slice(), later.as_slice()) {
        ([], []) if section.field(route_options::KEY).is_none() => {
            section.require(pool::SERVERS.key, pool::SERVERS.example, report);
        }
        ([one, other, ..], _) => {
            let keep = |field: &Field| format!("`{}`, {}", field.key, effect(&field.key));
            let help = format!("keep {}, or {}", keep(one), keep(other));
            two_sources(one, other, report).with_help(help);
        }
        ([one], [other, ..]) => {
            two_sources(one, other, report).with_help(format!(
                "keep `{}`: `{}` is not available in this version",
                one.key, other.key
            ));
            return section.check_later(&pool::LATER_SOURCES, report);
        }
        _ => {}
    }
    section.check_later(&[], report);
}

/// What a source is good for.
fn effect(key: &str) -> &'static str {
    match key {
        SENTINEL => "and it lists the nodes",
        shard_options::KEY => "and the keys are spread over them",
        _ => "and the nodes are those of one primary",
    }
}

fn two_sources<'r>(one: &Field, other: &Field, report: &'r mut Report) -> &'r mut Diagnostic {
    report
        .error(
            other.key_span.clone(),
            format!("two sources of nodes: `{}` and `{}`", one.key, other.key),
        )
        .with_related(one.key_span.clone(), "this is one already")
}

fn sentinels(
    mut section: Section<'_>,
    is_table: bool,
    path: &str,
    context: &Context<'_>,
    report: &mut Report,
) -> Sentinel {
    if is_table {
        section.require(sentinel::MASTER.key, sentinel::MASTER.example, report);
        section.require(sentinel::SENTINELS.key, sentinel::SENTINELS.example, report);
    }
    Sentinel {
        master: section.optional(&sentinel::MASTER, report).unwrap_or_default(),
        sentinels: section.optional(&sentinel::SENTINELS, report).unwrap_or_default(),
        credentials: credentials(
            &mut section,
            &sentinel::USERNAME,
            &sentinel::PASSWORD,
            context,
            report,
        ),
        tls: tls::towards_servers(&mut section, path, &tls_options::SENTINELS, context, report),
    }
}

/// A user name and a password of a table that may have them.
pub(crate) fn credentials(
    section: &mut Section<'_>,
    username: &Optional<Text>,
    password: &Optional<Passwords>,
    context: &Context<'_>,
    report: &mut Report,
) -> Option<Credentials> {
    let name = section.placed(username, report);
    let secret = section.placed(password, report);
    if let (Some(name), None) = (&name, section.field(password.key)) {
        report
            .error(name.span.clone(), format!("`{}` without `{}`", username.key, password.key))
            .with_help(format!("for example `{} = {}`", password.key, password.example));
    }
    let secret = secret::resolve(password.key, secret?, context.secrets, report)?;
    Some(Credentials { username: name.map(|name| name.value), password: secret })
}

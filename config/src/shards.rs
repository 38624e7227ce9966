//! `shards` of a pool: several replication groups.

use routing::{Distribution, Member, Ring, RingError, Sharding};

use crate::diagnostics::Report;
use crate::kinds::{Placed, ShardEntry};
use crate::listeners;
use crate::model::{Listener, OnShardDown, ServerName, ShardConfig, Shards};
use crate::options::shards::{self, WhenDown};
use crate::section::Section;

const OWN_HASH: &str = "it is for `ketama` and `modula`; the others bring their own along";

/// The shards of a pool that has the key for them, and all their servers with their places.
pub(crate) fn shards(
    pool: &mut Section<'_>,
    path: &str,
    report: &mut Report,
) -> (Shards, Vec<Placed<ServerName>>) {
    let path = format!("{path}.{}", shards::KEY);
    let mut section = pool.table(shards::KEY, &path, &shards::TABLE, report);
    if !pool.is_broken_at(shards::KEY) {
        section.require(shards::SERVERS.key, shards::SERVERS.example, report);
    }
    let entries = section.optional(&shards::SERVERS, report).unwrap_or_default();
    let sharding = sharding(&mut section, report);
    let members: Vec<ShardConfig> =
        entries.iter().map(|entry| member(entry, sharding.distribution)).collect();
    let on_shard_down = on_shard_down(&mut section, members.len(), report);
    let msetnx = section.setting(&shards::MSETNX, report);
    check_names(&entries, &members, report);
    check_ring(&section, &sharding, &entries, &members, report);
    let servers = servers(&entries, report);
    (Shards { sharding, members, on_shard_down, msetnx }, servers)
}

fn member(entry: &ShardEntry, distribution: Distribution) -> ShardConfig {
    ShardConfig {
        name: entry.name.text(distribution),
        weight: entry.weight,
        servers: entry.servers.iter().map(|server| server.value.clone()).collect(),
    }
}

fn sharding(section: &mut Section<'_>, report: &mut Report) -> Sharding {
    let distribution = section.setting(&shards::DISTRIBUTION, report);
    let hash = section.setting(&shards::HASH, report);
    let hash_tag = section.setting(&shards::HASH_TAG, report);
    let char_sign = section.setting(&shards::CHAR_SIGN, report);
    let size = section.optional(&shards::SIZE, report);
    let is_sized = distribution.default_size().is_some();
    for (key, applies, help) in [
        (shards::HASH.key, distribution.uses_hash(), OWN_HASH),
        (shards::CHAR_SIGN.key, distribution.uses_hash(), OWN_HASH),
        (shards::HASH_TAG.key, has_tag(distribution, hash_tag), "slots have the tag `{}`"),
        (shards::SIZE.key, is_sized, "it is for `maglev` and Envoy's rings"),
    ] {
        if let (false, Some(span)) = (applies, section.span_of(key)) {
            let distribution = distribution.as_str();
            report
                .warning(span, format!("`{key}` has no effect with `{distribution}`"))
                .with_help(help);
        }
    }
    Sharding { distribution, hash, char_sign, hash_tag, size }
}

/// Redis Cluster's slots have but one.
fn has_tag(distribution: Distribution, hash_tag: Option<[u8; 2]>) -> bool {
    distribution != Distribution::Slots || hash_tag == Some(*b"{}")
}

fn on_shard_down(section: &mut Section<'_>, shards: usize, report: &mut Report) -> OnShardDown {
    let when_down = section.setting(&shards::ON_SHARD_DOWN, report);
    let min_shards = section.setting(&shards::MIN_SHARDS, report);
    let span = section.span_of(shards::MIN_SHARDS.key);
    match (when_down, span) {
        (WhenDown::Fail, Some(span)) => {
            report
                .warning(span, "`min_shards` has no effect with `on_shard_down = \"fail\"`")
                .with_help("no shard is ever taken out; leave it out, or choose `\"rehash\"`");
        }
        (WhenDown::Rehash, Some(span)) if shards > 0 && min_shards > shards => {
            report
                .error(span, format!("`min_shards` is more than the {shards} shards there are"))
                .with_help("with as many as there are, none is ever taken out");
        }
        _ => {}
    }
    match when_down {
        WhenDown::Fail => OnShardDown::Fail,
        WhenDown::Rehash => OnShardDown::Rehash { min_shards },
    }
}

/// The distribution knows shards by their names.
fn check_names(entries: &[ShardEntry], members: &[ShardConfig], report: &mut Report) {
    for (index, (entry, member)) in entries.iter().zip(members).enumerate() {
        let first = members.iter().position(|other| other.name == member.name).unwrap_or(index);
        if first < index {
            report
                .error(entry.name_span.clone(), format!("two shards `{}`", member.name))
                .with_related(entries[first].name_span.clone(), "here first")
                .with_help(
                    "give each a name of its own; a replica stands in the `servers` of its shard",
                );
        }
    }
}

/// Can there be a ring? What names it has was checked before.
fn check_ring(
    section: &Section<'_>,
    sharding: &Sharding,
    entries: &[ShardEntry],
    members: &[ShardConfig],
    report: &mut Report,
) {
    let heaviest = entries.iter().max_by_key(|entry| entry.weight);
    let members: Vec<Member> = members.iter().map(ShardConfig::member).collect();
    let wrong = Ring::new(sharding, &members, &vec![true; members.len()]).err();
    let (message, span, help) = match wrong {
        Some(RingError::Table(size)) => (
            format!("a table cannot have {size} places"),
            section.span_of(shards::SIZE.key),
            "it takes a prime number, many times as large as there are shards: 65537, 655373",
        ),
        Some(RingError::Weights | RingError::TooLarge(_)) => (
            "the weights of all shards are too large together".to_owned(),
            heaviest.map(|heaviest| heaviest.span.clone()),
            "divide all of them by the same number",
        ),
        _ => return,
    };
    report.error(span.unwrap_or_else(|| section.span()), message).with_help(help);
}

/// All servers, each once. In one shard none stands twice; in two of them it may, where a node has not been split yet.
fn servers(entries: &[ShardEntry], report: &mut Report) -> Vec<Placed<ServerName>> {
    let mut all: Vec<(usize, Placed<ServerName>)> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        for server in &entry.servers {
            let (span, value) = (server.span.clone(), &server.value);
            match all.iter().find(|(_, other)| other.value == *value) {
                Some((shard, other)) if *shard == index => {
                    report
                        .error(span, format!("`{value}` stands twice in one shard"))
                        .with_related(other.span.clone(), "here first")
                        .with_help("name each node once");
                }
                Some((_, other)) => {
                    report
                        .warning(span, format!("`{value}` is in two shards"))
                        .with_related(other.span.clone(), "here first")
                        .with_help("what is asked of every shard, such as DBSIZE, KEYS and SCAN, comes to it twice");
                }
                None => all.push((index, server.clone())),
            }
        }
    }
    all.into_iter().map(|(_, server)| server).collect()
}

/// Bytes that are passed through are not looked at.
pub(crate) fn refuse_tcp(section: &Section<'_>, listeners: &[Listener], report: &mut Report) {
    if section.field(shards::KEY).is_some() {
        listeners::refuse_tcp(section, listeners, "the pool has `shards`", report);
    }
}

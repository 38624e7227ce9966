//! The users of a pool.

use std::net::IpAddr;

use commands::{Grants, Rule};

use crate::diagnostics::Report;
use crate::kinds::UserPassword;
use crate::load::Context;
use crate::model::{Auth, Endpoint, Listener, Mode, Patterns, ServerTls, Upstream};
use crate::options::{pool, users};
use crate::secret;
use crate::section::{Section, table_fields};
use crate::tree::Field;
use crate::user::{PasswordDigest, User};

/// The key, and part of the table's header.
const USERS: &str = "users";
/// The user whom AUTH means where it names none (Redis, `DefaultUser`).
const DEFAULT: &str = "default";

pub(crate) fn users(
    pool: &Section<'_>,
    auth: Auth,
    path: &str,
    context: &Context<'_>,
    report: &mut Report,
) -> Vec<User> {
    let Some(field) = pool.field(USERS) else {
        if auth == Auth::Users {
            report
                .error(
                    pool.span_of(pool::AUTH.key).unwrap_or_else(|| pool.span()),
                    "`auth = \"users\"` without a user",
                )
                .with_help(format!("add `[{path}.users.default]` with a `password`"));
        }
        return Vec::new();
    };
    if auth != Auth::Users && !pool.is_broken_at(pool::AUTH.key) {
        report
            .error(field.key_span.clone(), "`users` without `auth = \"users\"`")
            .with_help("add that to the pool, or leave the users out: the nodes know their own");
    }
    let path = format!("{path}.{USERS}");
    let fields = table_fields(&format!("{path}.NAME"), field, report).unwrap_or_default();
    fields.iter().filter_map(|field| user(field, &path, context, report)).collect()
}

fn user(field: &Field, path: &str, context: &Context<'_>, report: &mut Report) -> Option<User> {
    let name = &field.key;
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        report
            .error(field.key_span.clone(), "not a name for a user")
            .with_help("as in Redis: no spaces and no control characters");
        return None;
    }
    let path = format!("{path}.{name}");
    let fields = table_fields(&path, field, report)?;
    let mut section =
        Section::new(&format!("`[{path}]`"), &users::TABLE, fields, field.node.span.clone());
    section.check_keys(report);
    section.require(users::PASSWORD.key, users::PASSWORD.example, report);
    let is_default = name == DEFAULT;
    if !is_default {
        section.require(users::COMMANDS.key, users::COMMANDS.example, report);
    }
    let passwords = section.optional(&users::PASSWORD, report).unwrap_or_default();
    let mut digests = Vec::new();
    for password in passwords {
        digests.push(match password.value {
            UserPassword::Digest(digest) => digest,
            UserPassword::Plain(value) => {
                let placed = crate::kinds::Placed { value, span: password.span };
                let plain = secret::resolve(users::PASSWORD.key, placed, context.secrets, report)?;
                PasswordDigest::of(plain.reveal().as_bytes())
            }
        });
    }
    let rules = section.optional(&users::COMMANDS, report);
    let everything = || Rule::parse("+@all").into_iter().collect();
    let rules: Vec<Rule> =
        rules.unwrap_or_else(|| if is_default { everything() } else { Vec::new() });
    let absent = || if is_default { Patterns::All } else { Patterns::Some(Vec::new()) };
    let user = User {
        name: name.clone(),
        passwords: digests,
        grants: Grants::of(&rules),
        keys: section.optional(&users::KEYS, report).unwrap_or_else(absent),
        channels: section.optional(&users::CHANNELS, report).unwrap_or_else(absent),
    };
    if user.keys != Patterns::All && user.grants.allow_scripts() {
        report
            .warning(
                section.span_of(users::COMMANDS.key).unwrap_or_else(|| section.span()),
                "this user may run scripts, whose keys are not checked",
            )
            .with_help("a script can use every key that the credentials of `upstream` may; take `@scripting` away");
    }
    Some(user)
}

/// Bytes that are passed through are not looked at.
pub(crate) fn refuse_tcp(
    auth: Auth,
    pool: &Section<'_>,
    listeners: &[Listener],
    report: &mut Report,
) {
    let raw = listeners.iter().find(|listener| matches!(listener.mode, Mode::Tcp(_)));
    if let (Auth::Users, Some(raw)) = (auth, raw) {
        report
            .error(
                pool.span_of(pool::LISTEN.key).unwrap_or_else(|| pool.span()),
                format!("`{}` passes bytes through, and nobody checks the users", raw.address),
            )
            .with_help("a `tcp` listener belongs into a pool with `auth = \"pass-through\"`");
    }
}

/// With `auth = "none"` and credentials, whoever can connect is let in with them.
pub(crate) fn warn_of_open_door(
    section: &Section<'_>,
    auth: Auth,
    upstream: &Upstream,
    listeners: &[Listener],
    tls: Option<&ServerTls>,
    report: &mut Report,
) {
    let asks = tls.is_some_and(|tls| tls.client_ca.is_some());
    let is_open = |listener: &&Listener| !(is_local(&listener.address) || listener.tls && asks);
    let open = listeners.iter().find(is_open);
    let (Auth::None, Some(_), Some(open)) = (auth, &upstream.credentials, open) else { return };
    let span = section.span_of(pool::AUTH.key).unwrap_or_else(|| section.span());
    report
        .warning(
            span,
            format!("everyone who reaches `{}` is let in with the credentials of `upstream`", open.address),
        )
        .with_help(
            "listen on a loopback address or a unix socket, ask for certificates (`client_ca` of `tls`), or let the \
             nodes check: `auth = \"pass-through\"`",
        );
}

fn is_local(endpoint: &Endpoint) -> bool {
    match endpoint {
        Endpoint::Tcp { host, .. } => {
            host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
        }
        Endpoint::Unix(_) => true,
    }
}

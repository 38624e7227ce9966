//! The passwords of a user: one or several, each as it is or as its SHA-256.

use super::{Kind, Password, Passwords, Placed};
use crate::diagnostics::Report;
use crate::tree::{Node, Value};
use crate::user::PasswordDigest;

/// One password or a list of them.
pub(crate) struct UserPasswords;

/// A password as written.
pub(crate) enum UserPassword {
    /// Itself, or where it is found.
    Plain(Password),
    /// Its digest.
    Digest(PasswordDigest),
}

impl Kind for UserPasswords {
    type Value = Vec<Placed<UserPassword>>;

    fn values(&self) -> String {
        "string, { env = \"NAME\" }, { file = \"PATH\" }, { sha256 = \"HEX\" } or a list of these"
            .to_owned()
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<Self::Value> {
        let Value::List(items) = &node.value else {
            return Some(vec![password(key, node, report)?]);
        };
        if items.is_empty() {
            report
                .error(node.span.clone(), format!("`{key}` is empty"))
                .with_help("a user needs a password");
            return None;
        }
        let read: Vec<_> = items.iter().filter_map(|item| password(key, item, report)).collect();
        (read.len() == items.len()).then_some(read)
    }
}

fn password(key: &str, node: &Node, report: &mut Report) -> Option<Placed<UserPassword>> {
    let span = node.span.clone();
    if let Value::Table(fields) = &node.value
        && let [field] = fields.as_slice()
        && field.key == "sha256"
    {
        let digest = match &field.node.value {
            Value::Text(text) => PasswordDigest::from_hex(text),
            _ => None,
        };
        if digest.is_none() {
            report
                .error(field.node.span.clone(), format!("`sha256` of `{key}` is no digest"))
                .with_help(
                    "64 hexadecimal digits, as `printf %s PASSWORD | sha256sum` prints them",
                );
        }
        return Some(Placed { value: UserPassword::Digest(digest?), span });
    }
    let value = UserPassword::Plain(Passwords.read(key, node, report)?);
    Some(Placed { value, span })
}

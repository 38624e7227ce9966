//! Passwords: where one is written, not yet what it is.

use std::path::PathBuf;

use super::{Kind, listed};
use crate::diagnostics::Report;
use crate::hidden::is_variable_name;
use crate::model::Secret;
use crate::tree::{Field, Node, Value};

/// Where a password is found.
pub(crate) enum Password {
    /// In the configuration itself.
    Written(Secret),
    /// In an environment variable.
    Env(String),
    /// In a file.
    File(PathBuf),
}

/// A password: a string, `{ env = "NAME" }` or `{ file = "PATH" }`.
pub(crate) struct Passwords;

impl Kind for Passwords {
    type Value = Password;

    fn values(&self) -> String {
        "string, { env = \"NAME\" } or { file = \"PATH\" }".to_owned()
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<Password> {
        match &node.value {
            Value::Text(text) if text.is_empty() => {
                report
                    .error(node.span.clone(), format!("`{key}` is empty"))
                    .with_help("leave the line out if the nodes need no password");
                None
            }
            Value::Text(text) => Some(Password::Written(Secret::new(text))),
            Value::Table(fields) => match fields.as_slice() {
                [field] => source(key, field, report),
                _ => {
                    report
                        .error(node.span.clone(), format!("`{key}` needs exactly one source"))
                        .with_help("`{ env = \"NAME\" }` or `{ file = \"PATH\" }`");
                    None
                }
            },
            other => {
                let found = other.type_name();
                report
                    .error(
                        node.span.clone(),
                        format!("`{key}` must be a string or a table, not {found}"),
                    )
                    .with_help("a string in quotes, `{ env = \"NAME\" }` or `{ file = \"PATH\" }`");
                None
            }
        }
    }
}

/// Texts of the source are shown in a message only where they cannot be the secret itself.
fn source(key: &str, field: &Field, report: &mut Report) -> Option<Password> {
    let span = field.node.span.clone();
    match (&*field.key, &field.node.value) {
        ("env", Value::Text(name)) if is_variable_name(name) => Some(Password::Env(name.clone())),
        ("env", Value::Text(_)) => {
            report
                .error(span, format!("`{key}`: this is no name of an environment variable"))
                .with_help(
                    "letters, digits and `_`; a password itself is written as a plain string",
                );
            None
        }
        ("file", Value::Text(path)) if !path.is_empty() => Some(Password::File(path.into())),
        ("env" | "file", _) => {
            report
                .error(span, format!("`{}` of `{key}` must be a text", field.key))
                .with_help("`{ env = \"NAME\" }` or `{ file = \"PATH\" }`");
            None
        }
        _ => {
            let known = listed(["env", "file"]);
            report.error(field.key_span.clone(), format!("unknown source of `{key}`")).with_help(
                format!("known are {known}: `{{ env = \"NAME\" }}` or `{{ file = \"PATH\" }}`"),
            );
            None
        }
    }
}

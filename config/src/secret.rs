//! From where a password is written to what it is.

use std::path::Path;

use crate::diagnostics::Report;
use crate::kinds::{Password, Placed};
use crate::model::{Certificate, Secret};
use crate::tls::CertificateFile;

/// Where the caller looks for what a configuration only points to: this crate does no I/O.
pub trait Secrets {
    /// The value of an environment variable.
    fn env(&self, name: &str) -> Option<String>;

    /// The text of a file, or why it cannot be read.
    fn file(&self, path: &Path) -> Result<String, String>;

    /// Can the certificate be used, and does the key belong to it? Else which file is wrong, and why.
    fn certificate(&self, _: &Certificate) -> Result<(), (CertificateFile, String)> {
        Ok(())
    }

    /// Does the file hold certificates of authorities? Else why not.
    fn authorities(&self, _: &Path) -> Result<(), String> {
        Ok(())
    }
}

/// For configurations whose secrets stand in them: there is neither an environment nor a file.
#[derive(Clone, Copy, Debug)]
pub struct NoSecrets;

impl Secrets for NoSecrets {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Err("there are no files here".to_owned())
    }
}

/// `None`: it could not be found, and that was reported.
pub(crate) fn resolve(
    key: &str,
    password: Placed<Password>,
    secrets: &dyn Secrets,
    report: &mut Report,
) -> Option<Secret> {
    let found = match password.value {
        Password::Written(secret) => return Some(secret),
        Password::Env(name) => match secrets.env(&name) {
            Some(text) if text.is_empty() => Err(format!("environment variable `{name}` is empty")),
            Some(text) => Ok(text),
            None => Err(format!("environment variable `{name}` is not set")),
        },
        Password::File(path) => match secrets.file(&path) {
            Ok(text) => match without_line_end(&text) {
                "" => Err(format!("file `{}` is empty", path.display())),
                text => Ok(text.to_owned()),
            },
            Err(why) => Err(format!("cannot read `{}`: {why}", path.display())),
        },
    };
    match found {
        Ok(text) => Some(Secret::new(text)),
        Err(message) => {
            report
                .error(password.span, message)
                .with_help(format!("`{key}` is taken from there when the configuration is loaded"));
            None
        }
    }
}

/// Editors and `echo` end a file with one.
fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_dropped() {
        for (text, expected) in
            [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("\n", ""), (" a ", " a ")]
        {
            assert_eq!(without_line_end(text), expected, "{text:?}");
        }
    }
}

//! What could not be carried over.

use std::fmt;

use crate::value::one_line;

/// A directive that could not be carried over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The file that it stands in.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The directive, without secrets.
    pub what: String,
    /// Why, and what to do about it.
    pub why: String,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: `{}` is left over: {}", self.file, self.line, self.what, self.why)
    }
}

/// Longer directives are cut.
const MAX_CHARS: usize = 100;

/// Collects what is left over.
pub(crate) struct Report {
    file: String,
    left: Vec<Left>,
}

impl Report {
    pub(crate) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), left: Vec::new() }
    }

    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// `what` is shown as it is but for secrets.
    pub(crate) fn left(&mut self, line: usize, what: &str, why: impl Into<String>) {
        let file = self.file.clone();
        self.left_of(&file, line, what, why);
    }

    /// As [`Self::left`], of an included file.
    pub(crate) fn left_of(&mut self, file: &str, line: usize, what: &str, why: impl Into<String>) {
        let left =
            Left { file: file.to_owned(), line, what: shown(what), why: one_line(&why.into()) };
        if !self.left.contains(&left) {
            self.left.push(left);
        }
    }

    /// By file and line; those of one line as they were found.
    pub(crate) fn finish(mut self) -> Vec<Left> {
        let main = self.file;
        self.left.sort_by(|a, b| {
            let place = |left: &Left| (left.file != main, left.file.clone(), left.line);
            place(a).cmp(&place(b))
        });
        self.left
    }
}

/// Words behind which a secret may stand.
const SECRETS: [&str; 7] = ["auth", "pass", "secret", "token", "credential", "hello", "pwd"];

/// A directive on one line, without what may be a secret.
pub(crate) fn shown(text: &str) -> String {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().map(printable).collect();
    let lower = text.to_ascii_lowercase();
    let end = SECRETS.iter().filter_map(|word| lower.find(word).map(|at| at + word.len())).min();
    let (kept, hidden) = match end {
        Some(end) => {
            let rest = &text[end..];
            let word = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
            match word {
                Some(word) if rest[word..].trim_matches([' ', ':']).is_empty() => (&*text, false),
                Some(word) => (&text[..end + word], true),
                None => (&*text, false),
            }
        }
        None => (&*text, false),
    };
    let mut shown: String = kept.chars().take(MAX_CHARS).collect();
    if hidden || kept.chars().nth(MAX_CHARS).is_some() {
        shown.push_str(" …");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for (text, expected) in [
            ("balance source", "balance source"),
            ("redis_auth: hunter2", "redis_auth …"),
            ("redis_auth", "redis_auth"),
            ("tcp-check send AUTH\\ hunter2\\r\\n", "tcp-check send AUTH …"),
            ("stats auth admin:hunter2", "stats auth …"),
            ("Password \"hunter2\"", "Password …"),
            ("auth_password:", "auth_password:"),
            ("a\nb", "a b"),
        ] {
            assert_eq!(shown(text), expected);
        }
        assert_eq!(shown(&"x".repeat(200)), format!("{} …", "x".repeat(100)));
    }

    #[test]
    fn what_is_left_is_listed_by_line_once() {
        let mut report = Report::new("a.cfg");
        report.left(9, "x", "why");
        report.left_of("b.cfg", 1, "y", "why");
        report.left(2, "z", "why");
        report.left(9, "x", "why");
        let lines: Vec<String> = report.finish().iter().map(Left::to_string).collect();
        assert_eq!(
            lines,
            [
                "a.cfg:2: `z` is left over: why",
                "a.cfg:9: `x` is left over: why",
                "b.cfg:1: `y` is left over: why"
            ]
        );
    }
}

//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;

use crate::mask::{Masked, without_credentials};
use crate::tree::Span;

/// Everything that was found in one file or command line, in file order.
#[derive(Clone)]
pub struct Diagnostics {
    /// The name of the file, for people.
    pub(crate) origin: String,
    /// The text without its secrets: nothing that is printed comes from anywhere else.
    pub(crate) source: Masked,
    items: Vec<Diagnostic>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub(crate) severity: Severity,
    pub(crate) message: String,
    /// `None`: about the whole file.
    pub(crate) span: Option<Span>,
    pub(crate) label: Option<String>,
    pub(crate) related: Option<(Span, String)>,
    pub(crate) help: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration is used, but probably not what was meant.
    Warning,
}

impl Diagnostics {
    /// `secrets`: the parts of `text` that must not be shown.
    pub(crate) fn new(origin: &str, text: &str, secrets: Vec<Span>, report: Report) -> Self {
        let mut items = report.items;
        for item in &mut items {
            item.message = without_credentials(&item.message);
            item.help = item.help.as_deref().map(without_credentials);
        }
        items.sort_by_key(|item| item.span.as_ref().map(|span| span.start));
        Self { origin: origin.to_owned(), source: Masked::new(text, secrets), items }
    }

    /// Is there nothing to say?
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many errors and warnings.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// In file order; those about the whole file first.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.items.iter()
    }

    /// How many are of one severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.items.iter().filter(|item| item.severity == severity).count()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Diagnostics")
            .field("origin", &self.origin)
            .field("items", &self.items)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Diagnostics {}

impl Diagnostic {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What is wrong, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// A short word under the caret.
    pub(crate) fn with_label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = Some(label.into());
        self
    }

    /// Another place that has to do with it.
    pub(crate) fn with_related(&mut self, span: Span, label: impl Into<String>) -> &mut Self {
        self.related = Some((span, label.into()));
        self
    }

    /// What to do about it.
    pub(crate) fn with_help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }
}

/// Collects diagnostics while a configuration is read.
#[derive(Debug, Default)]
pub(crate) struct Report {
    items: Vec<Diagnostic>,
}

impl Report {
    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Error, Some(span), message.into())
    }

    /// An error that no part of the text stands for.
    pub(crate) fn error_of_file(&mut self, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Error, None, message.into())
    }

    pub(crate) fn warning(&mut self, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Warning, Some(span), message.into())
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.items.iter().any(|item| item.severity == Severity::Error)
    }

    fn push(&mut self, severity: Severity, span: Option<Span>, message: String) -> &mut Diagnostic {
        let (label, related, help) = (None, None, None);
        let index = self.items.len();
        self.items.push(Diagnostic { severity, message, span, label, related, help });
        &mut self.items[index]
    }
}

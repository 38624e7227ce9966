//! Where directives go that are not carried over.

use super::words::Directive;
use crate::document::Document;
use crate::report::Report;

/// The file, and what is left over.
pub(super) struct Sink<'a> {
    pub(super) document: &'a mut Document,
    pub(super) report: &'a mut Report,
}

impl Sink<'_> {
    pub(super) fn left(&mut self, directive: &Directive, why: impl Into<String>) {
        self.report.left(directive.line, &directive.text, why);
    }

    pub(super) fn needless(&mut self, directive: &Directive, why: &str) {
        self.document.needless(directive.line, &directive.text, why);
    }

    /// One word of a directive is left over.
    pub(super) fn part(&mut self, directive: &Directive, part: &str, why: impl Into<String>) {
        let what = format!("{} … {part}", directive.word(0));
        self.report.left(directive.line, &what, why);
    }

    /// One word of a directive is not needed.
    pub(super) fn needless_part(&mut self, directive: &Directive, part: &str, why: &str) {
        let what = format!("{} … {part}", directive.word(0));
        self.document.needless(directive.line, &what, why);
    }
}

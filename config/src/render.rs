//! Diagnostics as text, in the manner of rustc.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::diagnostics::{Diagnostic, Diagnostics, Severity};
use crate::tree::Span;

impl Diagnostics {
    /// Every diagnostic with its line and help, and at the end how many there are. Ends with a newline
    /// unless it is empty.
    pub fn render(&self, color: bool) -> String {
        if self.is_empty() {
            return String::new();
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for item in self.iter() {
            out.push_str(&renderer.render(&[self.group(item)]));
            out.push_str("\n\n");
        }
        out.push_str(&self.summary());
        out.push('\n');
        out
    }

    /// `redkeel.toml: 2 errors, 1 warning`
    fn summary(&self) -> String {
        let counts: Vec<String> = [(Severity::Error, "error"), (Severity::Warning, "warning")]
            .into_iter()
            .map(|(severity, name)| (self.count(severity), name))
            .filter(|(count, _)| *count > 0)
            .map(|(count, name)| format!("{count} {name}{}", if count == 1 { "" } else { "s" }))
            .collect();
        format!("{}: {}", self.origin, counts.join(", "))
    }

    fn group<'a>(&'a self, item: &'a Diagnostic) -> Group<'a> {
        let level = match item.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(item.message.as_str());
        let mut group = match &item.span {
            Some(span) => title.element(self.snippet(item, span)),
            None => title.element(Origin::path(self.origin.as_str())),
        };
        if let Some(help) = &item.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        group
    }

    fn snippet<'a>(
        &'a self,
        item: &'a Diagnostic,
        span: &Span,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let text = self.source.text();
        let primary = self.source.first_line_of(span);
        let related =
            item.related.as_ref().map(|(span, label)| (self.source.first_line_of(span), label));
        let first =
            related.as_ref().map_or(primary.start, |(span, _)| span.start.min(primary.start));
        let last = related.as_ref().map_or(primary.end, |(span, _)| span.end.max(primary.end));
        // Only the lines between: the renderer's work grows with the text it is given.
        let from = text[..first].rfind('\n').map_or(0, |at| at + 1);
        let to = text[last..].find('\n').map_or(text.len(), |at| last + at);
        let within = |span: &Span| span.start - from..span.end - from;
        let mut snippet = Snippet::source(&text[from..to])
            .line_start(1 + text[..from].matches('\n').count())
            .path(self.origin.as_str())
            .annotation(
                AnnotationKind::Primary.span(within(&primary)).label(item.label.as_deref()),
            );
        if let Some((span, label)) = &related {
            snippet = snippet
                .annotation(AnnotationKind::Context.span(within(span)).label(label.as_str()));
        }
        snippet
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnostics::{Diagnostics, Report};

    fn diagnostics() -> Diagnostics {
        let text = "a = 1\npassword = 'x'\nb = 2\n";
        let mut report = Report::default();
        report.warning(23..24, "second").with_related(0..1, "beside it");
        report.error(17..20, "first").with_label("here").with_help("do this");
        report.error_of_file("whole");
        Diagnostics::new("f.toml", text, std::iter::once(17..20).collect(), report)
    }

    #[test]
    fn in_file_order_with_a_count() {
        let expected = "\
error: whole
--> f.toml

error: first
 --> f.toml:2:12
  |
2 | password = ***
  |            ^^^ here
  |
  = help: do this

warning: second
 --> f.toml:3:3
  |
1 | a = 1
  | - beside it
2 | password = ***
3 | b = 2
  |   ^

f.toml: 2 errors, 1 warning
";
        assert_eq!(diagnostics().render(false), expected);
    }

    #[test]
    fn colours_only_where_asked_for() {
        assert!(diagnostics().render(true).contains("\u{1b}["));
        assert!(!diagnostics().render(false).contains('\u{1b}'));
    }
}

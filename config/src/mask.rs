//! A text with its secrets blotted out, for the snippets of diagnostics.

use crate::hidden;
use crate::tree::Span;

/// Stands for a secret of whatever length.
const BLOT: &str = "***";

/// A text without its secrets, and where its parts have moved.
#[derive(Clone)]
pub(crate) struct Masked {
    text: String,
    /// (in the original, in the masked text), in order.
    moved: Vec<(Span, Span)>,
}

impl Masked {
    /// `secrets`: in any order, may overlap.
    pub(crate) fn new(text: &str, secrets: Vec<Span>) -> Self {
        let mut masked = Self { text: String::with_capacity(text.len()), moved: Vec::new() };
        let mut copied = 0;
        for secret in disjoint_lines(text, secrets) {
            masked.text.push_str(&text[copied..secret.start]);
            let start = masked.text.len();
            masked.text.push_str(BLOT);
            copied = secret.end;
            masked.moved.push((secret, start..masked.text.len()));
        }
        masked.text.push_str(&text[copied..]);
        masked
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Where a part of the original stands now, up to the end of its first line.
    pub(crate) fn first_line_of(&self, span: &Span) -> Span {
        let start = self.place(span.start, |blot| blot.start);
        let end = self.place(span.end.max(span.start), |blot| blot.end).max(start);
        let line = &self.text[start..end];
        let line = line.split('\n').next().unwrap_or(line);
        start..start + line.trim_end().len()
    }

    fn place(&self, offset: usize, edge: impl Fn(&Span) -> usize) -> usize {
        let next = self.moved.partition_point(|(from, _)| from.start <= offset);
        let offset = match next.checked_sub(1).and_then(|last| self.moved.get(last)) {
            Some((from, to)) if offset < from.end => edge(to),
            Some((from, to)) => to.end + (offset - from.end),
            None => offset,
        };
        floor_char_boundary(&self.text, offset)
    }
}

fn floor_char_boundary(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Sorted, merged, and split at line ends, so that lines keep their numbers.
fn disjoint_lines(text: &str, mut secrets: Vec<Span>) -> Vec<Span> {
    secrets.extend(hidden::credentials(text));
    secrets.sort_by_key(|span| span.start);
    let mut lines: Vec<Span> = Vec::new();
    let mut covered = 0;
    for secret in secrets {
        let start = floor_char_boundary(text, secret.start.max(covered));
        let end = floor_char_boundary(text, secret.end).max(start);
        let mut at = start;
        for line in text[start..end].split_inclusive('\n') {
            let visible = line.trim_end_matches(['\n', '\r']);
            if !visible.is_empty() {
                lines.push(at..at + visible.len());
            }
            at += line.len();
        }
        covered = covered.max(end);
    }
    lines
}

/// A message without credentials that it may quote.
pub(crate) fn without_credentials(message: &str) -> String {
    Masked::new(message, Vec::new()).text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_move_with_the_text() {
        let text = "a = 'long secret', b = 1\nc = 2";
        let masked = Masked::new(text, std::iter::once(4..17).collect());
        assert_eq!(masked.text(), "a = ***, b = 1\nc = 2");
        let shown = |part: &str| {
            let start = text.find(part).unwrap();
            &masked.text()[masked.first_line_of(&(start..start + part.len()))]
        };
        assert_eq!(shown("b = 1"), "b = 1");
        assert_eq!(shown("c ="), "c =");
        assert_eq!(shown("secret"), "***");
        assert_eq!(shown("a = 'long"), "a = ***");
        assert_eq!(shown("b = 1\nc = 2"), "b = 1");
    }
}

//! Options that bound each other.

use crate::diagnostics::Report;
use crate::kinds::Show;
use crate::options::Setting;
use crate::section::Section;

/// An option's value and the table that it was read from.
pub(crate) struct Bound<'a, K: Show> {
    pub(crate) section: &'a Section<'a>,
    pub(crate) option: &'a Setting<K>,
    pub(crate) value: &'a K::Value,
}

/// Reports `low` where it is more than `high`.
pub(crate) fn at_most<K: Show>(low: &Bound<'_, K>, high: &Bound<'_, K>, report: &mut Report)
where
    K::Value: PartialOrd,
{
    if low.is_broken() || high.is_broken() || low.value <= high.value {
        return;
    }
    let (primary, related) = match (low.span(), high.span()) {
        (Some(low), high) => (low, high),
        (None, Some(high)) => (high, None),
        (None, None) => (low.section.span(), None),
    };
    let message = format!("{} is more than {}", low.written(), high.written());
    let error = report.error(primary, message);
    if let Some(related) = related {
        error.with_related(related, "this is less");
    }
    error.with_help(format!(
        "lower `{}` to at most {}, or raise `{}`",
        low.option.key,
        high.option.kind.show(high.value),
        high.option.key
    ));
}

impl<K: Show> Bound<'_, K> {
    fn is_broken(&self) -> bool {
        self.section.is_broken_at(self.option.key)
    }

    fn span(&self) -> Option<crate::tree::Span> {
        self.section.span_of(self.option.key)
    }

    fn written(&self) -> String {
        let value = self.option.kind.show(self.value);
        let default = if self.span().is_none() { ", the default" } else { "" };
        format!("`{}` ({value}{default})", self.option.key)
    }
}

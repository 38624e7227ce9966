//! One table of the file, read with the options that it may have.

use crate::diagnostics::Report;
use crate::kinds::{Kind, Placed, listed};
use crate::options::{OptionTable, Optional, Setting, TABLES};
use crate::suggest;
use crate::tree::{Field, Span, Value};

/// One table of the file. Without fields it stands for a table that is not written.
pub(crate) struct Section<'a> {
    /// For messages: its header in backticks, or words for what has none.
    place: String,
    options: &'static OptionTable,
    fields: &'a [Field],
    span: Span,
    /// Keys whose values were wrong or missing.
    broken: Vec<&'static str>,
    /// Keys that an unknown one was probably meant to be.
    mistyped: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// `span` stands for the table as a whole.
    pub(crate) fn new(
        place: &str,
        options: &'static OptionTable,
        fields: &'a [Field],
        span: Span,
    ) -> Self {
        let (broken, mistyped) = (Vec::new(), Vec::new());
        Self { place: place.to_owned(), options, fields, span, broken, mistyped }
    }

    /// The table `key` within this one, its keys checked; an empty one where there is none.
    pub(crate) fn table(
        &mut self,
        key: &'static str,
        path: &str,
        options: &'static OptionTable,
        report: &mut Report,
    ) -> Section<'a> {
        let place = format!("`[{path}]`");
        let Some(field) = self.field(key) else {
            return Section::new(&place, options, &[], self.span.clone());
        };
        let span = field.node.span.clone();
        let Some(fields) = table_fields(path, field, report) else {
            self.broken.push(key);
            return Section::new(&place, options, &[], span);
        };
        let mut section = Section::new(&place, options, fields, span);
        section.check_keys(report);
        section
    }

    /// Reports unknown keys and those of later versions.
    pub(crate) fn check_keys(&mut self, report: &mut Report) {
        self.check_unknown(report);
        self.check_later(&[], report);
    }

    /// Reports keys of later versions but for some.
    pub(crate) fn check_later(&self, except: &[&str], report: &mut Report) {
        for field in self.fields {
            let later = self.options.later.iter().find(|later| later.key == field.key);
            if let Some(later) = later
                && !except.contains(&later.key)
                && !(later.harmless)(&field.node.value)
            {
                later.report(later.key, field.key_span.clone(), report);
            }
        }
    }

    /// Reports unknown keys.
    pub(crate) fn check_unknown(&mut self, report: &mut Report) {
        for field in self.fields {
            if self.options.knows(&field.key) {
                continue;
            }
            let help = self.help_for_unknown(&field.key);
            report
                .error(
                    field.key_span.clone(),
                    format!("unknown key `{}` in {}", field.key, self.place),
                )
                .with_help(help);
        }
    }

    fn help_for_unknown(&mut self, key: &str) -> String {
        let elsewhere: Vec<&str> = TABLES
            .iter()
            .filter(|table| table.keys().any(|known| known == key))
            .map(|table| table.place)
            .collect();
        if !elsewhere.is_empty() {
            return format!("`{key}` belongs to {}", elsewhere.join(" or "));
        }
        match suggest::nearest(key, self.options.keys()) {
            Some(near) => {
                self.mistyped.push(near);
                format!("did you mean `{near}`?")
            }
            None => format!("known here are {}", listed(self.options.keys())),
        }
    }

    /// The value of an option, or its default.
    pub(crate) fn setting<K: Kind>(
        &mut self,
        option: &Setting<K>,
        report: &mut Report,
    ) -> K::Value {
        let read = self.read(option.key, &option.kind, report);
        read.map_or_else(option.default, |placed| placed.value)
    }

    /// The value of an option, if it is there.
    pub(crate) fn optional<K: Kind>(
        &mut self,
        option: &Optional<K>,
        report: &mut Report,
    ) -> Option<K::Value> {
        self.placed(option, report).map(|placed| placed.value)
    }

    /// The value of an option and where it stands, if it is there.
    pub(crate) fn placed<K: Kind>(
        &mut self,
        option: &Optional<K>,
        report: &mut Report,
    ) -> Option<Placed<K::Value>> {
        self.read(option.key, &option.kind, report)
    }

    fn read<K: Kind>(
        &mut self,
        key: &'static str,
        kind: &K,
        report: &mut Report,
    ) -> Option<Placed<K::Value>> {
        let field = self.field(key)?;
        let span = field.node.span.clone();
        match kind.read(key, &field.node, report) {
            Some(value) => Some(Placed { value, span }),
            None => {
                self.broken.push(key);
                None
            }
        }
    }

    /// Reports that an option is missing.
    pub(crate) fn require(&mut self, key: &'static str, example: &str, report: &mut Report) {
        if self.field(key).is_some() {
            return;
        }
        self.broken.push(key);
        if !self.mistyped.contains(&key) {
            report
                .error(self.span.clone(), format!("{} has no `{key}`", self.place))
                .with_help(format!("for example `{key} = {example}`"));
        }
    }

    /// Where an option's value stands, if it is written.
    pub(crate) fn span_of(&self, key: &str) -> Option<Span> {
        self.field(key).map(|field| field.node.span.clone())
    }

    /// Stands for the table as a whole.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    pub(crate) fn fields(&self) -> &'a [Field] {
        self.fields
    }

    /// Was any value wrong or missing?
    pub(crate) fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    pub(crate) fn is_broken_at(&self, key: &str) -> bool {
        self.broken.contains(&key)
    }

    pub(crate) fn field(&self, key: &str) -> Option<&'a Field> {
        self.fields.iter().find(|field| field.key == key)
    }
}

/// The fields of a field that must be a table.
pub(crate) fn table_fields<'a>(
    path: &str,
    field: &'a Field,
    report: &mut Report,
) -> Option<&'a [Field]> {
    if let Value::Table(fields) = &field.node.value {
        return Some(fields);
    }
    let found = field.node.value.type_name();
    report
        .error(field.key_span.clone(), format!("`{}` must be a table, not {found}", field.key))
        .with_help(format!("its options follow under `[{path}]`"));
    None
}

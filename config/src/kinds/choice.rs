//! One of several names.

use super::{Kind, Show, listed, wrong_type};
use crate::diagnostics::Report;
use crate::options::Later;
use crate::suggest;
use crate::tree::{Node, Value};

/// One of several names.
pub(crate) struct Choice<M: 'static> {
    pub(crate) variants: &'static [Variant<M>],
    /// Names that later versions bring.
    pub(crate) later: &'static [Later],
}

/// A name and what it stands for.
pub(crate) struct Variant<M> {
    pub(crate) name: &'static str,
    pub(crate) value: M,
    /// For the reference; may be empty where the name says it.
    pub(crate) meaning: &'static str,
}

impl<M: Copy + PartialEq + Sync> Kind for Choice<M> {
    type Value = M;

    fn values(&self) -> String {
        let names: Vec<String> = self.names().map(|name| format!("\"{name}\"")).collect();
        names.join(" | ")
    }

    fn choices(&self) -> Vec<(&'static str, &'static str)> {
        self.variants.iter().map(|variant| (variant.name, variant.meaning)).collect()
    }

    fn later(&self) -> &'static [Later] {
        self.later
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<M> {
        let Value::Text(text) = &node.value else {
            let example = self.names().next().unwrap_or_default();
            wrong_type(key, "a string", &format!("\"{example}\""), node, report);
            return None;
        };
        if let Some(variant) = self.variants.iter().find(|variant| variant.name == text) {
            return Some(variant.value);
        }
        if let Some(later) = self.later.iter().find(|later| later.key == text) {
            later.report(&format!("{key} = \"{text}\""), node.span.clone(), report);
            return None;
        }
        let all = listed(self.names());
        let help = match suggest::nearest(text, self.names()) {
            Some(name) => format!("did you mean `{name}`? The choices are {all}"),
            None => format!("the choices are {all}"),
        };
        report.error(node.span.clone(), format!("unknown value for `{key}`")).with_help(help);
        None
    }
}

impl<M: Copy + PartialEq + Sync> Show for Choice<M> {
    fn show(&self, value: &M) -> String {
        let variant = self.variants.iter().find(|variant| variant.value == *value);
        format!("\"{}\"", variant.map_or("", |variant| variant.name))
    }
}

impl<M> Choice<M> {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.variants.iter().map(|variant| variant.name)
    }
}

//! Whole numbers.

use std::fmt::Display;

use super::{Kind, Show, wrong_type};
use crate::diagnostics::Report;
use crate::tree::{Node, Value};

/// A whole number between two bounds.
pub(crate) struct Integers<T> {
    pub(crate) least: T,
    pub(crate) most: T,
}

impl<T> Kind for Integers<T>
where
    T: Copy + Display + PartialOrd + TryFrom<i64> + Sync,
{
    type Value = T;

    fn values(&self) -> String {
        format!("integer, {} to {}", self.least, self.most)
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<T> {
        let number = match &node.value {
            Value::Integer(number) => *number,
            Value::Text(text) if text.trim().parse::<i64>().is_ok() => {
                report
                    .error(node.span.clone(), format!("`{key}` must be an integer, not a string"))
                    .with_help(format!("without the quotes: `{key} = {}`", text.trim()));
                return None;
            }
            _ => {
                wrong_type(key, "an integer", &self.least.to_string(), node, report);
                return None;
            }
        };
        let fits = number.and_then(|number| T::try_from(number).ok());
        let within = fits.filter(|number| *number >= self.least && *number <= self.most);
        if within.is_none() {
            let message = match number {
                Some(0) => format!("`{key}` must not be 0"),
                _ => format!("`{key}` is out of range"),
            };
            report
                .error(node.span.clone(), message)
                .with_help(format!("from {} to {}", self.least, self.most));
        }
        within
    }
}

impl<T> Show for Integers<T>
where
    T: Copy + Display + PartialOrd + TryFrom<i64> + Sync,
{
    fn show(&self, number: &T) -> String {
        number.to_string()
    }
}

//! Plain texts and flags.

use super::{Kind, Show, wrong_type};
use crate::diagnostics::Report;
use crate::tree::{Node, Value};

/// A text that is not empty.
pub(crate) struct Text {
    /// For messages and the reference.
    pub(crate) example: &'static str,
}

/// Longer ones are a mistake; they would fill status pages and logs.
const MAX_BYTES: usize = 256;

impl Kind for Text {
    type Value = String;

    fn values(&self) -> String {
        "text".to_owned()
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<String> {
        let Value::Text(text) = &node.value else {
            wrong_type(key, "a string", &format!("\"{}\"", self.example), node, report);
            return None;
        };
        let (message, help) = if text.is_empty() {
            (format!("`{key}` is empty"), "leave the line out if there is none".to_owned())
        } else if text.len() > MAX_BYTES {
            (format!("`{key}` is too long"), format!("at most {MAX_BYTES} bytes"))
        } else if text.contains(char::is_control) {
            (
                format!("`{key}` contains a control character"),
                "only printable characters are allowed".to_owned(),
            )
        } else {
            return Some(text.clone());
        };
        report.error(node.span.clone(), message).with_help(help);
        None
    }
}

/// `true` or `false`.
pub(crate) struct Flag;

impl Kind for Flag {
    type Value = bool;

    fn values(&self) -> String {
        "true | false".to_owned()
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<bool> {
        match &node.value {
            Value::Boolean(flag) => Some(*flag),
            _ => {
                wrong_type(key, "true or false", "true", node, report);
                None
            }
        }
    }
}

impl Show for Flag {
    fn show(&self, flag: &bool) -> String {
        flag.to_string()
    }
}

//! The two characters around the part of a key that is hashed.

use super::{Kind, Show, wrong_type};
use crate::diagnostics::Report;
use crate::tree::{Node, Value};

/// Two characters, or `"none"`.
pub(crate) struct HashTag;

const NONE: &str = "none";

impl Kind for HashTag {
    type Value = Option<[u8; 2]>;

    fn values(&self) -> String {
        format!("two characters or \"{NONE}\"")
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<Self::Value> {
        let Value::Text(text) = &node.value else {
            wrong_type(key, "two characters", "\"{}\"", node, report);
            return None;
        };
        match text.as_bytes() {
            _ if text == NONE => Some(None),
            [first, second]
                if text.is_ascii() && !text.contains(|c: char| c.is_ascii_control()) =>
            {
                Some(Some([*first, *second]))
            }
            _ => {
                report
                    .error(node.span.clone(), format!("`{key}` needs exactly two characters"))
                    .with_help(format!(
                        "of ASCII, for example `\"{{}}\"`; `\"{NONE}\"` where the whole key is hashed"
                    ));
                None
            }
        }
    }
}

impl Show for HashTag {
    fn show(&self, tag: &Self::Value) -> String {
        match tag {
            Some([first, second]) => format!("\"{}{}\"", char::from(*first), char::from(*second)),
            None => format!("\"{NONE}\""),
        }
    }
}

//! Values as TOML writes them.

use std::fmt;
use std::time::Duration;

/// A value of an option.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Integer(u64),
    Flag(bool),
    List(Vec<Value>),
    /// Each entry on a line of its own, with a comment where there is one.
    Lines(Vec<(Value, String)>),
    /// In braces.
    Table(Vec<(&'static str, Value)>),
}

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }

    /// In the largest unit that divides it.
    pub(crate) fn duration(duration: Duration) -> Self {
        let micros = duration.as_micros();
        let units = [("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1000)];
        let whole =
            units.into_iter().find(|(_, worth)| micros > 0 && micros.is_multiple_of(*worth));
        Self::Text(match whole {
            Some((unit, worth)) => format!("{}{unit}", micros / worth),
            None if micros == 0 => "0s".to_owned(),
            None => format!("{micros}us"),
        })
    }

    pub(crate) fn millis(millis: u64) -> Self {
        Self::duration(Duration::from_millis(millis))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => quoted(text, f),
            Self::Integer(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Self::Lines(items) => {
                f.write_str("[\n")?;
                for (item, comment) in items {
                    write!(f, "    {item},")?;
                    if !comment.is_empty() {
                        write!(f, " # {}", one_line(comment))?;
                    }
                    f.write_str("\n")?;
                }
                f.write_str("]")
            }
            Self::Table(fields) => {
                f.write_str("{ ")?;
                for (index, (key, value)) in fields.iter().enumerate() {
                    write!(f, "{}{key} = {value}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str(" }")
            }
        }
    }
}

/// A basic string (TOML 1.0, "String").
fn quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            c if c.is_control() => write!(f, "\\u{:04X}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

/// A comment ends with its line.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A key of a table, quoted where it has to be.
pub(crate) fn key(text: &str) -> String {
    let is_bare = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !text.is_empty() && text.bytes().all(is_bare) {
        text.to_owned()
    } else {
        Value::text(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (value, expected) in [
            (Value::text("a\"b\\c\u{7}"), r#""a\"b\\c\u0007""#),
            (Value::texts(["a", "b"]), r#"["a", "b"]"#),
            (
                Value::Table(vec![("a", Value::Integer(1)), ("b", Value::Flag(true))]),
                "{ a = 1, b = true }",
            ),
            (Value::millis(0), "\"0s\""),
            (Value::millis(1), "\"1ms\""),
            (Value::millis(1500), "\"1500ms\""),
            (Value::millis(30_000), "\"30s\""),
            (Value::millis(3_600_000), "\"1h\""),
            (Value::duration(Duration::from_micros(1)), "\"1us\""),
        ] {
            assert_eq!(value.to_string(), expected);
        }
    }
}

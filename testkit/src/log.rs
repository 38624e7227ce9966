//! Redkeel's log lines, in either of its formats.

use serde_json::Value;

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// As written, without the line's end.
    pub text: String,
    /// ERROR, WARN, INFO, DEBUG or TRACE; empty where the line is no log line (a panic's text).
    pub level: String,
    fields: Value,
}

impl LogLine {
    /// Reads a line of JSON or of text.
    pub fn parse(text: &str) -> Self {
        match serde_json::from_str::<Value>(text) {
            Ok(json) if json.is_object() => {
                let level = json["level"].as_str().unwrap_or_default().to_owned();
                let fields = if json["fields"].is_object() { json["fields"].clone() } else { json };
                Self { text: text.into(), level, fields }
            }
            _ => Self::parse_text(text),
        }
    }

    /// `TIME LEVEL target: message name=value …`; the colon may be missing.
    fn parse_text(text: &str) -> Self {
        const LEVELS: [&str; 5] = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
        let level = text.split_whitespace().take(2).find(|word| LEVELS.contains(word));
        let mut fields = serde_json::Map::new();
        for word in text.split_whitespace() {
            if let Some((name, value)) = word.split_once('=') {
                fields.insert(name.into(), value.trim_matches('"').into());
            }
        }
        fields.insert("message".into(), text.into());
        Self { text: text.into(), level: level.unwrap_or_default().into(), fields: fields.into() }
    }

    /// A field's text; numbers are written out. The message is the field `message`.
    pub fn field(&self, name: &str) -> Option<String> {
        match &self.fields[name] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// Is this the line with this message?
    pub fn is(&self, message: &str) -> bool {
        self.field("message").is_some_and(|text| {
            text == message || text.split(": ").any(|part| part.starts_with(&format!("{message} ")))
        })
    }

    /// Is this a line that a test must have expected?
    pub fn is_trouble(&self) -> bool {
        matches!(self.level.as_str(), "WARN" | "ERROR") || self.text.contains("panicked at")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_with_the_fields_nested_or_flat() {
        for text in [
            r#"{"level":"INFO","fields":{"message":"listening","address":"127.0.0.1:1","n":3}}"#,
            r#"{"level":"INFO","message":"listening","address":"127.0.0.1:1","n":3}"#,
        ] {
            let line = LogLine::parse(text);
            assert!(line.is("listening") && !line.is("admin listening"));
            assert_eq!(line.level, "INFO");
            assert_eq!(line.field("address").as_deref(), Some("127.0.0.1:1"));
            assert_eq!(line.field("n").as_deref(), Some("3"));
            assert!(!line.is_trouble());
        }
    }

    #[test]
    fn text() {
        let text = "2026-01-01T00:00:00Z  WARN redkeel: listening pool=\"main\" address=[::1]:1";
        let line = LogLine::parse(text);
        assert!(line.is("listening") && !line.is("admin listening"));
        assert_eq!(line.field("pool").as_deref(), Some("main"));
        assert_eq!(line.field("address").as_deref(), Some("[::1]:1"));
        assert!(line.is_trouble());
    }

    #[test]
    fn a_panic_is_trouble() {
        assert!(LogLine::parse("thread 'main' panicked at src/main.rs:1:1:").is_trouble());
    }
}

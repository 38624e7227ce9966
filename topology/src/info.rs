//! The text of INFO: `field:value` lines under `# Section` headers.

/// INFO's text, looked up by field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Info<'a>(&'a [u8]);

impl<'a> Info<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self(text)
    }

    /// The value of the first line with this field.
    pub(crate) fn get(self, field: &str) -> Option<&'a str> {
        self.0.split(|byte| *byte == b'\n').find_map(|line| {
            let value = line.strip_prefix(field.as_bytes())?.strip_prefix(b":")?;
            std::str::from_utf8(value.strip_suffix(b"\r").unwrap_or(value)).ok()
        })
    }

    /// The value of `field` as a number; negative ones, by which Redis says "none", are `None` too.
    pub(crate) fn number(self, field: &str) -> Option<u64> {
        self.get(field)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let info = Info::new(b"# Server\r\nredis_version:7.0.15\r\nredis:x\r\nn:-1\r\nlast:2");
        assert_eq!(info.get("redis_version"), Some("7.0.15"));
        assert_eq!(info.get("redis"), Some("x"));
        assert_eq!(info.get("version"), None);
        assert_eq!(info.number("last"), Some(2));
        assert_eq!(info.number("n"), None);
    }
}

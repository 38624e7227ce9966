//! HAProxy's times.

use std::time::Duration;

use crate::value::Value;

/// A number with a unit; milliseconds where there is none.
pub(super) fn time(text: &str) -> Option<Value> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let micros = match unit {
        "us" => 1,
        "" | "ms" => 1000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return None,
    };
    Some(Value::duration(Duration::from_micros(number.checked_mul(micros)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, expected) in [
            ("2000", "\"2s\""),
            ("100ms", "\"100ms\""),
            ("1m", "\"1m\""),
            ("1d", "\"24h\""),
            ("5us", "\"5us\""),
        ] {
            assert_eq!(time(text).unwrap().to_string(), expected);
        }
        for text in ["", "s", "1x", "99999999999999999999s", "9999999999999d"] {
            assert!(time(text).is_none(), "{text}");
        }
    }
}

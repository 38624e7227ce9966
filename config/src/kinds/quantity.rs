//! Numbers with a unit: what durations and sizes have in common.

use super::wrong_type;
use crate::diagnostics::Report;
use crate::tree::{Node, Value};

/// What is measured, and in which units.
pub(super) struct Measure {
    /// `duration`
    pub(super) noun: &'static str,
    /// A usual value.
    pub(super) example: &'static str,
    /// Name and worth, largest first; the last is worth 1.
    pub(super) units: &'static [(&'static str, u64)],
    /// How 0 is written.
    pub(super) zero: &'static str,
    /// The two units most likely meant where none is written.
    pub(super) likely: [&'static str; 2],
    /// Other spellings, in lower case, and the unit that each stands for.
    pub(super) spellings: &'static [(&'static str, &'static str)],
    /// What to know about the units.
    pub(super) note: &'static str,
}

impl Measure {
    /// In the largest unit that divides it, in quotes.
    pub(super) fn show(&self, amount: u64) -> String {
        if amount == 0 {
            return format!("\"{}\"", self.zero);
        }
        let whole = self.units.iter().find(|(_, worth)| amount.is_multiple_of(*worth));
        let (unit, worth) = whole.unwrap_or(&("", 1));
        format!("\"{}{unit}\"", amount / worth)
    }

    pub(super) fn values(&self, least: u64, most: u64) -> String {
        format!("{}, {} to {}", self.noun, self.show(least), self.show(most))
    }

    /// `None`: it was wrong, and reported.
    pub(super) fn read(
        &self,
        key: &str,
        node: &Node,
        (least, most): (u64, u64),
        report: &mut Report,
    ) -> Option<u64> {
        let parsed = match &node.value {
            Value::Text(text) => self.parse(text),
            Value::Integer(number) => Err(Wrong::NoUnit(number.unwrap_or_default().unsigned_abs())),
            _ => {
                let (noun, example) = (format!("a {}", self.noun), format!("\"{}\"", self.example));
                wrong_type(key, &noun, &example, node, report);
                return None;
            }
        };
        let (message, help) = match parsed {
            Ok(amount) if (least..=most).contains(&amount) => return Some(amount),
            Ok(0) => (format!("`{key}` must not be 0"), self.bounds(least, most)),
            Ok(_) | Err(Wrong::TooLarge) => {
                (format!("`{key}` is out of range"), self.bounds(least, most))
            }
            Err(wrong) => self.explain(key, wrong, (least, most)),
        };
        report.error(node.span.clone(), message).with_help(help);
        None
    }

    fn bounds(&self, least: u64, most: u64) -> String {
        format!("from {} to {}", self.show(least), self.show(most))
    }

    /// Message and help.
    fn explain(&self, key: &str, wrong: Wrong, bounds: (u64, u64)) -> (String, String) {
        let (noun, units) = (self.noun, self.unit_names());
        match wrong {
            Wrong::NoUnit(number) => (
                format!("`{key}` lacks a unit"),
                format!("{noun}s carry a unit: {}", self.with_units(number, bounds)),
            ),
            Wrong::Unit { number, meant: Some(unit) } => (
                format!("`{key}` has an unknown unit"),
                format!("did you mean `\"{number}{unit}\"`?{}", self.note),
            ),
            Wrong::Unit { meant: None, .. } => (
                format!("`{key}` has an unknown unit"),
                format!("the units are {units}{}", self.note),
            ),
            Wrong::NotANumber | Wrong::TooLarge => (
                format!("`{key}` is not a {noun}"),
                format!(
                    "a whole number and one unit ({units}), for example `\"{}\"`",
                    self.example
                ),
            ),
        }
    }

    /// What a number may have been meant to be, as far as that is allowed.
    fn with_units(&self, number: u64, (least, most): (u64, u64)) -> String {
        let worth =
            |unit| self.units.iter().find(|(name, _)| *name == unit).map(|(_, worth)| *worth);
        let mut meant: Vec<String> = self
            .likely
            .into_iter()
            .filter_map(|unit| number.checked_mul(worth(unit)?))
            .filter(|amount| (least..=most).contains(amount))
            .map(|amount| format!("`{}`", self.show(amount)))
            .collect();
        meant.dedup();
        if meant.is_empty() { format!("`\"{}\"`", self.example) } else { meant.join(" or ") }
    }

    /// Smallest first.
    fn unit_names(&self) -> String {
        let names: Vec<&str> = self.units.iter().rev().map(|(name, _)| *name).collect();
        names.join(", ")
    }

    fn parse(&self, text: &str) -> Result<u64, Wrong> {
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let fraction = unit.starts_with(['.', ',']);
        if number.is_empty() || fraction || unit.contains(|c: char| c.is_ascii_digit()) {
            return Err(Wrong::NotANumber);
        }
        let number: u64 = number.parse().map_err(|_| Wrong::TooLarge)?;
        if unit.is_empty() {
            return Err(Wrong::NoUnit(number));
        }
        let Some((_, worth)) = self.units.iter().find(|(name, _)| *name == unit) else {
            return Err(Wrong::Unit { number, meant: self.meant(unit) });
        };
        number.checked_mul(*worth).ok_or(Wrong::TooLarge)
    }

    /// The unit that another spelling stands for.
    fn meant(&self, unit: &str) -> Option<&'static str> {
        let unit = unit.trim().to_ascii_lowercase();
        let names = self.units.iter().map(|(name, _)| (*name, *name));
        names
            .chain(self.spellings.iter().copied())
            .find(|(other, _)| *other == unit)
            .map(|(_, to)| to)
    }
}

/// Why a text is no quantity.
#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    NoUnit(u64),
    Unit { number: u64, meant: Option<&'static str> },
    TooLarge,
    NotANumber,
}

#[cfg(test)]
mod tests {
    use super::super::duration::DURATION;
    use super::super::size::SIZE;
    use super::*;

    #[test]
    fn units() {
        for (measure, text, amount) in [
            (&DURATION, "100us", 100),
            (&DURATION, "200ms", 200_000),
            (&DURATION, "25s", 25_000_000),
            (&DURATION, "1m", 60_000_000),
            (&DURATION, "2h", 7_200_000_000),
            (&DURATION, "0s", 0),
            (&SIZE, "100b", 100),
            (&SIZE, "16kb", 16 << 10),
            (&SIZE, "512mb", 512 << 20),
            (&SIZE, "1gb", 1 << 30),
            (&SIZE, "0b", 0),
        ] {
            assert_eq!(measure.parse(text), Ok(amount), "{text}");
            assert_eq!(measure.show(amount), format!("\"{text}\""));
        }
    }

    #[test]
    fn wrong_texts() {
        for (measure, text, wrong) in [
            (&DURATION, "", Wrong::NotANumber),
            (&DURATION, "ms", Wrong::NotANumber),
            (&DURATION, "1.5s", Wrong::NotANumber),
            (&DURATION, "1m30s", Wrong::NotANumber),
            (&DURATION, "-1s", Wrong::NotANumber),
            (&DURATION, "200", Wrong::NoUnit(200)),
            (&DURATION, "5 s", Wrong::Unit { number: 5, meant: Some("s") }),
            (&DURATION, "5MIN", Wrong::Unit { number: 5, meant: Some("m") }),
            (&DURATION, "5d", Wrong::Unit { number: 5, meant: None }),
            (&DURATION, "99999999999999999999s", Wrong::TooLarge),
            (&DURATION, "9999999999999999h", Wrong::TooLarge),
            (&SIZE, "64", Wrong::NoUnit(64)),
            (&SIZE, "64MB", Wrong::Unit { number: 64, meant: Some("mb") }),
            (&SIZE, "64m", Wrong::Unit { number: 64, meant: Some("mb") }),
            (&SIZE, "64tb", Wrong::Unit { number: 64, meant: None }),
        ] {
            assert_eq!(measure.parse(text), Err(wrong), "{text}");
        }
    }
}

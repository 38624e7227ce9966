//! What routes are written with: prefixes, names of pools, shares, mirrors.

use super::{Kind, Placed, Show, wrong_type};
use crate::diagnostics::Report;
use crate::model::{Mirrored, Share};
use crate::options::routes;
use crate::section::Section;
use crate::tree::{Node, Value};

/// The beginning of keys; may be empty.
pub(crate) struct Prefix;

/// The name of a pool of the file.
pub(crate) struct PoolName;

/// A share, in percent.
pub(crate) struct Shares;

/// What a mirror gets.
pub(crate) struct MirrorTable;

/// A mirror as written: whether there is such a pool is not known yet.
pub(crate) struct MirrorEntry {
    pub(crate) pool: Placed<String>,
    pub(crate) share: Share,
    pub(crate) commands: Mirrored,
}

const MAX_PREFIX_BYTES: usize = 256;

impl Kind for Prefix {
    type Value = String;

    fn values(&self) -> String {
        "text".to_owned()
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<String> {
        match &node.value {
            Value::Text(text) if text.len() <= MAX_PREFIX_BYTES => Some(text.clone()),
            Value::Text(_) => {
                report
                    .error(node.span.clone(), format!("`{key}` is too long"))
                    .with_help(format!("at most {MAX_PREFIX_BYTES} bytes"));
                None
            }
            _ => {
                wrong_type(key, "a string", "\"user:\"", node, report);
                None
            }
        }
    }
}

impl Kind for PoolName {
    type Value = String;

    fn values(&self) -> String {
        "name of a pool".to_owned()
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<String> {
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            _ => {
                wrong_type(key, "the name of a pool", "\"users\"", node, report);
                None
            }
        }
    }
}

impl Kind for Shares {
    type Value = Share;

    fn values(&self) -> String {
        "\"0%\" to \"100%\"".to_owned()
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<Share> {
        let share = match &node.value {
            Value::Text(text) => {
                let number = text.trim();
                percent(number.strip_suffix('%').unwrap_or(number).trim_end())
            }
            Value::Integer(number) => number
                .and_then(|number| u32::try_from(number).ok()?.checked_mul(10_000))
                .and_then(Share::of_million),
            // The text of a decimal number is not kept.
            _ => {
                wrong_type(key, "a share", "\"10%\"", node, report);
                return None;
            }
        };
        if share.is_none() {
            report.error(node.span.clone(), format!("`{key}` is not a share")).with_help(
                "from 0% to 100%, with at most four decimals: `\"10%\"`, `\"0.5%\"`, or `10`",
            );
        }
        share
    }
}

impl Show for Shares {
    fn show(&self, share: &Share) -> String {
        let (whole, rest) = (share.per_million() / 10_000, share.per_million() % 10_000);
        let text = format!("{whole}.{rest:04}");
        format!("\"{}%\"", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

fn percent(text: &str) -> Option<Share> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(decimals) || decimals.len() > 4 {
        return None;
    }
    let whole: u32 = whole.parse().ok()?;
    let decimals: u32 = format!("{decimals:0<4}").parse().ok()?;
    Share::of_million(whole.checked_mul(10_000)?.checked_add(decimals)?)
}

impl Kind for MirrorTable {
    type Value = MirrorEntry;

    fn values(&self) -> String {
        "table".to_owned()
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<MirrorEntry> {
        let Value::Table(fields) = &node.value else {
            wrong_type(key, "a table", routes::MIRROR.example, node, report);
            return None;
        };
        let table = &routes::MIRROR_TABLE;
        let mut section = Section::new(table.place, table, fields, node.span.clone());
        section.check_keys(report);
        section.require(routes::MIRROR_POOL.key, routes::MIRROR_POOL.example, report);
        let pool = section.placed(&routes::MIRROR_POOL, report);
        let share = section.setting(&routes::SHARE, report);
        let commands = section.setting(&routes::COMMANDS, report);
        (!section.is_broken()).then_some(MirrorEntry { pool: pool?, share, commands })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents() {
        for (text, per_million) in [
            ("0", Some(0)),
            ("10", Some(100_000)),
            ("0.5", Some(5_000)),
            ("0.0001", Some(1)),
            ("99.99", Some(999_900)),
            ("100", Some(1_000_000)),
            ("100.0", Some(1_000_000)),
            ("100.1", None),
            ("101", None),
            ("0.00001", None),
            ("", None),
            (".5", None),
            ("5.", None),
            ("-1", None),
            ("+1", None),
            ("1e1", None),
            ("99999999999", None),
        ] {
            assert_eq!(percent(text).map(Share::per_million), per_million, "{text}");
        }
    }

    #[test]
    fn shares_are_shown_as_they_are_written() {
        for text in ["\"0%\"", "\"10%\"", "\"0.5%\"", "\"0.0001%\"", "\"100%\""] {
            let share = percent(text.trim_matches(['"', '%'])).unwrap();
            assert_eq!(Shares.show(&share), text);
        }
    }
}

//! Sizes: `"64mb"`.

use super::quantity::Measure;
use super::{Kind, Show};
use crate::diagnostics::Report;
use crate::tree::Node;

/// A number of bytes with its unit, between two bounds.
pub(crate) struct Sizes {
    pub(crate) least: u64,
    pub(crate) most: u64,
}

pub(crate) const KB: u64 = 1 << 10;
pub(crate) const MB: u64 = 1 << 20;
pub(crate) const GB: u64 = 1 << 30;

/// In bytes. The units mean what they mean in redis.conf; those that would mean powers of 1000 there
/// (`k`, `m`, `g`) are refused.
pub(super) static SIZE: Measure = Measure {
    noun: "size",
    example: "64mb",
    units: &[("gb", GB), ("mb", MB), ("kb", KB), ("b", 1)],
    zero: "0b",
    likely: ["b", "mb"],
    spellings: &[
        ("byte", "b"),
        ("bytes", "b"),
        ("k", "kb"),
        ("kib", "kb"),
        ("m", "mb"),
        ("mib", "mb"),
        ("g", "gb"),
        ("gib", "gb"),
    ],
    note: " (1kb is 1024 bytes)",
};

impl Kind for Sizes {
    type Value = u64;

    fn values(&self) -> String {
        SIZE.values(self.least, self.most)
    }

    fn read(&self, key: &str, node: &Node, report: &mut Report) -> Option<u64> {
        SIZE.read(key, node, (self.least, self.most), report)
    }
}

impl Show for Sizes {
    fn show(&self, bytes: &u64) -> String {
        SIZE.show(*bytes)
    }
}

//! A ring of virtual nodes: 160 points for each unit of weight, by the first four bytes of MD5("name-number"), big-endian.

use super::live::{Live, by_name, total_weight};
use super::points::Points;
use crate::hash::md5_big_endian;

const POINTS_PER_WEIGHT: u32 = 160;

pub(super) fn count(live: &[Live<'_>]) -> u64 {
    u64::from(POINTS_PER_WEIGHT) * u64::from(total_weight(live))
}

pub(super) fn points(live: &[Live<'_>]) -> Points<u32> {
    let mut points = Vec::new();
    for one in by_name(live) {
        points.extend((0..POINTS_PER_WEIGHT * one.weight).map(|number| {
            (md5_big_endian(format!("{}-{number}", one.name).as_bytes()), one.shard)
        }));
    }
    Points::new(points)
}

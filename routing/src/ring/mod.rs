//! Which shard a key lives on.

mod envoy;
mod error;
mod ketama;
mod live;
mod maglev;
mod modula;
mod points;
mod settings;
mod slots;
mod tag;
mod virtual_nodes;

use std::ops::Range;

pub use error::RingError;
pub use settings::{Distribution, Member, Sharding};
pub use tag::hashed;

use crate::hash::{CharSign, Hash, md5_big_endian, murmur64, slot, xxhash64};
use points::Points;

/// How many points or places a ring has at most: 8 to 12 bytes each, and a digest to build it.
pub const MOST_POINTS: u32 = 1 << 20;
/// How long a shard's name may be; twemproxy's is cut, or worse, from 255 bytes on.
pub const LONGEST_NAME: usize = 255;

/// The keys' way to the shards: built once, and again when shards come, go, or are ejected. It is meant to be shared.
#[derive(Debug)]
pub struct Ring {
    distribution: Distribution,
    tag: Option<[u8; 2]>,
    hash: KeyHash,
    table: Table,
}

/// How keys are hashed.
#[derive(Clone, Copy, Debug)]
enum KeyHash {
    Twemproxy(Hash, CharSign),
    Md5,
    Murmur64,
    Slot,
}

impl KeyHash {
    #[inline]
    fn of(self, hashed: &[u8]) -> u64 {
        match self {
            // `server_pool_hash`: an empty key is not hashed.
            Self::Twemproxy(..) if hashed.is_empty() => 0,
            Self::Twemproxy(hash, sign) => u64::from(hash.of(hashed, sign)),
            Self::Md5 => u64::from(md5_big_endian(hashed)),
            Self::Murmur64 => murmur64(hashed),
            Self::Slot => u64::from(slot(hashed)),
        }
    }
}

/// Where hashes lead.
#[derive(Debug)]
enum Table {
    /// All keys go to one shard: nothing needs to be hashed.
    Single(usize),
    Points(Points<u32>),
    WidePoints(Points<u64>),
    /// By the remainder; never empty.
    Places(Box<[u32]>),
}

impl Table {
    /// The point, or place, of a hash, and the shard that it belongs to.
    #[inline]
    fn find(&self, hash: u64) -> (u64, usize) {
        match self {
            Self::Single(shard) => (0, *shard),
            Self::Points(points) => {
                // What is compared with points of 32 bits are hashes of 32 bits.
                let (point, shard) = points.find(hash as u32);
                (u64::from(point), shard)
            }
            Self::WidePoints(points) => points.find(hash),
            Self::Places(places) => {
                let place = hash % places.len() as u64;
                (place, places[place as usize] as usize)
            }
        }
    }
}

/// How a key came to its shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Which bytes of the key were hashed: all of them, or those within the hash tag.
    pub hashed: Range<usize>,
    /// Their hash. An empty key is 0 to twemproxy's distributions, and a pool of one shard hashes nothing: it is given all the same.
    pub hash: u64,
    /// The point on the ring that decided, or the place in the table, or the slot: [`Distribution::point_word`]. `None` where
    /// there is but one shard to choose.
    pub point: Option<u64>,
    /// The shard's place in the configuration.
    pub shard: usize,
}

impl Ring {
    /// A ring of those `members` that `live` says are up and that have a weight. Others have no part in it, so that
    /// what the ring promises about a removed shard holds for an ejected one, whose index stays its own.
    ///
    /// # Errors
    ///
    /// When none is left, or names or weights are such that no ring can be made.
    pub fn new(sharding: &Sharding, members: &[Member], live: &[bool]) -> Result<Self, RingError> {
        let distribution = sharding.distribution;
        let chosen = live::live(members, live)?;
        let size = sharding.size.or(distribution.default_size()).unwrap_or(0);
        let points = match distribution {
            Distribution::Ketama => ketama::most_points(&chosen),
            Distribution::Modula => u64::from(live::total_weight(&chosen)),
            Distribution::Ring => virtual_nodes::count(&chosen),
            Distribution::EnvoyRing | Distribution::EnvoyRingMurmur2 => envoy::count(&chosen, size),
            Distribution::Maglev => u64::from(size),
            Distribution::Random | Distribution::Slots => chosen.len() as u64,
        };
        if distribution == Distribution::Maglev && !maglev::is_prime(size) {
            return Err(RingError::Table(size));
        }
        if points > u64::from(MOST_POINTS) {
            return Err(RingError::TooLarge(points));
        }

        let table = match distribution {
            _ if chosen.len() == 1 => Table::Single(chosen[0].shard as usize),
            Distribution::Ketama => Table::Points(ketama::points(&chosen)),
            Distribution::Modula => Table::Places(modula::places(&chosen)),
            Distribution::Random => Table::Places(chosen.iter().map(|one| one.shard).collect()),
            Distribution::Ring => Table::Points(virtual_nodes::points(&chosen)),
            Distribution::Maglev => Table::Places(maglev::places(&chosen, size)),
            Distribution::Slots => Table::Places(slots::places(members, &chosen)),
            Distribution::EnvoyRing => {
                Table::WidePoints(envoy::points(&chosen, size, |text| xxhash64(text, 0)))
            }
            Distribution::EnvoyRingMurmur2 => {
                Table::WidePoints(envoy::points(&chosen, size, murmur64))
            }
        };
        let hash = match distribution {
            Distribution::Ketama | Distribution::Modula | Distribution::Random => {
                KeyHash::Twemproxy(sharding.hash, sharding.char_sign)
            }
            Distribution::Ring => KeyHash::Md5,
            Distribution::Slots => KeyHash::Slot,
            Distribution::Maglev | Distribution::EnvoyRing | Distribution::EnvoyRingMurmur2 => {
                KeyHash::Murmur64
            }
        };
        let tag = match distribution {
            Distribution::Slots => Some(*b"{}"),
            _ => sharding.hash_tag,
        };
        Ok(Self { distribution, tag, hash, table })
    }

    /// The shard of `key`, as its place in the configuration.
    ///
    /// With [`Distribution::Random`] it is one of those that are up, always the same for a key: [`Self::draw`] is meant for it.
    #[inline]
    pub fn shard(&self, key: &[u8]) -> usize {
        match &self.table {
            Table::Single(shard) => *shard,
            table => table.find(self.hash.of(&key[hashed(key, self.tag)])).1,
        }
    }

    /// The shards of many keys, in their order.
    pub fn shards<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) -> Vec<usize> {
        if let Table::Single(shard) = self.table {
            return keys.map(|_| shard).collect();
        }
        // First all hashes, then all places: so the processor can wait for the memory of several places at once.
        let hashes: Vec<u64> = keys.map(|key| self.hash.of(&key[hashed(key, self.tag)])).collect();
        hashes.into_iter().map(|hash| self.table.find(hash).1).collect()
    }

    /// A shard for [`Distribution::Random`]: `number` is drawn anew for each request. All that are up are equally likely,
    /// whatever their weights.
    #[inline]
    pub fn draw(&self, number: u64) -> usize {
        self.table.find(number).1
    }

    /// How `key` comes to its shard.
    pub fn explain(&self, key: &[u8]) -> Placed {
        let hashed = hashed(key, self.tag);
        let hash = self.hash.of(&key[hashed.clone()]);
        let (point, shard) = self.table.find(hash);
        let point = (!matches!(self.table, Table::Single(_))).then_some(point);
        Placed { hashed, hash, point, shard }
    }

    /// The kind of ring.
    pub fn distribution(&self) -> Distribution {
        self.distribution
    }

    /// All points in ascending order, or all places or slots, each with its shard; none where there is but one shard.
    pub fn points(&self) -> Box<dyn Iterator<Item = (u64, usize)> + '_> {
        match &self.table {
            Table::Single(_) => Box::new(std::iter::empty()),
            Table::Points(points) => {
                Box::new(points.iter().map(|(value, shard)| (u64::from(value), shard)))
            }
            Table::WidePoints(points) => Box::new(points.iter()),
            Table::Places(places) => {
                Box::new((0..).zip(places).map(|(place, &shard)| (place, shard as usize)))
            }
        }
    }
}

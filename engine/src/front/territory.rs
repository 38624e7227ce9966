//! How the keys of a pool are laid out over replication groups: by routes first, then by rings.

use std::sync::Arc;

use config::{Mirrored, OnShardDown, RouteTarget, Shards, Source};
use routing::{Distribution, Member, Placed, Ring, Sharding};
use session::shards::Layout;
use topology::Health;

use crate::pool::Pool;

/// Where a pool's commands may go. The same for all workers, as long as the same shards are up.
#[derive(Debug)]
pub struct Territory {
    /// The groups, by their indices in the engine. A group keeps its place when routes change: clients have legs there.
    pub(crate) groups: Vec<usize>,
    /// What they are called.
    pub(crate) names: Vec<Arc<str>>,
    /// The places that a command to all shards reaches.
    pub(crate) all: Vec<usize>,
    areas: Vec<Area>,
    /// The longest prefix first.
    routes: Vec<Route>,
    /// Where keys belong that no route is for; an area.
    own: Option<usize>,
    msetnx: bool,
    /// Counts the draws of rings that are drawn from.
    draws: std::cell::Cell<u64>,
}

/// The groups of one pool.
#[derive(Debug)]
struct Area {
    /// What the pool is called.
    pool: Box<str>,
    /// It is only for what is mirrored: what its legs are answered nobody waits for.
    mirrors: bool,
    /// Places in the territory.
    places: Vec<usize>,
    ring: Option<Rings>,
}

impl Area {
    /// Where the member's group is.
    fn place(&self, member: usize) -> usize {
        self.places.get(member).copied().unwrap_or_default()
    }
}

/// The ring over several groups.
#[derive(Debug)]
struct Rings {
    settings: Shards,
    members: Vec<Member>,
    live: Vec<bool>,
    ring: Ring,
}

#[derive(Debug, PartialEq)]
struct Route {
    prefix: Box<[u8]>,
    writes: usize,
    reads: usize,
    mirror: Option<Mirror>,
}

/// What another pool gets as well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mirror {
    area: usize,
    /// Of a million.
    share: u32,
    commands: Mirrored,
}

impl Mirror {
    /// Does it get a command that reads only, or another, at this draw?
    pub(crate) fn takes(self, reads: bool, draw: u64) -> bool {
        let wanted = match self.commands {
            Mirrored::All => true,
            Mirrored::Reads => reads,
            Mirrored::Writes => !reads,
        };
        wanted && draw % 1_000_000 < u64::from(self.share)
    }
}

/// Where a key is, and how it got there.
#[derive(Clone, Debug)]
pub struct Located<'a> {
    /// The beginning by which a route took it; `None`: no route did.
    pub route: Option<&'a [u8]>,
    /// The pool that it went to.
    pub pool: &'a str,
    /// The group of that pool that has it.
    pub group: &'a str,
    /// How the ring chose that group; `None`: the pool has but one.
    pub placed: Option<(&'a Sharding, Placed)>,
}

/// The territory as commands of one kind see it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    territory: &'a Territory,
    sight: Sight,
}

#[derive(Clone, Copy, Debug)]
enum Sight {
    Writes,
    Reads,
    /// What is mirrored to this area is there, everything else is nowhere.
    Mirrored(usize),
}

impl<'a> View<'a> {
    fn area(&self, key: &[u8]) -> Option<usize> {
        match (self.sight, self.territory.route(key)) {
            (Sight::Mirrored(area), Some(route)) => {
                route.mirror.map(|mirror| mirror.area).filter(|own| *own == area)
            }
            (Sight::Mirrored(_), None) => None,
            (Sight::Reads, Some(route)) => Some(route.reads),
            (Sight::Writes, Some(route)) => Some(route.writes),
            (_, None) => self.territory.own,
        }
    }

    /// That of all keys, where there are no routes.
    fn only_area(&self) -> Option<&'a Area> {
        let territory = self.territory;
        match self.sight {
            Sight::Writes | Sight::Reads if territory.routes.is_empty() => {
                territory.areas.get(territory.own?)
            }
            _ => None,
        }
    }

    /// Where a key is, with the reasons. With [`Distribution::Random`] the group is one of many.
    pub fn locate(&self, key: &[u8]) -> Option<Located<'a>> {
        let territory = self.territory;
        let area = territory.areas.get(self.area(key)?)?;
        let placed = area.ring.as_ref().map(|rings| (rings, rings.ring.explain(key)));
        let member = placed.as_ref().map_or(0, |(_, placed)| placed.shard);
        Some(Located {
            route: territory.route(key).map(|route| &*route.prefix),
            pool: &area.pool,
            group: territory.name(*area.places.get(member)?),
            placed: placed.map(|(rings, placed)| (&rings.settings.sharding, placed)),
        })
    }
}

impl Layout for View<'_> {
    fn shard(&self, key: &[u8]) -> usize {
        match (self.area(key), self.sight) {
            (Some(area), _) => self.territory.place(area, key),
            // None of the places.
            (None, Sight::Mirrored(_)) => self.territory.groups.len(),
            (None, Sight::Writes | Sight::Reads) => 0,
        }
    }

    fn shards<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) -> Vec<usize> {
        match self.only_area().and_then(|area| Some((area, area.ring.as_ref()?))) {
            Some((area, rings)) if rings.ring.distribution() != Distribution::Random => {
                let mut shards = rings.ring.shards(keys);
                for shard in &mut shards {
                    *shard = area.place(*shard);
                }
                shards
            }
            _ => keys.map(|key| self.shard(key)).collect(),
        }
    }

    fn first(&self) -> usize {
        let territory = self.territory;
        let fit = territory.all.iter().find(|place| !territory.is_out(**place));
        fit.or(territory.all.first()).copied().unwrap_or_default()
    }

    fn splits_msetnx(&self) -> bool {
        self.territory.msetnx
    }
}

impl Territory {
    /// That of a pool with shards or routes; `None`: it has one group, its own nodes. `pools`: all there are.
    pub fn of(pool: &config::Pool, pools: &[Arc<config::Pool>]) -> Option<Self> {
        if !pool.is_front() {
            return None;
        }
        let mut made = Self {
            groups: Vec::new(),
            names: Vec::new(),
            all: Vec::new(),
            areas: Vec::new(),
            routes: Vec::new(),
            own: None,
            msetnx: false,
            draws: std::cell::Cell::new(0),
        };
        made.route_by(pool, pools);
        Some(made)
    }

    /// Takes over the pool's routes, new or changed. Returns whether any has changed.
    pub(crate) fn route_by(&mut self, pool: &config::Pool, pools: &[Arc<config::Pool>]) -> bool {
        let name_of = |target: &RouteTarget| match target {
            RouteTarget::Own => pool.name.clone(),
            RouteTarget::Pool(name) => name.clone(),
        };
        self.own = self.area(&pool.name, false, pools);
        self.all = self.own.map_or_else(Vec::new, |own| self.areas[own].places.clone());
        let before = std::mem::take(&mut self.routes);
        for route in &pool.routes {
            let writes = self.area(&name_of(&route.pool), false, pools);
            let reads = self.area(&name_of(&route.reads), false, pools);
            let mirror = route.mirror.as_ref().and_then(|mirror| {
                let area = self.area(&mirror.pool, true, pools)?;
                let (share, commands) = (mirror.share.per_million(), mirror.commands);
                Some(Mirror { area, share, commands })
            });
            if let (Some(writes), Some(reads)) = (writes, reads) {
                let prefix = route.prefix.as_bytes().into();
                self.routes.push(Route { prefix, writes, reads, mirror });
                // What is only read from, or mirrored to, is no shard of the pool.
                let places = self.areas[writes].places.iter();
                let new = places.filter(|place| !self.all.contains(place)).copied();
                let new: Vec<usize> = new.collect();
                self.all.extend(new);
            }
        }
        self.routes.sort_by_key(|route| std::cmp::Reverse(route.prefix.len()));
        self.routes != before
    }

    /// The area of the pool of this name, made where there is none yet.
    fn area(&mut self, name: &str, mirrors: bool, pools: &[Arc<config::Pool>]) -> Option<usize> {
        let known = |area: &Area| &*area.pool == name && area.mirrors == mirrors;
        self.areas.iter().position(known).or_else(|| self.add(name, mirrors, pools))
    }

    /// Adds the groups of the pool of this name.
    fn add(&mut self, name: &str, mirrors: bool, pools: &[Arc<config::Pool>]) -> Option<usize> {
        let pool = pools.iter().find(|pool| pool.name == name)?;
        let mut places = Vec::new();
        let mut group = |name: String| {
            let index = pools.iter().position(|pool| pool.name == name)?;
            self.groups.push(index);
            self.names.push(Arc::from(name));
            places.push(self.groups.len() - 1);
            Some(())
        };
        let ring = match &pool.source {
            Source::Shards(shards) => {
                for member in &shards.members {
                    group(config::group_name(name, &member.name))?;
                }
                let members: Vec<Member> =
                    shards.members.iter().map(config::ShardConfig::member).collect();
                let live = vec![true; members.len()];
                self.msetnx |= shards.msetnx;
                // The configuration was refused if it made no ring.
                let ring = Ring::new(&shards.sharding, &members, &live).ok()?;
                Some(Rings { settings: shards.clone(), members, live, ring })
            }
            Source::Servers(_) | Source::Sentinel(_) => {
                group(name.to_owned())?;
                None
            }
            // It has nodes of its own, or it has none.
            Source::Routes => {
                group(config::own_group_name(name))?;
                None
            }
        };
        self.areas.push(Area { pool: name.into(), mirrors, places, ring });
        Some(self.areas.len() - 1)
    }

    fn route(&self, key: &[u8]) -> Option<&Route> {
        self.routes.iter().find(|route| key.starts_with(&route.prefix))
    }

    fn place(&self, area: usize, key: &[u8]) -> usize {
        let Some(area) = self.areas.get(area) else {
            return 0;
        };
        let member = match &area.ring {
            Some(rings) if rings.ring.distribution() == Distribution::Random => {
                rings.ring.draw(self.draw())
            }
            Some(rings) => rings.ring.shard(key),
            None => 0,
        };
        area.place(member)
    }

    /// As commands see it that only read, or others.
    pub fn view(&self, reads: bool) -> View<'_> {
        View { territory: self, sight: if reads { Sight::Reads } else { Sight::Writes } }
    }

    /// Is this shard left out until one of its nodes answers again, its keys being others' meanwhile?
    pub(crate) fn is_out(&self, place: usize) -> bool {
        self.areas.iter().any(|area| {
            let member = area.places.iter().position(|own| *own == place);
            let live = member.and_then(|member| area.ring.as_ref()?.live.get(member));
            live == Some(&false)
        })
    }

    /// What a command to all shards reaches now.
    pub(crate) fn present(&self) -> Vec<usize> {
        self.all.iter().copied().filter(|place| !self.is_out(*place)).collect()
    }

    /// The places that a client's replies may come from: where it tracks keys.
    pub(crate) fn answering(&self) -> Vec<usize> {
        let mut places = self.all.clone();
        for area in self.routes.iter().filter_map(|route| self.areas.get(route.reads)) {
            let new = area.places.iter().filter(|place| !places.contains(place));
            let new: Vec<usize> = new.copied().collect();
            places.extend(new);
        }
        places
    }

    /// What the group at this place is called.
    pub fn name(&self, place: usize) -> &str {
        self.names.get(place).map_or("", |name| &**name)
    }

    /// What the groups are called that a command to all shards reaches.
    pub fn shards(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|place| self.name(*place))
    }

    /// Where what is mirrored of commands with this key goes.
    pub fn locate_mirrored(&self, key: &[u8]) -> Option<Located<'_>> {
        self.mirror(key)?.1.locate(key)
    }

    /// What another pool gets of commands with this key, and how its keys are laid out.
    pub(crate) fn mirror(&self, key: &[u8]) -> Option<(Mirror, View<'_>)> {
        let mirror = self.route(key)?.mirror?;
        Some((mirror, View { territory: self, sight: Sight::Mirrored(mirror.area) }))
    }

    /// Is this place only for what is mirrored?
    pub(crate) fn is_mirror(&self, place: usize) -> bool {
        self.areas.iter().any(|area| area.mirrors && area.places.contains(&place))
    }

    /// Has it, or had it, mirrors at all?
    pub(crate) fn mirrors(&self) -> bool {
        self.areas.iter().any(|area| area.mirrors)
    }

    /// Any number.
    pub(crate) fn draw(&self) -> u64 {
        // Knuth's multiplier; the low bits are the least random ones.
        let draw = self.draws.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.draws.set(draw);
        draw >> 33
    }

    /// Takes over who lives: where the configuration says so, the keys of a shard none of whose nodes answers go to the
    /// others until one does. Returns whether that has changed.
    pub(crate) fn update(&mut self, pools: &[Pool]) -> bool {
        let mut changed = false;
        for area in &mut self.areas {
            let Some(rings) = area.ring.as_mut() else {
                continue;
            };
            let OnShardDown::Rehash { min_shards } = rings.settings.on_shard_down else {
                continue;
            };
            let lives = |place: &usize| {
                let pool = self.groups.get(*place).and_then(|group| pools.get(*group));
                // Of one that nothing is known of yet it is not known that it is down.
                pool.is_none_or(|pool| {
                    pool.nodes.iter().all(|node| node.gone)
                        || pool.nodes.iter().any(|node| !node.gone && node.health != Health::Down)
                })
            };
            let mut live: Vec<bool> = area.places.iter().map(lives).collect();
            if live.iter().filter(|live| **live).count() < min_shards.max(1) {
                live = vec![true; live.len()];
            }
            if live != rings.live
                && let Ok(ring) = Ring::new(&rings.settings.sharding, &rings.members, &live)
            {
                rings.ring = ring;
                rings.live = live;
                changed = true;
            }
        }
        changed
    }
}

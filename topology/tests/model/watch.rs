//! Sentinels that watch the servers, and what must hold where they are the authority.

use std::sync::Arc;
use std::time::Duration;

use topology::{
    NodeIds, PoolState, SentinelAnswer, SentinelEvent, SentinelId, SentinelObservation,
    SentinelSettings, Settings, Time,
};

use crate::probes::{Probes, Seen};
use crate::world::{NODES, Running};

pub(crate) const SENTINELS: usize = 3;
const MAJORITY: usize = 2;

#[derive(Clone, Debug)]
pub(crate) enum WatchAction {
    /// Begins a failover to a node, and is heard to do so or not.
    Begin {
        sentinel: usize,
        to: usize,
        heard: bool,
    },
    /// Promotes that node.
    Promote(usize),
    Abort(usize),
    /// Tells another Sentinel what it knows.
    Greet {
        from: usize,
        to: usize,
    },
    /// Makes all others replicas of whom it names.
    Reconfigure(usize),
    Silence(usize),
    Speak(usize),
    Tilt(usize),
    Trust(usize),
    /// Is set up anew, with this node.
    Monitor {
        sentinel: usize,
        node: usize,
    },
}

#[derive(Clone, Debug)]
struct Sentinel {
    names: usize,
    epoch: u64,
    silent: bool,
    tilt: bool,
    promotes: Option<usize>,
}

/// Whom a Sentinel named when it was last asked, where that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word {
    names: usize,
    epoch: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Told {
    word: Option<Word>,
    /// Whom it replaces, and since when it says so.
    replaces: Option<(usize, Time)>,
}

pub(crate) struct Watch {
    sentinels: Vec<Sentinel>,
    told: Vec<Told>,
    /// What the majority said when the writes were moved, or when it last named where they are.
    noted: Option<Word>,
    ids: NodeIds,
}

pub(crate) struct Watched(pub(crate) Probes);

impl Watched {
    pub(crate) fn new() -> Self {
        let mut ids = NodeIds::default();
        let settings = SentinelSettings {
            master: "m".into(),
            sentinels: (0..SENTINELS).map(|one| format!("10.0.1.{one}:26379").into()).collect(),
            hold: Duration::from_secs(3),
            nodes: Vec::new(),
        };
        let pool_settings = Settings { anti_flap: Duration::from_secs(2), ..Settings::default() };
        let pool = PoolState::of_sentinels("p".into(), pool_settings, settings, &mut ids, 1);
        let sentinel = Sentinel { names: 0, epoch: 1, silent: false, tilt: false, promotes: None };
        let watch = Watch {
            sentinels: vec![sentinel; SENTINELS],
            told: vec![Told::default(); SENTINELS],
            noted: None,
            ids,
        };
        Self(Probes::of(pool, Some(watch)))
    }

    pub(crate) fn act(&mut self, action: &WatchAction) {
        let probes = &mut self.0;
        let sentinels = &mut probes.watch.as_mut().unwrap().sentinels;
        match *action {
            WatchAction::Begin { sentinel, to, heard } => {
                let one = &mut sentinels[sentinel];
                if one.names == to || one.tilt {
                    return;
                }
                one.promotes = Some(to);
                let (names, heard) = (one.names, heard && !one.silent);
                if heard {
                    probes.published(sentinel, SentinelEvent::FailoverBegan(name(names)));
                }
            }
            WatchAction::Promote(sentinel) => {
                let Some(to) = sentinels[sentinel].promotes.take() else { return };
                let machine = &probes.world.machines[to];
                let can = machine.process.is_some_and(|process| process.follows.is_some());
                if can && !machine.frozen {
                    probes.world.promote(to);
                    let epoch = sentinels.iter().map(|one| one.epoch).max().unwrap() + 1;
                    (sentinels[sentinel].names, sentinels[sentinel].epoch) = (to, epoch);
                }
            }
            WatchAction::Abort(sentinel) => {
                let one = &mut sentinels[sentinel];
                let heard = one.promotes.take().is_some() && !one.silent;
                if heard {
                    probes.published(sentinel, SentinelEvent::FailoverAborted);
                }
            }
            WatchAction::Greet { from, to } => {
                let other = sentinels[from].clone();
                let one = &mut sentinels[to];
                if other.epoch > one.epoch {
                    (one.names, one.epoch, one.promotes) = (other.names, other.epoch, None);
                }
            }
            WatchAction::Reconfigure(sentinel) => {
                let names = sentinels[sentinel].names;
                (0..NODES).for_each(|node| probes.world.demote(node, names));
            }
            WatchAction::Silence(sentinel) => sentinels[sentinel].silent = true,
            WatchAction::Speak(sentinel) => sentinels[sentinel].silent = false,
            WatchAction::Tilt(sentinel) => sentinels[sentinel].tilt = true,
            WatchAction::Trust(sentinel) => sentinels[sentinel].tilt = false,
            WatchAction::Monitor { sentinel, node } => {
                let one = &mut sentinels[sentinel];
                (one.names, one.epoch, one.promotes) = (node, 0, None);
            }
        }
    }

    /// Everything is in order again around the primary there is, and the Sentinels say so.
    pub(crate) fn settle(&mut self) {
        let chosen = self.0.repair();
        let sentinels = &mut self.0.watch.as_mut().unwrap().sentinels;
        let epoch = sentinels.iter().map(|one| one.epoch).max().unwrap() + 1;
        for one in sentinels {
            *one = Sentinel { names: chosen, epoch, silent: false, tilt: false, promotes: None };
        }
        self.0.pass(5000);
        self.0.check_settled(chosen);
    }
}

fn name(node: usize) -> Arc<str> {
    format!("10.0.0.{node}:6379").into()
}

impl Sentinel {
    fn answer(&self) -> SentinelAnswer {
        SentinelAnswer {
            id: None,
            tilt: self.tilt,
            primary: name(self.names),
            booked: name(self.names),
            epoch: self.epoch,
            failing_over: self.promotes.is_some(),
            replicas: (0..NODES).filter(|node| *node != self.names).map(name).collect(),
            peers: Vec::new(),
        }
    }
}

impl Watch {
    /// What a majority said.
    fn word(&self) -> Option<Word> {
        let words = || self.told.iter().filter_map(|told| told.word);
        let names = (0..NODES)
            .find(|node| words().filter(|word| word.names == *node).count() >= MAJORITY)?;
        let epoch = words().filter(|word| word.names == names).map(|word| word.epoch).max()?;
        Some(Word { names, epoch })
    }

    /// Did any Sentinel show that this node is being replaced, or was?
    fn is_replaced(&self, word: Word) -> bool {
        self.told.iter().any(|told| {
            told.replaces.is_some_and(|(node, _)| node == word.names)
                || told
                    .word
                    .is_some_and(|other| other.names != word.names && other.epoch > word.epoch)
        })
    }
}

impl Probes {
    /// The Sentinels are asked as the reducer wants, and answer at once.
    pub(crate) fn poll(&mut self) {
        for SentinelId(id) in self.pool.take_polls(self.now) {
            let watch = self.watch.as_mut().unwrap();
            let one = &watch.sentinels[id as usize];
            let counts = !one.silent && !one.tilt;
            let word = counts.then_some(Word { names: one.names, epoch: one.epoch });
            let sent = self.now;
            let replaces = match one.promotes {
                Some(_) if counts => Some((one.names, sent)),
                // What it published since, or before it fell silent, is not taken back by this.
                _ => watch.told[id as usize]
                    .replaces
                    .filter(|(_, since)| one.silent || *since >= sent),
            };
            watch.told[id as usize] = Told { word, replaces };
            let outcome = if one.silent { Err("does not answer".into()) } else { Ok(one.answer()) };
            self.tell(id as usize, SentinelObservation::Answered { sent, outcome });
        }
        let events = self.pool.elapse(&mut self.watch.as_mut().unwrap().ids, self.now);
        drop(events);
        self.renew();
    }

    fn published(&mut self, sentinel: usize, event: SentinelEvent) {
        let told = &mut self.watch.as_mut().unwrap().told[sentinel];
        told.replaces = match &event {
            SentinelEvent::FailoverBegan(primary) => {
                (0..NODES).find(|node| name(*node) == *primary).map(|node| (node, self.now))
            }
            _ => None,
        };
        self.tell(sentinel, SentinelObservation::Published(event));
        self.renew();
    }

    fn tell(&mut self, sentinel: usize, observation: SentinelObservation) {
        let ids = &mut self.watch.as_mut().unwrap().ids;
        self.pool.observe_sentinel(SentinelId(sentinel as u32), observation, ids, self.now);
        self.renew();
    }

    /// What must hold with an authority.
    pub(crate) fn check_watched(&mut self) {
        let Some(primary) = self.primary() else { return };
        let watch = self.watch.as_ref().unwrap();
        let (word, noted) = (watch.word(), watch.noted);
        let Some(Seen::Answered(process)) = self.seen[primary] else {
            // Up to `fall` silent probes a primary stays, unless the Sentinels name another.
            let (node, last) = self.last.unwrap();
            assert_eq!((node, &*last.run.to_string()), (primary, self.run_id(primary)));
            self.check_stays(primary, word, noted);
            return;
        };
        assert_eq!(process.run.to_string(), self.run_id(primary));
        assert!(process.follows.is_none(), "a replica is primary");
        match self.last.filter(|(_, last)| last.run == process.run) {
            Some(_) => self.check_stays(primary, word, noted),
            None => self.check_moved(primary, process, word),
        }
        self.last = Some((primary, process));
    }

    fn run_id(&self, node: usize) -> &str {
        &self.view.shards[0].nodes[node].run_id
    }

    /// A newer word about another node takes the writes away.
    fn check_stays(&mut self, primary: usize, word: Option<Word>, noted: Option<Word>) {
        let Some(word) = word else { return };
        if word.names == primary {
            self.watch.as_mut().unwrap().noted = Some(word);
            return;
        }
        let heeded = noted.is_some_and(|noted| word == noted || word.epoch < noted.epoch);
        assert!(heeded, "{word:?} is not followed: {primary} stays by {noted:?}");
    }

    /// Writes move to whom the majority names; ahead of it only where lineage proves the successor, and the old primary
    /// is gone or being replaced.
    fn check_moved(&mut self, primary: usize, process: Running, word: Option<Word>) {
        let last = self.last;
        let contradicted = word.filter(|word| word.names != primary);
        if let Some(word) = contradicted {
            let (old, last) = last.expect("begins where a majority names another");
            assert!(self.is_proven(last, process), "moved against {word:?}, unproven");
            let goes_on = matches!(self.seen[old], Some(Seen::Answered(now))
                if now.run == last.run && now.follows.is_none())
                && self.view.shards[0].nodes[old].health == topology::Health::Up;
            assert!(
                !goes_on || self.watch.as_ref().unwrap().is_replaced(word),
                "moved against {word:?} while {old} goes on"
            );
        } else if word.is_none()
            && let Some((old, last)) = last
        {
            self.check_move(old, last, primary, process);
        }
        if word.is_some() {
            self.watch.as_mut().unwrap().noted = word;
        }
    }
}

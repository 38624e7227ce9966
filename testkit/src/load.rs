//! Clients that read and write all the time, check every reply, and remember what they saw.

mod counts;
mod journal;
mod mixer;
mod reader;
mod session;
mod writer;

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::address::Address;
use crate::client::Client;

pub use counts::OpCounts;
pub use journal::{Audit, Outcome, Written};

/// What the clients of a load do.
#[derive(Clone, Debug)]
pub struct LoadBuilder {
    address: Address,
    readers: usize,
    writers: usize,
    confirming_writers: usize,
    mixers: usize,
    keys: usize,
    pipeline: RangeInclusive<usize>,
    value_bytes: RangeInclusive<usize>,
    pause: Duration,
    timeout: Duration,
    close_one_in: usize,
    seed: u64,
    written: String,
}

impl LoadBuilder {
    /// Clients that GET keys which [`LoadBuilder::fill`] has set (0).
    pub fn readers(mut self, count: usize) -> Self {
        self.readers = count;
        self
    }

    /// Clients that SET, each time a key of its own (0).
    pub fn writers(mut self, count: usize) -> Self {
        self.writers = count;
        self
    }

    /// Clients that SET and then ask `WAIT 1 200` whether a replica has it (0).
    pub fn confirming_writers(mut self, count: usize) -> Self {
        self.confirming_writers = count;
        self
    }

    /// Clients that SET, GET and ECHO at random on a few keys of their own (0).
    pub fn mixers(mut self, count: usize) -> Self {
        self.mixers = count;
        self
    }

    /// How many keys the readers read (1000).
    pub fn keys(mut self, count: usize) -> Self {
        self.keys = count;
        self
    }

    /// Commands that a reader or mixer sends at once (1).
    pub fn pipeline(mut self, commands: RangeInclusive<usize>) -> Self {
        self.pipeline = commands;
        self
    }

    /// How large values are (64 bytes): each key's own size out of this range.
    pub fn value_bytes(mut self, bytes: RangeInclusive<usize>) -> Self {
        self.value_bytes = bytes;
        self
    }

    /// How long a client rests after each batch (not at all).
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// How long a client waits for a reply before it gives the connection up (20 s).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// A reader or mixer closes its connection instead of reading the replies, once in so many
    /// batches (0: never).
    pub fn close_one_in(mut self, batches: usize) -> Self {
        self.close_one_in = batches;
        self
    }

    /// What the keys of the writers begin with (`write`): two loads on the same nodes need names of their own.
    pub fn written(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.written);
        self
    }

    /// What the random choices start from (0).
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the keys that the readers read, over a connection to the primary, and waits until
    /// `replicas` replicas have them.
    ///
    /// # Panics
    ///
    /// When a key cannot be set or the replicas do not follow.
    #[track_caller]
    pub fn fill(self, primary: &mut Client, replicas: usize) -> Self {
        for number in 0..self.keys {
            let key = read_key(number);
            let value = tagged(&key, &self.value_bytes);
            let reply = primary.command([b"SET".as_slice(), key.as_bytes(), &value]);
            assert_eq!(reply, crate::simple("OK"), "SET {key}");
        }
        let reply = primary.command(["WAIT", &replicas.to_string(), "10000"]);
        assert!(reply.as_int() >= i64::try_from(replicas).ok(), "WAIT: {reply:?}");
        self
    }

    /// Starts the clients.
    pub fn start(self) -> Load {
        let setup = Arc::new(self);
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = Vec::new();
        let groups = [
            (Kind::Reader, setup.readers),
            (Kind::Writer { confirms: false }, setup.writers),
            (Kind::Writer { confirms: true }, setup.confirming_writers),
            (Kind::Mixer, setup.mixers),
        ];
        for (kind, count) in groups {
            for _ in 0..count {
                clients.push(LoadClient::start(kind, clients.len(), &setup, &stop));
            }
        }
        Load { stop, clients }
    }
}

/// A running load.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<LoadClient>,
}

/// What a load has seen, after its end.
#[derive(Clone, Debug)]
pub struct LoadReport {
    /// Of the readers.
    pub reads: OpCounts,
    /// The writes of the writers of both kinds.
    pub writes: OpCounts,
    /// The WAITs of the confirming writers.
    pub waits: OpCounts,
    /// Of the mixers.
    pub mixed: OpCounts,
    /// Every write of the writers.
    pub journal: Vec<Written>,
}

impl Load {
    /// What the clients behind `address` shall do.
    pub fn builder(address: impl Into<Address>) -> LoadBuilder {
        LoadBuilder {
            address: address.into(),
            readers: 0,
            writers: 0,
            confirming_writers: 0,
            mixers: 0,
            keys: 1000,
            pipeline: 1..=1,
            value_bytes: 64..=64,
            pause: Duration::ZERO,
            timeout: Duration::from_secs(20),
            close_one_in: 0,
            seed: 0,
            written: "write".to_owned(),
        }
    }

    /// What the readers have seen so far.
    pub fn reads(&self) -> OpCounts {
        self.sum(|kind| kind == Kind::Reader, |seen| &seen.counts)
    }

    /// What the writers have seen so far.
    pub fn writes(&self) -> OpCounts {
        self.sum(|kind| matches!(kind, Kind::Writer { .. }), |seen| &seen.counts)
    }

    /// What the mixers have seen so far.
    pub fn mixed(&self) -> OpCounts {
        self.sum(|kind| kind == Kind::Mixer, |seen| &seen.counts)
    }

    /// How many writes have ended in this way so far.
    pub fn written(&self, outcome: Outcome) -> usize {
        let of = |client: &LoadClient| {
            lock(&client.seen).journal.iter().filter(|write| write.outcome == outcome).count()
        };
        self.clients.iter().map(of).sum()
    }

    /// Lets each client finish its batch, and ends.
    ///
    /// # Panics
    ///
    /// When a client has panicked.
    #[track_caller]
    pub fn stop(mut self) -> LoadReport {
        self.stop.store(true, Ordering::Relaxed);
        for client in &mut self.clients {
            if let Some(thread) = client.thread.take() {
                thread.join().expect("a client of the load has panicked");
            }
        }
        let journal = self.clients.iter().flat_map(|client| lock(&client.seen).journal.clone());
        LoadReport {
            reads: self.reads(),
            writes: self.writes(),
            waits: self.sum(|_| true, |seen| &seen.waits),
            mixed: self.mixed(),
            journal: journal.collect(),
        }
    }

    fn sum(&self, wanted: impl Fn(Kind) -> bool, counts: fn(&Seen) -> &OpCounts) -> OpCounts {
        let mut sum = OpCounts::default();
        for client in self.clients.iter().filter(|client| wanted(client.kind)) {
            sum.add(counts(&lock(&client.seen)));
        }
        sum
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // The threads end after their batch; nobody waits for them.
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Reader,
    Writer { confirms: bool },
    Mixer,
}

#[derive(Debug)]
struct LoadClient {
    kind: Kind,
    seen: Arc<Mutex<Seen>>,
    thread: Option<JoinHandle<()>>,
}

/// What one client has seen.
#[derive(Debug, Default)]
struct Seen {
    counts: OpCounts,
    waits: OpCounts,
    journal: Vec<Written>,
}

impl LoadClient {
    fn start(kind: Kind, id: usize, setup: &Arc<LoadBuilder>, stop: &Arc<AtomicBool>) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (setup, stop, shared) = (Arc::clone(setup), Arc::clone(stop), Arc::clone(&seen));
        let run = move || {
            let mut random = fastrand::Rng::with_seed(setup.seed.wrapping_add(id as u64));
            let mut session = session::Session::new(&setup, &shared);
            let mut writer = writer::Writer::new(id, kind == Kind::Writer { confirms: true });
            let mut mixer = mixer::Mixer::new(id);
            while !stop.load(Ordering::Relaxed) {
                match kind {
                    Kind::Reader => reader::turn(&setup, &mut session, &mut random),
                    Kind::Writer { .. } => writer.turn(&setup, &mut session),
                    Kind::Mixer => mixer.turn(&setup, &mut session, &mut random),
                }
                thread::sleep(setup.pause);
            }
        };
        let thread = thread::Builder::new().name(format!("load-{id}")).spawn(run);
        Self { kind, seen, thread: Some(thread.expect("a thread")) }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_key(number: usize) -> String {
    format!("read:{number}")
}

/// A value that begins with `tag` and has a size of its own within `bytes`: the same each time.
fn tagged(tag: &str, bytes: &RangeInclusive<usize>) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(
        tag.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))),
    );
    // Sizes are spread over the orders of magnitude: many are small, some are large.
    let span = (bytes.end() - bytes.start()) as f64;
    let size = bytes.start() + ((span + 1.0).powf(random.f64()) - 1.0) as usize;
    let mut value = format!("{tag}:").into_bytes();
    value.resize(size.max(value.len()), b'.');
    value
}

/// Reads the value of every key that the journal names, over a connection to the primary, and says
/// what became of each write.
///
/// # Panics
///
/// When the primary cannot be read.
#[track_caller]
pub fn audit(journal: &[Written], primary: &mut Client) -> Audit {
    let mut found = HashMap::new();
    for part in journal.chunks(1000) {
        let replies = primary.pipeline(part.iter().map(|write| ["GET", write.key.as_str()]));
        for (write, reply) in part.iter().zip(replies) {
            found.insert(write.key.clone(), reply.as_bytes() == Some(write.value().as_slice()));
        }
    }
    Audit::new(journal, |key| found.get(key).copied().unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::FaultyLink;
    use crate::redis::RedisServer;
    use crate::wait::eventually;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_good_server_gives_no_errors() {
        let redis = RedisServer::start();
        let load = Load::builder(redis.address())
            .readers(3)
            .writers(1)
            .mixers(3)
            .keys(50)
            .pipeline(1..=20)
            .value_bytes(16..=100_000)
            .close_one_in(20)
            .fill(&mut redis.client(), 0)
            .start();
        eventually(LONG, "some operations of each kind", || {
            [load.reads(), load.writes(), load.mixed()].iter().all(|counts| counts.ok >= 500)
        });
        let report = load.stop();
        for counts in [&report.reads, &report.writes, &report.mixed] {
            assert_eq!(counts.errors_total(), 0, "{:?}", counts.errors);
            assert!(counts.wrong.is_empty(), "{:?}", counts.wrong);
            assert!(counts.longest > Duration::ZERO);
        }
        let audit = audit(&report.journal, &mut redis.client());
        assert_eq!(audit.acknowledged as u64, report.writes.ok);
        assert_eq!((audit.lost(), audit.refused_but_present), (0, 0));
    }

    #[test]
    fn replies_of_other_requests_are_found_out() {
        let redis = RedisServer::start();
        let load = Load::builder(redis.address()).readers(1).mixers(1).keys(2);
        let load = load.fill(&mut redis.client(), 0);
        let other = tagged(&read_key(0), &(64..=64));
        redis.cli([b"SET".as_slice(), read_key(1).as_bytes(), &other]);
        let load = load.start();
        eventually(LONG, "a wrong reply", || !load.reads().wrong.is_empty());
        eventually(LONG, "good replies", || load.reads().ok > 0 && load.mixed().ok > 0);
        assert!(load.mixed().wrong.is_empty());
    }

    #[test]
    fn errors_are_counted_by_kind_and_connections_are_made_anew() {
        let redis = RedisServer::start();
        let link = FaultyLink::to(redis.address());
        let load = Load::builder(link.address()).writers(1).readers(1).keys(1);
        let load = load.fill(&mut redis.client(), 0).start();
        let ok = |load: &Load| load.reads().ok.min(load.writes().ok);
        eventually(LONG, "operations", || ok(&load) > 10);
        link.reset();
        eventually(LONG, "a closed connection", || load.reads().errors.contains_key("closed"));
        link.refuse();
        link.reset();
        eventually(LONG, "a refusal", || load.writes().errors.contains_key("refused"));
        link.heal();
        redis.cli(["CONFIG", "SET", "maxmemory", "1"]);
        eventually(LONG, "an error reply", || load.writes().errors.contains_key("OOM"));
        redis.cli(["CONFIG", "SET", "maxmemory", "0"]);
        let before = ok(&load);
        eventually(LONG, "operations", || ok(&load) > before + 10);
        let report = load.stop();
        let audit = audit(&report.journal, &mut redis.client());
        assert!(audit.refused > 0, "OOM and refused connects did not run");
        assert_eq!((audit.lost(), audit.refused_but_present), (0, 0));
    }

    #[test]
    fn lost_writes_are_told_apart_by_their_confirmation() {
        let primary = RedisServer::start();
        let _replica = RedisServer::builder().replica_of(&primary).start();
        primary.wait_for_replicas(1);
        let load = Load::builder(primary.address()).writers(1).confirming_writers(1).start();
        eventually(LONG, "writes of both kinds", || {
            [Outcome::Acknowledged, Outcome::Confirmed].iter().all(|kind| load.written(*kind) > 0)
        });
        let report = load.stop();
        assert_eq!(report.waits.errors_total(), 0);
        let confirmed = |write: &&Written| write.outcome == Outcome::Confirmed;
        let lost = report.journal.iter().find(confirmed).unwrap();
        primary.cli(["DEL", lost.key.as_str()]);
        let plain = |write: &&Written| write.outcome == Outcome::Acknowledged;
        let lost = report.journal.iter().find(plain).unwrap();
        primary.cli(["SET", lost.key.as_str(), "another value"]);
        let audit = audit(&report.journal, &mut primary.client());
        assert_eq!(audit.confirmed_lost, 1);
        assert_eq!(audit.unconfirmed_lost, 1);
        assert_eq!(audit.unknown, 0);
    }
}

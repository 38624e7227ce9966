//! Clients that append to lists and look at their ends: did every acknowledged write run once, in order, and how old was
//! what was read?

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use resp::Value;

use crate::address::Address;
use crate::client::Client;
use crate::load::Outcome;

/// Before a connection is tried again.
const PAUSE: Duration = Duration::from_millis(10);
const TIMEOUT: Duration = Duration::from_secs(20);

/// Running clients: each appender writes its own list, watchers look at all of them.
#[derive(Debug)]
pub struct History {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    address: Address,
    pause: Duration,
    lists: Vec<Mutex<Vec<Appended>>>,
    reads: Mutex<Reads>,
}

/// An element that a client has appended; its value is its place, from 1.
#[derive(Clone, Copy, Debug)]
struct Appended {
    outcome: Outcome,
    at: Instant,
}

/// What the watchers saw.
#[derive(Clone, Debug, Default)]
pub struct Reads {
    /// Answered.
    pub ok: u64,
    /// By the code of the error, or by what happened to the connection.
    pub errors: BTreeMap<String, u64>,
    /// How long before a read the oldest element was acknowledged that it should have seen, and did not.
    pub oldest: Duration,
}

/// What became of the elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryAudit {
    /// Answered with the list's length.
    pub acknowledged: usize,
    /// Of these, missing.
    pub lost: usize,
    /// There more than once.
    pub repeated: usize,
    /// There before an element that was sent earlier.
    pub out_of_order: usize,
    /// Answered with an error that says it did not run, and there.
    pub refused_but_present: usize,
    /// With an unknown outcome.
    pub unknown: usize,
}

impl History {
    /// Starts the clients behind `address`; each rests for `pause` between two commands.
    pub fn start(
        address: impl Into<Address>,
        appenders: usize,
        watchers: usize,
        pause: Duration,
    ) -> Self {
        let shared = Arc::new(Shared {
            address: address.into(),
            pause,
            lists: (0..appenders).map(|_| Mutex::default()).collect(),
            reads: Mutex::default(),
        });
        let stop = Arc::new(AtomicBool::new(false));
        let spawn = |id: usize, run: fn(&Shared, usize, &AtomicBool)| {
            let (shared, stop) = (Arc::clone(&shared), Arc::clone(&stop));
            let name = format!("history-{id}");
            let thread = thread::Builder::new().name(name).spawn(move || run(&shared, id, &stop));
            thread.expect("a thread")
        };
        let appending = (0..appenders).map(|id| spawn(id, append));
        let threads = appending.chain((0..watchers).map(|id| spawn(id, watch))).collect();
        Self { stop, threads, shared }
    }

    /// How many elements were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        let of = |list: &Mutex<Vec<Appended>>| {
            lock(list).iter().filter(|own| own.outcome == Outcome::Acknowledged).count()
        };
        self.shared.lists.iter().map(of).sum()
    }

    /// What the watchers have seen so far.
    pub fn reads(&self) -> Reads {
        lock(&self.shared.reads).clone()
    }

    /// Lets each client finish its command, and compares what they remember with what the primary has.
    ///
    /// # Panics
    ///
    /// When a client has panicked or the primary cannot be read.
    #[track_caller]
    pub fn audit(mut self, primary: &mut Client) -> (Reads, HistoryAudit) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a client of the history has panicked");
        }
        let mut audit = HistoryAudit::default();
        for (id, list) in self.shared.lists.iter().enumerate() {
            let reply = primary.command(["LRANGE", &key(id), "0", "-1"]);
            let elements = reply.as_array().unwrap_or_else(|| panic!("LRANGE: {reply:?}"));
            audit.add(&lock(list), &elements.iter().map(number).collect::<Vec<_>>());
        }
        (self.reads(), audit)
    }
}

impl Drop for History {
    fn drop(&mut self) {
        // The threads end after their command; nobody waits for them.
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl HistoryAudit {
    fn add(&mut self, list: &[Appended], elements: &[usize]) {
        let mut times = vec![0_usize; list.len() + 1];
        let mut last = 0;
        for element in elements {
            times[*element] += 1;
            self.out_of_order += usize::from(*element < last);
            last = *element;
        }
        for (place, appended) in list.iter().enumerate() {
            let times = times[place + 1];
            self.repeated += times.saturating_sub(1);
            match appended.outcome {
                Outcome::Acknowledged | Outcome::Confirmed => {
                    self.acknowledged += 1;
                    self.lost += usize::from(times == 0);
                }
                Outcome::Refused => self.refused_but_present += usize::from(times > 0),
                Outcome::Unknown => self.unknown += 1,
            }
        }
    }
}

fn append(shared: &Shared, id: usize, stop: &AtomicBool) {
    let mut client = None;
    for place in 1_usize.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let reply = exchange(&mut client, shared, &["RPUSH", &key(id), &place.to_string()]);
        let outcome = match &reply {
            Ok(Value::Integer(_)) => Outcome::Acknowledged,
            Ok(Value::Error(text)) if !text.starts_with(b"OUTCOMEUNKNOWN") => Outcome::Refused,
            Ok(_) => Outcome::Unknown,
            Err(sent) => {
                if *sent {
                    Outcome::Unknown
                } else {
                    Outcome::Refused
                }
            }
        };
        lock(&shared.lists[id]).push(Appended { outcome, at: Instant::now() });
        thread::sleep(shared.pause);
    }
}

fn watch(shared: &Shared, id: usize, stop: &AtomicBool) {
    let mut client = None;
    let mut random = fastrand::Rng::with_seed(id as u64);
    while !stop.load(Ordering::Relaxed) {
        let list = random.usize(..shared.lists.len().max(1));
        let start = Instant::now();
        let reply = exchange(&mut client, shared, &["LINDEX", &key(list), "-1"]);
        let error = match &reply {
            Ok(Value::Error(text)) => {
                Some(text.split(|byte| *byte == b' ').next().unwrap_or_default())
            }
            Ok(_) => None,
            Err(_) => Some(b"closed".as_slice()),
        };
        if let Some(error) = error {
            let error = String::from_utf8_lossy(error).into_owned();
            *lock(&shared.reads).errors.entry(error).or_default() += 1;
        } else if let Ok(value) = &reply {
            let age = age(&lock(&shared.lists[list]), number(value), start);
            let mut reads = lock(&shared.reads);
            reads.ok += 1;
            reads.oldest = reads.oldest.max(age);
        }
        thread::sleep(shared.pause);
    }
}

/// For how long had the next element been acknowledged when a read began that saw `last` at the end?
fn age(list: &[Appended], last: usize, start: Instant) -> Duration {
    let missed = list.iter().skip(last).find(|own| own.outcome == Outcome::Acknowledged);
    missed.map_or(Duration::ZERO, |missed| start.saturating_duration_since(missed.at))
}

/// One command and its reply; an error says whether it may have been sent.
fn exchange(client: &mut Option<Client>, shared: &Shared, command: &[&str]) -> Result<Value, bool> {
    let connected = match client {
        Some(connected) => connected,
        None => match Client::try_connect(&shared.address) {
            Ok(mut fresh) => {
                fresh.set_timeout(TIMEOUT);
                client.insert(fresh)
            }
            Err(_) => {
                thread::sleep(PAUSE);
                return Err(false);
            }
        },
    };
    connected.try_command(command).map_err(|_| {
        *client = None;
        true
    })
}

fn key(id: usize) -> String {
    format!("history:{id}")
}

/// An element's place; 0 for none.
fn number(value: &Value) -> usize {
    let text = value.as_bytes().and_then(|text| std::str::from_utf8(text).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::RedisServer;
    use crate::wait::eventually;

    fn list(outcomes: &[Outcome]) -> Vec<Appended> {
        outcomes.iter().map(|outcome| Appended { outcome: *outcome, at: Instant::now() }).collect()
    }

    #[test]
    fn what_is_lost_repeated_or_out_of_order_is_found() {
        use Outcome::{Acknowledged, Refused, Unknown};
        let sent = list(&[Acknowledged, Acknowledged, Refused, Unknown, Acknowledged]);
        let audit = |elements: &[usize]| {
            let mut audit = HistoryAudit::default();
            audit.add(&sent, elements);
            audit
        };
        let good = HistoryAudit { acknowledged: 3, unknown: 1, ..HistoryAudit::default() };
        assert_eq!(audit(&[1, 2, 5]), good);
        assert_eq!(audit(&[1, 2, 4, 5]), good);
        assert_eq!(audit(&[1, 5]), HistoryAudit { lost: 1, ..good });
        assert_eq!(audit(&[1, 2, 2, 5]), HistoryAudit { repeated: 1, ..good });
        assert_eq!(audit(&[2, 1, 5]), HistoryAudit { out_of_order: 1, ..good });
        assert_eq!(audit(&[1, 2, 3, 5]), HistoryAudit { refused_but_present: 1, ..good });
    }

    #[test]
    fn old_reads_are_found() {
        let sent = list(&[Outcome::Acknowledged; 2]);
        let later = sent[1].at + Duration::from_secs(3);
        assert_eq!(age(&sent, 2, later), Duration::ZERO);
        assert_eq!(age(&sent, 1, later), Duration::from_secs(3));
        assert_eq!(age(&sent, 1, sent[1].at), Duration::ZERO, "not acknowledged before the read");
    }

    #[test]
    fn a_good_server_keeps_everything() {
        let redis = RedisServer::start();
        let history = History::start(redis.address().clone(), 3, 3, Duration::ZERO);
        eventually(Duration::from_secs(20), "elements and reads", || {
            history.acknowledged() > 500 && history.reads().ok > 500
        });
        let (reads, audit) = history.audit(&mut redis.client());
        assert!(reads.errors.is_empty(), "{reads:?}");
        assert_eq!(reads.oldest, Duration::ZERO);
        let acknowledged = audit.acknowledged;
        assert!(acknowledged > 500);
        assert_eq!(audit, HistoryAudit { acknowledged, ..HistoryAudit::default() });
    }
}

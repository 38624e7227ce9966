//! Well-behaved clients beside others: they must not notice them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use testkit::{Client, Redkeel, bulk, simple};

/// The longest that one of their commands may take.
const LONGEST: Duration = Duration::from_secs(1);
/// Several per worker, on lanes that they share with everybody.
const COUNT: usize = 6;
/// Between two commands of one of them.
const PAUSE: Duration = Duration::from_millis(1);

/// Clients that write and read all the time.
pub(crate) struct Neighbours {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<Duration, String>>>,
}

impl Neighbours {
    pub(crate) fn of(redkeel: &Redkeel) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..COUNT).map(|number| {
            let (client, stop) = (redkeel.client(), Arc::clone(&stop));
            thread::spawn(move || live(client, number, &stop))
        });
        Self { threads: threads.collect(), stop }
    }

    /// Asserts that none of them has seen an error, or has waited long.
    #[track_caller]
    pub(crate) fn assert_undisturbed(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            let longest = thread.join().unwrap().unwrap_or_else(|error| panic!("{error}"));
            assert!(longest < LONGEST, "a well-behaved client waited {longest:?}");
        }
    }
}

/// The longest that a command took, or what went wrong.
fn live(mut client: Client, number: usize, stop: &AtomicBool) -> Result<Duration, String> {
    let key = format!("neighbour:{number}");
    let mut longest = Duration::ZERO;
    let mut round = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        let value = round.to_string();
        for (command, expected) in
            [(vec!["SET", &key, &value], simple("OK")), (vec!["GET", &key], bulk(&value))]
        {
            let start = Instant::now();
            let reply = client.try_command(&command);
            longest = longest.max(start.elapsed());
            match reply {
                Ok(reply) if reply == expected => {}
                other => return Err(format!("{command:?} got {other:?} after {longest:?}")),
            }
        }
        thread::sleep(PAUSE);
    }
    Ok(longest)
}

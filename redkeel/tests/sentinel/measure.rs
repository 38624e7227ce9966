//! How long writes wait while Sentinel replaces a killed primary: through Redkeel, and by a client that asks Sentinel.
//!
//! `cargo test -p redkeel --test sentinel -- --ignored --nocapture stalls`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use testkit::{Address, Client, eventually, simple};

use crate::common::{
    FAILOVER, MASTER, SOON, expecting, promoted, proxy, ready, wait_for_primary, watched,
};

const RUNS: usize = 5;

/// A writer that has one write under way at a time; it ends with the longest time between two that succeeded.
struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Duration>,
}

impl Writer {
    fn start(connect: impl Fn() -> Option<Client> + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut longest, mut last) = (Duration::ZERO, Instant::now());
            let mut client = None;
            while !stopped.load(Ordering::Relaxed) {
                let written = client.as_mut().is_some_and(|client: &mut Client| {
                    client.try_command(["SET", "k", "v"]).is_ok_and(|reply| reply == simple("OK"))
                });
                if written {
                    longest = longest.max(last.elapsed());
                    last = Instant::now();
                } else {
                    client = connect();
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            longest.max(last.elapsed())
        });
        Self { stop, thread }
    }

    fn stop(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// As client libraries do: the first Sentinel that answers says where to write, and the node must say master.
fn by_sentinel(sentinels: &[Address]) -> Option<Client> {
    let named = sentinels.iter().find_map(|sentinel| {
        let mut sentinel = Client::try_connect(sentinel).ok()?;
        let ask = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER];
        let reply = sentinel.try_command(ask).ok()?;
        let [host, port] = reply.as_array()? else { return None };
        let text = |value: &testkit::Value| String::from_utf8(value.as_bytes()?.to_vec()).ok();
        format!("{}:{}", text(host)?, text(port)?).parse().ok()
    })?;
    let mut client = Client::try_connect(&Address::Tcp(named)).ok()?;
    client.set_timeout(Duration::from_millis(500));
    Some(client)
}

#[test]
#[ignore = "measures; takes a minute and wants the machine for itself"]
fn stalls_of_redkeel_and_of_a_client_that_asks_sentinel() {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (mut nodes, group) = watched();
        let redkeel = ready(expecting(proxy(&group.addresses(), ""), &FAILOVER), 3);
        let address = redkeel.address();
        let through = Writer::start(move || Client::try_connect(&address).ok());
        let sentinels = group.addresses();
        let asking = Writer::start(move || by_sentinel(&sentinels));
        std::thread::sleep(Duration::from_secs(1));
        nodes[0].kill9();
        let primary = promoted(&nodes);
        wait_for_primary(&redkeel, primary);
        let name = primary.address().to_string();
        eventually(SOON, "the announcement", || group.primary() == Some(name.clone()));
        std::thread::sleep(Duration::from_secs(1));
        ours.push(through.stop().as_millis());
        theirs.push(asking.stop().as_millis());
    }
    ours.sort_unstable();
    theirs.sort_unstable();
    println!(
        "write stall after SIGKILL, ms: Redkeel {ours:?}, a client that asks Sentinel {theirs:?}"
    );
    assert!(ours[RUNS / 2] < theirs[RUNS / 2]);
}

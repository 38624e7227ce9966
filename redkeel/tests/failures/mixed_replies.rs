//! Every reply belongs to its request, whatever happens meanwhile.

use std::time::{Duration, Instant};

use testkit::{Client, FaultyLink, Load, RedisServer, Redkeel, eventually};

use crate::common::{
    DOWN, FENCED, HELD, LOSS, SOON, UNCLEAR, calls, expecting, proxy, proxy_of, ready, wait_in_step,
};

/// Each node behind a link of its own, so that its connections can be cut while it lives.
struct Stage {
    nodes: Vec<RedisServer>,
    links: Vec<FaultyLink>,
    redkeel: Redkeel,
}

fn stage() -> Stage {
    // The data outlives a kill: Redis appends to the file before it answers.
    let builder = || RedisServer::builder().option("appendonly", "yes").option("appendfsync", "no");
    let mut nodes = vec![builder().start()];
    for _ in 0..2 {
        nodes.push(builder().replica_of(&nodes[0]).start());
    }
    wait_in_step(&nodes);
    let links: Vec<FaultyLink> = nodes.iter().map(|node| FaultyLink::to(node.address())).collect();
    let settings = "timeouts.request = \"500ms\"\ntimeouts.hold = \"2s\"";
    let proxy = proxy_of(links.iter().map(FaultyLink::address), settings);
    let redkeel = ready(expecting(proxy, &[DOWN, HELD, FENCED, LOSS, UNCLEAR]));
    Stage { nodes, links, redkeel }
}

impl Stage {
    /// One fault, from its beginning to its end.
    fn fault(&mut self, random: &mut fastrand::Rng) -> &'static str {
        let index = random.usize(..self.nodes.len());
        let (node, link) = (&mut self.nodes[index], &self.links[index]);
        let pause = Duration::from_millis(random.u64(20..900));
        match random.u8(..6) {
            0 => {
                link.reset();
                "reset"
            }
            1 => {
                link.close();
                "close"
            }
            2 => {
                node.stop_signal();
                std::thread::sleep(pause);
                node.cont();
                "stop"
            }
            3 => {
                let seconds = pause.as_secs_f64().to_string();
                node.cli(["DEBUG", "SLEEP", &seconds]);
                "sleep"
            }
            4 => {
                node.kill9();
                std::thread::sleep(pause);
                node.restart();
                "kill"
            }
            _ => {
                link.half_open();
                std::thread::sleep(pause);
                link.heal();
                "half-open"
            }
        }
    }
}

fn mixed_up(seed: u64) {
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut stage = stage();
    let load = Load::builder(stage.redkeel.address())
        .mixers(40)
        .pipeline(1..=20)
        .value_bytes(0..=300_000)
        .close_one_in(10)
        .pause(Duration::from_millis(5))
        .seed(seed)
        .start();
    eventually(SOON, "answers", || load.mixed().ok > 1000);
    let end = Instant::now() + Duration::from_secs(8);
    while Instant::now() < end {
        let fault = stage.fault(&mut random);
        let before = load.mixed().ok;
        eventually(SOON, "answers after a fault", || {
            let mixed = load.mixed();
            if mixed.ok > before + 500 { Ok(()) } else { Err(format!("{fault}: {mixed:?}")) }
        });
    }
    let mixed = load.stop().mixed;
    println!("{} answered, {:?}, longest {:?}", mixed.ok, mixed.errors, mixed.longest);
    assert!(mixed.wrong.is_empty(), "seed {seed}: {:#?}", mixed.wrong);
    for kind in mixed.errors.keys() {
        let known = ["OUTCOMEUNKNOWN", "NOPRIMARY", "NOREPLICA"];
        assert!(known.contains(&kind.as_str()), "seed {seed}: {:?}", mixed.errors);
    }
}

#[test]
fn replies_are_not_mixed_up_by_faults_of_nodes_and_links() {
    mixed_up(fastrand::u64(..));
}

/// It has asked for far more than it reads, so that Redkeel reads nothing more of it, and then it is gone.
#[test]
fn a_client_that_leaves_with_replies_unread_is_forgotten() {
    let server = RedisServer::start();
    let redkeel = ready(proxy([&server], ""));
    server.cli([b"SET".as_slice(), b"large", &vec![b'x'; 100_000]]);
    for leaves in [Client::reset, drop] {
        let mut client = redkeel.client();
        let before = calls(&server, "get");
        client.send_raw(&b"GET large\r\n".repeat(20_000));
        // How many the kernel's buffers take differs from machine to machine.
        let mut last = before;
        eventually(SOON, "unread replies that hold up further commands", || {
            std::thread::sleep(Duration::from_millis(200));
            let now = calls(&server, "get");
            now > before && now == std::mem::replace(&mut last, now)
        });
        assert!(last < before + 20_000, "all were answered: nothing was held up");
        leaves(client);
        redkeel.wait_until(SOON, "the client to be forgotten", |status| {
            status["pools"][0]["clients"]["connected"] == 0
        });
    }
}

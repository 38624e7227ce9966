//! A made-up world for tests: two pools, four nodes, workers that answer as told.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use config::{Config, Endpoint, Mode, Reads, RetryWrites, TcpRole};
use topology::{
    Address, Health, Lag, Mail, NodeCounts, NodeId, NodeView, PoolCounts, PoolId, PoolView,
    Published, Role, SentinelView, SentinelsView, ShardView, Snapshot, Time, WorkerCounts,
    WorkerHandle, Workers,
};

use crate::counts::Counted;
use crate::metrics::Page;
use crate::process::ProcessUsage;
use crate::serve::{BoundListener, Sources};
use crate::switchover::Tally;

/// Compares `actual` with a file of this crate, or writes the file where `UPDATE_DOCS=1` is set.
pub(crate) fn golden(path: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_DOCS").is_some_and(|set| set == "1") {
        std::fs::write(&path, actual).expect("the file can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == actual,
        "{} is out of date; run the tests with UPDATE_DOCS=1. It should be:\n{actual}",
        path.display()
    );
}

// === workers ===

/// A worker that answers with fixed counters, unless it hangs or has ended.
#[derive(Debug, Default)]
pub(crate) struct FakeWorker {
    counts: WorkerCounts,
    hangs: AtomicBool,
    ended: bool,
    letters: AtomicUsize,
    unanswered: Mutex<Vec<Sender<WorkerCounts>>>,
}

impl FakeWorker {
    pub(crate) fn with(counts: WorkerCounts) -> Self {
        Self { counts, ..Self::default() }
    }

    pub(crate) fn ended() -> Self {
        Self { ended: true, ..Self::default() }
    }

    pub(crate) fn hang(&self) {
        self.hangs.store(true, Ordering::Relaxed);
    }

    pub(crate) fn wake(&self) {
        self.hangs.store(false, Ordering::Relaxed);
        for sender in self.unanswered.lock().expect("unpoisoned").drain(..) {
            // Whoever asked may have gone.
            drop(sender.send(self.counts.clone()));
        }
    }

    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered.lock().expect("unpoisoned").len()
    }

    pub(crate) fn letters(&self) -> usize {
        self.letters.load(Ordering::Relaxed)
    }
}

impl WorkerHandle for FakeWorker {
    fn send(&self, mail: Mail) {
        self.letters.fetch_add(1, Ordering::Relaxed);
        let Mail::Counts(sender) = mail else { return };
        if self.hangs.load(Ordering::Relaxed) {
            self.unanswered.lock().expect("unpoisoned").push(sender);
        } else if !self.ended {
            drop(sender.send(self.counts.clone()));
        }
    }

    fn clients(&self) -> usize {
        7
    }
}

/// Counters of both pools, every one of them another number, all multiplied by `factor`.
pub(crate) fn counts(factor: u64) -> WorkerCounts {
    let mut main = PoolCounts {
        clients: 7,
        clients_total: 20,
        clients_refused_total: 3,
        clients_denied_total: 23,
        clients_headerless_total: 24,
        login_failures_total: 21,
        logins_refused_total: 22,
        tls_clients_total: [21, 22, 23],
        tls_nodes_total: [24, 25, 26],
        clients_slow_closed_total: 1,
        reads_total: 9_000,
        writes_total: 1_000,
        client_bytes_in_total: 300_000,
        client_bytes_out_total: 900_000,
        errors_total: [11, 12, 13, 14, 15, 16, 20, 17, 18, 10, 19],
        held: 2,
        held_bytes: 128,
        held_requests: 25,
        held_total: 31,
        retries_total: 6,
        retries_refused_total: 1,
        pinned: 4,
        subscription_gaps_total: 5,
        stray_pushes_total: 8,
        mirrors_total: 21,
        mirrors_dropped_total: 22,
        nodes: vec![
            (NodeId(0), node_counts(1)),
            (NodeId(1), node_counts(2)),
            (NodeId(2), node_counts(3)),
        ],
        ..PoolCounts::default()
    };
    for micros in [80, 120, 700, 12_000] {
        main.latency.increment(micros).expect("in range");
    }
    let mut sum = WorkerCounts { pools: vec![main, PoolCounts::default()] };
    scale(&mut sum, factor);
    sum
}

fn node_counts(nth: u64) -> NodeCounts {
    let mut counts = NodeCounts {
        commands_total: 3_000 * nth,
        errors_total: 2 * nth,
        in_flight: nth,
        lanes: 1,
        pinned: 3 * nth,
        connects_total: 10 * nth,
        connect_failures_total: 4 * nth,
        lost_total: 5 * nth,
        bytes_out_total: 100_000 * nth,
        bytes_in_total: 200_000 * nth,
        ..NodeCounts::default()
    };
    for micros in [60 * nth, 90 * nth, 400 * nth] {
        counts.latency.increment(micros).expect("in range");
    }
    counts
}

/// What a worker that did everything `factor` times would have counted of the busy numbers.
fn scale(counts: &mut WorkerCounts, factor: u64) {
    for pool in &mut counts.pools {
        pool.reads_total *= factor;
        pool.writes_total *= factor;
        for bucket in pool.latency.as_mut_slice() {
            *bucket *= factor;
        }
        for (_, node) in &mut pool.nodes {
            node.commands_total *= factor;
            for bucket in node.latency.as_mut_slice() {
                *bucket *= factor;
            }
        }
    }
}

// === the picture of the nodes ===

/// `main`: a primary, a replica that lags a little, one that is down. `cache`: nothing known yet.
pub(crate) fn snapshot() -> Snapshot {
    let lag = Lag { bytes: 1_024, time: Duration::from_millis(250) };
    let main = ShardView {
        writes_held: None,
        primary: Some(NodeId(0)),
        why: Arc::from("the only node that says master"),
        since: Time::from_millis(2_000),
        nodes: vec![
            node(0, Health::Up, Role::Primary, "answers"),
            NodeView { lag: Some(lag), ..node(1, Health::Up, Role::Replica, "answers") },
            node(2, Health::Down, Role::Unknown, "connect refused"),
        ],
    };
    let cache = ShardView {
        writes_held: None,
        primary: Some(NodeId(3)),
        why: Arc::from("the only node that says master"),
        since: Time::from_millis(1_500),
        nodes: vec![node(3, Health::Up, Role::Primary, "answers")],
    };
    let cache = PoolView { sentinels: Some(Arc::new(sentinels())), ..pool("cache", cache) };
    Snapshot { version: 42, pools: vec![Arc::new(pool("main", main)), Arc::new(cache)] }
}

/// One of three is in TILT, one does not answer.
fn sentinels() -> SentinelsView {
    let one = |port: u16, answers: bool, tilt: bool, why: &str| SentinelView {
        name: format!("10.0.0.1:{port}").into(),
        configured: port == 26379,
        answers,
        agrees: answers && !tilt,
        tilt,
        failing_over: false,
        primary: answers.then(|| "10.0.0.4:6379".into()),
        epoch: if answers { 7 } else { 0 },
        why: why.into(),
    };
    SentinelsView {
        master: "mymaster".into(),
        primary: None,
        epoch: 0,
        known: 3,
        needed: 2,
        why: "only 1 of 3 Sentinels says who is the primary, 2 are needed".into(),
        sentinels: vec![
            one(26379, true, false, "is too few"),
            one(26380, true, true, "is in TILT: it does not trust its clock"),
            one(26381, false, false, "refuses connections"),
        ],
    }
}

fn pool(name: &str, shard: ShardView) -> PoolView {
    PoolView {
        name: Arc::from(name),
        shards: vec![shard],
        groups: Vec::new(),
        sentinels: None,
        learned: Arc::new(HashMap::new()),
    }
}

fn node(id: u32, health: Health, role: Role, why: &str) -> NodeView {
    let address = format!("10.0.0.{}:6379", id + 1);
    let up = health == Health::Up;
    NodeView {
        id: NodeId(id),
        name: Arc::from(address.as_str()),
        address: Address::Tcp(address.parse().expect("an address")),
        server: Arc::from(address.as_str()),
        health,
        role,
        readable: up,
        why: Arc::from(why),
        since: Time::from_millis(1_000 + u64::from(id) * 100),
        proven_at: Time::from_millis(9_900),
        lag: None,
        run_id: Arc::from(if up { "0123456789abcdef0123456789abcdef01234567" } else { "" }),
        version: Arc::from(if up { "7.0.15" } else { "" }),
        weight: 1,
        backup: false,
        zone: None,
    }
}

// === the configuration and all together ===

/// The pools of [`snapshot`].
pub(crate) fn config() -> Config {
    Config {
        workers: 2,
        drain_timeout: Duration::from_secs(25),
        log: config::Log { level: config::LogLevel::Info, format: config::LogFormat::Text },
        dns: config::Dns { servers: Vec::new() },
        admin: config::Admin { listen: None, token: None },
        pools: vec![
            pool_config("main", &[Mode::Split, Mode::Read]),
            pool_config("cache", &[Mode::Tcp(TcpRole::Primary)]),
        ],
    }
}

fn pool_config(name: &str, modes: &[Mode]) -> config::Pool {
    let endpoint = Endpoint::Tcp { host: "127.0.0.1".to_owned(), port: 0 };
    let second = Duration::from_secs(1);
    config::Pool {
        name: name.to_owned(),
        listeners: modes
            .iter()
            .map(|mode| config::Listener {
                address: endpoint.clone(),
                mode: *mode,
                proxy_protocol: false,
                allow: None,
                deny: Vec::new(),
                tls: false,
            })
            .collect(),
        source: config::Source::Servers(vec![config::ServerName::At(endpoint)]),
        routes: Vec::new(),
        reads: Reads::PreferReplica,
        balance: config::Balance::LeastConn,
        auth: config::Auth::PassThrough,
        max_lag: second,
        retry_writes: RetryWrites::Never,
        anti_flap: second,
        refuse: Vec::new(),
        zone: None,
        nodes: BTreeMap::new(),
        health: config::Health {
            interval: second,
            fast_interval: second,
            down_interval: second,
            rise: 2,
            fall: 3,
            timeout: second,
            slow_start: Duration::ZERO,
        },
        timeouts: config::Timeouts {
            connect: second,
            request: second,
            hold: second,
            client_idle: second,
        },
        limits: config::Limits {
            max_clients: 100,
            max_bulk: 1 << 20,
            max_request: 1 << 20,
            max_args: 1 << 10,
            client_output: 1 << 20,
            hold_requests: 1000,
            hold_bytes: 1 << 20,
            retries: 2,
            max_pinned: 10,
            max_lanes: 10,
            login_failures: 10,
        },
        upstream: config::Upstream {
            credentials: None,
            connections: 1,
            proxy_protocol: None,
            tls: None,
        },
        users: Vec::new(),
        tls: None,
    }
}

/// What the proxy would have bound for [`config`].
pub(crate) fn listeners() -> Vec<BoundListener> {
    [
        (0, "127.0.0.1:6379", Mode::Split),
        (0, "127.0.0.1:6380", Mode::Read),
        (1, "unix:/run/redkeel/cache.sock", Mode::Tcp(TcpRole::Primary)),
    ]
    .map(|(pool, address, mode)| BoundListener {
        pool: PoolId(pool),
        address: address.to_owned(),
        mode,
    })
    .to_vec()
}

/// Sources whose clock is tokio's, so that a test can stop it.
pub(crate) fn sources(workers: Workers) -> Sources {
    let origin = tokio::time::Instant::now();
    Sources {
        published: Arc::new(Published::new(snapshot())),
        workers,
        config: Arc::new(config()),
        listeners: listeners(),
        started: started(),
        draining: Arc::default(),
        clock: Box::new(move || Time::ZERO + origin.elapsed()),
        evidence_dropped: Box::new(|| 21),
        switchovers: Arc::new(desk),
        version: "1.2.3",
    }
}

/// Every switchover is done at once, but that of `cache`.
pub(crate) fn desk(order: topology::SwitchoverOrder) -> bool {
    use topology::{Ending, SwitchoverReport};
    let mut report = SwitchoverReport::refused(
        order.pool.as_str().into(),
        "no replica can become the primary".to_owned(),
    );
    if order.pool == "main" {
        report.ending = Ending::Done;
        report.from = Some("10.0.0.1:6379".into());
        report.to = Some(order.to.as_deref().unwrap_or("10.0.0.2:6379").into());
        report.way = "FAILOVER";
        report.held = Some(Duration::from_micros(7_125));
        report.why = None;
        let steps = [
            ("check", 1_950),
            ("hold", 412),
            ("promote", 2_301),
            ("release", 4_412),
            ("re-point", 903),
        ];
        report.steps = steps.map(|(name, micros)| (name, Duration::from_micros(micros))).to_vec();
    }
    (order.answer)(report);
    true
}

/// The metrics page of this world: the second of two workers does not answer.
pub(crate) fn page() -> Page {
    Page {
        snapshot: Arc::new(snapshot()),
        config: Arc::new(config()),
        counted: Counted { sum: counts(1), answered: vec![true, false] },
        worker_clients: vec![4, 3],
        process: ProcessUsage {
            cpu_seconds: 1.25,
            resident_bytes: Some(12_345_678),
            open_fds: Some(31),
            max_fds: Some(1024),
        },
        started: started(),
        draining: false,
        evidence_dropped: 21,
        version: "1.2.3",
        switchovers: tally(),
    }
}

fn tally() -> Tally {
    let tally = Tally::default();
    desk(topology::SwitchoverOrder {
        pool: "main".to_owned(),
        to: None,
        answer: Box::new({
            let tally = tally.clone();
            move |report| tally.count(&report)
        }),
    });
    tally
}

/// 2026-01-01 00:00 UTC.
pub(crate) fn started() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600)
}

//! Clients of a pool of three shards, in a world without sockets: whatever arrives when, in whatever pieces, each is answered as by
//! one server, in order.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use config::Mode;
use engine::{Action, Caller, ConnId, Engine, Settings};
use resp::{Limits, RequestScanner, Scan};
use topology::{
    Address, Health, NodeId, NodeView, PoolId, PoolView, Role, ShardView, Snapshot, Time,
};

const SEEDS: u64 = 60;
const SHARDS: u32 = 3;
const CLIENTS: usize = 4;
const COMMANDS: usize = 60;

type Words = Vec<Vec<u8>>;

/// A server's data, as far as the commands of this test go; the judge has one for each client.
#[derive(Default)]
struct Store(BTreeMap<Vec<u8>, Vec<u8>>);

impl Store {
    fn reply(&mut self, words: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        let count = |count: usize, out: &mut Vec<u8>| resp::write_integer(out, count as i64);
        match (words[0].as_slice(), &words[1..]) {
            (b"SET", [key, value]) => {
                self.0.insert(key.clone(), value.clone());
                resp::write_simple(&mut out, "OK");
            }
            (b"MSET", pairs) => {
                for pair in pairs.chunks(2) {
                    self.0.insert(pair[0].clone(), pair[1].clone());
                }
                resp::write_simple(&mut out, "OK");
            }
            (b"GET", [key]) => self.write_value(key, &mut out),
            (b"MGET", keys) => {
                resp::write_array_header(&mut out, keys.len());
                keys.iter().for_each(|key| self.write_value(key, &mut out));
            }
            (b"DEL" | b"UNLINK", keys) => {
                count(keys.iter().filter(|key| self.0.remove(*key).is_some()).count(), &mut out);
            }
            (b"EXISTS", keys) => {
                count(keys.iter().filter(|key| self.0.contains_key(*key)).count(), &mut out);
            }
            (b"ECHO", [text]) => resp::write_bulk(&mut out, text),
            (b"PING", []) => resp::write_simple(&mut out, "PONG"),
            _ => resp::write_error(&mut out, "ERR unknown"),
        }
        out
    }

    fn write_value(&self, key: &[u8], out: &mut Vec<u8>) {
        match self.0.get(key) {
            Some(value) => resp::write_bulk(out, value),
            None => resp::write_null(out, resp::Protocol::Resp2),
        }
    }
}

/// A node's end of a connection.
#[derive(Default)]
struct Link {
    shard: usize,
    received: Vec<u8>,
    /// Answered, and not on its way yet.
    answers: Vec<u8>,
    /// Between MULTI and EXEC.
    queued: Option<Vec<Words>>,
}

struct Client {
    conn: ConnId,
    to_send: Vec<u8>,
    expected: Vec<u8>,
    got: Vec<u8>,
}

struct World {
    engine: Engine,
    random: fastrand::Rng,
    stores: Vec<Store>,
    links: HashMap<ConnId, Link>,
    clients: Vec<Client>,
    now: u64,
}

fn settings() -> Settings {
    let text = "[pool.main]\nlisten = \"127.0.0.1:0\"\n[pool.main.shards]\nhash = \"md5\"\n\
                servers = [\"127.0.0.1:1:1 a\", \"127.0.0.1:2:1 b\", \"127.0.0.1:3:2 c\"]\n";
    let context = config::Context { secrets: &config::NoSecrets, default_workers: 1 };
    let config = match config::load("shards", text, &context) {
        Ok(loaded) => loaded.config.with_groups(),
        Err(errors) => unreachable!("{}", errors.render(false)),
    };
    let pools = config.pools.into_iter().map(Arc::new).collect();
    Settings { pools, workers: 1, worker: 0, seed: 1, own_subscribers: 16 }
}

fn group(shard: u32) -> PoolView {
    let node = NodeView {
        id: NodeId(shard),
        name: format!("node{shard}").into(),
        address: Address::Tcp(([127, 0, 0, 1], shard as u16 + 1).into()),
        server: "".into(),
        health: Health::Up,
        role: Role::Primary,
        readable: true,
        why: "".into(),
        since: Time::ZERO,
        proven_at: Time::ZERO,
        lag: None,
        run_id: "".into(),
        version: "".into(),
        weight: 1,
        backup: false,
        zone: None,
    };
    let primary = Some(node.id);
    let shard = ShardView {
        primary,
        writes_held: None,
        why: "".into(),
        since: Time::ZERO,
        nodes: vec![node],
    };
    PoolView {
        name: "group".into(),
        shards: vec![shard],
        groups: Vec::new(),
        sentinels: None,
        learned: Arc::default(),
    }
}

fn request(words: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    resp::write_command(&mut out, &words);
    out
}

impl World {
    fn new(seed: u64) -> Self {
        let mut engine = Engine::new(&settings());
        let mut pools = vec![Arc::new(PoolView { shards: Vec::new(), ..group(0) })];
        pools.extend((0..SHARDS).map(|shard| Arc::new(group(shard))));
        engine.snapshot(&Snapshot { version: 1, pools });
        let mut random = fastrand::Rng::with_seed(seed);
        let clients = (0..CLIENTS).map(|number| {
            let conn = engine.accept(PoolId(0), Mode::Split, Caller::unknown());
            script(conn, number, &mut random)
        });
        let clients = clients.collect();
        let stores = (0..SHARDS).map(|_| Store::default()).collect();
        Self { engine, random, stores, links: HashMap::new(), clients, now: 0 }
    }

    fn play(&mut self) {
        for _ in 0..200_000 {
            if self.clients.iter().all(|client| {
                client.to_send.is_empty() && client.got.len() >= client.expected.len()
            }) {
                return;
            }
            self.step();
        }
        panic!(
            "somebody is not answered: {:?}",
            self.clients
                .iter()
                .map(|client| { (client.to_send.len(), client.expected.len() - client.got.len()) })
                .collect::<Vec<_>>()
        );
    }

    fn step(&mut self) {
        self.now += self.random.u64(0..2);
        self.engine.begin_turn(Time::from_millis(self.now));
        for _ in 0..self.random.usize(1..6) {
            self.event();
        }
        let (mut actions, mut dirty) = (Vec::new(), Vec::new());
        loop {
            self.engine.end_turn();
            self.engine.take_actions(&mut actions);
            self.engine.take_dirty(&mut dirty);
            if actions.is_empty() && dirty.is_empty() {
                return self.engine.check();
            }
            // Clients read when they like; nodes at once.
            for conn in dirty.drain(..).filter(|conn| conn.is_upstream()) {
                let bytes = self.engine.output(conn).to_vec();
                self.engine.written(conn, bytes.len());
                if let Some(link) = self.links.get_mut(&conn) {
                    link.received.extend(bytes);
                }
            }
            for action in actions.drain(..) {
                if let Action::Connect { conn, address, .. } = action {
                    let Address::Tcp(address) = address else { unreachable!() };
                    let shard = usize::from(address.port()) - 1;
                    self.links.insert(conn, Link { shard, ..Link::default() });
                    self.engine.connected(conn);
                } else if let Action::Close(conn) = action {
                    assert!(conn.is_upstream(), "a client was closed");
                    self.links.remove(&conn);
                }
            }
        }
    }

    fn event(&mut self) {
        let piece = |random: &mut fastrand::Rng, len: usize| {
            if random.bool() { len } else { random.usize(0..=len.min(40)) }
        };
        match self.random.u8(0..4) {
            0 => {
                let client = &mut self.clients[self.random.usize(0..CLIENTS)];
                let len = piece(&mut self.random, client.to_send.len());
                let bytes: Vec<u8> = client.to_send.drain(..len).collect();
                self.engine.received(client.conn, &bytes);
            }
            1 => {
                let client = &mut self.clients[self.random.usize(0..CLIENTS)];
                let output = self.engine.output(client.conn);
                let len = piece(&mut self.random, output.len());
                client.got.extend_from_slice(&output[..len]);
                self.engine.written(client.conn, len);
                let until = client.got.len().min(client.expected.len());
                assert!(
                    client.got == client.expected[..until],
                    "expected {:?}\ngot {:?}",
                    String::from_utf8_lossy(&client.expected),
                    String::from_utf8_lossy(&client.got)
                );
            }
            2 => {
                let conns: Vec<ConnId> = self.links.keys().copied().collect();
                let Some(conn) = self.random.choice(conns) else { return };
                self.answer_one(conn);
            }
            _ => {
                let mut conns: Vec<ConnId> = self.links.keys().copied().collect();
                conns.sort_unstable();
                let Some(conn) = self.random.choice(conns) else { return };
                let link = self.links.get_mut(&conn).unwrap();
                let len = piece(&mut self.random, link.answers.len());
                let bytes: Vec<u8> = link.answers.drain(..len).collect();
                if !bytes.is_empty() {
                    self.engine.received(conn, &bytes);
                }
            }
        }
    }

    fn answer_one(&mut self, conn: ConnId) {
        let link = self.links.get_mut(&conn).unwrap();
        let mut scanner = RequestScanner::new();
        let limits = Limits::default();
        while let Ok(Scan::Complete { len, .. }) = scanner.scan(&link.received, &limits) {
            let words: Words =
                scanner.args().iter().map(|arg| arg.of(&link.received).to_vec()).collect();
            link.received.drain(..len);
            let store = &mut self.stores[link.shard];
            match (words[0].as_slice(), &mut link.queued) {
                (b"MULTI", queued) => {
                    *queued = Some(Vec::new());
                    resp::write_simple(&mut link.answers, "OK");
                }
                (b"EXEC", queued) => {
                    let commands = queued.take().unwrap();
                    resp::write_array_header(&mut link.answers, commands.len());
                    for command in commands {
                        link.answers.extend(store.reply(&command));
                    }
                }
                (_, Some(commands)) => {
                    commands.push(words);
                    resp::write_simple(&mut link.answers, "QUEUED");
                }
                (_, None) => link.answers.extend(store.reply(&words)),
            }
            if self.random.bool() {
                return;
            }
        }
    }
}

/// What a client sends, and what it has to be answered. Each has keys of its own.
fn script(conn: ConnId, number: usize, random: &mut fastrand::Rng) -> Client {
    let mut store = Store::default();
    let (mut to_send, mut expected) = (Vec::new(), Vec::new());
    for place in 0..COMMANDS {
        let commands = command(number, place, random);
        let is_block = commands.len() > 1;
        for words in &commands {
            to_send.extend(request(words));
            match words[0].as_slice() {
                b"MULTI" => resp::write_simple(&mut expected, "OK"),
                b"EXEC" => {
                    resp::write_array_header(&mut expected, commands.len() - 2);
                    for words in &commands[1..commands.len() - 1] {
                        expected.extend(store.reply(words));
                    }
                }
                _ if is_block => resp::write_simple(&mut expected, "QUEUED"),
                _ => expected.extend(store.reply(words)),
            }
        }
    }
    Client { conn, to_send, expected, got: Vec::new() }
}

fn command(number: usize, place: usize, random: &mut fastrand::Rng) -> Vec<Words> {
    let key = |random: &mut fastrand::Rng| format!("c{number}:{}", random.u8(0..12)).into_bytes();
    let value = |random: &mut fastrand::Rng| {
        // Now and then more than fits into one piece, or than is gathered.
        let len = match random.u8(0..60) {
            0 => 1_200_000,
            1..4 => 70_000,
            _ => random.usize(0..20),
        };
        let mut value = format!("v{place}").into_bytes();
        value.resize(value.len() + len, b'x');
        value
    };
    let word = |text: &str| text.as_bytes().to_vec();
    let keys = |name: &str, random: &mut fastrand::Rng| {
        let mut words = vec![word(name)];
        words.extend((0..random.usize(1..8)).map(|_| key(random)));
        words
    };
    vec![match random.u8(0..12) {
        0 | 1 => vec![word("SET"), key(random), value(random)],
        2 | 3 => vec![word("GET"), key(random)],
        4 => keys("DEL", random),
        5 => keys("EXISTS", random),
        6 | 7 => keys("MGET", random),
        8 => {
            let mut words = vec![word("MSET")];
            for _ in 0..random.usize(1..6) {
                words.extend([key(random), value(random)]);
            }
            words
        }
        9 => vec![word("ECHO"), format!("e{place}").into_bytes()],
        10 => vec![word("PING")],
        _ => {
            let key = key(random);
            let mut block = vec![vec![word("MULTI")]];
            for _ in 0..random.usize(1..4) {
                block.push(match random.u8(0..3) {
                    0 => vec![word("SET"), key.clone(), value(random)],
                    1 => vec![word("ECHO"), word("within")],
                    _ => vec![word("GET"), key.clone()],
                });
            }
            block.push(vec![word("EXEC")]);
            return block;
        }
    }]
}

#[test]
fn clients_of_several_shards_are_answered_as_by_one_server() {
    let only: Option<u64> = std::env::var("SEED").ok().map(|seed| seed.parse().unwrap());
    for seed in only.map_or(0..SEEDS, |seed| seed..seed + 1) {
        let played = std::panic::catch_unwind(|| World::new(seed).play());
        assert!(played.is_ok(), "seed {seed}; SEED={seed} plays it alone");
    }
}

//! Clients of a pool with routes to others, each with one node; turns happen when a test says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use config::Mode;
use engine::{Action, Caller, ConnId, Engine, Settings};
use topology::{
    Address, Health, NodeId, NodeView, PoolId, PoolView, Role, ShardView, Snapshot, Time,
};

/// `a:` is in pool one, `b:` in pool two, `m:` in pool one and mirrored to pool three; `r:` is read from pool three.
pub(crate) const ROUTES: &str = r#"
[[pool.main.routes]]
prefix = "a:"
pool = "one"
[[pool.main.routes]]
prefix = "b:"
pool = "two"
[[pool.main.routes]]
prefix = "m:"
pool = "one"
mirror = { pool = "three" }
[[pool.main.routes]]
prefix = "r:"
pool = "one"
reads = "three"
[[pool.main.routes]]
prefix = ""
pool = "one"
"#;

/// The places of the pools in the file.
pub(crate) const ONE: usize = 1;
pub(crate) const TWO: usize = 2;
pub(crate) const THREE: usize = 3;

pub(crate) struct Scene {
    pub(crate) engine: Engine,
    pub(crate) client: ConnId,
    pub(crate) now: u64,
    version: u64,
    /// By connection: the pool that it leads to, and what was written to it since it was looked at.
    links: BTreeMap<ConnId, (usize, Vec<u8>)>,
    /// What the client got.
    pub(crate) got: Vec<u8>,
    /// What all others got.
    pub(crate) others_got: Vec<u8>,
    /// Clients that were closed.
    pub(crate) closed: Vec<ConnId>,
    /// Does the client read what it gets?
    pub(crate) reads: bool,
}

fn pools(text: &str) -> Vec<Arc<config::Pool>> {
    let context = config::Context { secrets: &config::NoSecrets, default_workers: 1 };
    match config::load("scene", text, &context) {
        Ok(loaded) => loaded.config.with_groups().pools.into_iter().map(Arc::new).collect(),
        Err(errors) => unreachable!("{}", errors.render(false)),
    }
}

fn text(routes: &str) -> String {
    let pool = |name: &str, port: usize| {
        format!(
            "[pool.{name}]\nlisten = \"127.0.0.1:0\"\nservers = [\"127.0.0.1:{port}\"]\nlimits.client_output = \"4mb\"\n"
        )
    };
    format!(
        "[pool.main]\nlisten = \"127.0.0.1:0\"\nlimits.client_output = \"4mb\"\n{routes}\n{}{}{}",
        pool("one", ONE),
        pool("two", TWO),
        pool("three", THREE)
    )
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::of(&text(ROUTES))
    }

    /// Of a pool with three shards; the keys of one that is down are the others' meanwhile.
    pub(crate) fn with_shards() -> Self {
        let servers = [ONE, TWO, THREE].map(|port| format!("\"127.0.0.1:{port}\""));
        Self::of(&format!(
            "[pool.main]\nlisten = \"127.0.0.1:0\"\nshards = {{ on_shard_down = \"rehash\", servers = [{}] }}\n",
            servers.join(", ")
        ))
    }

    fn of(text: &str) -> Self {
        let settings =
            Settings { pools: pools(text), workers: 1, worker: 0, seed: 1, own_subscribers: 16 };
        let mut engine = Engine::new(&settings);
        let client = engine.accept(PoolId(0), Mode::Split, Caller::unknown());
        let mut scene = Self {
            engine,
            client,
            now: 0,
            version: 0,
            links: BTreeMap::new(),
            got: Vec::new(),
            others_got: Vec::new(),
            closed: Vec::new(),
            reads: true,
        };
        scene.publish(&[]);
        scene
    }

    /// The nodes of these pools are down, all others are up.
    pub(crate) fn publish(&mut self, down: &[usize]) {
        self.version += 1;
        let mut pools = vec![Arc::new(PoolView { shards: Vec::new(), ..pool(0) })];
        for own in ONE..=THREE {
            let mut view = pool(own);
            let health = if down.contains(&own) { Health::Down } else { Health::Up };
            let since = Time::from_millis(self.now);
            for node in view.shards.iter_mut().flat_map(|shard| &mut shard.nodes) {
                (node.health, node.since, node.proven_at) = (health, since, since);
            }
            pools.push(Arc::new(view));
        }
        self.engine.snapshot(&Snapshot { version: self.version, pools });
        self.turn(|_| ());
    }

    /// The routes are others from now on.
    pub(crate) fn reroute(&mut self, routes: &str) {
        let pools = pools(&text(routes));
        self.engine.reroute(&pools);
        self.turn(|_| ());
    }

    pub(crate) fn turn(&mut self, happens: impl FnOnce(&mut Self)) {
        self.now += 1;
        self.engine.begin_turn(Time::from_millis(self.now));
        happens(self);
        let (mut actions, mut dirty) = (Vec::new(), Vec::new());
        loop {
            self.engine.end_turn();
            self.engine.take_actions(&mut actions);
            self.engine.take_dirty(&mut dirty);
            if actions.is_empty() && dirty.is_empty() {
                return self.engine.check();
            }
            for conn in dirty.drain(..).filter(|conn| conn.is_upstream() || self.reads) {
                let bytes = self.engine.output(conn).to_vec();
                self.engine.written(conn, bytes.len());
                match self.links.get_mut(&conn) {
                    Some((_, sent)) => sent.extend(bytes),
                    None if conn == self.client => self.got.extend(bytes),
                    None => self.others_got.extend(bytes),
                }
            }
            for action in actions.drain(..) {
                match action {
                    Action::Connect { conn, address: Address::Tcp(address), .. } => {
                        self.links.insert(conn, (usize::from(address.port()), Vec::new()));
                        self.engine.connected(conn);
                    }
                    Action::Close(conn) => {
                        self.links.remove(&conn);
                        self.closed.extend((!conn.is_upstream()).then_some(conn));
                    }
                    _ => {}
                }
            }
        }
    }

    /// The client reads everything there is, in one turn.
    pub(crate) fn read(&mut self) {
        self.turn(|scene| {
            let bytes = scene.engine.output(scene.client).to_vec();
            scene.engine.written(scene.client, bytes.len());
            scene.got.extend(bytes);
        });
    }

    /// The client sends these commands, one a line.
    pub(crate) fn sends(&mut self, lines: &str) {
        let bytes = commands(lines);
        self.sends_bytes(&bytes);
    }

    /// Another client of this pool sends this.
    pub(crate) fn other_sends(&mut self, pool: usize, lines: &str) {
        let bytes = commands(lines);
        let pool = PoolId(u32::try_from(pool).unwrap_or_default());
        self.turn(|scene| {
            let other = scene.engine.accept(pool, Mode::Split, Caller::unknown());
            scene.engine.received(other, &bytes);
        });
    }

    pub(crate) fn sends_bytes(&mut self, bytes: &[u8]) {
        self.turn(|scene| scene.engine.received(scene.client, bytes));
    }

    /// What the node of this pool was sent since it was last looked at.
    pub(crate) fn sent(&mut self, pool: usize) -> Vec<u8> {
        let links = self.links.values_mut().filter(|(own, _)| *own == pool);
        links.flat_map(|(_, sent)| std::mem::take(sent)).collect()
    }

    /// The node of this pool answers, over the connection by which it was sent these commands and nothing else.
    pub(crate) fn answers(&mut self, pool: usize, lines: &str, reply: impl AsRef<[u8]>) -> ConnId {
        let expected = commands(lines);
        let conn = self.link(pool, &expected);
        self.turn(|scene| scene.engine.received(conn, reply.as_ref()));
        conn
    }

    /// The connection by which the node of this pool was sent this and nothing else.
    pub(crate) fn link(&mut self, pool: usize, expected: &[u8]) -> ConnId {
        let found = self.links.iter_mut().find(|(_, (own, sent))| *own == pool && sent == expected);
        let Some((conn, (_, sent))) = found else {
            let sent = self.links.values().filter(|(own, _)| *own == pool);
            let sent: Vec<_> = sent.map(|(_, sent)| sent.escape_ascii().to_string()).collect();
            panic!("expected {}; pool {pool} was sent {sent:?}", expected.escape_ascii());
        };
        sent.clear();
        *conn
    }

    /// What the client has got since it was last looked at.
    pub(crate) fn got(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.got)).into_owned()
    }
}

/// One command a line, words between blanks.
pub(crate) fn commands(lines: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for line in lines.lines() {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        resp::write_command(&mut out, &words);
    }
    out
}

fn pool(number: usize) -> PoolView {
    let port = u16::try_from(number).unwrap_or_default();
    let node = NodeView {
        id: NodeId(u32::from(port)),
        name: format!("node{number}").into(),
        address: Address::Tcp(([127, 0, 0, 1], port).into()),
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
    let shard = ShardView {
        primary: Some(node.id),
        writes_held: None,
        why: "".into(),
        since: Time::ZERO,
        nodes: vec![node],
    };
    PoolView {
        name: "pool".into(),
        shards: vec![shard],
        groups: Vec::new(),
        sentinels: None,
        learned: Arc::default(),
    }
}

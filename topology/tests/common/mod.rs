//! A pool whose nodes say what the test tells them to, in INFO's own words.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::sync::Arc;
use std::time::Duration;

use resp::Value;
use topology::{
    Address, Answer, Event, EventKind, Failure, Health, NodeId, NodeIds, NodeView, Observation,
    PoolState, PoolView, Probed, Process, Refusal, Replication, Resolved, RoleReply, Server,
    Serving, Settings, ShardView, Target, Time,
};

pub const A: usize = 0;
pub const B: usize = 1;
pub const C: usize = 2;

/// What a node says when it is asked for everything.
#[derive(Clone, Debug)]
pub struct Said {
    run: String,
    replica: bool,
    link: &'static str,
    syncing: bool,
    id: char,
    parent: Option<(char, u64)>,
    offset: u64,
    serving: Serving,
}

/// A primary: its process, the letter of its replid, its offset.
pub fn master(run: &str, id: char, offset: u64) -> Said {
    Said {
        run: run.to_owned(),
        replica: false,
        link: "up",
        syncing: false,
        id,
        parent: None,
        offset,
        serving: Serving::Yes,
    }
}

/// A replica whose link is up.
pub fn replica(run: &str, id: char, offset: u64) -> Said {
    Said { replica: true, ..master(run, id, offset) }
}

/// What the nodes of [`Pool::of_three`] say.
pub fn usual(node: usize) -> Said {
    match node {
        A => master("a1", 'r', 1000),
        B => replica("b1", 'r', 1000),
        _ => replica("c1", 'r', 1000),
    }
}

impl Said {
    /// With this `master_replid2` and `second_repl_offset`.
    pub fn second(self, id: char, second_offset: u64) -> Self {
        Self { parent: Some((id, second_offset)), ..self }
    }

    pub fn link_down(self) -> Self {
        Self { link: "down", ..self }
    }

    pub fn syncing(self) -> Self {
        Self { link: "down", syncing: true, ..self }
    }

    pub fn serving(self, serving: Serving) -> Self {
        Self { serving, ..self }
    }

    fn info(&self) -> String {
        let id = |letter: char| letter.to_string().repeat(40);
        let (id2, second) = self
            .parent
            .map_or((id('0'), -1), |(letter, second)| (id(letter), i64::try_from(second).unwrap()));
        let (own_id, offset) = (id(self.id), self.offset);
        let common = format!(
            "connected_slaves:0\r\nmaster_failover_state:no-failover\r\nmaster_replid:{own_id}\r\n\
             master_replid2:{id2}\r\nmaster_repl_offset:{offset}\r\nsecond_repl_offset:{second}\r\n"
        );
        if !self.replica {
            return format!("# Replication\r\nrole:master\r\n{common}");
        }
        let (link, syncing) = (self.link, u8::from(self.syncing));
        format!(
            "# Replication\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\n\
             master_link_status:{link}\r\nmaster_sync_in_progress:{syncing}\r\n\
             slave_repl_offset:{offset}\r\n{common}"
        )
    }

    fn role(&self) -> RoleReply {
        let replication = self.replication();
        match replication.link {
            None => RoleReply::Primary { offset: self.offset },
            Some(link) => {
                let offset = (link == topology::Link::Up).then_some(self.offset);
                RoleReply::Replica { link, offset }
            }
        }
    }

    fn replication(&self) -> Replication {
        Replication::parse(&Value::Bulk(self.info().into_bytes())).unwrap()
    }

    /// The answer to a probe that asks for everything.
    pub fn answer(&self) -> Answer {
        let server = format!("# Server\r\nredis_version:7.0.15\r\nrun_id:{}\r\n", self.run);
        let process = Process::parse(&Value::Bulk(server.into_bytes())).unwrap();
        Answer {
            process: Ok(Arc::new(process)),
            serving: self.serving,
            role: Ok(self.role()),
            replication: Some(Ok(self.replication())),
        }
    }

    /// The answer to a probe that asks for ROLE.
    pub fn role_answer(&self) -> Answer {
        Answer { replication: None, ..self.answer() }
    }
}

/// A pool under test, with its own clock.
pub struct Pool {
    pub state: PoolState,
    pub ids: NodeIds,
    pub now: Time,
    pub view: PoolView,
    /// Every view published so far.
    pub publications: usize,
    events: Vec<Event>,
}

pub fn server(index: usize) -> Server {
    let address = format!("10.0.0.{}:6379", index + 1);
    Server {
        name: ["a", "b", "c", "d"][index].into(),
        address: Some(Address::Tcp(address.parse().unwrap())),
        weight: 1,
        backup: false,
        zone: None,
    }
}

impl Pool {
    pub fn of(nodes: usize) -> Self {
        Self::with(nodes, Settings::default())
    }

    pub fn with(nodes: usize, settings: Settings) -> Self {
        Self::of_servers((0..nodes).map(server).collect(), settings)
    }

    pub fn of_servers(servers: Vec<Server>, settings: Settings) -> Self {
        let mut ids = NodeIds::default();
        let mut state = PoolState::new("main".into(), settings, servers, &mut ids, 7);
        let now = Time::from_millis(1000);
        let view = state.publish(now).unwrap();
        Self { state, ids, now, view, publications: 1, events: Vec::new() }
    }

    /// A primary and two replicas in its history `r`, all known.
    pub fn of_three() -> Self {
        let mut pool = Self::of(3);
        pool.all_say_the_usual();
        assert_eq!(pool.primary(), Some(A));
        pool.take_events();
        pool
    }

    pub fn all_say_the_usual(&mut self) {
        for node in [A, B, C] {
            self.says(node, usual(node));
        }
    }

    pub fn pass(&mut self, duration: Duration) {
        self.now = self.now + duration;
    }

    pub fn id(&self, node: usize) -> NodeId {
        self.view.shards[0].nodes[node].id
    }

    /// A probe of everything, answered after a millisecond.
    pub fn says(&mut self, node: usize, said: Said) {
        self.ends(node, Ok(said.answer()));
    }

    /// A probe of ROLE alone, answered after a millisecond.
    pub fn says_role(&mut self, node: usize, said: Said) {
        self.ends(node, Ok(said.role_answer()));
    }

    /// Every question is refused.
    pub fn refuses(&mut self, node: usize, refusal: Refusal) {
        let answer = Answer {
            process: Err(refusal.clone()),
            serving: Serving::Yes,
            role: Err(refusal.clone()),
            replication: Some(Err(refusal)),
        };
        self.ends(node, Ok(answer));
    }

    pub fn refused(&mut self, node: usize) {
        self.ends(node, Err(Failure::Refused));
    }

    /// So many probes in a row without an answer.
    pub fn silent(&mut self, node: usize, probes: usize) {
        for _ in 0..probes {
            self.ends(node, Err(Failure::TimedOut));
        }
    }

    /// So many probes in a row, each answered after so long.
    pub fn says_slowly(&mut self, node: usize, said: &Said, took: Duration, probes: usize) {
        for _ in 0..probes {
            self.ends_after(node, took, Ok(said.answer()));
        }
    }

    pub fn ends(&mut self, node: usize, outcome: Result<Answer, Failure>) {
        self.ends_after(node, Duration::from_millis(1), outcome);
    }

    fn ends_after(&mut self, node: usize, took: Duration, outcome: Result<Answer, Failure>) {
        let (node, sent) = (self.id(node), self.now);
        self.pass(took);
        let probed = Probed { node, sent, answered: self.now, outcome };
        self.observe(Observation::Probed(probed));
    }

    pub fn observe(&mut self, observation: Observation) {
        self.events.extend(self.state.observe(observation, self.now));
        self.publish();
    }

    pub fn resolves(&mut self, server: usize, addresses: &[&str]) {
        self.resolved(server, Ok(resolved(addresses)));
    }

    pub fn resolved(&mut self, server: usize, answer: Result<Resolved, Box<str>>) {
        self.events.extend(self.state.resolved(server, answer, &mut self.ids, self.now));
        self.publish();
    }

    pub fn publish(&mut self) {
        if let Some(view) = self.state.publish(self.now) {
            self.view = view;
            self.publications += 1;
        }
    }

    pub fn shard(&self) -> &ShardView {
        &self.view.shards[0]
    }

    pub fn node(&self, node: usize) -> &NodeView {
        &self.shard().nodes[node]
    }

    pub fn health(&self, node: usize) -> Health {
        self.node(node).health
    }

    /// The primary's index.
    pub fn primary(&self) -> Option<usize> {
        let primary = self.shard().primary?;
        self.shard().nodes.iter().position(|node| node.id == primary)
    }

    /// The indices of the nodes that may be read from.
    pub fn readable(&self) -> Vec<usize> {
        (0..self.shard().nodes.len()).filter(|node| self.node(*node).readable).collect()
    }

    pub fn why(&self) -> &str {
        &self.shard().why
    }

    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The log since it was last taken.
    pub fn take_log(&mut self) -> Vec<String> {
        self.take_events().iter().map(Event::to_string).collect()
    }

    /// Has there been such an event since they were last taken?
    pub fn happened(&self, wanted: impl Fn(&EventKind) -> bool) -> bool {
        self.events.iter().any(|event| wanted(&event.kind))
    }

    pub fn was_fenced(&self, node: usize) -> bool {
        let name = &self.node(node).name;
        self.events.iter().any(|event| {
            event.node.as_ref() == Some(name) && matches!(event.kind, EventKind::Fenced { .. })
        })
    }

    /// The loss reported since the events were last taken.
    pub fn loss(&self) -> Option<Option<u64>> {
        self.events.iter().find_map(|event| match event.kind {
            EventKind::PossibleLoss { bytes } => Some(bytes),
            _ => None,
        })
    }
}

/// These addresses, for half a minute.
pub fn resolved(addresses: &[&str]) -> Resolved {
    let address = |text: &&str| Address::Tcp(text.parse().unwrap());
    let target = |text| Target { backup: false, address: address(text) };
    Resolved {
        targets: addresses.iter().map(target).collect(),
        ttl: Duration::from_secs(30),
        complete: true,
    }
}

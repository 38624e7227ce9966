//! A pool whose authority are Sentinels: what they say, whom they move the writes to, when writes are held.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{A, B, C, Said, master, replica, usual};
use topology::{
    Answer, Event, EventKind, Failure, NodeIds, Observation, PoolState, PoolView, Probed,
    SentinelAnswer, SentinelEvent, SentinelId, SentinelObservation, SentinelSettings, Settings,
    Time,
};

const S1: u32 = 0;
const S2: u32 = 1;
const S3: u32 = 2;
const ALL: [u32; 3] = [S1, S2, S3];
const HOLD: Duration = Duration::from_secs(3);

fn node(index: usize) -> Arc<str> {
    format!("10.0.0.{}:6379", index + 1).into()
}

fn sentinel(index: u32) -> Arc<str> {
    format!("10.0.1.{}:26379", index + 1).into()
}

/// What a Sentinel says: whom it names, in which epoch; it knows the nodes a, b, c and the three Sentinels.
fn names(index: usize, epoch: u64) -> SentinelAnswer {
    SentinelAnswer {
        id: None,
        tilt: false,
        primary: node(index),
        booked: node(index),
        epoch,
        failing_over: false,
        replicas: (0..3).filter(|other| *other != index).map(node).collect(),
        peers: Vec::new(),
    }
}

struct Pool {
    state: PoolState,
    ids: NodeIds,
    now: Time,
    view: PoolView,
    events: Vec<Event>,
}

impl Pool {
    fn new() -> Self {
        let sentinels = SentinelSettings {
            master: "m".into(),
            sentinels: ALL.map(sentinel).to_vec(),
            hold: HOLD,
            nodes: Vec::new(),
        };
        let mut ids = NodeIds::default();
        let settings = Settings::default();
        let mut state = PoolState::of_sentinels("main".into(), settings, sentinels, &mut ids, 7);
        let now = Time::from_millis(1000);
        let view = state.publish(now).unwrap();
        Self { state, ids, now, view, events: Vec::new() }
    }

    /// Three Sentinels that name `a` in epoch 1, its replicas `b` and `c`, all known.
    fn of_three() -> Self {
        let mut pool = Self::new();
        pool.all_name(A, 1);
        for node in [A, B, C] {
            pool.says(node, usual(node));
        }
        assert_eq!(pool.primary(), Some(A), "{}", pool.why());
        pool.events.clear();
        pool
    }

    fn pass(&mut self, duration: Duration) {
        self.now = self.now + duration;
        let events = self.state.elapse(&mut self.ids, self.now);
        self.take(events);
    }

    fn take(&mut self, events: Vec<Event>) {
        self.events.extend(events);
        if let Some(view) = self.state.publish(self.now) {
            self.view = view;
        }
    }

    fn observe(&mut self, sentinel: u32, observation: SentinelObservation) {
        let sentinel = SentinelId(sentinel);
        let events = self.state.observe_sentinel(sentinel, observation, &mut self.ids, self.now);
        self.take(events);
    }

    /// A poll, answered after a millisecond.
    fn answers(&mut self, sentinel: u32, answer: SentinelAnswer) {
        let sent = self.now;
        self.pass(Duration::from_millis(1));
        self.observe(sentinel, SentinelObservation::Answered { sent, outcome: Ok(answer) });
    }

    fn all_name(&mut self, index: usize, epoch: u64) {
        for sentinel in ALL {
            self.answers(sentinel, names(index, epoch));
        }
    }

    fn is_silent(&mut self, sentinel: u32) {
        let outcome = Err("does not answer".into());
        self.observe(sentinel, SentinelObservation::Answered { sent: self.now, outcome });
    }

    fn publishes(&mut self, sentinel: u32, event: SentinelEvent) {
        self.observe(sentinel, SentinelObservation::Published(event));
    }

    fn says(&mut self, node: usize, said: Said) {
        self.ends(node, Ok(said.answer()));
    }

    fn ends(&mut self, node: usize, outcome: Result<Answer, Failure>) {
        let (node, sent) = (self.view.shards[0].nodes[node].id, self.now);
        self.pass(Duration::from_millis(1));
        let probed = Probed { node, sent, answered: self.now, outcome };
        let events = self.state.observe(Observation::Probed(probed), self.now);
        self.take(events);
    }

    fn primary(&self) -> Option<usize> {
        let shard = &self.view.shards[0];
        shard.nodes.iter().position(|node| Some(node.id) == shard.primary)
    }

    fn held(&self) -> Option<&str> {
        self.view.shards[0].writes_held.as_deref()
    }

    fn why(&self) -> &str {
        &self.view.shards[0].why
    }

    fn nodes(&self) -> String {
        let nodes = self.view.shards[0].nodes.iter().map(|node| node.name.to_string());
        nodes.collect::<Vec<_>>().join(" ")
    }

    /// The majority's word, as the status shows it.
    fn named(&self) -> Option<String> {
        self.view.sentinels.as_ref().unwrap().primary.as_ref().map(ToString::to_string)
    }

    fn known(&self) -> usize {
        self.view.sentinels.as_ref().unwrap().known
    }
}

/// A replica of `a` that was promoted in its own process.
fn promoted(run: &str) -> Said {
    master(run, 's', 1000).second('r', 1001)
}

// The start.

#[test]
fn nodes_are_those_that_a_majority_lists_and_the_primary_is_whom_it_names() {
    let mut pool = Pool::new();
    assert_eq!((pool.nodes().as_str(), pool.why()), ("", "waits for the Sentinels"));
    pool.answers(S1, names(A, 1));
    assert_eq!(pool.nodes(), "10.0.0.1:6379 10.0.0.2:6379 10.0.0.3:6379");
    pool.says(A, usual(A));
    pool.says(B, usual(B));
    pool.says(C, usual(C));
    // One of three is no majority.
    assert_eq!(pool.primary(), None);
    pool.answers(S2, names(A, 1));
    assert_eq!((pool.primary(), pool.why()), (Some(A), "the Sentinels name it"));
}

#[test]
fn the_named_node_must_say_master_itself() {
    let mut pool = Pool::new();
    pool.all_name(A, 1);
    pool.says(A, replica("a1", 'r', 1000));
    pool.says(B, master("b1", 's', 1000));
    assert_eq!(
        (pool.primary(), pool.why()),
        (None, "the Sentinels name 10.0.0.1:6379 (epoch 1), which does not say master")
    );
    pool.says(A, master("a1", 'r', 1000));
    assert_eq!(pool.primary(), Some(A));
}

#[test]
fn without_a_majority_at_the_start_every_node_must_follow() {
    let start = |last: Result<Answer, Failure>| {
        let mut pool = Pool::new();
        pool.answers(S1, names(A, 1));
        pool.is_silent(S2);
        pool.is_silent(S3);
        pool.says(A, usual(A));
        pool.says(B, usual(B));
        pool.ends(C, last);
        pool.primary()
    };
    assert_eq!(start(Ok(usual(C).answer())), Some(A));
    // Behind whom it does not see may be the primary that a majority names.
    assert_eq!(start(Err(Failure::Refused)), None);
}

#[test]
fn at_the_start_a_failover_is_awaited() {
    let mut pool = Pool::new();
    pool.answers(S1, SentinelAnswer { failing_over: true, ..names(A, 1) });
    pool.answers(S2, names(A, 1));
    pool.answers(S3, names(A, 1));
    pool.says(B, promoted("b1"));
    pool.says(A, usual(A));
    assert_eq!(pool.primary(), None);
    pool.all_name(B, 2);
    assert_eq!(pool.primary(), Some(B));
}

// Majorities, epochs, TILT.

#[test]
fn a_majority_with_a_higher_epoch_moves_the_writes_and_a_minority_does_not() {
    let mut pool = Pool::of_three();
    // Restarted, so that lineage proves nothing.
    pool.says(B, master("b2", 's', 1000));
    pool.answers(S1, names(B, 2));
    assert_eq!((pool.primary(), pool.named()), (Some(A), Some("10.0.0.1:6379".to_owned())));
    pool.answers(S2, names(B, 2));
    assert_eq!((pool.primary(), pool.why()), (Some(B), "the Sentinels name it"));
    assert!(pool.events.iter().any(|event| matches!(event.kind, EventKind::Named { epoch: 2 })));
}

#[test]
fn sentinels_in_tilt_do_not_count_but_are_counted() {
    let mut pool = Pool::of_three();
    pool.says(B, master("b2", 's', 1000));
    pool.answers(S1, names(B, 2));
    pool.answers(S2, SentinelAnswer { tilt: true, ..names(B, 2) });
    assert_eq!((pool.primary(), pool.named(), pool.known()), (Some(A), None, 3));
    pool.publishes(S3, SentinelEvent::Tilt(true));
    assert_eq!((pool.primary(), pool.named()), (Some(A), None));
    pool.answers(S2, names(B, 2));
    assert_eq!(pool.primary(), Some(B));
}

#[test]
fn a_word_of_a_lower_epoch_takes_nothing_from_a_living_primary() {
    let mut pool = Pool::of_three();
    pool.all_name(A, 5);
    pool.says(B, master("b2", 's', 1000));
    // They lost their state and begin with their first configuration.
    pool.all_name(B, 0);
    assert_eq!(pool.primary(), Some(A));
    pool.all_name(B, 6);
    assert_eq!(pool.primary(), Some(B));
}

#[test]
fn a_named_node_that_is_not_ready_holds_the_writes() {
    let mut pool = Pool::of_three();
    pool.all_name(B, 2);
    assert_eq!(
        (pool.primary(), pool.why()),
        (None, "the Sentinels name 10.0.0.2:6379 (epoch 2), which does not say master")
    );
    pool.says(B, promoted("b1"));
    assert_eq!(pool.primary(), Some(B));
}

#[test]
fn found_sentinels_belong_to_the_majority_and_forgotten_ones_do_not() {
    let mut pool = Pool::of_three();
    let peers: Vec<_> = (0..5).map(|peer| (sentinel(peer), format!("id{peer}").into())).collect();
    let with_peers = |epoch| SentinelAnswer { peers: peers.clone(), ..names(A, epoch) };
    pool.answers(S1, with_peers(1));
    assert_eq!((pool.known(), pool.state.sentinels().count()), (5, 5));
    pool.says(B, master("b2", 's', 1000));
    pool.answers(S1, SentinelAnswer { peers: peers.clone(), ..names(B, 2) });
    pool.answers(S2, names(B, 2));
    assert_eq!((pool.primary(), pool.named()), (Some(A), None), "two of five");
    pool.answers(3, names(B, 2));
    assert_eq!(pool.primary(), Some(B));
    pool.answers(S1, names(B, 2));
    pool.pass(Duration::from_secs(11));
    pool.answers(S1, names(B, 2));
    assert_eq!(pool.known(), 3);
}

#[test]
fn one_sentinel_at_two_addresses_has_one_vote() {
    let mut pool = Pool::of_three();
    pool.says(B, master("b2", 's', 1000));
    for sentinel in [S1, S2] {
        pool.answers(sentinel, SentinelAnswer { id: Some("same".into()), ..names(B, 2) });
    }
    assert_eq!((pool.primary(), pool.named()), (Some(A), None));
    pool.answers(S3, SentinelAnswer { id: Some("other".into()), ..names(B, 2) });
    assert_eq!(pool.primary(), Some(B));
}

#[test]
fn without_a_majority_the_present_primary_stays_while_it_continues() {
    let mut pool = Pool::of_three();
    pool.is_silent(S2);
    pool.is_silent(S3);
    assert_eq!((pool.primary(), pool.named()), (Some(A), None));
    pool.answers(S1, names(B, 9));
    pool.says(A, master("a1", 'r', 1100));
    assert_eq!(pool.primary(), Some(A));
    // Then lineage decides, as without an authority.
    pool.ends(A, Err(Failure::Refused));
    pool.says(B, promoted("b1"));
    assert_eq!(pool.primary(), None);
    pool.says(C, usual(C).link_down());
    assert_eq!(pool.primary(), Some(B));
}

// Lineage ahead of the word, and beside it.

#[test]
fn a_dead_primarys_successor_is_not_awaited_to_be_announced() {
    let mut pool = Pool::of_three();
    pool.ends(A, Err(Failure::Refused));
    pool.says(B, promoted("b1"));
    assert_eq!(
        (pool.primary(), pool.why()),
        (Some(B), "promoted, and continues 10.0.0.1:6379's data")
    );
    // The word that was overtaken moves nothing back.
    pool.all_name(A, 1);
    pool.says(A, master("a1", 'r', 1000));
    assert_eq!(pool.primary(), Some(B));
    pool.all_name(B, 2);
    assert_eq!(pool.primary(), Some(B));
}

#[test]
fn a_healthy_primary_loses_the_writes_with_the_proof_of_its_successor() {
    let mut pool = Pool::of_three();
    pool.publishes(S1, SentinelEvent::FailoverBegan(node(A)));
    assert!(pool.held().is_some());
    pool.says(B, promoted("b1"));
    assert_eq!((pool.primary(), pool.held()), (Some(B), None));
    // It says master for 11 s more, and is not believed.
    pool.says(A, master("a1", 'r', 2000));
    pool.all_name(A, 1);
    assert_eq!(pool.primary(), Some(B));
    assert!(pool.events.iter().any(|event| matches!(event.kind, EventKind::Fenced { .. })));
}

#[test]
fn a_failover_back_is_followed_at_once() {
    let mut pool = Pool::of_three();
    pool.ends(A, Err(Failure::Refused));
    pool.says(B, promoted("b1"));
    pool.all_name(B, 2);
    pool.says(A, replica("a2", 's', 1000));
    pool.publishes(S2, SentinelEvent::FailoverBegan(node(B)));
    pool.says(A, master("a2", 't', 1100).second('s', 1101));
    // No anti_flap where an authority is followed.
    assert_eq!(pool.primary(), Some(A));
}

#[test]
fn a_promotion_that_no_sentinel_knows_of_moves_nothing() {
    let mut pool = Pool::of_three();
    pool.says(B, promoted("b1"));
    // It may be that the one who leads the failover has not been heard since.
    assert_eq!(pool.primary(), None);
    assert!(pool.why().contains("waits for the word of the Sentinels"), "{}", pool.why());
    pool.answers(S1, names(A, 1));
    pool.answers(S2, names(A, 1));
    assert_eq!(pool.primary(), None);
    pool.answers(S3, names(A, 1));
    assert_eq!(pool.primary(), Some(A));
}

#[test]
fn a_promotion_is_given_time_to_be_known_where_a_sentinel_is_silent() {
    let mut pool = Pool::of_three();
    pool.is_silent(S3);
    pool.says(B, promoted("b1"));
    pool.answers(S1, names(A, 1));
    pool.answers(S2, names(A, 1));
    assert_eq!(pool.primary(), None);
    pool.pass(Duration::from_secs(4));
    pool.answers(S1, names(A, 1));
    pool.answers(S2, names(A, 1));
    assert_eq!(pool.primary(), Some(A));
}

#[test]
fn s9_a_restarted_replica_that_boots_as_master_deposes_nobody() {
    let mut pool = Pool::of_three();
    pool.says(B, promoted("b2"));
    assert_eq!(pool.primary(), Some(A));
    pool.publishes(S1, SentinelEvent::FailoverBegan(node(A)));
    pool.says(B, promoted("b2"));
    assert_eq!(pool.primary(), Some(A));
}

#[test]
fn s2_of_two_siblings_the_named_one_takes_the_writes() {
    let mut pool = Pool::of_three();
    pool.ends(A, Err(Failure::Refused));
    // Both were promoted from the old primary's data, in their processes.
    pool.says(B, promoted("b1"));
    assert_eq!(pool.primary(), Some(B));
    pool.says(A, master("a2", 'u', 1033).second('r', 1034));
    pool.says(C, master("c1", 't', 1000).second('r', 1001));
    assert_eq!(pool.primary(), Some(B));
    pool.all_name(C, 2);
    assert_eq!(pool.primary(), Some(C));
}

#[test]
fn a_restarted_primary_is_taken_back_by_lineage_and_not_because_an_old_word_names_it() {
    let mut pool = Pool::of_three();
    pool.says(A, master("a2", 'x', 0));
    assert_eq!(pool.primary(), None);
    pool.all_name(A, 1);
    assert_eq!(pool.primary(), None, "b and c have the data");
    pool.says(B, replica("b1", 'x', 0));
    pool.says(C, replica("c1", 'x', 0));
    pool.says(A, master("a2", 'x', 0));
    assert_eq!(pool.primary(), Some(A));
}

#[test]
fn an_aborted_failover_leaves_the_word_as_it_was() {
    let mut pool = Pool::of_three();
    pool.publishes(S1, SentinelEvent::FailoverBegan(node(A)));
    pool.says(B, promoted("b1"));
    assert_eq!(pool.primary(), Some(B));
    pool.publishes(S1, SentinelEvent::FailoverAborted);
    // Sentinel makes it a replica of the old primary again.
    pool.says(B, replica("b1", 'r', 1000));
    pool.says(A, master("a1", 'r', 1000));
    pool.all_name(A, 1);
    assert_eq!(pool.primary(), Some(A), "{}", pool.why());
}

// Holds.

#[test]
fn one_sentinel_suffices_to_hold_until_it_aborts() {
    let mut pool = Pool::of_three();
    pool.publishes(S3, SentinelEvent::FailoverBegan(node(A)));
    assert_eq!(
        (pool.primary(), pool.held()),
        (Some(A), Some("Sentinel 10.0.1.3:26379 is about to replace 10.0.0.1:6379"))
    );
    pool.publishes(S3, SentinelEvent::FailoverAborted);
    assert_eq!(pool.held(), None);
    // Another node's failover, or one of a Sentinel in TILT, is none of the primary's.
    pool.publishes(S3, SentinelEvent::FailoverBegan(node(B)));
    pool.publishes(S2, SentinelEvent::Tilt(true));
    pool.publishes(S2, SentinelEvent::FailoverBegan(node(A)));
    assert_eq!(pool.held(), None);
}

#[test]
fn a_failover_is_noticed_by_asking_where_its_announcement_was_missed() {
    let mut pool = Pool::of_three();
    pool.answers(S1, SentinelAnswer { failing_over: true, ..names(A, 1) });
    assert!(pool.held().is_some());
    pool.answers(S1, names(A, 1));
    assert_eq!(pool.held(), None);
    // The leader has promoted, and the others do not know it yet.
    pool.answers(S1, SentinelAnswer { booked: node(A), failing_over: true, ..names(B, 2) });
    assert!(pool.held().is_some());
}

#[test]
fn a_hold_ends_before_the_writes_that_wait_would_fail() {
    let mut pool = Pool::of_three();
    pool.publishes(S3, SentinelEvent::FailoverBegan(node(A)));
    assert!(pool.state.next_due() <= pool.now + HOLD);
    pool.pass(Duration::from_millis(2600));
    assert!(pool.held().is_some());
    pool.pass(Duration::from_millis(100));
    assert_eq!(pool.held(), None);
    // The same failover holds no second time.
    pool.publishes(S3, SentinelEvent::FailoverBegan(node(A)));
    assert_eq!(pool.held(), None);
    pool.publishes(S3, SentinelEvent::FailoverAborted);
    pool.publishes(S3, SentinelEvent::FailoverBegan(node(A)));
    assert!(pool.held().is_some());
}

// Nodes that come and go; polls.

#[test]
fn listed_nodes_are_followed_and_keep_their_order() {
    let mut pool = Pool::of_three();
    pool.ends(A, Err(Failure::Refused));
    pool.says(B, promoted("b1"));
    pool.all_name(B, 2);
    let before = pool.nodes();
    assert_eq!(before, "10.0.0.1:6379 10.0.0.2:6379 10.0.0.3:6379");
    let more = vec![node(A), node(C), "redis-4.internal:6379".into()];
    pool.answers(S1, SentinelAnswer { replicas: more, ..names(B, 2) });
    // A name is resolved first.
    assert_eq!(pool.nodes(), before);
    assert_eq!(pool.state.take_lookups(pool.now), [3]);
    let address = topology::Address::Tcp("10.0.0.4:6379".parse().unwrap());
    let targets = vec![topology::Target { backup: false, address }];
    let ttl = Duration::from_secs(30);
    let answer = topology::Resolved { targets, ttl, complete: true };
    let events = pool.state.resolved(3, Ok(answer), &mut pool.ids, pool.now);
    pool.take(events);
    assert!(pool.nodes().ends_with(" redis-4.internal:6379"), "{}", pool.nodes());
    let less = || SentinelAnswer { replicas: vec![node(C)], ..names(B, 2) };
    for sentinel in ALL {
        pool.answers(sentinel, less());
    }
    assert!(pool.nodes().contains("redis-4"));
    pool.pass(Duration::from_secs(5));
    assert_eq!(pool.nodes(), "10.0.0.2:6379 10.0.0.3:6379");
}

#[test]
fn sentinels_are_asked_every_second_and_at_once_when_something_happens() {
    let mut pool = Pool::new();
    assert_eq!(pool.state.take_polls(pool.now), ALL.map(SentinelId));
    assert_eq!(pool.state.take_polls(pool.now), []);
    pool.all_name(A, 1);
    let due = |pool: &mut Pool, after: u64| {
        pool.pass(Duration::from_millis(after));
        let polls = pool.state.take_polls(pool.now);
        for SentinelId(sentinel) in &polls {
            pool.answers(*sentinel, names(A, 1));
        }
        polls.len()
    };
    assert_eq!(due(&mut pool, 900), 0);
    assert_eq!(due(&mut pool, 100), 3);
    pool.publishes(S1, SentinelEvent::Other);
    assert_eq!(due(&mut pool, 20), 3);
    assert_eq!(due(&mut pool, 900), 0);
}

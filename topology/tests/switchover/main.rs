//! The way from one primary to the next, and the ways back: what is done after which answer.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::sync::Arc;
use std::time::Duration;

use resp::Value;
use topology::{
    Address, Ask, Cast, Do, Ending, Failure, Health, NodeId, NodeView, Outcome, Role, ShardView,
    Switchover, SwitchoverReport, Time,
};

mod by_sentinel;

const ID: &str = "b48219af8436b4c8cc0bec932911fc1462902dfd";
const OTHER: &str = "afc6dc853b926e375e10f11dfbc49a5378e50c16";

fn node(number: u8, role: Role) -> NodeView {
    let address = Address::Tcp(([10, 0, 0, number], 6379).into());
    NodeView {
        id: NodeId(u32::from(number)),
        name: address.to_string().into(),
        address,
        server: "".into(),
        health: Health::Up,
        role,
        readable: true,
        why: "answers".into(),
        since: Time::ZERO,
        proven_at: Time::ZERO,
        lag: None,
        run_id: "".into(),
        version: "".into(),
        weight: 1,
        backup: false,
        zone: None,
    }
}

/// The first is the primary.
fn shard(change: impl FnOnce(&mut Vec<NodeView>)) -> ShardView {
    let mut nodes = vec![node(1, Role::Primary), node(2, Role::Replica), node(3, Role::Replica)];
    change(&mut nodes);
    ShardView {
        primary: Some(NodeId(1)),
        writes_held: None,
        why: "".into(),
        since: Time::ZERO,
        nodes,
    }
}

fn info(text: &str) -> Value {
    Value::Bulk(format!("{text}\nmaster_replid:{ID}\n").replace('\n', "\r\n").into_bytes())
}

fn primary(offset: u64, failover: &str) -> Value {
    info(&format!(
        "role:master\nslave0:ip=10.0.0.2,port=6379,state=online,offset=1,lag=0\n\
         slave1:ip=10.0.0.3,port=6379,state=online,offset=1,lag=0\n\
         master_failover_state:{failover}\nmaster_repl_offset:{offset}"
    ))
}

fn replica(of: u8, offset: u64, failover: &str) -> Value {
    info(&format!(
        "role:slave\nmaster_host:10.0.0.{of}\nmaster_port:6379\nmaster_link_status:up\n\
         slave_repl_offset:{offset}\nmaster_failover_state:{failover}\nmaster_repl_offset:{offset}"
    ))
}

fn ok() -> Value {
    Value::Simple(b"OK".to_vec())
}

fn error(text: &str) -> Value {
    Value::Error(text.as_bytes().to_vec())
}

const CALM: &str = "no-failover";
const WAITING: &str = "waiting-for-sync";
const HANDING: &str = "failover-in-progress";

/// A switchover that a test plays the world for.
struct Play {
    machine: Switchover,
    now: u64,
    next: Do,
}

impl Play {
    fn begin() -> Self {
        let mut play = Self::unclaimed();
        play.claims(1);
        play
    }

    fn unclaimed() -> Self {
        let cast = Cast::choose(&shard(|_| ()), None).unwrap();
        assert_eq!((cast.from.node, cast.to.node), (NodeId(1), NodeId(2)));
        let mut machine = Switchover::new("main".into(), cast, Time::ZERO);
        let next = machine.next(Outcome::Begun, Time::ZERO);
        Self { machine, now: 0, next }
    }

    /// So many claim to change the primary.
    fn claims(&mut self, count: i64) {
        self.asked(1, &Ask::Claim, ok());
        let channel = Value::Bulk(b"redkeel:switchover".to_vec());
        self.asked(1, &Ask::Claims, Value::Array(vec![channel, Value::Integer(count)]));
    }

    /// Up to the hold, where nothing is unanswered.
    fn held(nudges: bool) -> Self {
        let mut play = Self::begin();
        play.asked(1, &Ask::State, primary(90, CALM));
        play.asked(2, &Ask::State, replica(1, 90, CALM));
        play.nudged(replica(1, 90, CALM), nudges);
        assert!(matches!(play.next, Do::Hold { .. }), "{:?}", play.next);
        play.after(Outcome::Drained);
        play
    }

    /// Up to the waiting for the promotion.
    fn handing() -> Self {
        let mut play = Self::held(true);
        let timeout = Duration::from_millis(300);
        let failover = Ask::Failover { host: "10.0.0.2".into(), port: 6379, timeout };
        play.asked(1, &failover, ok());
        play
    }

    fn after(&mut self, outcome: Outcome) {
        self.now += 1;
        self.next = self.machine.next(outcome, Time::from_millis(self.now));
    }

    #[track_caller]
    fn expects(&self, number: u32, asked: &Ask) {
        let Do::Ask { node, ask, .. } = &self.next else { panic!("{:?}", self.next) };
        assert_eq!((node, ask), (&NodeId(number), asked));
    }

    #[track_caller]
    fn asked(&mut self, node: u32, ask: &Ask, reply: Value) {
        self.expects(node, ask);
        self.after(Outcome::Answered(vec![reply]));
    }

    #[track_caller]
    fn silent(&mut self, node: u32, ask: &Ask, failure: Failure) {
        self.expects(node, ask);
        self.after(Outcome::Failed(failure));
    }

    #[track_caller]
    fn nudged(&mut self, state: Value, taken: bool) {
        self.expects(2, &Ask::Nudge);
        let refusal = (!taken).then(|| error("NOPERM no"));
        let pong = Value::Simple(b"PONG".to_vec());
        self.after(Outcome::Answered(refusal.into_iter().chain([state, pong]).collect()));
    }

    #[track_caller]
    fn waits(&mut self) {
        let Do::Wait(time) = self.next else { panic!("{:?}", self.next) };
        self.now += time.as_millis() as u64;
        self.after(Outcome::Waited);
    }

    /// The time in which the replica has to take over passes, and it does not.
    fn in_vain(&mut self) {
        while matches!(self.next, Do::Ask { ask: Ask::Nudge, .. } | Do::Wait(_)) {
            match self.next {
                Do::Wait(_) => self.waits(),
                _ => self.nudged(replica(1, 80, CALM), true),
            }
        }
    }

    #[track_caller]
    fn ends(&mut self, ending: Ending) -> SwitchoverReport {
        if self.next == Do::Release {
            self.after(Outcome::Released);
        }
        let Do::End(report) = &self.next else { panic!("{:?}", self.next) };
        assert_eq!(report.ending, ending, "{report:?}");
        report.clone()
    }

    /// From the promotion to the end.
    #[track_caller]
    fn completes(&mut self) -> SwitchoverReport {
        assert!(matches!(self.next, Do::Adopt { node: NodeId(2), .. }), "{:?}", self.next);
        self.after(Outcome::Adopted);
        assert_eq!(self.next, Do::Release);
        self.after(Outcome::Released);
        self.asked(1, &Ask::State, replica(2, 95, CALM));
        self.asked(3, &Ask::State, replica(1, 95, CALM));
        self.asked(3, &Ask::Follow { host: "10.0.0.2".into(), port: 6379 }, ok());
        for node in [3, 1, 2] {
            self.asked(node, &Ask::Save, ok());
        }
        self.ends(Ending::Done)
    }
}

fn steps(report: &SwitchoverReport) -> Vec<&'static str> {
    report.steps.iter().map(|(name, _)| *name).collect()
}

#[test]
fn the_primary_hands_over() {
    let mut play = Play::handing();
    play.nudged(replica(1, 90, CALM), true);
    play.waits();
    play.nudged(primary(90, CALM), true);
    let report = play.completes();
    assert_eq!(steps(&report), ["check", "hold", "promote", "release", "re-point", "save"]);
    assert_eq!((report.way, report.why, report.notes.len()), ("FAILOVER", None, 0));
    assert!(report.held.unwrap() > Duration::ZERO);
}

#[test]
fn of_two_that_change_the_primary_at_once_the_later_is_refused() {
    let mut play = Play::unclaimed();
    play.claims(2);
    let why = play.ends(Ending::Refused).why.unwrap();
    assert!(why.starts_with("another Redkeel is changing the primary"), "{why}");
    // Where it cannot be seen it is said so.
    for denied_at_once in [true, false] {
        let mut play = Play::unclaimed();
        let denied = error("NOPERM this user has no permissions");
        if !denied_at_once {
            play.asked(1, &Ask::Claim, ok());
        }
        let ask = if denied_at_once { Ask::Claim } else { Ask::Claims };
        play.asked(1, &ask, denied);
        play.asked(1, &Ask::State, primary(90, CALM));
        play.silent(2, &Ask::State, Failure::Refused);
        let report = play.ends(Ending::Refused);
        assert!(report.notes[0].contains("denies SUBSCRIBE or PUBSUB NUMSUB"), "{report:?}");
    }
    let mut play = Play::unclaimed();
    play.silent(1, &Ask::Claim, Failure::TimedOut);
    play.ends(Ending::Refused);
}

#[test]
fn where_failover_is_denied_writes_are_paused() {
    let timeout = Duration::from_millis(300);
    let failover = Ask::Failover { host: "10.0.0.2".into(), port: 6379, timeout };
    for nudges in [true, false] {
        let mut play = Play::held(nudges);
        if nudges {
            play.asked(1, &failover, error("ERR unknown command 'FAILOVER'"));
        }
        play.asked(2, &Ask::Follow { host: "10.0.0.1".into(), port: 6379 }, ok());
        play.asked(1, &Ask::Pause { time: Duration::from_secs(2) }, ok());
        play.asked(1, &Ask::State, primary(95, CALM));
        play.asked(2, &Ask::State, replica(1, 94, CALM));
        play.waits();
        play.asked(1, &Ask::State, primary(95, CALM));
        play.asked(2, &Ask::State, replica(1, 95, CALM));
        play.asked(1, &Ask::Demote { host: "10.0.0.2".into(), port: 6379 }, ok());
        play.asked(2, &Ask::Promote, ok());
        let report = play.completes();
        let expected =
            ["check", "hold", "catch up", "demote", "promote", "release", "re-point", "save"];
        assert_eq!(steps(&report), expected);
        assert_eq!(report.way, "PAUSE");
    }
}

#[test]
fn where_both_are_denied_nothing_is_changed() {
    let denied = error("ERR unknown command 'REPLICAOF'");
    let mut play = Play::held(false);
    play.asked(2, &Ask::Follow { host: "10.0.0.1".into(), port: 6379 }, denied);
    let report = play.ends(Ending::Refused);
    assert!(report.why.unwrap().contains("neither FAILOVER nor REPLICAOF"));

    // The primary queues no REPLICAOF, and EXEC fails: its writes go on.
    let mut play = Play::held(false);
    play.asked(2, &Ask::Follow { host: "10.0.0.1".into(), port: 6379 }, ok());
    play.asked(1, &Ask::Pause { time: Duration::from_secs(2) }, ok());
    play.asked(1, &Ask::State, primary(95, CALM));
    play.asked(2, &Ask::State, replica(1, 95, CALM));
    let aborted = error("EXECABORT Transaction discarded");
    play.asked(1, &Ask::Demote { host: "10.0.0.2".into(), port: 6379 }, aborted);
    play.asked(1, &Ask::Unpause, ok());
    play.ends(Ending::Refused);
}

#[test]
fn what_is_not_as_it_was_seen_is_refused_before_anything_is_held() {
    let second = |reply: Value| {
        let mut play = Play::begin();
        play.asked(1, &Ask::State, primary(90, CALM));
        play.asked(2, &Ask::State, reply);
        assert!(matches!(play.next, Do::End(_)), "{:?}", play.next);
        play.ends(Ending::Refused).why.unwrap()
    };
    assert!(second(primary(1, CALM)).contains("is not in step"));
    let Value::Bulk(text) = replica(1, 90, CALM) else { unreachable!() };
    let other = String::from_utf8(text).unwrap().replace(ID, OTHER);
    assert!(second(Value::Bulk(other.into_bytes())).contains("is not in step"));
    assert!(second(error("NOPERM no")).contains("NOPERM"));

    let mut play = Play::begin();
    play.asked(1, &Ask::State, primary(90, WAITING));
    assert!(play.ends(Ending::Refused).why.unwrap().contains("about to hand over"));
    let mut play = Play::begin();
    play.silent(1, &Ask::State, Failure::TimedOut);
    assert!(play.ends(Ending::Refused).why.unwrap().contains("does not answer"));
    // The only replica of the primary need not be this one.
    let mut play = Play::begin();
    let only = info(
        "role:master\nslave0:ip=10.0.0.9,port=6379,state=online,offset=1,lag=0\nmaster_repl_offset:9",
    );
    play.asked(1, &Ask::State, only);
    play.asked(2, &Ask::State, replica(9, 9, CALM));
    assert!(play.ends(Ending::Refused).why.unwrap().contains("does not list"));
}

#[test]
fn writes_that_are_not_answered_in_time_end_it() {
    let mut play = Play::begin();
    play.asked(1, &Ask::State, primary(90, CALM));
    play.asked(2, &Ask::State, replica(1, 90, CALM));
    play.nudged(replica(1, 90, CALM), true);
    play.after(Outcome::Undrained(Some(3)));
    assert_eq!(play.next, Do::Release);
    let report = play.ends(Ending::Aborted);
    assert!(report.why.unwrap().starts_with("3 writes are still unanswered"));
}

#[test]
fn the_server_gives_up_by_itself() {
    let mut play = Play::handing();
    play.in_vain();
    play.asked(2, &Ask::State, replica(1, 80, CALM));
    play.asked(1, &Ask::State, primary(95, WAITING));
    play.waits();
    play.asked(2, &Ask::State, replica(1, 80, CALM));
    play.asked(1, &Ask::State, primary(95, CALM));
    let report = play.ends(Ending::Aborted);
    assert!(report.why.unwrap().contains("is still the primary"));
}

#[test]
fn a_promotion_that_comes_late_is_one() {
    let mut play = Play::handing();
    play.in_vain();
    play.asked(2, &Ask::State, primary(90, CALM));
    play.completes();
}

#[test]
fn it_is_undone_only_when_the_target_is_proven_not_to_be_promoted() {
    let mut play = Play::handing();
    play.in_vain();
    // The target says nothing: nothing is undone.
    for _ in 0..5 {
        play.silent(2, &Ask::State, Failure::TimedOut);
        play.asked(1, &Ask::State, replica(2, 90, HANDING));
        play.waits();
    }
    for _ in 0..2 {
        play.asked(2, &Ask::State, replica(1, 90, CALM));
        play.asked(1, &Ask::State, replica(2, 90, HANDING));
        if matches!(play.next, Do::Wait(_)) {
            play.waits();
        }
    }
    play.asked(1, &Ask::FailoverAbort, ok());
    play.waits();
    play.asked(2, &Ask::State, replica(1, 90, CALM));
    play.asked(1, &Ask::State, primary(90, CALM));
    play.ends(Ending::Aborted);
}

#[test]
fn a_target_that_never_says_what_it_is_leaves_it_unclear() {
    let mut play = Play::handing();
    play.in_vain();
    while !matches!(play.next, Do::Release) {
        play.silent(2, &Ask::State, Failure::TimedOut);
        play.now += 200;
        play.asked(1, &Ask::State, replica(2, 90, HANDING));
        if matches!(play.next, Do::Wait(_)) {
            play.waits();
        }
        assert!(play.now < 12_000);
    }
    let report = play.ends(Ending::Unclear);
    assert!(report.why.unwrap().contains("send FAILOVER ABORT"));
}

#[test]
fn a_primary_that_dies_on_the_way_is_left_to_the_usual_rules() {
    let mut play = Play::handing();
    play.in_vain();
    play.asked(2, &Ask::State, replica(1, 90, CALM));
    play.silent(1, &Ask::State, Failure::Refused);
    play.ends(Ending::Unclear);
}

#[test]
fn a_paused_primary_is_made_one_again_when_the_target_is_none() {
    let mut play = Play::held(false);
    play.asked(2, &Ask::Follow { host: "10.0.0.1".into(), port: 6379 }, ok());
    play.asked(1, &Ask::Pause { time: Duration::from_secs(2) }, ok());
    play.asked(1, &Ask::State, primary(95, CALM));
    play.asked(2, &Ask::State, replica(1, 95, CALM));
    play.asked(1, &Ask::Demote { host: "10.0.0.2".into(), port: 6379 }, ok());
    play.silent(2, &Ask::Promote, Failure::TimedOut);
    for _ in 0..2 {
        play.asked(2, &Ask::State, replica(1, 95, CALM));
        play.asked(1, &Ask::State, replica(2, 95, CALM));
        if matches!(play.next, Do::Wait(_)) {
            play.waits();
        }
    }
    play.asked(1, &Ask::Promote, ok());
    play.waits();
    play.asked(2, &Ask::State, replica(1, 95, CALM));
    play.asked(1, &Ask::State, primary(95, CALM));
    play.asked(1, &Ask::Unpause, ok());
    play.ends(Ending::Aborted);
}

#[test]
fn a_promotion_that_is_not_recognized_is_said_so() {
    let mut play = Play::handing();
    play.nudged(primary(90, CALM), true);
    play.after(Outcome::NotAdopted("two nodes say master".to_owned()));
    let report = play.ends(Ending::Unclear);
    assert!(report.why.unwrap().contains("two nodes say master"));
}

#[test]
fn what_does_not_follow_afterwards_is_noted() {
    let mut play = Play::handing();
    play.nudged(primary(90, CALM), true);
    play.after(Outcome::Adopted);
    play.after(Outcome::Released);
    play.asked(1, &Ask::State, replica(2, 95, CALM));
    play.silent(3, &Ask::State, Failure::TimedOut);
    for node in [1, 2] {
        play.asked(node, &Ask::Save, error("ERR The server is running without a config file"));
    }
    let report = play.ends(Ending::Done);
    assert_eq!(report.notes.len(), 3, "{:?}", report.notes);
    assert!(report.notes[0].starts_with("10.0.0.3:6379 does not answer"));
}

#[test]
fn the_fittest_replica_is_chosen_and_an_unfit_one_is_not() {
    let lag = |bytes| Some(topology::Lag { bytes, time: Duration::ZERO });
    type Change = fn(&mut Vec<NodeView>);
    let chosen = |change: Change, to: Option<&str>| {
        Cast::choose(&shard(change), to).map(|cast| cast.to.node.0)
    };
    let behind = shard(|nodes| (nodes[1].lag, nodes[2].lag) = (lag(10), lag(5)));
    assert_eq!(Cast::choose(&behind, None).unwrap().to.node, NodeId(3));
    assert_eq!(Cast::choose(&behind, Some("10.0.0.2:6379")).unwrap().to.node, NodeId(2));
    assert_eq!(chosen(|nodes| nodes[1].backup = true, None), Ok(3));
    assert_eq!(chosen(|nodes| nodes[1].backup = true, Some("10.0.0.2:6379")), Ok(2));
    assert_eq!(chosen(|nodes| nodes[1].weight = 0, None), Ok(3));
    assert_eq!(chosen(|nodes| nodes[1].readable = false, None), Ok(3));
    let named: [(Change, &str); 4] = [
        (|nodes| nodes[1].weight = 0, "its weight is 0"),
        (|nodes| nodes[1].health = Health::Down, "it is down: answers"),
        (|nodes| nodes[1].readable = false, "it takes no reads: answers"),
        (|nodes| nodes[1].role = Role::Primary, "its role is primary"),
    ];
    for (change, why) in named {
        let error = chosen(change, Some("10.0.0.2:6379")).unwrap_err();
        assert_eq!(error, format!("10.0.0.2:6379 cannot become the primary: {why}"));
    }
    let none = chosen(|nodes| nodes.iter_mut().for_each(|node| node.backup = true), None);
    assert!(none.unwrap_err().contains("is a backup"));
    assert_eq!(chosen(|nodes| nodes.truncate(1), None), Err("it has no replica".to_owned()));
    assert!(chosen(|_| (), Some("10.0.0.1:6379")).unwrap_err().contains("the primary already"));
    let mut headless = shard(|_| ());
    (headless.primary, headless.why) = (None, Arc::from("nobody says master"));
    assert!(Cast::choose(&headless, None).unwrap_err().contains("nobody says master"));
}

//! Where a Sentinel chooses the next primary.

use std::time::Duration;

use resp::Value;
use topology::{
    Ask, Cast, Do, Ending, Failure, NodeId, Outcome, SentinelView, SentinelsView, ShardView,
    Switchover, Time,
};

use super::{CALM, Play, error, ok, primary, replica, shard, steps};

fn sentinels() -> SentinelsView {
    let one = |name: &str, agrees| SentinelView {
        name: name.into(),
        configured: true,
        answers: agrees,
        agrees,
        tilt: false,
        failing_over: false,
        primary: None,
        epoch: 1,
        why: "".into(),
    };
    SentinelsView {
        master: "m".into(),
        primary: Some("10.0.0.1:6379".into()),
        epoch: 1,
        known: 3,
        needed: 2,
        why: "".into(),
        sentinels: vec![one("10.0.0.7:26379", false), one("10.0.0.8:26379", true)],
    }
}

/// The replicas as a Sentinel knows them: number, flags, priority.
fn known(replicas: &[(u8, &str, &str)]) -> Value {
    let bulk = |text: &str| Value::Bulk(text.as_bytes().to_vec());
    let entry = |(number, flags, priority): &(u8, &str, &str)| {
        let ip = format!("10.0.0.{number}");
        let fields =
            ["ip", &ip, "port", "6379", "flags", flags, "slave-priority", priority].map(bulk);
        Value::Array(fields.to_vec())
    };
    Value::Array(replicas.iter().map(entry).collect())
}

const BOTH: [(u8, &str, &str); 2] = [(2, "slave", "100"), (3, "slave,disconnected", "100")];

impl Play {
    fn elected(to: Option<&str>, replicas: &[(u8, &str, &str)]) -> Self {
        let cast = Cast::by_sentinel(&shard(|_| ()), &sentinels(), to).unwrap();
        let mut machine = Switchover::new("main".into(), cast, Time::ZERO);
        let next = machine.next(Outcome::Begun, Time::ZERO);
        let mut play = Self { machine, now: 0, next };
        play.claims(1);
        play.asked(1, &Ask::State, primary(90, CALM));
        play.told(&Ask::Candidates { master: "m".into() }, known(replicas));
        play
    }

    /// Up to the order, with two candidates.
    fn ordered(reply: Value) -> Self {
        let mut play = Self::elected(None, &BOTH);
        play.asked(2, &Ask::State, replica(1, 80, CALM));
        play.asked(3, &Ask::State, replica(1, 70, CALM));
        play.asked(1, &Ask::RehearseDemotion, ok());
        assert!(matches!(play.next, Do::Hold { .. }), "{:?}", play.next);
        play.after(Outcome::Drained);
        play.asked(1, &Ask::Pause { time: Duration::from_secs(2) }, ok());
        // The second has not everything yet.
        play.asked(1, &Ask::State, primary(95, CALM));
        play.asked(2, &Ask::State, replica(1, 95, CALM));
        play.asked(3, &Ask::State, replica(1, 94, CALM));
        play.waits();
        play.asked(1, &Ask::State, primary(95, CALM));
        play.asked(2, &Ask::State, replica(1, 95, CALM));
        play.asked(3, &Ask::State, replica(1, 95, CALM));
        play.told(&Ask::Elect { master: "m".into() }, reply);
        play
    }

    #[track_caller]
    fn told(&mut self, expected: &Ask, reply: Value) {
        let Do::AskSentinel { ask, .. } = &self.next else { panic!("{:?}", self.next) };
        assert_eq!(ask, expected);
        self.after(Outcome::Answered(vec![reply]));
    }
}

#[test]
fn whom_the_sentinel_promotes_is_followed_and_the_old_primary_demoted_at_once() {
    let mut play = Play::ordered(ok());
    // Sentinel cuts the connections of whom it promotes.
    play.asked(2, &Ask::State, replica(1, 95, CALM));
    play.silent(3, &Ask::State, Failure::Lost);
    play.waits();
    play.asked(2, &Ask::State, replica(1, 95, CALM));
    play.asked(3, &Ask::State, primary(95, CALM));
    play.asked(1, &Ask::Demote { host: "10.0.0.3".into(), port: 6379 }, ok());
    assert!(matches!(play.next, Do::Adopt { node: NodeId(3), .. }), "{:?}", play.next);
    play.after(Outcome::Adopted);
    play.after(Outcome::Released);
    // The Sentinel does the rest, but finds the old primary a replica already.
    play.asked(1, &Ask::Save, ok());
    let report = play.ends(Ending::Done);
    assert_eq!(report.to.as_deref(), Some("10.0.0.3:6379"));
    assert_eq!((report.way, report.notes.len()), ("SENTINEL", 0), "{:?}", report.notes);
    let expected = ["check", "hold", "catch up", "promote", "demote", "release", "save"];
    assert_eq!(steps(&report), expected);
}

#[test]
fn a_primary_that_is_not_demoted_at_once_is_noted() {
    let mut play = Play::ordered(ok());
    play.asked(2, &Ask::State, primary(95, CALM));
    let demote = Ask::Demote { host: "10.0.0.2".into(), port: 6379 };
    play.silent(1, &demote, Failure::TimedOut);
    play.after(Outcome::Adopted);
    play.after(Outcome::Released);
    play.silent(1, &Ask::Save, Failure::TimedOut);
    let report = play.ends(Ending::Done);
    assert!(report.notes[0].contains("was not made a replica at once"), "{:?}", report.notes);
}

#[test]
fn what_the_sentinel_refuses_is_undone() {
    let refusal = "NOGOODSLAVE No suitable replica to promote";
    let mut play = Play::ordered(error(refusal));
    play.asked(1, &Ask::Unpause, ok());
    assert_eq!(play.next, Do::Release);
    let report = play.ends(Ending::Refused);
    assert!(report.why.unwrap().contains(refusal));
}

#[test]
fn where_nobody_is_promoted_in_time_the_primary_goes_on() {
    let mut play = Play::ordered(ok());
    while matches!(play.next, Do::Ask { ask: Ask::State, .. } | Do::Wait(_)) {
        match play.next {
            Do::Wait(_) => play.waits(),
            _ => play.after(Outcome::Answered(vec![replica(1, 95, CALM)])),
        }
        assert!(play.now < 2_000);
    }
    play.asked(1, &Ask::Unpause, ok());
    let report = play.ends(Ending::Unclear);
    assert!(report.why.unwrap().contains("may still promote one"));
    assert_eq!(report.to, None);
}

#[test]
fn an_order_without_an_answer_may_have_been_taken() {
    let mut play = Play::elected(None, &BOTH[..1]);
    play.asked(2, &Ask::State, replica(1, 90, CALM));
    play.asked(1, &Ask::RehearseDemotion, ok());
    play.after(Outcome::Drained);
    play.asked(1, &Ask::Pause { time: Duration::from_secs(2) }, ok());
    play.asked(1, &Ask::State, primary(95, CALM));
    play.asked(2, &Ask::State, replica(1, 95, CALM));
    assert!(matches!(play.next, Do::AskSentinel { .. }), "{:?}", play.next);
    play.after(Outcome::Failed(Failure::TimedOut));
    play.asked(2, &Ask::State, replica(1, 95, CALM));
    // One that was out of the question is looked at as well.
    play.asked(3, &Ask::State, primary(95, CALM));
    play.asked(1, &Ask::Demote { host: "10.0.0.3".into(), port: 6379 }, ok());
    assert!(matches!(play.next, Do::Adopt { node: NodeId(3), .. }), "{:?}", play.next);
}

#[test]
fn a_primary_that_cannot_be_demoted_is_not_replaced() {
    let begin = || {
        let mut play = Play::elected(None, &BOTH[..1]);
        play.asked(2, &Ask::State, replica(1, 90, CALM));
        play
    };
    let mut play = begin();
    play.asked(1, &Ask::RehearseDemotion, error("NOPERM no"));
    assert!(play.ends(Ending::Refused).why.unwrap().contains("would not let itself be demoted"));
    let mut play = begin();
    play.silent(1, &Ask::RehearseDemotion, Failure::TimedOut);
    play.ends(Ending::Refused);
}

#[test]
fn a_primary_that_cannot_be_paused_keeps_its_role() {
    let begin = || {
        let mut play = Play::elected(None, &BOTH[..1]);
        play.asked(2, &Ask::State, replica(1, 90, CALM));
        play.asked(1, &Ask::RehearseDemotion, ok());
        play.after(Outcome::Drained);
        play
    };
    let pause = Ask::Pause { time: Duration::from_secs(2) };
    let mut play = begin();
    play.asked(1, &pause, error("NOPERM no"));
    assert!(play.ends(Ending::Refused).why.unwrap().contains("does not allow CLIENT PAUSE"));
    let mut play = begin();
    play.silent(1, &pause, Failure::TimedOut);
    play.asked(1, &Ask::Unpause, ok());
    play.ends(Ending::Aborted);
    let mut play = begin();
    play.asked(1, &pause, ok());
    play.asked(1, &Ask::State, primary(95, CALM));
    while !matches!(play.next, Do::Ask { ask: Ask::Unpause, .. }) {
        match play.next {
            Do::Wait(_) => play.waits(),
            Do::Ask { node: NodeId(1), .. } => play.asked(1, &Ask::State, primary(95, CALM)),
            _ => play.asked(2, &Ask::State, replica(1, 94, CALM)),
        }
    }
    play.asked(1, &Ask::Unpause, ok());
    assert!(play.ends(Ending::Aborted).why.unwrap().contains("did not catch up"));
}

#[test]
fn whom_the_sentinel_may_choose_must_be_fit() {
    let refused = |to: Option<&str>, replicas: &[(u8, &str, &str)]| {
        let mut play = Play::elected(to, replicas);
        play.ends(Ending::Refused).why.unwrap()
    };
    let two = Some("10.0.0.2:6379");
    assert!(refused(two, &BOTH).contains("Sentinel chooses who becomes the primary"));
    let other = [(2, "slave", "0"), (3, "slave", "100")];
    assert!(refused(two, &other).contains("would not promote 10.0.0.2:6379"));
    let none = [(2, "slave,s_down", "100"), (3, "slave", "0")];
    assert!(refused(None, &none).contains("knows no replica"));
    let old_books = [(1, "slave", "100"), BOTH[0]];
    assert!(refused(None, &old_books).contains("is not done with a failover"));
    assert!(refused(None, &[(9, "slave", "100")]).contains("no node of this pool"));

    // The only one there is may be named.
    let mut play = Play::elected(two, &[BOTH[0], (3, "slave,s_down,disconnected", "100")]);
    play.expects(2, &Ask::State);
    play.silent(2, &Ask::State, Failure::TimedOut);
    assert!(play.ends(Ending::Refused).why.unwrap().contains("Sentinel may promote it"));

    let refusal = error("ERR No such master with that name");
    let cast = Cast::by_sentinel(&shard(|_| ()), &sentinels(), None).unwrap();
    let mut machine = Switchover::new("main".into(), cast, Time::ZERO);
    let next = machine.next(Outcome::Begun, Time::ZERO);
    let mut play = Play { machine, now: 0, next };
    play.claims(1);
    play.asked(1, &Ask::State, primary(90, CALM));
    play.told(&Ask::Candidates { master: "m".into() }, refusal);
    assert!(play.ends(Ending::Refused).why.unwrap().contains("knows no master m"));
}

#[test]
fn nothing_is_ordered_from_sentinels_that_do_not_agree() {
    let why = |shard: &ShardView, change: fn(&mut SentinelsView), to| {
        let mut view = sentinels();
        change(&mut view);
        Cast::by_sentinel(shard, &view, to).unwrap_err()
    };
    let calm = shard(|_| ());
    assert!(why(&calm, |view| view.primary = None, None).contains("no majority of Sentinels"));
    let other = why(&calm, |view| view.primary = Some("10.0.0.2:6379".into()), None);
    assert!(other.contains("the Sentinels name 10.0.0.2:6379"));
    assert!(why(&calm, |view| view.sentinels.clear(), None).contains("no Sentinel answers"));
    let busy = why(&calm, |view| view.sentinels[1].failing_over = true, None);
    assert!(busy.contains("10.0.0.8:26379 is not done with a failover"));
    assert!(why(&calm, |_| (), Some("10.0.0.1:6379")).contains("the primary already"));
    let alone = shard(|nodes| nodes.truncate(1));
    assert!(why(&alone, |_| (), None).contains("no replica"));
    let mut held = shard(|_| ());
    held.writes_held = Some("Sentinel is about to replace it".into());
    assert!(why(&held, |_| (), None).contains("being replaced already"));
}

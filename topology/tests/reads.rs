//! Which nodes take reads.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use std::time::Duration;

use common::{A, B, C, Pool, Said, master, replica, server, usual};
use topology::{EventKind, Refusal, Serving, Settings};

/// A primary at 1000 of `r` and a healthy replica C; B says this. Does B take reads, and why (not)?
fn judged(b: Said) -> (bool, String) {
    let mut pool = Pool::of(3);
    pool.says(C, replica("c1", 'r', 1000));
    pool.says(B, b);
    pool.says(A, master("a1", 'r', 1000).second('q', 501));
    assert_eq!(pool.primary().is_some(), pool.why() != "starts", "{}", pool.why());
    (pool.node(B).readable, pool.node(B).why.to_string())
}

#[test]
fn why_a_replica_takes_reads_or_not() {
    for (b, readable, why) in [
        (replica("b1", 'r', 1000), true, "replica"),
        (replica("b1", 'r', 1), true, "replica"),
        (replica("b1", 'r', 1000).link_down(), false, "its link to the primary is down"),
        (replica("b1", 'r', 1000).syncing(), false, "receives a full copy from its primary"),
        (replica("b1", 'r', 1000).serving(Serving::Loading), false, "is loading its data"),
        (
            replica("b1", 'r', 1000).serving(Serving::MasterDown),
            false,
            "refuses reads while its link is down (MASTERDOWN)",
        ),
        (replica("b1", 'r', 1000).serving(Serving::Busy), false, "is busy with a script (BUSY)"),
        (replica("b1", 'x', 0), false, "has data of another history than the primary's"),
        (replica("b1", 'q', 400), true, "replica"),
    ] {
        assert_eq!(judged(b.clone()), (readable, why.to_owned()), "{b:?}");
    }
}

#[test]
fn a_node_that_refuses_to_say_what_it_is_takes_none() {
    for (refusal, why) in [
        (Refusal::NoAuth, "asks for a password (NOAUTH): set upstream.password"),
        (
            Refusal::WrongPass,
            "refuses the credentials (WRONGPASS): correct upstream.username and upstream.password",
        ),
        (Refusal::Sentinel, "is a Sentinel, not a data node: remove it from servers"),
        (Refusal::Malformed("run_id"), "does not answer as Redis does: no run_id in its reply"),
    ] {
        let mut pool = Pool::of_three();
        pool.refuses(B, refusal);
        assert_eq!(pool.readable(), [A, C]);
        assert_eq!(&*pool.node(B).why, why);
        let silent = |kind: &EventKind| matches!(kind, EventKind::Silent { .. });
        assert!(pool.happened(silent));
        assert_eq!(pool.take_events().iter().filter(|event| event.is_warning()).count(), 1);
    }
}

#[test]
fn a_broken_link_counts_once_the_primary_has_answered_since() {
    let mut pool = Pool::of_three();
    pool.says(B, replica("b1", 'r', 1000).link_down());
    assert_eq!(pool.readable(), [A, B, C]);
    pool.says(A, master("a1", 'r', 1000));
    assert_eq!(pool.readable(), [A, C]);
    pool.says(B, replica("b1", 'r', 1010));
    assert_eq!(pool.readable(), [A, B, C]);
}

#[test]
fn replicas_go_on_serving_when_the_primary_is_gone() {
    let mut pool = Pool::of_three();
    pool.says(B, replica("b1", 'r', 1000).link_down());
    pool.refused(A);
    pool.says(C, replica("c1", 'r', 1000).link_down());
    pool.says(B, replica("b1", 'r', 1000).link_down());
    assert_eq!(pool.readable(), [B, C]);
    // Fenced, it is no reason to stop either.
    pool.says(A, master("a2", 'x', 0));
    pool.says(B, replica("b1", 'r', 1000).link_down());
    assert_eq!((pool.primary(), pool.readable()), (None, vec![B, C]));
}

#[test]
fn after_a_move_the_replica_that_was_not_told_yet_serves_until_it_is_too_old() {
    let mut pool = Pool::of_three();
    pool.refused(A);
    pool.says(B, master("b1", 's', 1000).second('r', 1001));
    pool.says(C, replica("c1", 'r', 990).link_down());
    assert_eq!((pool.primary(), pool.readable()), (Some(B), vec![B, C]));
    for _ in 0..12 {
        pool.pass(Duration::from_secs(1));
        pool.says(B, master("b1", 's', 1100).second('r', 1001));
        pool.says(C, replica("c1", 'r', 990).link_down());
    }
    assert_eq!(pool.readable(), [B]);
    assert_eq!(&*pool.node(C).why, "lags by more than max_lag (10s)");
    pool.says(C, replica("c1", 's', 1100));
    assert_eq!(pool.readable(), [B, C]);
}

/// As all replicas of a dead primary, it goes back to that one as soon as it returns, and takes what it has.
#[test]
fn after_a_move_the_return_of_the_old_primary_ends_the_reads_of_who_still_follows_it() {
    let mut pool = Pool::of_three();
    pool.refused(A);
    pool.says(B, master("b1", 's', 1000).second('r', 1001));
    pool.says(C, replica("c1", 'r', 990).link_down());
    assert_eq!(pool.readable(), [B, C]);
    // The first good probe suffices, though the node is not up before the second.
    pool.says(A, master("a2", 'x', 0));
    assert_eq!(pool.readable(), [B]);
    pool.says(C, replica("c1", 's', 1000));
    assert_eq!(pool.readable(), [B, C]);
}

#[test]
fn a_new_link_may_have_brought_another_history() {
    for (before, after) in [
        (replica("b1", 'r', 1000).link_down(), replica("b1", 'r', 1010)),
        (replica("b1", 'r', 1000), replica("b1", 'r', 14)),
    ] {
        let mut pool = Pool::of_three();
        pool.says(B, before);
        pool.says_role(B, after.clone());
        assert_eq!(pool.readable(), [A, C]);
        assert_eq!(&*pool.node(B).why, "has not told its history yet");
        pool.says(B, after);
        assert_eq!(pool.readable(), [A, B, C]);
    }
}

#[test]
fn a_replica_that_goes_on_with_the_old_primary_is_not_of_the_new_ones_history() {
    let mut pool = Pool::of_three();
    pool.says(B, master("b1", 's', 1000).second('r', 1001));
    pool.says(C, replica("c1", 'r', 1200));
    assert_eq!((pool.primary(), pool.readable()), (Some(B), vec![B]));
}

#[test]
fn one_that_follows_a_promoted_node_serves_while_that_is_not_accepted() {
    let mut pool = Pool::of_three();
    pool.refused(A);
    pool.says(C, replica("c1", 's', 1000).second('r', 1001));
    assert_eq!((pool.primary(), pool.readable()), (None, vec![B, C]));
}

/// The primary writes 100 bytes every 200 ms, B has them all, and C has none of them.
fn with_c_lagging(settings: Settings, duration: Duration) -> Pool {
    let mut pool = Pool::with(3, settings);
    let steps = duration.as_millis() / 200;
    for step in 0..=u64::try_from(steps).unwrap() {
        pool.says(A, master("a1", 'r', 1000 + step * 100));
        pool.says(B, replica("b1", 'r', 1000 + step * 100));
        pool.says(C, replica("c1", 'r', 1000));
        pool.pass(Duration::from_millis(197));
    }
    pool
}

#[test]
fn a_replica_that_lags_too_much_takes_no_reads_while_another_can() {
    let pool = with_c_lagging(Settings::default(), Duration::from_secs(9));
    assert_eq!(pool.readable(), [A, B, C]);
    let mut pool = with_c_lagging(Settings::default(), Duration::from_secs(12));
    assert_eq!(pool.readable(), [A, B]);
    let lag = pool.node(C).lag.unwrap();
    assert!(lag.bytes >= 5000 && lag.time >= Duration::from_secs(11), "{lag:?}");
    assert_eq!(pool.node(B).lag.unwrap().bytes, 0);
    assert_eq!(pool.node(A).lag, None);
    // Alone, it is better than nothing.
    pool.refused(B);
    assert_eq!(pool.readable(), [A]);
    pool.refused(A);
    assert_eq!(pool.readable(), [C]);
}

#[test]
fn where_the_primary_takes_no_reads_it_is_not_the_fitter_node() {
    let settings = Settings { primary_takes_reads: false, ..Settings::default() };
    let mut pool = with_c_lagging(settings, Duration::from_secs(12));
    assert_eq!(pool.readable(), [A, B]);
    pool.refused(B);
    assert_eq!(pool.readable(), [A, C]);
}

#[test]
fn without_a_primary_lag_is_measured_against_the_most_advanced_replica() {
    let mut pool = with_c_lagging(Settings::default(), Duration::from_secs(12));
    let b = replica("b1", 'r', 7000).link_down();
    pool.refused(A);
    pool.says(B, b.clone());
    assert_eq!(pool.node(B).lag.unwrap().bytes, 0);
    pool.pass(Duration::from_secs(60));
    pool.says(B, b);
    pool.says(C, replica("c1", 'r', 1000).link_down());
    assert_eq!(pool.node(B).lag.unwrap().time, Duration::ZERO);
    assert_eq!(pool.node(C).lag.unwrap().bytes, 6000);
    assert_eq!(pool.readable(), [B]);
}

#[test]
fn a_restarted_replica_takes_reads_when_its_link_is_up() {
    let mut pool = Pool::of_three();
    pool.refused(B);
    assert_eq!(pool.readable(), [A, C]);
    let back = |offset| replica("b2", 'r', offset);
    pool.says(B, back(900).link_down().serving(Serving::Loading));
    pool.says(B, back(900).link_down());
    assert_eq!(&*pool.node(B).why, "its link to the primary is down");
    assert_eq!(pool.readable(), [A, C]);
    pool.says(B, back(1000));
    assert_eq!(pool.readable(), [A, B, C]);
    assert_eq!(
        pool.take_log(),
        [
            "b is down: it refuses connections",
            "b is up, role replica, takes no reads yet",
            "b takes reads",
        ]
    );
}

const SLOW: Duration = Duration::from_millis(150);
const FAST: Duration = Duration::from_millis(1);

/// All have answered some probes in a millisecond.
fn all_fast(settings: Settings) -> Pool {
    let mut pool = Pool::with(3, settings);
    for node in [A, B, C] {
        pool.says_slowly(node, &usual(node), FAST, 5);
    }
    assert_eq!(pool.readable(), [A, B, C]);
    pool
}

#[test]
fn a_replica_that_answers_far_more_slowly_than_the_others_takes_none_until_it_is_fast_again() {
    let mut pool = all_fast(Settings::default());
    pool.says_slowly(B, &usual(B), SLOW, 2);
    assert_eq!(pool.readable(), [A, B, C]);
    pool.says_slowly(B, &usual(B), SLOW, 1);
    assert_eq!(pool.readable(), [A, C]);
    assert_eq!(&*pool.node(B).why, "answers far more slowly than its peers");
    pool.says_slowly(B, &usual(B), FAST, 3);
    assert_eq!(pool.readable(), [A, B, C]);
}

#[test]
fn the_last_replica_is_used_however_slow_it_is_and_the_primary_too() {
    let settings = Settings { primary_takes_reads: false, ..Settings::default() };
    let mut pool = all_fast(settings);
    pool.says_slowly(B, &usual(B), SLOW, 3);
    assert_eq!(pool.readable(), [A, C]);
    pool.refused(C);
    assert_eq!(pool.readable(), [A, B]);
    pool.says_slowly(A, &usual(A), SLOW * 4, 5);
    assert_eq!((pool.primary(), pool.readable()), (Some(A), vec![A, B]));
}

#[test]
fn a_node_that_is_given_no_reads_leaves_none_to_others() {
    let mut servers: Vec<_> = (0..3).map(server).collect();
    servers[2].weight = 0;
    let settings = Settings { primary_takes_reads: false, ..Settings::default() };
    let mut pool = Pool::of_servers(servers, settings);
    for node in [A, B, C] {
        pool.says_slowly(node, &usual(node), FAST, 5);
    }
    pool.says_slowly(B, &usual(B), SLOW, 3);
    assert_eq!(pool.readable(), [A, B, C]);
}

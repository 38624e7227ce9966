//! Who is primary of a pool without an authority: the start, and each way in which primaries change.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use std::time::Duration;

use common::{A, B, C, Pool, master, replica, server, usual};
use topology::{EventKind, Failure, Health, Refusal, Server, Serving, Settings};

// The start.

#[test]
fn the_primary_is_the_one_that_says_master_once_all_have_answered() {
    let mut pool = Pool::of(3);
    pool.says(A, master("a1", 'r', 100));
    assert_eq!((pool.primary(), pool.why()), (None, "waits for an answer of b, c"));
    pool.says(B, replica("b1", 'r', 100));
    assert_eq!((pool.primary(), pool.why()), (None, "waits for an answer of c"));
    pool.says(C, replica("c1", 'r', 100));
    assert_eq!(pool.primary(), Some(A));
    assert_eq!(pool.readable(), [A, B, C]);
    assert!(pool.take_events().iter().all(|event| !event.is_warning()));
}

#[test]
fn one_failure_is_an_answer_too() {
    for failure in [Failure::Refused, Failure::TimedOut, Failure::Lost] {
        let mut pool = Pool::of(2);
        pool.says(A, master("a1", 'r', 100));
        pool.ends(B, Err(failure));
        assert_eq!(pool.primary(), Some(A));
    }
}

#[test]
fn a_node_that_does_not_say_what_it_is_hinders_nobody_at_the_start() {
    let mut pool = Pool::of(2);
    pool.refuses(B, Refusal::NoAuth);
    pool.says(A, master("a1", 'r', 100));
    assert_eq!(pool.primary(), Some(A));
    assert_eq!(pool.health(B), Health::Up);
    assert_eq!(&*pool.node(B).why, "asks for a password (NOAUTH): set upstream.password");
}

#[test]
fn two_masters_at_the_start_are_ambiguous_until_one_follows_the_other() {
    let mut pool = Pool::of(2);
    pool.says(A, master("a1", 'r', 100));
    pool.says(B, master("b1", 's', 100));
    assert_eq!(pool.primary(), None);
    assert_eq!(
        pool.why(),
        "a and b say master: make all but one replicas of it (REPLICAOF), or remove them from servers"
    );
    assert!(pool.happened(|kind| matches!(kind, EventKind::Ambiguous { .. })));
    pool.says(A, replica("a1", 's', 100));
    assert_eq!(pool.primary(), Some(B));
}

#[test]
fn replicas_alone_have_no_primary_and_take_reads() {
    let mut pool = Pool::of(2);
    pool.says(A, replica("a1", 'r', 100));
    pool.says(B, replica("b1", 'r', 100));
    assert_eq!((pool.primary(), pool.why()), (None, "no node says that it is master"));
    assert_eq!(pool.readable(), [A, B]);
}

#[test]
fn who_stands_how_to_the_only_master_at_the_start() {
    for (what, other, expected) in [
        ("in its history", replica("b1", 'r', 90), Some(A)),
        ("link down, in its history", replica("b1", 'r', 90).link_down(), Some(A)),
        ("receives a full copy", replica("b1", 'x', 500).syncing(), Some(A)),
        ("never received anything", replica("b1", 'x', 0).link_down(), Some(A)),
        ("loads", replica("b1", 'x', 50).link_down().serving(Serving::Loading), Some(A)),
        ("before the branch", replica("b1", 'q', 40).link_down(), Some(A)),
        ("beyond the branch", replica("b1", 'q', 41).link_down(), None),
        ("of another history", replica("b1", 'x', 50), None),
    ] {
        let mut pool = Pool::of(2);
        pool.says(A, master("a1", 'r', 100).second('q', 41));
        pool.says(B, other);
        assert_eq!(pool.primary(), expected, "{what}");
    }
}

#[test]
fn a_loading_master_is_awaited() {
    let mut pool = Pool::of(1);
    pool.says(A, master("a1", 'r', 0).serving(Serving::Loading));
    assert_eq!((pool.primary(), pool.why()), (None, "a is loading its data"));
    pool.says(A, master("a1", 'r', 100));
    assert_eq!(pool.primary(), Some(A));
}

#[test]
fn a_name_that_was_not_resolved_yet_is_awaited() {
    let named = Server { address: None, ..server(1) };
    let mut pool = Pool::of_servers(vec![server(0), named], Settings::default());
    pool.says(A, master("a1", 'r', 100));
    assert_eq!(pool.primary(), None);
    pool.resolved(1, Err("no such host".into()));
    pool.says(A, master("a1", 'r', 100));
    assert_eq!(pool.primary(), Some(A));
}

#[test]
fn two_addresses_of_one_process_are_one_primary() {
    let mut pool = Pool::of(2);
    pool.says(A, master("same", 'r', 100));
    pool.says(B, master("same", 'r', 100));
    assert_eq!(pool.primary(), Some(A));
    assert_eq!(pool.readable(), [A]);
    assert_eq!(&*pool.node(B).why, "is the same server as a");
    // The process goes on to be the primary where it can still be reached.
    pool.refused(A);
    pool.says(B, master("same", 'r', 110));
    assert_eq!(pool.primary(), Some(B));
    assert_eq!(pool.readable(), [B]);
    assert!(!pool.was_fenced(A) && !pool.was_fenced(B));
}

// Afterwards: without a promotion that lineage could prove.

#[test]
fn a_planned_failover_holds_and_then_moves() {
    let mut pool = Pool::of_three();
    pool.says_role(A, replica("a1", 'r', 1000).link_down());
    assert_eq!(pool.primary(), None);
    assert_eq!(pool.why(), "a says that it is a replica now; no node says that it is master");
    // ROLE alone moves nothing.
    pool.says_role(B, master("b1", 's', 1000));
    assert_eq!(pool.primary(), None);
    pool.says(B, master("b1", 's', 1000).second('r', 1001));
    pool.says(C, usual(C));
    assert_eq!(pool.primary(), Some(B));
    assert_eq!(pool.loss(), None);
    assert!(!pool.was_fenced(A) && !pool.was_fenced(B));
}

#[test]
fn planned_failovers_are_followed_however_often() {
    let mut pool = Pool::of_three();
    let mut offset = 1000;
    let ids = ['r', 's', 't', 'u', 'v'];
    for step in 1..ids.len() {
        let (old, new) = (ids[step - 1], ids[step]);
        let (from, to) = if step % 2 == 1 { (A, B) } else { (B, A) };
        let run = |node| ["a1", "b1"][node];
        pool.says(from, replica(run(from), old, offset).link_down());
        assert_eq!(pool.primary(), None);
        pool.says(to, master(run(to), new, offset).second(old, offset + 1));
        pool.says(C, replica("c1", old, offset).link_down());
        assert_eq!(pool.primary(), Some(to));
        offset += 10;
        pool.says(to, master(run(to), new, offset));
        pool.says(from, replica(run(from), new, offset).second(old, offset - 9));
    }
}

#[test]
fn promotions_are_followed_however_often() {
    let mut pool = Pool::of_three();
    pool.refused(A);
    pool.says(B, master("b1", 's', 1000).second('r', 1001));
    pool.says(C, replica("c1", 's', 1000));
    assert_eq!(pool.primary(), Some(B));
    pool.refused(B);
    pool.says(C, master("c1", 't', 1000).second('s', 1001));
    assert_eq!(pool.primary(), Some(C));
}

#[test]
fn a_primary_that_comes_and_goes_moves_nothing_and_is_taken_back_each_time() {
    let mut pool = Pool::of(1);
    pool.says(A, master("a1", 'r', 100));
    for (run, id) in [("a2", 's'), ("a3", 't'), ("a4", 'u')] {
        pool.refused(A);
        pool.says(A, master(run, id, 0));
        assert_eq!(pool.primary(), Some(A));
    }
}

#[test]
fn a_move_that_redkeel_concludes_waits_for_anti_flap_after_the_last_one() {
    let mut pool = Pool::of_three();
    // Everybody restarted, and follows another: nobody was seen to be promoted.
    let agree = |pool: &mut Pool, of: usize, id: char, round: usize| {
        for node in [A, B, C] {
            pool.refused(node);
        }
        for _ in 0..2 {
            for node in [of, A, B, C] {
                let run = format!("{}{round}", ["a", "b", "c"][node]);
                let said =
                    if node == of { master(&run, id, 5000) } else { replica(&run, id, 5000) };
                pool.says(node, said);
            }
        }
    };
    agree(&mut pool, B, 's', 2);
    assert_eq!(
        (pool.primary(), pool.why()),
        (Some(B), "the only node that says master, and all others follow it")
    );
    agree(&mut pool, C, 't', 3);
    assert_eq!(pool.primary(), None);
    assert!(
        pool.why().ends_with(
            "all others follow c, but the last such move is less than anti_flap (10s) ago"
        ),
        "{}",
        pool.why()
    );
    pool.pass(Duration::from_secs(10));
    agree(&mut pool, C, 't', 3);
    assert_eq!(pool.primary(), Some(C));
}

#[test]
fn a_primary_that_was_succeeded_does_not_return_when_its_successor_dies() {
    let mut pool = Pool::of_three();
    pool.refused(A);
    pool.says(B, master("b1", 's', 1000).second('r', 1001));
    pool.says(C, replica("c1", 's', 1000));
    // C is promoted beside B.
    pool.says(C, master("c1", 't', 1000).second('s', 1001));
    assert_eq!(pool.primary(), Some(C));
    pool.says(B, master("b1", 's', 1010));
    pool.refused(C);
    pool.says(B, master("b1", 's', 1020));
    assert_eq!(pool.primary(), None);
    assert!(pool.was_fenced(B));
}

#[test]
fn a_primary_that_was_succeeded_and_is_followed_again_is_the_primary_again() {
    let mut pool = Pool::of_three();
    pool.says(B, master("b1", 's', 1000).second('r', 1001));
    pool.says(A, master("a1", 'r', 1010));
    assert!(pool.was_fenced(A));
    pool.says(B, replica("b1", 'r', 1020));
    assert_eq!(pool.primary(), Some(A));
    pool.says(A, master("a1", 'r', 1030));
    assert_eq!(pool.primary(), Some(A));
}

#[test]
fn a_primary_that_was_only_unreachable_continues() {
    let mut pool = Pool::of_three();
    pool.silent(A, 2);
    assert_eq!(pool.primary(), Some(A));
    pool.silent(A, 1);
    assert_eq!((pool.primary(), pool.health(A)), (None, Health::Down));
    assert_eq!(pool.why(), "a does not answer; no node says that it is master");
    assert_eq!(pool.readable(), [B, C]);
    pool.pass(Duration::from_secs(30));
    // One good probe suffices while nobody is primary.
    pool.says(A, master("a1", 'r', 1000));
    assert_eq!(pool.primary(), Some(A));
    assert_eq!(pool.loss(), None);
}

#[test]
fn one_that_returns_while_others_follow_somebody_else_is_held() {
    let mut pool = Pool::of_three();
    pool.silent(A, 3);
    // B restarts, is promoted out of sight, and C follows it.
    pool.says(B, master("b2", 's', 900));
    pool.says(C, replica("c1", 's', 900));
    assert_eq!(pool.primary(), None);
    pool.says(A, master("a1", 'r', 1000));
    assert_eq!(pool.primary(), None);
    assert_eq!(
        pool.why(),
        "a answers again as master, but c follows b meanwhile: make one a replica of the other (REPLICAOF)"
    );
    pool.says(A, replica("a1", 's', 900));
    assert_eq!(pool.primary(), Some(B));
}

#[test]
fn what_was_promoted_out_of_sight_does_not_depose_a_primary_that_went_on() {
    let mut pool = Pool::of_three();
    pool.silent(B, 3);
    pool.says(A, master("a1", 'r', 900_000));
    pool.says(B, master("b1", 's', 1000).second('r', 1001));
    pool.says(A, master("a1", 'r', 900_100));
    assert_eq!(pool.primary(), Some(A));
    pool.says(B, master("b1", 's', 1000).second('r', 1001));
    assert!(pool.was_fenced(B));
    // Nor later, when the primary is gone: its branch is old.
    pool.refused(A);
    assert_eq!(pool.primary(), None);
}

#[test]
fn a_node_whose_data_went_back_is_no_successor() {
    let mut pool = Pool::of_three();
    pool.refused(A);
    pool.says(B, replica("b2", 'r', 604).link_down());
    pool.says(B, master("b2", 's', 604).second('r', 605));
    assert_eq!(pool.primary(), None);
    // The one that did not restart is.
    pool.says(C, master("c1", 't', 1000).second('r', 1001));
    pool.says(B, master("b2", 's', 604).second('r', 605));
    assert_eq!(pool.primary(), Some(C));
}

#[test]
fn a_single_node_that_restarts_is_taken_back() {
    let mut pool = Pool::of(1);
    pool.says(A, master("a1", 'r', 0));
    pool.refused(A);
    assert_eq!(
        (pool.primary(), pool.why()),
        (None, "a refuses connections; no node says that it is master")
    );
    pool.says(A, master("a2", 's', 0).serving(Serving::Loading));
    assert_eq!((pool.primary(), pool.why()), (None, "a restarted; a is loading its data"));
    pool.says(A, master("a2", 's', 0));
    assert_eq!(pool.primary(), Some(A));
    assert_eq!(pool.loss(), Some(None));
}

#[test]
fn a_restart_between_two_probes_is_a_restart() {
    let mut pool = Pool::of(1);
    pool.says(A, master("a1", 'r', 100));
    let since = pool.shard().since;
    pool.says(A, master("a2", 's', 0));
    assert_eq!((pool.primary(), pool.loss()), (Some(A), Some(None)));
    assert!(pool.shard().since > since);

    let mut pool = Pool::of_three();
    pool.says(A, master("a2", 's', 0));
    assert_eq!(pool.primary(), None);
}

#[test]
fn a_pool_that_restarted_as_a_whole_works_again() {
    let mut pool = Pool::of_three();
    for node in [A, B, C] {
        pool.refused(node);
    }
    pool.says(B, replica("b2", 'r', 990).link_down());
    pool.says(A, master("a2", 'x', 1000).second('r', 1001));
    pool.says(B, replica("b2", 'r', 990).link_down());
    assert_eq!(pool.primary(), Some(A));

    // With another primary than before.
    let mut pool = Pool::of_three();
    for node in [A, B, C] {
        pool.refused(node);
    }
    pool.says(B, master("b2", 'x', 1000).second('r', 1001));
    assert_eq!(pool.primary(), None);
    pool.says(A, replica("a2", 'x', 1000));
    assert_eq!(pool.primary(), Some(B));
}

#[test]
fn the_address_behind_a_name_changes() {
    let named = Server { address: None, name: "redis:6379".into(), ..server(0) };
    let mut pool = Pool::of_servers(vec![named], Settings::default());
    pool.resolves(0, &["10.1.0.1:6379"]);
    pool.says(A, master("a1", 'r', 100));
    assert_eq!(pool.primary(), Some(A));
    let old = pool.id(A);
    pool.resolves(0, &["10.1.0.2:6379"]);
    assert_eq!(pool.primary(), None);
    assert_ne!(pool.id(A), old);
    pool.says(A, master("a2", 's', 100));
    assert_eq!(pool.primary(), Some(A));

    // The same process behind another address.
    pool.resolves(0, &["10.1.0.3:6379"]);
    pool.take_events();
    pool.says(A, master("a2", 's', 120));
    assert_eq!(pool.primary(), Some(A));
    assert_eq!(pool.loss(), None);
}

#[test]
fn a_primary_that_asks_for_a_password_takes_no_writes() {
    let mut pool = Pool::of_three();
    pool.refuses(A, Refusal::NoAuth);
    assert_eq!(pool.primary(), None);
    assert_eq!(
        pool.why(),
        "a asks for a password (NOAUTH): set upstream.password; no node says that it is master"
    );
    pool.says(A, master("a1", 'r', 1000));
    assert_eq!(pool.primary(), Some(A));
}

#[test]
fn a_primary_that_is_busy_with_a_script_stays() {
    let mut pool = Pool::of_three();
    for _ in 0..10 {
        pool.refuses(A, Refusal::Busy);
    }
    assert_eq!((pool.primary(), pool.health(A)), (Some(A), Health::Up));
}

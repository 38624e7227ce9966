//! Who took over from whom, case by case: is "B.replid2 == A.replid" a succession? (Redis, `shiftReplicationId`.)

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use std::time::Duration;

use common::{A, B, C, Pool, master, replica, usual};
use topology::{Answer, Health, Observation, Probed, Refusal};

#[test]
fn promoted_beside_a_living_master_b_supersedes_it() {
    let mut pool = Pool::of_three();
    pool.says(B, master("b1", 's', 1010).second('r', 1001));
    assert_eq!(pool.primary(), None);
    let why = "b continues a's data: waits for an answer of c, which may do so too";
    assert_eq!(pool.why(), why);
    pool.says(C, usual(C));
    assert_eq!(pool.primary(), Some(B));
    assert_eq!(pool.why(), "promoted, and continues a's data");
    pool.says(A, master("a1", 'r', 1400));
    assert_eq!(pool.primary(), Some(B));
    assert!(pool.was_fenced(A));
    assert!(!pool.node(A).readable);
    // The old one follows: it takes reads again.
    pool.says(A, replica("a1", 's', 1100).second('r', 1001));
    assert!(pool.node(A).readable);
}

#[test]
fn s1_s3_a_restarted_without_history_b_promoted() {
    for (id, offset) in [('x', 0), ('y', 1)] {
        let mut pool = Pool::of_three();
        pool.refused(A);
        assert_eq!(pool.primary(), None);
        pool.says(A, master("a2", id, offset));
        assert_eq!(pool.primary(), None);
        pool.says(B, replica("b1", 'r', 1000).link_down());
        assert_eq!(pool.primary(), None);
        assert!(pool.was_fenced(A));
        pool.says(B, master("b1", 's', 1000).second('r', 1001));
        pool.says(A, master("a2", id, offset));
        assert_eq!(pool.primary(), None);
        pool.says(C, replica("c1", 'r', 1000).link_down());
        assert_eq!(pool.primary(), Some(B));
        pool.says(A, master("a2", id, offset));
        assert_eq!(pool.primary(), Some(B));
    }
}

#[test]
fn s2_a_restarted_from_its_snapshot_and_b_promoted_are_siblings_but_only_b_was_seen_to_be() {
    let mut pool = Pool::of_three();
    pool.refused(A);
    let restarted = master("a2", 'x', 1000).second('r', 604);
    pool.says(A, restarted.clone());
    pool.says(B, master("b1", 's', 1000).second('r', 1001));
    pool.says(C, replica("c1", 'r', 1000).link_down());
    assert_eq!(pool.primary(), None);
    pool.says(A, restarted);
    assert_eq!(pool.primary(), Some(B));
}

#[test]
fn s4_a_restarted_with_older_data_is_taken_back_when_nobody_has_newer() {
    let mut pool = Pool::of_three();
    pool.says(A, master("a2", 'x', 604).second('r', 605));
    assert_eq!(pool.primary(), None);
    assert_eq!(pool.why(), "waits for an answer of b");
    pool.says(B, replica("b1", 'r', 1000));
    assert!(pool.was_fenced(A));
    assert_eq!(
        pool.why(),
        "a restarted; a says master, but b may have data that it lacks: \
         make b its replica (REPLICAOF), or promote b"
    );
    pool.says(B, replica("b1", 'r', 1000).link_down());
    pool.says(C, replica("c1", 'r', 1000).link_down());
    assert_eq!(pool.primary(), None);
    assert_eq!(pool.readable(), [B, C]);
    pool.says(B, replica("b1", 'r', 1000).syncing());
    assert_eq!(pool.primary(), None);
    pool.says(C, replica("c1", 'x', 604));
    assert_eq!(
        (pool.primary(), pool.why()),
        (Some(A), "restarted, and no living node has newer data")
    );
    assert_eq!(pool.loss(), Some(Some(1000 - 604)));
}

#[test]
fn s4_a_restarted_with_all_its_data_is_taken_back_when_all_have_said_so() {
    let mut pool = Pool::of_three();
    pool.says(A, master("a2", 'x', 1000).second('r', 1001));
    pool.says(B, replica("b1", 'r', 1000).link_down());
    assert_eq!((pool.primary(), pool.why()), (None, "waits for an answer of c"));
    pool.says(C, replica("c1", 'r', 1000).link_down());
    assert_eq!(pool.primary(), Some(A));
    assert_eq!(pool.loss(), None);
}

#[test]
fn s5_a_restarted_empty_is_taken_back_only_when_the_replicas_are_wiped() {
    let mut pool = Pool::of_three();
    pool.says(A, master("a2", 'x', 0));
    pool.says(B, replica("b1", 'x', 0));
    assert_eq!(pool.primary(), None);
    pool.says(C, replica("c1", 'x', 0));
    assert_eq!(pool.primary(), Some(A));
    assert_eq!(pool.loss(), Some(None));
}

#[test]
fn s9_a_replica_that_restarts_as_master_does_not_depose_the_living_primary() {
    let mut pool = Pool::of_three();
    pool.says(B, master("b2", 's', 604).second('r', 604));
    assert_eq!(pool.primary(), Some(A));
    pool.says(A, master("a1", 'r', 1030));
    assert_eq!(pool.primary(), Some(A));
    pool.says(B, master("b2", 's', 604).second('r', 604));
    assert!(pool.was_fenced(B));
    assert_eq!(pool.readable(), [A, C]);
    // Configured at last.
    pool.says(B, replica("b2", 'r', 1040));
    assert_eq!(pool.readable(), [A, B, C]);
}

#[test]
fn s9_such_a_node_is_not_taken_even_when_the_primary_goes() {
    let mut pool = Pool::of_three();
    pool.says(B, master("b2", 's', 604).second('r', 604));
    pool.says(A, master("a1", 'r', 1030));
    pool.says(B, master("b2", 's', 604).second('r', 604));
    pool.refused(A);
    pool.refused(C);
    assert_eq!(pool.primary(), None);
    // The primary restarts, with less than that node may have: it is not clear who is the one.
    pool.says(A, master("a2", 'x', 500).second('r', 501));
    assert_eq!(pool.primary(), None);
    let why = "a restarted; a and b say master: make one a replica of the other (REPLICAOF), \
               or remove it from servers";
    assert_eq!(pool.why(), why);
    // With all its data, it is.
    pool.says(A, master("a3", 'y', 1030).second('r', 1031));
    assert_eq!(pool.primary(), Some(A));
}

#[test]
fn a_replica_that_restarts_as_master_while_the_primary_is_away_is_not_taken() {
    let mut pool = Pool::of(2);
    pool.says(A, master("a1", 'r', 1000));
    pool.says(B, replica("b1", 'r', 1000));
    pool.refused(A);
    pool.says(B, master("b2", 's', 604).second('r', 605));
    assert_eq!(pool.primary(), None);
    assert_eq!(
        pool.why(),
        "a refuses connections; b says master, but was not seen to take over a's data: \
         start a again, or take it out of servers and restart Redkeel"
    );
    assert!(pool.was_fenced(B));
}

#[test]
fn s6_two_failovers_out_of_sight_are_held() {
    let mut pool = Pool::of_three();
    for node in [A, B, C] {
        pool.refused(node);
    }
    pool.says(C, master("c1", 't', 1200).second('s', 1100));
    assert_eq!(pool.primary(), None);
    // The first primary comes back and follows: that decides it.
    pool.says(A, replica("a1", 't', 1200));
    assert_eq!((pool.primary(), pool.why()), (Some(C), "a follows it now"));
}

#[test]
fn s7_of_two_promoted_independently_neither_is_taken() {
    let siblings = "b and c were each promoted from a's data: \
                    make all but one replicas of it (REPLICAOF)";
    for alive in [false, true] {
        let mut pool = Pool::of_three();
        if !alive {
            pool.refused(A);
        }
        pool.says(B, master("b1", 's', 1000).second('r', 1001));
        assert_eq!(pool.primary(), None);
        pool.says(C, master("c1", 't', 1000).second('r', 1001));
        assert_eq!((pool.primary(), pool.why()), (None, siblings));
        assert_eq!(pool.readable(), [B, C]);
        for _ in 0..3 {
            pool.says(B, master("b1", 's', 1000).second('r', 1001));
            pool.says(C, master("c1", 't', 1000).second('r', 1001));
            assert_eq!(pool.primary(), None);
        }
        pool.says(C, replica("c1", 's', 1000).second('r', 1001));
        assert_eq!(pool.primary(), Some(B));
    }
}

#[test]
fn s7_one_that_is_promoted_beside_a_proven_successor_is_fenced() {
    let mut pool = Pool::of_three();
    pool.refused(A);
    pool.says(B, master("b1", 's', 1000).second('r', 1001));
    pool.says(C, replica("c1", 'r', 1000).link_down());
    assert_eq!(pool.primary(), Some(B));
    pool.says(C, master("c1", 't', 1000).second('r', 1001));
    pool.says(B, master("b1", 's', 1000).second('r', 1001));
    assert_eq!(pool.primary(), Some(B));
    assert!(pool.was_fenced(C));
}

#[test]
fn a_successor_waits_for_who_may_be_one_too_until_it_is_down() {
    let mut pool = Pool::of_three();
    pool.refused(A);
    // Its answer was given before b was promoted.
    let asked_before = pool.now;
    pool.pass(Duration::from_millis(1));
    pool.says(B, master("b1", 's', 1000).second('r', 1001));
    let probed = Probed {
        node: pool.id(C),
        sent: asked_before,
        answered: pool.now,
        outcome: Ok(usual(C).answer()),
    };
    pool.observe(Observation::Probed(probed));
    assert_eq!(pool.primary(), None);
    pool.silent(C, 2);
    assert_eq!(pool.primary(), None);
    pool.silent(C, 1);
    assert_eq!((pool.health(C), pool.primary()), (Health::Down, Some(B)));
}

#[test]
fn who_is_busy_with_a_script_was_not_promoted() {
    let mut pool = Pool::of_three();
    pool.refused(A);
    pool.says(B, master("b1", 's', 1000).second('r', 1001));
    assert_eq!(pool.primary(), None);
    let busy = || Refusal::Busy;
    let answer = Answer { role: Err(busy()), replication: Some(Err(busy())), ..usual(C).answer() };
    pool.ends(C, Ok(answer));
    assert_eq!(pool.primary(), Some(B));
}

#[test]
fn s7_two_that_are_seen_before_either_can_be_taken_are_ambiguous() {
    let mut pool = Pool::of_three();
    pool.refused(A);
    pool.says(B, master("b1", 's', 1000).second('r', 1001));
    pool.says(C, replica("c1", 's', 1000));
    pool.says(A, replica("a2", 's', 1000));
    // Promoted out of sight: not taken while the primary goes on.
    for (node, master) in [
        (A, master("a2", 't', 1000).second('s', 1001)),
        (C, master("c1", 'u', 1000).second('s', 1001)),
    ] {
        pool.silent(node, 3);
        pool.says(node, master.clone());
        pool.says(node, master);
    }
    assert_eq!(pool.primary(), Some(B));
    pool.refused(B);
    assert_eq!(pool.primary(), None);
    let why =
        "a and c were each promoted from b's data: make all but one replicas of it (REPLICAOF)";
    assert_eq!(pool.why(), why);
    pool.says(C, replica("c1", 't', 1000));
    assert_eq!(pool.primary(), Some(A));
}

#[test]
fn s8_new_identifiers_of_the_same_process_are_the_same_primary() {
    let mut pool = Pool::of_three();
    pool.refused(A);
    pool.says(B, master("b1", 's', 1000).second('r', 1001));
    pool.refused(C);
    assert_eq!(pool.primary(), Some(B));
    pool.says(B, master("b1", 'u', 1000));
    assert_eq!(pool.primary(), Some(B));
    // And what it promotes from is the new history.
    pool.says(C, replica("c2", 'u', 1000));
    pool.pass(Duration::from_secs(60));
    pool.refused(B);
    pool.says(C, master("c2", 'v', 1000).second('u', 1001));
    assert_eq!(pool.primary(), Some(C));
}

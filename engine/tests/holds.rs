//! Writes are held while the primary is about to be replaced.

mod scene;

use scene::Scene;
use topology::{Health, NodeId};

const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n";
const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
/// Asked before the first command on a connection that may block.
const CLIENT_ID: &[u8] = b"*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n";
const BLPOP: &[u8] = b"*3\r\n$5\r\nBLPOP\r\n$1\r\nq\r\n$3\r\n1.5\r\n";
const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";
const WATCH: &[u8] = b"*2\r\n$5\r\nWATCH\r\n$1\r\nk\r\n";

/// A scene whose node is the primary, and is known.
fn begun() -> Scene {
    let mut scene = Scene::new();
    scene.turn(0, |scene| scene.publish(Some(NodeId(0)), 0));
    scene
}

#[test]
fn a_write_waits_until_it_is_let_go_and_a_read_does_not() {
    let mut scene = begun();
    scene.turn(10, |scene| scene.hold(true, 1));
    assert_eq!(scene.told, [(2, 0)]);
    scene.turn(20, |scene| scene.client_sends(&[GET, SET].concat()));
    assert_eq!(scene.sent, None, "what is sent together stays together");
    scene.turn(30, |scene| scene.hold(false, 2));
    scene.turn(40, |scene| scene.node_answers(&[GET, SET].concat(), b"$-1\r\n+OK\r\n"));
    assert_eq!(scene.got, b"$-1\r\n+OK\r\n");
    scene.turn(50, |scene| scene.hold(true, 3));
    scene.turn(60, |scene| scene.client_sends(GET));
    scene.turn(70, |scene| scene.node_answers(GET, b"$1\r\nv\r\n"));
    assert!(scene.got.ends_with(b"$1\r\nv\r\n"));
}

#[test]
fn what_was_sent_before_is_told_and_waited_for() {
    let mut scene = begun();
    scene.turn(10, |scene| scene.client_sends(&[SET, SET, GET].concat()));
    scene.turn(20, |scene| scene.hold(true, 1));
    assert_eq!(scene.told, [(2, 2)]);
    scene.turn(30, |scene| scene.node_answers(SET, b"+OK\r\n+OK\r\n"));
    assert_eq!(scene.told, [(2, 2), (2, 0)]);
    scene.turn(40, |scene| scene.hold(true, 2));
    assert_eq!(scene.told[2..], [(3, 0)], "once for each Snapshot");
}

#[test]
fn what_has_not_left_is_taken_back() {
    let mut scene = begun();
    // It comes in the same turn as the Snapshot, and before it.
    scene.engine.begin_turn(topology::Time::from_millis(10));
    scene.client_sends(SET);
    scene.turn(10, |scene| scene.hold(true, 1));
    assert_eq!((scene.sent.as_ref(), scene.told.as_slice()), (None, &[(2, 0)][..]));
    scene.turn(20, |scene| scene.hold(false, 2));
    scene.turn(30, |scene| scene.node_answers(SET, b"+OK\r\n"));
    assert_eq!(scene.got, b"+OK\r\n");
}

#[test]
fn its_time_is_up_at_last_and_the_error_says_why() {
    let mut scene = begun();
    scene.turn(10, |scene| scene.hold(true, 1));
    scene.turn(20, |scene| scene.client_sends(SET));
    for at in [1000, 1021] {
        scene.turn(at, |_| ());
    }
    let got = String::from_utf8_lossy(&scene.got).into_owned();
    assert_eq!(got, "-NOPRIMARY redkeel: pool main held its writes for 1s: the test wants it\r\n");
}

#[test]
fn a_blocked_client_is_not_waited_for_and_a_new_one_waits() {
    let mut scene = begun();
    scene.turn(10, |scene| scene.client_sends(BLPOP));
    scene.turn(20, |scene| scene.hold(true, 1));
    assert_eq!(scene.told, [(2, 0)]);
    let asked = [CLIENT_ID, BLPOP].concat();
    scene.turn(30, |scene| scene.node_answers(&asked, b":7\r\n*-1\r\n"));
    scene.turn(40, |scene| scene.client_sends(BLPOP));
    assert_eq!(scene.sent, None);
    scene.turn(50, |scene| scene.hold(false, 2));
    scene.turn(60, |scene| scene.node_answers(BLPOP, b"*-1\r\n"));
}

#[test]
fn an_open_transaction_is_not_waited_for_and_its_exec_waits() {
    let mut scene = begun();
    scene.turn(10, |scene| scene.client_sends(MULTI));
    scene.turn(20, |scene| scene.node_answers(MULTI, b"+OK\r\n"));
    scene.turn(30, |scene| scene.hold(true, 1));
    assert_eq!(scene.told, [(2, 0)]);
    scene.turn(40, |scene| scene.client_sends(SET));
    scene.turn(50, |scene| scene.node_answers(SET, b"+QUEUED\r\n"));
    scene.turn(60, |scene| scene.client_sends(EXEC));
    assert_eq!(scene.sent, None);
    scene.turn(70, |scene| scene.hold(false, 2));
    scene.turn(80, |scene| scene.node_answers(EXEC, b"*1\r\n+OK\r\n"));
    assert_eq!(scene.got, b"+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
}

#[test]
fn an_exec_whose_time_is_up_ends_its_transaction() {
    let mut scene = begun();
    scene.turn(10, |scene| scene.client_sends(MULTI));
    scene.turn(20, |scene| scene.node_answers(MULTI, b"+OK\r\n"));
    scene.turn(30, |scene| scene.hold(true, 1));
    scene.turn(40, |scene| scene.client_sends(EXEC));
    for at in [1000, 1041] {
        scene.turn(at, |_| ());
    }
    let got = String::from_utf8_lossy(&scene.got).into_owned();
    assert_eq!(
        got,
        "+OK\r\n-EXECABORT redkeel: pool main held its writes for 1s: the test wants it; \
         nothing of the transaction ran\r\n"
    );
    scene.turn(1050, |scene| scene.hold(false, 2));
    scene.turn(1060, |scene| scene.client_sends(SET));
    scene.turn(1070, |scene| scene.node_answers(SET, b"+OK\r\n"));
}

/// A connection of the client's own carries its reads on, and its writes wait behind them.
#[test]
fn a_watching_client_reads_on() {
    let mut scene = begun();
    scene.turn(10, |scene| scene.client_sends(WATCH));
    scene.turn(20, |scene| scene.node_answers(WATCH, b"+OK\r\n"));
    scene.turn(30, |scene| scene.hold(true, 1));
    scene.turn(40, |scene| scene.client_sends(&[GET, SET, GET].concat()));
    scene.turn(50, |scene| scene.node_answers(GET, b"$1\r\nv\r\n"));
    assert_eq!(scene.sent, None, "the write waits, and the read behind it");
    scene.turn(60, |scene| scene.hold(false, 2));
    scene.turn(70, |scene| scene.node_answers(&[SET, GET].concat(), b"+OK\r\n$1\r\nv\r\n"));
    assert_eq!(scene.got, b"+OK\r\n$1\r\nv\r\n+OK\r\n$1\r\nv\r\n");
}

/// Found by the fuzz target `session`.
#[test]
fn what_a_watching_client_writes_while_its_node_does_not_answer_is_held_as_well() {
    let mut scene = begun();
    scene.turn(10, |scene| scene.client_sends(WATCH));
    scene.turn(20, |scene| scene.node_answers(WATCH, b"+OK\r\n"));
    scene.turn(30, |scene| {
        scene.publish_shard(0, |shard| {
            shard.primary = None;
            shard.nodes[0].health = Health::Down;
            shard.writes_held = Some("the test wants it".into());
        });
    });
    assert_eq!(scene.told, [(2, 0)]);
    scene.turn(40, |scene| scene.client_sends(SET));
    scene.turn(50, |scene| scene.hold(true, 45));
    assert_eq!(scene.sent, None, "the node answers again, and its writes are held as before");
    assert_eq!(scene.told[1..], [(3, 0)]);
    scene.turn(60, |scene| scene.hold(false, 55));
    scene.turn(70, |scene| scene.node_answers(SET, b"+OK\r\n"));
    assert_eq!(scene.got, b"+OK\r\n+OK\r\n");
}

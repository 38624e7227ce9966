//! Whole transactions on a lane: none of their replies counts before the last.

mod scene;

use config::Mode;
use engine::{Caller, Gone};
use scene::Scene;
use topology::{NodeId, PoolId};

const UNIT: &[u8] =
    b"*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n*1\r\n$4\r\nEXEC\r\n";
const DONE: &[u8] = b"+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n";
const READONLY: &[u8] = b"-READONLY You can't write against a read only replica.\r\n";

/// Found by the fuzz target `session`: the client got what had come, and then as many replies as if nothing had.
#[test]
fn of_one_that_is_given_up_the_first_replies_do_not_count() {
    let mut scene = Scene::new();
    scene.turn(0, |scene| scene.publish(Some(NodeId(0)), 0));
    scene.turn(10, |scene| scene.client_sends(UNIT));
    scene.turn(20, |scene| scene.node_answers(UNIT, b"+OK\r\n+QUEUED\r\n"));
    assert_eq!(scene.got, b"", "nothing counts before the last");
    scene.turn(1100, |_| ());
    let got = String::from_utf8_lossy(&scene.got).into_owned();
    assert!(got.starts_with("+OK\r\n+QUEUED\r\n-OUTCOMEUNKNOWN redkeel: "), "{got}");
    assert_eq!(got.matches("\r\n").count(), 3, "{got}");
}

/// It has run: sent again it would run twice.
#[test]
fn what_was_refused_of_one_that_nobody_waits_for_is_not_the_next_one_s() {
    let mut scene = Scene::new();
    scene.turn(0, |scene| scene.publish(Some(NodeId(0)), 0));
    scene.turn(10, |scene| scene.client_sends(UNIT));
    let lane = scene.sent.as_ref().map(|(conn, _)| *conn).unwrap();
    scene.turn(20, |scene| scene.node_answers(UNIT, b"+OK\r\n"));
    scene.turn(30, |scene| scene.engine.received(lane, READONLY));
    scene.turn(40, |scene| scene.engine.closed(scene.client, Gone::Closed));
    scene.client = scene.engine.accept(PoolId(0), Mode::Split, Caller::unknown());
    scene.turn(50, |scene| scene.client_sends(UNIT));
    let rest = b"-EXECABORT Transaction discarded because of previous errors.\r\n".as_slice();
    scene.turn(60, |scene| scene.node_answers(UNIT, &[rest, DONE].concat()));
    assert_eq!(String::from_utf8_lossy(&scene.got), String::from_utf8_lossy(DONE));
    assert_eq!(scene.sent, None, "it is sent once");
}

//! Clients that go, and workers that drain.

use crate::scene::{ONE, Scene, TWO};

#[test]
fn who_has_sent_its_last_byte_is_answered_and_closed() {
    let mut scene = Scene::new();
    scene.sends("GET a:1");
    scene.turn(|scene| scene.engine.ended(scene.client));
    scene.answers(ONE, "GET a:1", "$1\r\nx\r\n");
    assert_eq!(scene.got(), "$1\r\nx\r\n");
    assert_eq!(scene.closed, [scene.client]);
}

#[test]
fn in_a_drain_what_is_in_flight_is_answered() {
    let mut scene = Scene::new();
    scene.sends("GET a:1");
    scene.turn(|scene| scene.engine.drain());
    scene.answers(ONE, "GET a:1", "$1\r\nx\r\n");
    assert_eq!(scene.got(), "$1\r\nx\r\n");
    assert_eq!(scene.closed, [scene.client]);
    assert!(scene.engine.is_drained());
}

#[test]
fn in_a_drain_an_open_transaction_is_waited_for() {
    let mut scene = Scene::new();
    scene.sends("MULTI");
    scene.turn(|scene| scene.engine.drain());
    assert_eq!(scene.closed, []);
    scene.sends("SET a:1 x");
    scene.answers(ONE, "MULTI", "+OK\r\n");
    scene.answers(ONE, "SET a:1 x", "+QUEUED\r\n");
    scene.sends("EXEC");
    scene.answers(ONE, "EXEC", "*1\r\n+OK\r\n");
    assert_eq!(scene.got(), "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
    assert_eq!(scene.closed, [scene.client]);
}

/// An element must not go to someone who is likely to have gone.
#[test]
fn nothing_is_waited_for_by_who_has_sent_its_last_byte() {
    let mut scene = Scene::new();
    scene.sends("SET a:1 x\nBLPOP a:2 0");
    scene.turn(|scene| scene.engine.ended(scene.client));
    scene.answers(ONE, "SET a:1 x", "+OK\r\n");
    assert_eq!(scene.sent(ONE), b"");
    assert_eq!(scene.closed, [scene.client]);
}

#[test]
fn what_stands_behind_a_command_that_blocks_waits_for_it() {
    let mut scene = Scene::new();
    scene.sends("BLPOP a:1 0\nSET b:1 x");
    assert_eq!(scene.sent(TWO), b"");
}

//! What a client may have waiting, and what is gathered for it.

use crate::scene::{ONE, Scene, THREE, TWO, commands};

#[test]
fn who_waits_for_one_leg_is_not_let_go_by_another() {
    let mut scene = Scene::new();
    let many = |key: &str, count: usize| format!("GET {key}\n").repeat(count);
    let large = format!("SET a:2 {}\n", "x".repeat(70_000));
    scene.sends(&format!("{}{}{large}SET b:2 x\n", many("b:1", 70), many("a:1", 64)));
    let sent = many("b:1", 64);
    scene.answers(TWO, &sent, "$-1\r\n".repeat(64));
    scene.answers(TWO, &many("b:1", 6), "$-1\r\n".repeat(6));
    assert_eq!(scene.sent(TWO), b"");
    scene.answers(ONE, &many("a:1", 64), "$-1\r\n".repeat(64));
    assert_eq!(scene.sent(TWO), commands("SET b:2 x"));
}

#[test]
fn what_is_looked_at_whole_is_gathered_up_to_client_output() {
    let mut scene = Scene::new();
    scene.sends("SCAN 0");
    let conn = scene.link(ONE, &commands("SCAN 0"));
    let reply = format!("*2\r\n$1\r\n0\r\n*1\r\n$6000000\r\n{}\r\n", "x".repeat(6_000_000));
    for part in reply.as_bytes().chunks(64 * 1024) {
        scene.turn(|scene| scene.engine.received(conn, part));
    }
    assert_eq!(scene.closed, [scene.client]);
}

#[test]
fn what_is_read_elsewhere_is_tracked_there() {
    let mut scene = Scene::new();
    scene.sends("HELLO 3");
    scene.answers(ONE, "HELLO 3", "%1\r\n$5\r\nproto\r\n:3\r\n");
    scene.sends("CLIENT TRACKING ON");
    for pool in [ONE, TWO, THREE] {
        assert_eq!(scene.sent(pool), commands("HELLO 3"), "pool {pool}");
    }
}

/// They are clients of another pool.
#[test]
fn a_pool_does_not_list_the_legs_of_others() {
    let mut scene = Scene::new();
    scene.sends("GET a:1");
    scene.answers(ONE, "GET a:1", "$-1\r\n");
    scene.other_sends(ONE, "CLIENT LIST");
    scene.answers(ONE, "CLIENT LIST ID 9223372036854775807", "$0\r\n\r\n");
    let listed = String::from_utf8_lossy(&scene.others_got).into_owned();
    assert_eq!(listed.matches("id=").count(), 1, "{listed}");
    scene.other_sends(ONE, "CLIENT KILL TYPE normal");
    scene.answers(ONE, "CLIENT KILL ID 9223372036854775807", ":0\r\n");
    assert_eq!(scene.closed.len(), 1);
    assert!(!scene.closed.contains(&scene.client));
}

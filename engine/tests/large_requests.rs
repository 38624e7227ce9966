//! Requests over 1 MiB, which pass through a connection of the client's own as they come.

mod scene;

use scene::Scene;
use topology::NodeId;

const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const TOO_LARGE: &str = "too large for its kind\r\n";

fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.turn(0, |scene| scene.publish(Some(NodeId(0)), 0));
    scene
}

/// Sends `head`, then a bulk string that is not gathered, as much at once as a socket is read.
fn send_large(scene: &mut Scene, head: &[u8]) {
    let request = [head, b"$1200000\r\n", &[b'x'; 1_200_000], b"\r\n"].concat();
    for part in request.chunks(64 * 1024) {
        scene.client_sends(part);
    }
}

/// A connection that watches would be given to the next client, whose transaction would then depend on these keys.
#[test]
fn what_has_to_be_known_whole_is_refused() {
    for name in ["WATCH", "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "BLPOP"] {
        let mut scene = scene();
        let head = format!("*2\r\n${}\r\n{name}\r\n", name.len());
        scene.turn(10, |scene| send_large(scene, head.as_bytes()));
        assert!(scene.sent.is_none(), "{name}");
        let got = String::from_utf8_lossy(&scene.got).into_owned();
        assert!(got.starts_with("-LIMIT redkeel: ") && got.ends_with(TOO_LARGE), "{name}: {got}");
        scene.turn(20, |scene| scene.client_sends(PING));
        scene.turn(30, |scene| scene.node_answers(PING, b"+PONG\r\n"));
        assert!(scene.got.ends_with(b"\r\n+PONG\r\n"), "{name}");
    }
}

#[test]
fn what_is_refused_aborts_a_transaction() {
    for head in [b"*2\r\n$5\r\nWATCH\r\n".as_slice(), b"*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n"] {
        let mut scene = scene();
        scene.turn(10, |scene| scene.client_sends(MULTI));
        scene.turn(20, |scene| scene.node_answers(MULTI, b"+OK\r\n"));
        scene.turn(30, |scene| send_large(scene, head));
        scene.turn(40, |scene| scene.client_sends(EXEC));
        let got = String::from_utf8_lossy(&scene.got).into_owned();
        assert!(got.contains(TOO_LARGE) && got.contains("\r\n-EXECABORT "), "{got}");
    }
}

/// Nobody knows what it has done to the connection.
#[test]
fn the_connection_of_one_that_nobody_has_described_is_not_used_again() {
    let mut scene = scene();
    let frobnicate = b"*2\r\n$10\r\nfrobnicate\r\n";
    scene.turn(10, |scene| send_large(scene, frobnicate));
    let first = scene.sent.as_ref().map(|(conn, _)| *conn);
    scene.turn(20, |scene| scene.node_answers(frobnicate, b"+OK\r\n"));
    scene.turn(30, |scene| scene.client_sends(MULTI));
    let second = scene.sent.as_ref().map(|(conn, _)| *conn);
    assert!(first.is_some() && second.is_some());
    assert_ne!(first, second);
}

/// It may have written before it said so.
#[test]
fn what_a_script_says_is_passed_through() {
    let mut scene = scene();
    let eval = b"*4\r\n$4\r\nEVAL\r\n$1\r\nx\r\n$1\r\n0\r\n";
    let readonly = b"-READONLY You can't write against a read only replica.\r\n";
    scene.turn(10, |scene| send_large(scene, eval));
    scene.turn(20, |scene| scene.node_answers(eval, readonly));
    assert_eq!(String::from_utf8_lossy(&scene.got), String::from_utf8_lossy(readonly));
}

/// Found by the fuzz target `session`: it was begun when what stood before it was answered, and waited for for ever.
#[test]
fn half_a_request_of_who_will_send_no_more_is_none() {
    let mut scene = scene();
    scene.turn(10, |scene| {
        scene.client_sends(MULTI);
        scene.client_sends(b"*2\r\n$4\r\nECHO\r\n$1200000\r\nx");
        scene.engine.ended(scene.client);
    });
    assert_eq!(scene.engine.clients(), 1, "it is owed an answer");
    scene.turn(20, |scene| scene.node_answers(MULTI, b"+OK\r\n"));
    assert_eq!(scene.got, b"+OK\r\n");
    assert_eq!(scene.engine.clients(), 0, "nothing is left to be done for it");
}

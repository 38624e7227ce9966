//! CLIENT PAUSE WRITE, and functions: only their node knows which of them write.

mod scene;

use engine::Gone;
use scene::Scene;
use topology::NodeId;

const PAUSE: &[u8] = b"*4\r\n$6\r\nCLIENT\r\n$5\r\nPAUSE\r\n$5\r\n60000\r\n$5\r\nWRITE\r\n";
/// May the client's user?
const MAY_PAUSE: &[u8] = b"*3\r\n$6\r\nCLIENT\r\n$5\r\nPAUSE\r\n$1\r\n-\r\n";
const FCALL: &[u8] = b"*3\r\n$5\r\nFCALL\r\n$1\r\nF\r\n$1\r\n0\r\n";
const LIST: &[u8] = b"*2\r\n$8\r\nFUNCTION\r\n$4\r\nLIST\r\n";
/// One, `f`, that only reads.
const FUNCTIONS: &[u8] = b"*1\r\n*2\r\n$9\r\nfunctions\r\n*1\r\n*4\r\n$4\r\nname\r\n$1\r\nf\r\n\
    $5\r\nflags\r\n*1\r\n+no-writes\r\n";

/// A scene whose client has called a function in its pause, and whose node was asked which there are.
fn asked() -> Scene {
    let mut scene = Scene::new();
    scene.turn(0, |scene| scene.publish(Some(NodeId(0)), 0));
    scene.turn(10, |scene| scene.client_sends(PAUSE));
    scene.turn(15, |scene| scene.node_answers(MAY_PAUSE, b"-ERR timeout\r\n"));
    assert_eq!(std::mem::take(&mut scene.got), b"+OK\r\n");
    scene.turn(20, |scene| scene.client_sends(FCALL));
    assert_eq!(scene.sent.as_ref().map(|(_, sent)| sent.as_slice()), Some(LIST));
    scene
}

#[test]
fn a_node_is_asked_once_which_functions_only_read() {
    let mut scene = asked();
    scene.turn(30, |scene| scene.node_answers(LIST, FUNCTIONS));
    for at in [40, 60] {
        scene.turn(at, |scene| scene.node_answers(FCALL, b":1\r\n"));
        assert_eq!(std::mem::take(&mut scene.got), b":1\r\n");
        scene.turn(at + 10, |scene| scene.client_sends(FCALL));
    }
}

#[test]
fn what_may_write_or_is_unknown_waits_for_the_end() {
    for answer in
        [b"*0\r\n".as_slice(), b"-NOPERM no\r\n", b"-ERR unknown command\r\n", b"+what\r\n"]
    {
        let mut scene = asked();
        scene.turn(30, |scene| scene.node_answers(LIST, answer));
        scene.turn(5000, |_| ());
        assert!(scene.sent.is_none() && scene.got.is_empty());
        scene.turn(60_100, |_| ());
        scene.turn(60_110, |scene| scene.node_answers(FCALL, b":1\r\n"));
        assert_eq!(scene.got, b":1\r\n");
    }
}

#[test]
fn a_node_that_is_lost_or_silent_before_it_answers_is_asked_again() {
    for silent in [false, true] {
        let mut scene = asked();
        let asked = scene.sent.take();
        scene.turn(if silent { 1040 } else { 30 }, |scene| {
            if let Some((conn, _)) = asked.filter(|_| !silent) {
                scene.engine.closed(conn, Gone::Closed);
            }
        });
        scene.turn(1050, |scene| scene.publish(Some(NodeId(0)), 1045));
        scene.turn(1060, |scene| scene.node_answers(LIST, FUNCTIONS));
        scene.turn(1070, |scene| scene.node_answers(FCALL, b":1\r\n"));
        assert_eq!(scene.got, b":1\r\n");
    }
}

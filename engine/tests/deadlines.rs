//! How long a command may take that could not be sent when it came.

mod scene;

use engine::Gone;
use scene::Scene;
use topology::NodeId;

/// Asked before the first command on a connection that may block.
const CLIENT_ID: &[u8] = b"*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n";
const BLPOP: &[u8] = b"*3\r\n$5\r\nBLPOP\r\n$1\r\nq\r\n$3\r\n1.5\r\n";
const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n";

/// A client that blocks for long, as it wished, has not waited for a node meanwhile.
#[test]
fn what_stands_behind_a_held_and_blocking_command_has_its_own_time() {
    let mut scene = Scene::new();
    scene.turn(0, |scene| {
        scene.publish(None, 0);
        scene.client_sends(&[BLPOP, SET].concat());
    });
    assert_eq!(scene.sent, None, "there is no primary");
    scene.turn(900, |scene| scene.publish(Some(NodeId(0)), 800));
    let asked = [CLIENT_ID, BLPOP].concat();
    scene.turn(2400, |scene| scene.node_answers(&asked, b":7\r\n*-1\r\n"));
    scene.turn(2450, |_| ());
    assert_eq!(scene.got, b"*-1\r\n", "a node may take `request` to answer");
    scene.turn(3300, |scene| scene.node_answers(SET, b"+OK\r\n"));
    assert_eq!(scene.got, b"*-1\r\n+OK\r\n");
}

/// Found by the fuzz target `session`.
#[test]
fn who_would_have_waited_for_ever_leaves_nothing_to_wake_for() {
    let mut scene = Scene::new();
    scene.turn(0, |scene| scene.publish(Some(NodeId(0)), 0));
    scene.turn(10, |scene| scene.client_sends(b"*3\r\n$5\r\nBLPOP\r\n$1\r\nq\r\n$1\r\n0\r\n"));
    scene.turn(20, |scene| scene.engine.closed(scene.client, Gone::Closed));
    scene.turn(61_000, |_| ());
    assert_eq!(scene.engine.next_wake(), None);
}

//! A HELLO with credentials whose node is lost before it has answered.

mod scene;

use engine::Gone;
use scene::Scene;
use topology::NodeId;

const ASKED: &[u8] =
    b"*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n$7\r\nSETNAME\r\n$1\r\nn\r\n";
const SENT: &[u8] = b"*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n";
const GETNAME: &[u8] = b"*2\r\n$6\r\nCLIENT\r\n$7\r\nGETNAME\r\n";

#[test]
fn it_is_sent_again_as_what_it_was() {
    let mut scene = Scene::new();
    scene.turn(0, |scene| scene.publish(Some(NodeId(0)), 0));
    scene.turn(10, |scene| scene.client_sends(ASKED));
    // The connection is greeted first; then its node is asked on the client's behalf.
    scene.turn(20, |scene| scene.node_answers(SENT, b"%0\r\n"));
    let (conn, bytes) = scene.sent.take().expect("the client's HELLO");
    assert_eq!(bytes, SENT);
    scene.turn(30, |scene| scene.engine.closed(conn, Gone::Closed));
    assert_eq!(scene.got, b"");
    scene.turn(40, |scene| scene.publish(Some(NodeId(0)), 35));
    scene.turn(50, |scene| scene.node_answers(SENT, b"%0\r\n"));
    scene.turn(60, |scene| scene.node_answers(SENT, b"%0\r\n"));
    assert!(scene.got.starts_with(b"%7\r\n$6\r\nserver\r\n"), "{}", scene.got.escape_ascii());
    scene.got.clear();
    scene.turn(70, |scene| scene.client_sends(GETNAME));
    assert_eq!(scene.got, b"$1\r\nn\r\n");
}

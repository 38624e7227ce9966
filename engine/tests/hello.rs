//! HELLO: of a client, and as the greeting of a connection.

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

#[test]
fn a_push_answers_no_part_of_a_greeting() {
    const HELLO: &str = "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n";
    const SELECT: &str = "*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n";
    const GET: &str = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
    let greeting = [HELLO, SELECT].concat();
    let mut scene = Scene::new();
    scene.turn(0, |scene| scene.publish(Some(NodeId(0)), 0));
    scene.turn(10, |scene| scene.client_sends(HELLO.as_bytes()));
    scene.turn(20, |scene| scene.node_answers(HELLO.as_bytes(), b"%0\r\n"));
    scene.turn(30, |scene| scene.client_sends(SELECT.as_bytes()));
    scene.turn(40, |scene| scene.client_sends(GET.as_bytes()));
    let push = b"%0\r\n>2\r\n$10\r\ninvalidate\r\n_\r\n";
    scene.turn(50, |scene| scene.node_answers(greeting.as_bytes(), push));
    assert!(scene.sent.is_none(), "SELECT is not answered yet");
}

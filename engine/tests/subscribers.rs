//! Subscribers with a connection of their own: which of the values on it are messages, and which are replies.

mod scene;

use config::Mode;
use engine::{Caller, Gone};
use scene::Scene;
use topology::{NodeId, PoolId, Role};

const HELLO: &[u8] = b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n";
const GREETING: &[u8] = b"%1\r\n$5\r\nproto\r\n:3\r\n";
const SUBSCRIBE: &[u8] = b"*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n";
const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
const LRANGE: &[u8] = b"*4\r\n$6\r\nLRANGE\r\n$1\r\nl\r\n$1\r\n0\r\n$1\r\n1\r\n";
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

/// One that is subscribed to `c`, in RESP3, and has got nothing since.
fn subscriber_in_resp3() -> Scene {
    let mut scene = Scene::new();
    scene.turn(0, |scene| scene.publish(Some(NodeId(0)), 0));
    scene.turn(10, |scene| scene.client_sends(HELLO));
    scene.turn(20, |scene| scene.node_answers(HELLO, GREETING));
    scene.turn(30, |scene| scene.client_sends(SUBSCRIBE));
    scene.turn(40, |scene| scene.node_answers(HELLO, GREETING));
    let confirmed = b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";
    scene.turn(50, |scene| scene.node_answers(SUBSCRIBE, confirmed));
    assert!(scene.got.ends_with(confirmed));
    scene.got.clear();
    scene
}

fn subscriber_in_resp2() -> Scene {
    let mut scene = Scene::new();
    scene.turn(0, |scene| scene.publish(Some(NodeId(0)), 0));
    scene.turn(10, |scene| scene.client_sends(SUBSCRIBE));
    let confirmed = b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";
    scene.turn(20, |scene| scene.node_answers(SUBSCRIBE, confirmed));
    assert!(scene.got.ends_with(confirmed));
    scene.got.clear();
    scene
}

/// `head`, then a bulk string that is not gathered.
fn large(head: &[u8]) -> Vec<u8> {
    [head, b"$1200000\r\n", &[b'x'; 1_200_000], b"\r\n"].concat()
}

/// The client has got this, waits for nothing, and goes on over the connection that it has.
fn nothing_else_happens(mut scene: Scene, got: &[u8]) {
    scene.turn(5000, |_| ());
    assert!(scene.got == got, "{} bytes, and nothing else", got.len());
    scene.turn(5010, |scene| scene.client_sends(PING));
    scene.turn(5020, |scene| scene.node_answers(PING, b"+PONG\r\n"));
    assert!(scene.got.ends_with(b"+PONG\r\n"));
}

/// Found by the fuzz target `session`: it was taken for a message, so its command was sent again when its time was up.
#[test]
fn a_large_reply_is_no_message() {
    let mut scene = subscriber_in_resp3();
    let reply = large(b"");
    scene.turn(60, |scene| scene.client_sends(GET));
    scene.turn(70, |scene| scene.node_answers(GET, &reply));
    nothing_else_happens(scene, &reply);
}

#[test]
fn a_large_message_is_no_reply() {
    let mut resp2 = subscriber_in_resp2();
    let message = large(b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n");
    resp2.turn(60, |scene| scene.client_sends(PING));
    let pong = b"*2\r\n$4\r\npong\r\n$0\r\n\r\n".as_slice();
    let both = [&message, pong].concat();
    resp2.turn(70, |scene| scene.node_answers(PING, &both));
    nothing_else_happens(resp2, &both);

    let mut resp3 = subscriber_in_resp3();
    let message = large(b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n");
    resp3.turn(60, |scene| scene.client_sends(GET));
    let both = [&message, b"$1\r\nv\r\n".as_slice()].concat();
    resp3.turn(70, |scene| scene.node_answers(GET, &both));
    nothing_else_happens(resp3, &both);
}

/// A PING of a subscriber in RESP2 is answered by an array, as messages come.
#[test]
fn a_large_pong_is_no_message() {
    let mut scene = subscriber_in_resp2();
    let ping = large(b"*2\r\n$4\r\nPING\r\n");
    let pong = large(b"*2\r\n$4\r\npong\r\n");
    scene.turn(60, |scene| scene.client_sends(&ping));
    scene.turn(70, |scene| scene.node_answers(b"*2\r\n$4\r\nPING\r\n", &pong));
    nothing_else_happens(scene, &pong);
}

/// In RESP3 messages are pushes: an array is a reply, whatever it holds.
#[test]
fn what_reads_like_a_message_is_a_reply_in_resp3() {
    let mut scene = subscriber_in_resp3();
    let reply = b"*2\r\n$7\r\nmessage\r\n$1\r\nc\r\n";
    scene.turn(60, |scene| scene.client_sends(LRANGE));
    scene.turn(70, |scene| scene.node_answers(LRANGE, reply));
    nothing_else_happens(scene, reply);
}

/// Its receiver would have been opened at a node that gets nothing new.
#[test]
fn tracking_is_redirected_once_the_connection_is_where_it_stays() {
    let mut scene = subscriber_in_resp3();
    scene.engine.accept(PoolId(0), Mode::Split, Caller::unknown());
    scene.turn(60, |scene| scene.client_sends(PING));
    let own = scene.sent.as_ref().map(|(conn, _)| *conn).unwrap();
    scene.turn(70, |scene| scene.node_answers(PING, b"+PONG\r\n"));
    scene.turn(80, |scene| scene.engine.closed(own, Gone::Closed));
    scene.turn(90, |scene| scene.publish(Some(NodeId(0)), 85));
    scene.turn(100, |scene| scene.node_answers(HELLO, GREETING));
    let (own, sent) = scene.sent.take().unwrap();
    assert_eq!(sent, SUBSCRIBE, "it is subscribed again");
    scene.turn(110, |scene| {
        scene.publish_shard(105, |shard| {
            shard.primary = None;
            shard.nodes[0].role = Role::Replica;
        });
    });
    scene.turn(120, |scene| scene.client_sends(b"CLIENT TRACKING ON REDIRECT 2\r\n"));
    assert_eq!(scene.sent, None, "the connection is about to end");
    scene.turn(130, |scene| {
        scene.engine.received(own, b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    });
    scene.turn(140, |scene| scene.publish(Some(NodeId(0)), 135));
    // Its own connection is opened again, and then the receiver.
    let receiver = [HELLO, b"*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n"].concat();
    assert_eq!(scene.sent.map(|(_, sent)| sent), Some(receiver));
}

//! Connections that are one client's own.

mod scene;

use scene::Scene;
use topology::{NodeId, Role};

const SUBSCRIBE: &[u8] = b"*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n";
const CONFIRMED: &[u8] = b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";
const XREAD: &[u8] =
    b"*6\r\n$5\r\nXREAD\r\n$5\r\nBLOCK\r\n$1\r\n0\r\n$7\r\nSTREAMS\r\n$1\r\ns\r\n$1\r\n0\r\n";
const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

/// Found by the fuzz target `session`: a subscriber whose blocking read had gone to a replica stayed there, with all that it
/// wrote.
#[test]
fn a_subscriber_without_a_primary_gets_no_replica_instead() {
    let mut scene = Scene::new();
    scene.turn(0, |scene| scene.publish(Some(NodeId(0)), 0));
    scene.turn(10, |scene| scene.client_sends(SUBSCRIBE));
    scene.turn(20, |scene| scene.node_answers(SUBSCRIBE, CONFIRMED));
    scene.turn(30, |scene| {
        scene.publish_shard(25, |shard| {
            shard.primary = None;
            shard.nodes[0].role = Role::Replica;
        });
    });
    scene.turn(40, |scene| scene.client_sends(XREAD));
    for at in [500, 1041] {
        scene.turn(at, |_| ());
    }
    assert_eq!(scene.sent, None, "the only node is a replica");
    let got = String::from_utf8_lossy(&scene.got).into_owned();
    assert!(got.contains("-NOPRIMARY redkeel: pool main"), "{got}");
}

/// Found by the fuzz target `session`: what had passed was kept, and taken for what came behind it.
#[test]
fn a_large_request_in_a_transaction_is_not_kept() {
    let mut scene = Scene::new();
    scene.turn(0, |scene| scene.publish(Some(NodeId(0)), 0));
    scene.turn(10, |scene| scene.client_sends(MULTI));
    scene.turn(20, |scene| scene.node_answers(MULTI, b"+OK\r\n"));
    let begin = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2000000\r\n";
    // After every turn the engine is asked whether it keeps what is in its queues, and no more.
    scene.turn(30, |scene| scene.client_sends(begin));
    for at in 0..20 {
        scene.turn(40 + at, |scene| scene.client_sends(&[b'x'; 100_000]));
    }
    scene.turn(70, |scene| scene.client_sends(b"\r\n"));
    scene.turn(80, |scene| scene.node_answers(b"\r\n", b"+QUEUED\r\n"));
    scene.turn(90, |scene| scene.client_sends(EXEC));
    scene.turn(100, |scene| scene.node_answers(EXEC, b"*1\r\n+OK\r\n"));
    assert_eq!(scene.got, b"+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
}

/// Found by the fuzz target `session`: the error stood in the middle of the message.
#[test]
fn who_sends_no_request_amid_a_message_is_told_behind_it() {
    let mut scene = Scene::new();
    scene.turn(0, |scene| scene.publish(Some(NodeId(0)), 0));
    scene.turn(10, |scene| scene.client_sends(SUBSCRIBE));
    let node = scene.sent.as_ref().map(|(conn, _)| *conn).unwrap();
    scene.turn(20, |scene| scene.node_answers(SUBSCRIBE, CONFIRMED));
    scene.got.clear();
    let message = b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n";
    scene.turn(30, |scene| scene.engine.received(node, &message[..20]));
    scene.turn(40, |scene| scene.client_sends(b"*1\r\n:1\r\n"));
    assert_eq!(scene.got, b"", "half a message is none");
    scene.turn(50, |scene| scene.engine.received(node, &message[20..]));
    let got = String::from_utf8_lossy(&scene.got).into_owned();
    let error = "-ERR Protocol error: expected '$', got ':'\r\n";
    assert_eq!(got, format!("{}{error}", String::from_utf8_lossy(message)));
}

//! Subscribers: what they are told, what they no longer want, and what is no message.

use std::time::{Duration, Instant};

use crate::scene::{ONE, Scene, THREE, TWO, commands};

fn message(text: &str) -> String {
    format!("*3\r\n$7\r\nmessage\r\n$3\r\na:c\r\n${}\r\n{text}\r\n", text.len())
}

fn confirmation(kind: &str, count: u32) -> String {
    format!("*3\r\n${}\r\n{kind}\r\n$3\r\na:c\r\n:{count}\r\n", kind.len())
}

/// Of channel `a:c`, in pool one.
fn subscribed(scene: &mut Scene) -> engine::ConnId {
    scene.sends("SUBSCRIBE a:c");
    let conn = scene.answers(ONE, "SUBSCRIBE a:c", confirmation("subscribe", 1));
    assert_eq!(scene.got(), confirmation("subscribe", 1));
    conn
}

fn in_resp3() -> Scene {
    let mut scene = Scene::new();
    let greeting = "%1\r\n$5\r\nproto\r\n:3\r\n";
    scene.sends("HELLO 3");
    scene.answers(ONE, "HELLO 3", greeting);
    scene.got.clear();
    scene
}

#[test]
fn who_has_read_what_there_was_gets_the_rest() {
    let mut scene = Scene::new();
    let conn = subscribed(&mut scene);
    scene.reads = false;
    let messages = message(&"x".repeat(100_000)).repeat(6);
    scene.turn(|scene| scene.engine.received(conn, messages.as_bytes()));
    scene.reads = true;
    scene.read();
    assert_eq!(scene.got().len(), messages.len());
}

#[test]
fn a_large_message_in_resp3_comes_whole() {
    let mut scene = in_resp3();
    scene.sends("SUBSCRIBE a:c");
    scene.answers(ONE, "HELLO 3", "%1\r\n$5\r\nproto\r\n:3\r\n");
    let confirmed = confirmation("subscribe", 1).replacen('*', ">", 1);
    let conn = scene.answers(ONE, "SUBSCRIBE a:c", &confirmed);
    scene.got.clear();
    let text = message(&"x".repeat(1_500_000)).replacen('*', ">", 1);
    for part in text.as_bytes().chunks(64 * 1024) {
        scene.turn(|scene| scene.engine.received(conn, part));
    }
    assert_eq!(scene.got().len(), text.len());
}

#[test]
fn a_large_request_of_a_subscriber_in_resp2_is_refused() {
    let mut scene = Scene::new();
    subscribed(&mut scene);
    let request = commands(&format!("SET b:1 {}", "x".repeat(1_200_000)));
    request.chunks(64 * 1024).for_each(|part| scene.sends_bytes(part));
    assert_eq!(scene.sent(TWO), b"");
    let got = scene.got();
    assert!(got.starts_with("-ERR Can't execute"), "{got}");
    scene.sends("PING");
    assert_eq!(scene.got(), "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
}

#[test]
fn what_a_mirror_answers_is_no_message() {
    let mut scene = Scene::new();
    scene.sends("SET m:1 x");
    scene.answers(ONE, "SET m:1 x", "+OK\r\n");
    scene.got.clear();
    let mirror = scene.link(THREE, &commands("SET m:1 x"));
    let conn = subscribed(&mut scene);
    scene.got.clear();
    scene.turn(|scene| {
        scene.engine.received(mirror, b"-OOM no memory\r\n");
        scene.engine.received(conn, message("hello").as_bytes());
    });
    assert_eq!(scene.got(), message("hello"));
}

const ALL_TO_TWO: &str = "[[pool.main.routes]]\nprefix = \"\"\npool = \"two\"\n";

#[test]
fn a_channel_is_heard_of_where_its_messages_go() {
    let mut scene = Scene::new();
    let old = subscribed(&mut scene);
    scene.got.clear();
    scene.reroute(ALL_TO_TWO);
    assert_eq!(scene.sent(ONE), commands("UNSUBSCRIBE a:c"));
    scene.turn(|scene| scene.engine.received(old, message("late").as_bytes()));
    let new = scene.answers(TWO, "SUBSCRIBE a:c", confirmation("subscribe", 1));
    let end = confirmation("unsubscribe", 0);
    scene.turn(|scene| scene.engine.received(old, end.as_bytes()));
    assert_eq!(scene.got(), message("late"), "the client has not asked for it");
    scene.turn(|scene| scene.engine.received(new, message("new").as_bytes()));
    assert_eq!(scene.got(), message("new"));
    scene.sends("UNSUBSCRIBE a:c");
    assert_eq!(scene.sent(TWO), commands("UNSUBSCRIBE a:c"), "it ends where it is");
    scene.turn(|scene| scene.engine.received(new, end.as_bytes()));
    assert_eq!(scene.got(), end);
    scene.sends("GET b:1");
    scene.answers(TWO, "GET b:1", "$-1\r\n");
    assert_eq!(scene.got(), "$-1\r\n");
}

#[test]
fn what_a_subscriber_asks_for_meanwhile_waits_until_its_channels_are_where_they_belong() {
    let mut scene = in_resp3();
    scene.sends("SUBSCRIBE a:c");
    scene.answers(ONE, "HELLO 3", "%1\r\n$5\r\nproto\r\n:3\r\n");
    let push = |kind: &str, count| confirmation(kind, count).replacen('*', ">", 1);
    let old = scene.answers(ONE, "SUBSCRIBE a:c", push("subscribe", 1));
    scene.got.clear();
    scene.sends("MULTI\nSET a:1 x");
    scene.answers(ONE, "MULTI", "+OK\r\n");
    scene.answers(ONE, "SET a:1 x", "+QUEUED\r\n");
    scene.reroute(ALL_TO_TWO);
    assert_eq!(scene.sent(TWO), b"", "not amid a transaction");
    scene.sends("EXEC");
    scene.answers(ONE, "EXEC", "*1\r\n+OK\r\n");
    assert!(scene.got().ends_with("*1\r\n+OK\r\n"), "{}", scene.got());
    scene.got.clear();
    scene.sends("GET b:1");
    scene.answers(TWO, "HELLO 3", "%1\r\n$5\r\nproto\r\n:3\r\n");
    scene.answers(TWO, "SUBSCRIBE a:c", "-NOPERM no channel for you\r\n");
    scene.turn(|scene| scene.engine.received(old, push("unsubscribe", 0).as_bytes()));
    scene.answers(TWO, "HELLO 3", "%1\r\n$5\r\nproto\r\n:3\r\n");
    scene.answers(TWO, "GET b:1", "_\r\n");
    assert_eq!(scene.got(), "_\r\n", "nobody asked for what was refused");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it is about real time")]
fn many_channels_are_no_work_for_a_long_time() {
    let mut scene = Scene::new();
    let names: Vec<String> = (0..60_000).map(|number| format!("a:{number}")).collect();
    let request = commands(&format!("SUBSCRIBE {}", names.join(" ")));
    let began = Instant::now();
    scene.sends_bytes(&request);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

//! WATCH and MULTI.

use crate::scene::{ONE, Scene, THREE, TWO, commands};

/// Opens a transaction in pool one.
fn begin(scene: &mut Scene) {
    scene.sends("MULTI\nSET a:1 x");
    scene.answers(ONE, "MULTI", "+OK\r\n");
    scene.answers(ONE, "SET a:1 x", "+QUEUED\r\n");
    assert_eq!(scene.got(), "+OK\r\n+QUEUED\r\n");
}

#[test]
fn a_large_command_about_the_connection_aborts() {
    let mut scene = Scene::new();
    begin(&mut scene);
    let request = commands(&format!("CLIENT SETNAME {}", "x".repeat(1_200_000)));
    request.chunks(64 * 1024).for_each(|part| scene.sends_bytes(part));
    let got = scene.got();
    assert!(got.starts_with('-'), "{got}");
    scene.sends("EXEC");
    scene.answers(ONE, "DISCARD", "+OK\r\n");
    let got = scene.got();
    assert!(got.starts_with("-EXECABORT"), "{got}");
}

#[test]
fn select_leaves_what_is_watched() {
    let mut scene = Scene::new();
    // The first leg is in pool one.
    scene.sends("GET a:1");
    scene.answers(ONE, "GET a:1", "$-1\r\n");
    scene.sends("WATCH b:1");
    let conn = scene.answers(TWO, "WATCH b:1", "+OK\r\n");
    scene.got.clear();
    scene.sends("SELECT 1");
    assert_eq!(scene.link(TWO, &commands("SELECT 1")), conn, "on the connection that watches");
    scene.turn(|scene| scene.engine.received(conn, b"+OK\r\n"));
    scene.sends("MULTI\nSET b:1 x\nEXEC");
    assert_eq!(scene.answers(TWO, "MULTI\nSET b:1 x", "+OK\r\n+QUEUED\r\n"), conn);
    scene.answers(TWO, "EXEC", "*-1\r\n");
    assert_eq!(scene.got(), "+OK\r\n+OK\r\n+QUEUED\r\n*-1\r\n");
}

#[test]
fn in_a_pause_of_writes_an_exec_that_writes_waits() {
    let mut scene = Scene::new();
    begin(&mut scene);
    scene.other_sends(0, "CLIENT PAUSE 50 WRITE");
    scene.sends("EXEC");
    assert_eq!(scene.sent(ONE), b"");
    scene.now += 100;
    scene.turn(|_| ());
    scene.answers(ONE, "EXEC", "*1\r\n+OK\r\n");
    assert_eq!(scene.got(), "*1\r\n+OK\r\n");
}

/// On a server they are: the pool that writes go to has to have both.
#[test]
fn what_a_transaction_reads_and_writes_is_in_one_place() {
    let mut scene = Scene::new();
    scene.sends("MULTI\nGET r:1\nSET r:1 x\nEXEC");
    scene.answers(
        ONE,
        "MULTI\nGET r:1\nSET r:1 x\nEXEC",
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$-1\r\n+OK\r\n",
    );
    scene.got.clear();
    scene.sends("MULTI");
    scene.sends("GET r:1");
    scene.answers(ONE, "MULTI", "+OK\r\n");
    scene.answers(ONE, "GET r:1", "+QUEUED\r\n");
    assert_eq!(scene.got(), "+OK\r\n+QUEUED\r\n");
    scene.sends("DISCARD\nGET r:1");
    scene.answers(ONE, "DISCARD", "+OK\r\n");
    scene.answers(THREE, "GET r:1", "$1\r\nx\r\n");
    assert_eq!(scene.got(), "+OK\r\n$1\r\nx\r\n");
}

/// What has no keys waits for the first command with one; not without a limit.
#[test]
fn a_long_command_without_keys_says_where_the_transaction_is() {
    let mut scene = Scene::new();
    scene.sends("MULTI\nPING");
    assert_eq!(scene.sent(ONE), b"");
    let echo = format!("ECHO {}", "x".repeat(70_000));
    scene.sends(&echo);
    scene.answers(ONE, "MULTI", "+OK\r\n");
    scene.answers(ONE, "PING", "+QUEUED\r\n");
    scene.answers(ONE, &echo, "+QUEUED\r\n");
    assert_eq!(scene.got(), "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
}

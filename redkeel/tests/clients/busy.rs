//! A script that does not end: who waits for it, who is told, and who may end it.

use testkit::{Client, RedisServer, Redkeel, error_text, eventually, simple};

use crate::common::{SOON, proxy, ready};

const ENDLESS: [&str; 3] = ["EVAL", "while true do end", "0"];

fn start(server: &RedisServer) -> Redkeel {
    // What the node says of itself after some milliseconds instead of five seconds.
    server.cli(["CONFIG", "SET", "busy-reply-threshold", "10"]);
    ready(proxy([server], "").expect_log("busy with a script"))
}

/// A client in another database: a busy node refuses the SELECT of a new connection.
fn elsewhere(redkeel: &Redkeel) -> Client {
    let mut client = redkeel.client();
    assert_eq!(client.command(["SELECT", "9"]), simple("OK"));
    client
}

/// A client whose script runs, once others hear of it.
fn run_endless(redkeel: &Redkeel) -> Client {
    let mut client = redkeel.client();
    client.send(ENDLESS);
    let mut other = redkeel.client();
    eventually(SOON, "the node to say that it is busy", || {
        let reply = other.command(["GET", "key"]);
        let busy = error_text(&reply).is_some_and(|text| text.starts_with("BUSY "));
        if busy { Ok(()) } else { Err(format!("{reply:?}")) }
    });
    client
}

#[test]
fn others_hear_that_the_node_is_busy_and_may_end_the_script() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    for _ in 0..2 {
        let mut killer = elsewhere(&redkeel);
        let mut endless = run_endless(&redkeel);
        assert_eq!(killer.command(["SCRIPT", "KILL"]), simple("OK"));
        let reply = endless.receive();
        assert!(error_text(&reply).unwrap().contains("killed by user"), "{reply:?}");
        // Those who come now, over whichever connection, are served.
        assert_eq!(killer.command(["SET", "key", "value"]), simple("OK"));
        assert_eq!(endless.command(["SET", "key", "value"]), simple("OK"));
    }
    let reply = redkeel.client().command(["SCRIPT", "KILL"]);
    assert!(error_text(&reply).unwrap().starts_with("NOTBUSY "), "{reply:?}");
}

#[test]
fn a_transaction_begun_meanwhile_runs_as_a_whole_or_not_at_all() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    let mut killer = elsewhere(&redkeel);
    let mut client = elsewhere(&redkeel);
    let mut endless = run_endless(&redkeel);
    assert_eq!(client.command(["MULTI"]), simple("OK"));
    client.command(["INCR", "half"]);
    assert_eq!(killer.command(["SCRIPT", "KILL"]), simple("OK"));
    endless.receive();
    // The script is over: nothing but the transaction's own past keeps this from running.
    client.command(["INCR", "half"]);
    let reply = client.command(["EXEC"]);
    let expected = "EXECABORT Transaction discarded because of previous errors.";
    assert_eq!(error_text(&reply).unwrap(), expected);
    assert_eq!(client.command(["EXISTS", "half"]).as_int(), Some(0));
}

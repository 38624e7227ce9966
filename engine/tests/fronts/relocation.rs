//! Routes change: what a client has set up on its shards follows its keys.

use crate::scene::{ONE, ROUTES, Scene, THREE, TWO, commands};

const ALL_TO_TWO: &str = "[[pool.main.routes]]\nprefix = \"\"\npool = \"two\"\n";
const ALL_TO_THREE: &str = "[[pool.main.routes]]\nprefix = \"\"\npool = \"three\"\n";
const GREETING: &str = "%1\r\n$5\r\nproto\r\n:3\r\n";
const ALL_INVALID: &str = ">2\r\n$10\r\ninvalidate\r\n_\r\n";

fn confirmation(kind: &str, name: &str, count: u32) -> String {
    format!(">3\r\n${}\r\n{kind}\r\n${}\r\n{name}\r\n:{count}\r\n", kind.len(), name.len())
}

fn resp2(text: String) -> String {
    text.replacen('>', "*", 1)
}

fn in_resp3() -> Scene {
    let mut scene = Scene::new();
    scene.sends("HELLO 3");
    scene.answers(ONE, "HELLO 3", GREETING);
    scene.got.clear();
    scene
}

/// One that tracks, on all its shards.
fn tracking() -> Scene {
    let mut scene = in_resp3();
    scene.sends("CLIENT TRACKING ON");
    for pool in [ONE, TWO, THREE] {
        scene.answers(pool, "HELLO 3", GREETING);
        scene.answers(pool, "CLIENT TRACKING ON", "+OK\r\n");
    }
    assert_eq!(scene.got(), "+OK\r\n");
    scene
}

#[test]
fn what_is_not_confirmed_yet_is_relocated_as_well() {
    let mut scene = Scene::new();
    scene.sends("SUBSCRIBE a:c");
    scene.reroute(ALL_TO_TWO);
    let confirmed = resp2(confirmation("subscribe", "a:c", 1));
    scene.answers(ONE, "SUBSCRIBE a:c", &confirmed);
    assert_eq!(scene.got(), confirmed);
    scene.answers(TWO, "SUBSCRIBE a:c", &confirmed);
    assert_eq!(scene.got(), "");
}

#[test]
fn tracking_that_is_not_confirmed_yet_is_relocated_as_well() {
    let mut scene = Scene::new();
    scene.reroute("[[pool.main.routes]]\nprefix = \"\"\npool = \"one\"\n");
    scene.sends("HELLO 3");
    scene.answers(ONE, "HELLO 3", GREETING);
    scene.sends("CLIENT TRACKING ON");
    scene.answers(ONE, "HELLO 3", GREETING);
    scene.reroute(ALL_TO_TWO);
    scene.answers(ONE, "CLIENT TRACKING ON", "+OK\r\n");
    scene.answers(TWO, "HELLO 3", GREETING);
    scene.answers(TWO, "CLIENT TRACKING ON", "+OK\r\n");
    assert!(scene.got().ends_with(&format!("+OK\r\n{ALL_INVALID}")));
}

#[test]
fn a_reply_that_is_to_be_skipped_is_the_next_of_the_client_s_own() {
    let mut scene = in_resp3();
    scene.sends("SUBSCRIBE a:c");
    scene.answers(ONE, "HELLO 3", GREETING);
    let old = scene.answers(ONE, "SUBSCRIBE a:c", confirmation("subscribe", "a:c", 1));
    scene.got.clear();
    scene.sends("CLIENT REPLY SKIP");
    scene.reroute(ALL_TO_TWO);
    scene.answers(TWO, "HELLO 3", GREETING);
    scene.answers(TWO, "SUBSCRIBE a:c", confirmation("subscribe", "a:c", 1));
    let end = confirmation("unsubscribe", "a:c", 0);
    scene.turn(|scene| scene.engine.received(old, end.as_bytes()));
    scene.sends("GET b:1");
    scene.answers(TWO, "GET b:1", "$1\r\nx\r\n");
    assert_eq!(scene.got(), "");
    scene.sends("GET b:1");
    scene.answers(TWO, "GET b:1", "$1\r\ny\r\n");
    assert_eq!(scene.got(), "$1\r\ny\r\n");
}

#[test]
fn what_refuses_to_track_is_no_word_on_a_subscription() {
    let mut scene = Scene::new();
    scene.reroute("[[pool.main.routes]]\nprefix = \"\"\npool = \"one\"\n");
    scene.sends("HELLO 3");
    scene.answers(ONE, "HELLO 3", GREETING);
    scene.sends("CLIENT TRACKING ON");
    scene.answers(ONE, "HELLO 3", GREETING);
    scene.answers(ONE, "CLIENT TRACKING ON", "+OK\r\n");
    scene.sends("SUBSCRIBE a:c");
    scene.answers(ONE, "SUBSCRIBE a:c", confirmation("subscribe", "a:c", 1));
    scene.got.clear();
    scene.reroute("[[pool.main.routes]]\nprefix = \"\"\npool = \"two\"\nreads = \"three\"\n");
    scene.got.clear();
    scene.answers(TWO, "HELLO 3", GREETING);
    scene.answers(THREE, "HELLO 3", GREETING);
    scene.answers(THREE, "CLIENT TRACKING ON", "-NOPERM\r\n");
    let ended = confirmation("unsubscribe", "a:c", 0);
    scene.answers(ONE, "UNSUBSCRIBE a:c", &ended);
    scene.answers(ONE, "CLIENT TRACKING OFF", "+OK\r\n");
    scene.answers(TWO, "SUBSCRIBE a:c", confirmation("subscribe", "a:c", 1));
    scene.answers(TWO, "CLIENT TRACKING ON", "+OK\r\n");
    scene.sends("SET b:1 x");
    scene.answers(TWO, "SET b:1 x", "+OK\r\n");
    assert_eq!(scene.got(), "+OK\r\n");
}

#[test]
fn each_of_several_commands_may_be_refused() {
    for resp3 in [true, false] {
        for second_refused in [true, false] {
            let confirmed = |kind: &str, name: &str, count| {
                let text = confirmation(kind, name, count);
                if resp3 { text } else { resp2(text) }
            };
            let mut scene = if resp3 { in_resp3() } else { Scene::new() };
            scene.sends("SUBSCRIBE a:c\nSSUBSCRIBE a:s");
            if resp3 {
                scene.answers(ONE, "HELLO 3", GREETING);
            }
            scene.answers(ONE, "SUBSCRIBE a:c", confirmed("subscribe", "a:c", 1));
            scene.answers(ONE, "SSUBSCRIBE a:s", confirmed("ssubscribe", "a:s", 1));
            scene.got.clear();
            scene.reroute(ALL_TO_TWO);
            if resp3 {
                scene.answers(TWO, "HELLO 3", GREETING);
            }
            scene.answers(TWO, "SUBSCRIBE a:c", b"-NOPERM no channel\r\n");
            let new = scene.link(TWO, &commands("SSUBSCRIBE a:s"));
            scene.answers(ONE, "UNSUBSCRIBE a:c", confirmed("unsubscribe", "a:c", 0));
            scene.answers(ONE, "SUNSUBSCRIBE a:s", confirmed("sunsubscribe", "a:s", 0));
            let second = if second_refused {
                "-NOPERM no channel\r\n".into()
            } else {
                confirmed("ssubscribe", "a:s", 1)
            };
            scene.turn(|scene| scene.engine.received(new, second.as_bytes()));
            assert_eq!(scene.got(), "", "{resp3} {second_refused}");
            if resp3 {
                scene.sends("GET b:1");
                if second_refused {
                    scene.answers(TWO, "HELLO 3", GREETING);
                }
                let conn = scene.link(TWO, &commands("GET b:1"));
                scene.turn(|scene| scene.engine.received(conn, b"_\r\n"));
                assert_eq!(scene.got(), "_\r\n");
            }
        }
    }
}

#[test]
fn where_a_client_reads_nothing_it_tracks_nothing() {
    let mut scene = tracking();
    scene.reroute(ALL_TO_TWO);
    assert_eq!(scene.got(), ALL_INVALID);
    for pool in [ONE, THREE] {
        scene.answers(pool, "CLIENT TRACKING OFF", "+OK\r\n");
    }
    scene.sends("CLIENT TRACKING OFF");
    scene.answers(TWO, "CLIENT TRACKING OFF", "+OK\r\n");
    assert_eq!(scene.got(), "+OK\r\n");
    scene.reroute(ALL_TO_THREE);
    assert_eq!([scene.sent(ONE), scene.sent(TWO), scene.sent(THREE)], [b"", b"", b""]);
    assert_eq!(scene.got(), "", "it tracks no more");
}

#[test]
fn who_sends_one_command_after_the_other_is_relocated_amid_them() {
    let mut scene = in_resp3();
    scene.sends("SUBSCRIBE a:c");
    scene.answers(ONE, "HELLO 3", GREETING);
    scene.answers(ONE, "SUBSCRIBE a:c", confirmation("subscribe", "a:c", 1));
    scene.got.clear();
    scene.sends("GET a:1");
    scene.reroute(ALL_TO_TWO);
    scene.sends("GET b:1");
    scene.answers(ONE, "GET a:1", "_\r\n");
    scene.answers(TWO, "HELLO 3", GREETING);
    scene.answers(TWO, "SUBSCRIBE a:c", confirmation("subscribe", "a:c", 1));
}

#[test]
fn after_a_transaction_that_reached_no_shard() {
    let mut scene = in_resp3();
    scene.sends("SUBSCRIBE a:c");
    scene.answers(ONE, "HELLO 3", GREETING);
    scene.answers(ONE, "SUBSCRIBE a:c", confirmation("subscribe", "a:c", 1));
    scene.got.clear();
    scene.sends("MULTI");
    scene.reroute(ALL_TO_TWO);
    scene.sends("DISCARD");
    assert_eq!(scene.got(), "+OK\r\n+OK\r\n");
    scene.answers(TWO, "HELLO 3", GREETING);
    scene.answers(TWO, "SUBSCRIBE a:c", confirmation("subscribe", "a:c", 1));
}

#[test]
fn after_a_large_request_that_was_refused() {
    let mut scene = Scene::new();
    scene.sends("SUBSCRIBE a:c");
    let confirmed = resp2(confirmation("subscribe", "a:c", 1));
    scene.answers(ONE, "SUBSCRIBE a:c", &confirmed);
    scene.got.clear();
    let request = commands(&format!("SET b:1 {}", "x".repeat(1_200_000)));
    let (first, rest) = request.split_at(1_100_000);
    first.chunks(64 * 1024).for_each(|part| scene.sends_bytes(part));
    scene.reroute(ALL_TO_TWO);
    rest.chunks(64 * 1024).for_each(|part| scene.sends_bytes(part));
    scene.answers(TWO, "SUBSCRIBE a:c", &confirmed);
}

#[test]
fn several_changes_in_quick_succession() {
    let mut scene = Scene::new();
    scene.sends("SUBSCRIBE a:c");
    let confirmed = resp2(confirmation("subscribe", "a:c", 1));
    let ended = resp2(confirmation("unsubscribe", "a:c", 0));
    let one = scene.answers(ONE, "SUBSCRIBE a:c", &confirmed);
    scene.got.clear();
    scene.reroute(ALL_TO_TWO);
    scene.reroute(ALL_TO_THREE);
    scene.reroute("[[pool.main.routes]]\nprefix = \"\"\npool = \"one\"\n");
    let two = scene.answers(TWO, "SUBSCRIBE a:c", &confirmed);
    scene.turn(|scene| scene.engine.received(one, ended.as_bytes()));
    assert_eq!(scene.sent(THREE), b"");
    assert_eq!(scene.sent(TWO), commands("UNSUBSCRIBE a:c"));
    scene.turn(|scene| scene.engine.received(two, ended.as_bytes()));
    assert_eq!(scene.sent(ONE), commands("UNSUBSCRIBE a:c\nSUBSCRIBE a:c"));
    scene.turn(|scene| scene.engine.received(one, confirmed.as_bytes()));
    assert_eq!(scene.got(), "");
    scene.sends("PING");
    assert_eq!(scene.got(), "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
}

#[test]
fn who_is_going_subscribes_to_nothing_more() {
    let mut scene = Scene::new();
    scene.sends("SUBSCRIBE a:c");
    scene.answers(ONE, "SUBSCRIBE a:c", resp2(confirmation("subscribe", "a:c", 1)));
    scene.reads = false;
    scene.sends("QUIT");
    scene.reroute(ALL_TO_TWO);
    assert_eq!(scene.sent(TWO), b"");
}

/// A client that is subscribed to a channel of shard one; which channel that is.
fn subscribed_to_one_of_three() -> (Scene, String) {
    let mut scene = Scene::with_shards();
    let channel = (0..).map(|number| format!("c:{number}")).find(|channel| {
        scene.sends(&format!("SPUBLISH {channel} x"));
        let is_there = !scene.sent(ONE).is_empty();
        for pool in [TWO, THREE] {
            scene.sent(pool);
        }
        is_there
    });
    let mut scene = Scene::with_shards();
    let channel = channel.unwrap_or_default();
    scene.sends(&format!("SUBSCRIBE {channel}"));
    let confirmed = resp2(confirmation("subscribe", &channel, 1));
    scene.answers(ONE, &format!("SUBSCRIBE {channel}"), &confirmed);
    assert_eq!(scene.got(), confirmed);
    (scene, channel)
}

#[test]
fn a_subscription_at_a_shard_that_is_left_out_ends_without_it() {
    let (mut scene, channel) = subscribed_to_one_of_three();
    scene.publish(&[ONE]);
    let confirmed = resp2(confirmation("subscribe", &channel, 1));
    let new = scene.answers(TWO, &format!("SUBSCRIBE {channel}"), &confirmed);
    scene.sends(&format!("UNSUBSCRIBE {channel}"));
    assert_eq!(scene.sent(TWO), commands(&format!("UNSUBSCRIBE {channel}")));
    let ended = resp2(confirmation("unsubscribe", &channel, 0));
    scene.turn(|scene| scene.engine.received(new, ended.as_bytes()));
    assert_eq!(scene.got(), ended);
    scene.publish(&[]);
    assert_eq!(scene.sent(ONE), b"", "nothing is left to be heard of there");
}

#[test]
fn what_a_shard_could_not_be_told_in_time_it_is_told_when_it_can_be() {
    let mut scene = Scene::new();
    scene.sends("SUBSCRIBE a:c");
    let confirmed = resp2(confirmation("subscribe", "a:c", 1));
    let old = scene.answers(ONE, "SUBSCRIBE a:c", &confirmed);
    scene.got.clear();
    scene.publish(&[TWO]);
    scene.reroute(ALL_TO_TWO);
    let ended = resp2(confirmation("unsubscribe", "a:c", 0));
    scene.turn(|scene| scene.engine.received(old, ended.as_bytes()));
    for _ in 0..10 {
        scene.now += 1000;
        scene.turn(|_| ());
    }
    scene.sends("PING");
    assert_eq!(scene.got(), "*2\r\n$4\r\npong\r\n$0\r\n\r\n", "it is not waited for");
    scene.publish(&[]);
    let new = scene.answers(TWO, "SUBSCRIBE a:c", &confirmed);
    assert_eq!(scene.got(), "");
    scene.sends("UNSUBSCRIBE");
    assert_eq!(scene.sent(TWO), commands("UNSUBSCRIBE a:c"));
    scene.turn(|scene| scene.engine.received(new, ended.as_bytes()));
    assert_eq!(scene.got(), ended);
}

#[test]
fn what_a_shard_could_not_be_told_of_tracking_it_is_told_when_it_can_be() {
    let mut scene = Scene::new();
    scene.reroute("[[pool.main.routes]]\nprefix = \"\"\npool = \"one\"\n");
    scene.sends("HELLO 3");
    scene.answers(ONE, "HELLO 3", GREETING);
    scene.sends("CLIENT TRACKING ON");
    scene.answers(ONE, "HELLO 3", GREETING);
    scene.answers(ONE, "CLIENT TRACKING ON", "+OK\r\n");
    scene.publish(&[TWO]);
    scene.reroute("[[pool.main.routes]]\nprefix = \"b:\"\npool = \"two\"\n[[pool.main.routes]]\nprefix = \"\"\npool = \"one\"\n");
    for _ in 0..10 {
        scene.now += 1000;
        scene.turn(|_| ());
    }
    scene.got.clear();
    scene.publish(&[]);
    scene.answers(TWO, "HELLO 3", GREETING);
    scene.answers(TWO, "CLIENT TRACKING ON", "+OK\r\n");
    assert_eq!(scene.got(), ALL_INVALID);
}

#[test]
fn who_tracks_no_more_does_not_where_a_shard_was_left_out() {
    let mut scene = Scene::with_shards();
    scene.sends("HELLO 3");
    scene.answers(ONE, "HELLO 3", GREETING);
    scene.sends("CLIENT TRACKING ON");
    for pool in [ONE, TWO, THREE] {
        scene.answers(pool, "HELLO 3", GREETING);
        scene.answers(pool, "CLIENT TRACKING ON", "+OK\r\n");
    }
    scene.got.clear();
    scene.publish(&[ONE]);
    assert_eq!(scene.got(), ALL_INVALID);
    scene.sends("CLIENT TRACKING OFF");
    for pool in [TWO, THREE] {
        scene.answers(pool, "CLIENT TRACKING OFF", "+OK\r\n");
    }
    assert_eq!(scene.got(), "+OK\r\n");
    scene.publish(&[]);
    assert_eq!([scene.sent(ONE), scene.sent(TWO), scene.sent(THREE)], [b"", b"", b""]);
    assert_eq!(scene.got(), "");
}

#[test]
fn a_shard_that_cannot_answer_is_not_waited_for() {
    let mut scene = in_resp3();
    scene.sends("SUBSCRIBE a:c");
    scene.answers(ONE, "HELLO 3", GREETING);
    scene.answers(ONE, "SUBSCRIBE a:c", confirmation("subscribe", "a:c", 1));
    scene.got.clear();
    scene.publish(&[ONE, TWO]);
    scene.reroute(
        "[[pool.main.routes]]\nprefix = \"a:\"\npool = \"two\"\n[[pool.main.routes]]\nprefix = \"\"\npool = \"three\"\n",
    );
    for first in [true, false, false] {
        scene.sends("GET b:1");
        if first {
            scene.answers(THREE, "HELLO 3", GREETING);
        }
        scene.answers(THREE, "GET b:1", "_\r\n");
        assert_eq!(scene.got(), "_\r\n");
        scene.publish(&[ONE, TWO]);
    }
    scene.publish(&[]);
    scene.answers(TWO, "HELLO 3", GREETING);
    scene.answers(TWO, "SUBSCRIBE a:c", confirmation("subscribe", "a:c", 1));
    scene.answers(ONE, "UNSUBSCRIBE a:c", confirmation("unsubscribe", "a:c", 0));
    assert_eq!(scene.got(), "");
}

#[test]
fn what_a_node_has_refused_it_is_asked_again() {
    let mut scene = Scene::new();
    scene.sends("SUBSCRIBE a:c");
    let confirmed = resp2(confirmation("subscribe", "a:c", 1));
    scene.answers(ONE, "SUBSCRIBE a:c", &confirmed);
    scene.got.clear();
    scene.reroute(ALL_TO_TWO);
    scene.answers(ONE, "UNSUBSCRIBE a:c", resp2(confirmation("unsubscribe", "a:c", 0)));
    scene.answers(TWO, "SUBSCRIBE a:c", "-NOPERM not now\r\n");
    scene.publish(&[]);
    scene.answers(TWO, "SUBSCRIBE a:c", &confirmed);
    scene.publish(&[]);
    assert_eq!([scene.sent(ONE), scene.sent(TWO)], [b"", b""]);
    assert_eq!(scene.got(), "");
}

#[test]
fn where_routes_are_as_before_nothing_is_said() {
    let mut scene = tracking();
    scene.reroute(ROUTES);
    assert_eq!(scene.got(), "");
}

#[test]
fn a_pattern_that_one_shard_refuses_is_heard_of_nowhere() {
    let mut scene = Scene::new();
    scene.sends("PSUBSCRIBE a*");
    let confirmed = resp2(confirmation("psubscribe", "a*", 1));
    let one = scene.answers(ONE, "PSUBSCRIBE a*", &confirmed);
    scene.answers(TWO, "PSUBSCRIBE a*", "-NOPERM no pattern\r\n");
    assert_eq!(scene.got(), "-NOPERM no pattern\r\n");
    let message = "*4\r\n$8\r\npmessage\r\n$2\r\na*\r\n$1\r\na\r\n$1\r\nx\r\n";
    let ended = resp2(confirmation("punsubscribe", "a*", 0));
    assert_eq!(scene.sent(ONE), commands("PUNSUBSCRIBE a*"));
    scene.turn(|scene| scene.engine.received(one, format!("{message}{ended}").as_bytes()));
    scene.got.clear();
    scene.sends("GET a:1");
    scene.answers(ONE, "GET a:1", "$1\r\ny\r\n");
    assert_eq!(scene.got(), "$1\r\ny\r\n");
}

#[test]
fn a_shard_that_goes_before_it_has_confirmed_is_followed_by_the_next() {
    let (mut scene, channel) = subscribed_to_one_of_three();
    let subscribe = format!("SUBSCRIBE {channel}");
    let confirmed = resp2(confirmation("subscribe", &channel, 1));
    scene.publish(&[ONE]);
    assert_eq!(scene.sent(TWO), commands(&subscribe));
    scene.publish(&[ONE, TWO]);
    for _ in 0..30 {
        scene.now += 1000;
        scene.turn(|_| ());
    }
    scene.answers(THREE, &subscribe, &confirmed);
    assert_eq!(scene.got(), "");
    scene.publish(&[]);
    let ended = resp2(confirmation("unsubscribe", &channel, 0));
    scene.answers(THREE, &format!("UNSUBSCRIBE {channel}"), &ended);
    assert_eq!([scene.sent(TWO), scene.sent(THREE)], [b"", b""]);
    assert_eq!(scene.got(), "");
}

#[test]
fn in_a_drain_what_is_being_relocated_keeps_nobody() {
    let mut scene = Scene::new();
    scene.sends("SUBSCRIBE a:c");
    let confirmed = resp2(confirmation("subscribe", "a:c", 1));
    scene.answers(ONE, "SUBSCRIBE a:c", &confirmed);
    scene.got.clear();
    scene.reroute(ALL_TO_TWO);
    scene.turn(|scene| scene.engine.ended(scene.client));
    scene.turn(|scene| scene.engine.drain());
    scene.answers(ONE, "UNSUBSCRIBE a:c", resp2(confirmation("unsubscribe", "a:c", 0)));
    scene.answers(TWO, "SUBSCRIBE a:c", &confirmed);
    assert_eq!(scene.got(), "");
    assert_eq!(scene.closed, [scene.client]);
}

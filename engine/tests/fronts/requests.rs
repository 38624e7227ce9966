//! Requests that are not as they should be.

use crate::scene::{ONE, Scene, TWO};

#[test]
fn a_broken_line_is_answered() {
    let mut scene = Scene::new();
    scene.sends_bytes(b"\r\nGET \"a:1\r\n");
    let got = scene.got();
    assert_eq!(got, "-ERR Protocol error: unbalanced quotes in request\r\n");
}

/// On one server it would be refused; in parts, each would be well formed but for the last.
#[test]
fn a_key_without_a_value_is_for_a_node_to_refuse() {
    let mut scene = Scene::new();
    scene.sends("MSET a:1 x b:1");
    scene.answers(ONE, "MSET a:1 x b:1", "-ERR wrong number of arguments for 'mset' command\r\n");
    assert_eq!(scene.sent(TWO), b"");
    assert_eq!(scene.got(), "-ERR wrong number of arguments for 'mset' command\r\n");
}

//! Mirrors: what they get, and what they do not.

use crate::scene::{ONE, Scene, THREE, TWO, commands};

#[test]
fn what_was_refused_is_not_mirrored() {
    let mut scene = Scene::new();
    scene.sends("RENAME m:1 b:1");
    let got = scene.got();
    assert!(got.starts_with("-CROSSSHARD"), "{got}");
    assert_eq!(scene.sent(THREE), b"");
}

#[test]
fn of_a_command_with_many_keys_a_mirror_gets_its_own() {
    let mut scene = Scene::new();
    scene.sends("MSET b:1 x m:1 y b:2 z m:2 w");
    scene.answers(ONE, "MSET m:1 y m:2 w", "+OK\r\n");
    scene.answers(TWO, "MSET b:1 x b:2 z", "+OK\r\n");
    assert_eq!(scene.got(), "+OK\r\n");
    assert_eq!(scene.sent(THREE), commands("MSET m:1 y m:2 w"));
    // Both are in pool one, but only one of them is mirrored.
    scene.sends("RENAME m:1 a:1");
    scene.answers(ONE, "RENAME m:1 a:1", "+OK\r\n");
    assert_eq!(scene.sent(THREE), b"");
}

#[test]
fn a_copy_is_for_the_database_of_its_command() {
    let mut scene = Scene::new();
    scene.sends("SET m:1 x");
    scene.answers(ONE, "SET m:1 x", "+OK\r\n");
    // The mirror is slow.
    scene.link(THREE, &commands("SET m:1 x"));
    scene.sends("SELECT 1");
    scene.answers(ONE, "SELECT 1", "+OK\r\n");
    scene.sends("SET m:2 x");
    scene.link(THREE, &commands("SELECT 1"));
}

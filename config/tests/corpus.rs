//! The seeds of the fuzz target `config`, replayed with the target's own checks.

#[path = "checks/text.rs"]
mod check;

#[test]
fn files() {
    testkit::replay("config", |input| {
        check::rendered(&String::from_utf8_lossy(input));
    });
}

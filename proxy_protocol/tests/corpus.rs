//! The seeds of the fuzz target `proxy_protocol`, replayed with the target's own check.

#[path = "checks/header.rs"]
mod check;

#[test]
fn headers() {
    testkit::replay("proxy_protocol", check::check_header);
}

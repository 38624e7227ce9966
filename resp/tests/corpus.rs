//! The seeds of the fuzz targets, replayed with the targets' own checks.

#[path = "checks/reply.rs"]
mod check_reply;
#[path = "checks/request.rs"]
mod check_request;

use testkit::replay;

#[test]
fn requests() {
    replay("request", check_request::check_request);
}

#[test]
fn replies() {
    replay("reply", check_reply::check_reply);
}

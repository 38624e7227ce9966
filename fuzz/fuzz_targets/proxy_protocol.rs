//! What a connection begins with.
#![no_main]

#[path = "../../proxy_protocol/tests/checks/header.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|input: &[u8]| check::check_header(input));

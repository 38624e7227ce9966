//! What a client sends.
#![no_main]

#[path = "../../resp/tests/checks/request.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|input: &[u8]| check::check_request(input));

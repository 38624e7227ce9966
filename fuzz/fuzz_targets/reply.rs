//! What a server sends.
#![no_main]

#[path = "../../resp/tests/checks/reply.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|input: &[u8]| check::check_reply(input));

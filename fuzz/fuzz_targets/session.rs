//! Clients, nodes and time around one worker's core, as a script says: see `testkit::script`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| testkit::script::play(input));

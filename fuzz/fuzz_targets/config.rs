//! A configuration file. The fixtures make a corpus: `cargo +nightly fuzz run config ../config/tests/fixtures/wrong`.
#![no_main]

#[path = "../../config/tests/checks/text.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    check::rendered(&String::from_utf8_lossy(input));
});

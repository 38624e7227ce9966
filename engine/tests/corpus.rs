//! Scripts of the fuzz target `session`: its seeds, replayed, and a few that nobody has chosen.

use proptest::prelude::*;
use testkit::script::play;

#[test]
fn seeds() {
    testkit::replay("session", play);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_script(script in prop::collection::vec(any::<u8>(), 0..400)) {
        play(&script);
    }
}

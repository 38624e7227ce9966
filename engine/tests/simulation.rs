//! The core in a simulated world, over a few hundred seeds; see `testkit::sim`.

use testkit::sim::{Weather, run_all};

macro_rules! weather {
    ($($(#[$note:meta])* $name:ident: $weather:ident, $from:literal;)*) => {$(
        $(#[$note])*
        #[test]
        fn $name() {
            let summary = run_all(Weather::$weather, $from..$from + 25);
            println!("{summary:?}");
            assert!(summary.requests > 0);
        }
    )*};
}

// Several tests of each, so that they run beside each other.
weather! {
    calm_1: Calm, 0;
    calm_2: Calm, 100;
    slow_1: Slow, 0;
    slow_2: Slow, 100;
    links_1: Links, 0;
    links_2: Links, 100;
    nodes_1: Nodes, 0;
    nodes_2: Nodes, 100;
    nodes_3: Nodes, 200;
    storm_1: Storm, 0;
    storm_2: Storm, 100;
    storm_3: Storm, 200;
}

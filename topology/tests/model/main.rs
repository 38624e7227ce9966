//! A small world of servers that replicate, crash, restart, freeze and are promoted at random, probed as the reducer
//! asks; with Sentinels that watch it, or without. Whatever happens: no node takes writes that had not earned it, and
//! when the world is in order again, so is the pool.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod probes;
mod watch;
mod world;

use probes::Probes;
use proptest::prelude::*;
use watch::{WatchAction, Watched};
use world::{Action, NODES};

fn action() -> impl Strategy<Value = Action> {
    let node = || 0..NODES;
    prop_oneof![
        6 => (1u64..600).prop_map(Action::Pass),
        3 => (1u64..100).prop_map(Action::Write),
        4 => node().prop_map(Action::Sync),
        1 => node().prop_map(Action::Save),
        2 => node().prop_map(Action::Kill),
        3 => (node(), proptest::option::of(node()), any::<bool>())
            .prop_map(|(node, follows, empty)| Action::Start { node, follows, empty }),
        2 => node().prop_map(Action::Promote),
        2 => (node(), node()).prop_map(|(node, to)| Action::Demote { node, to }),
        1 => node().prop_map(Action::Freeze),
        1 => node().prop_map(Action::Thaw),
        1 => node().prop_map(Action::Cut),
        1 => node().prop_map(Action::Heal),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn writes_go_only_where_they_may(actions in proptest::collection::vec(action(), 1..60)) {
        let mut probes = Probes::new();
        probes.pass(300);
        prop_assert_eq!(probes.primary(), Some(0));
        for action in &actions {
            let primary = probes.primary();
            probes.world.act(action, primary);
            if let Action::Pass(millis) = action {
                probes.pass(*millis);
            }
        }
        probes.settle();
    }
}

fn watch_action() -> impl Strategy<Value = WatchAction> {
    let sentinel = || 0..watch::SENTINELS;
    let node = || 0..NODES;
    prop_oneof![
        3 => (sentinel(), node(), any::<bool>())
            .prop_map(|(sentinel, to, heard)| WatchAction::Begin { sentinel, to, heard }),
        4 => sentinel().prop_map(WatchAction::Promote),
        1 => sentinel().prop_map(WatchAction::Abort),
        4 => (sentinel(), sentinel()).prop_map(|(from, to)| WatchAction::Greet { from, to }),
        2 => sentinel().prop_map(WatchAction::Reconfigure),
        1 => sentinel().prop_map(WatchAction::Silence),
        2 => sentinel().prop_map(WatchAction::Speak),
        1 => sentinel().prop_map(WatchAction::Tilt),
        2 => sentinel().prop_map(WatchAction::Trust),
        1 => (sentinel(), node())
            .prop_map(|(sentinel, node)| WatchAction::Monitor { sentinel, node }),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Of(Action),
    Watch(WatchAction),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![3 => action().prop_map(Step::Of), 2 => watch_action().prop_map(Step::Watch)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn writes_go_only_where_a_majority_says_or_will_say(steps in proptest::collection::vec(step(), 1..80)) {
        let mut watched = Watched::new();
        watched.0.pass(300);
        prop_assert_eq!(watched.0.primary(), Some(0));
        for step in &steps {
            match step {
                Step::Watch(action) => watched.act(action),
                Step::Of(action) => {
                    let primary = watched.0.primary();
                    watched.0.world.act(action, primary);
                    if let Action::Pass(millis) = action {
                        watched.0.pass(*millis);
                    }
                }
            }
        }
        watched.settle();
    }
}

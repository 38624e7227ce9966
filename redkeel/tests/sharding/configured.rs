//! What Redkeel makes of its own file.

use config::{Context, NoSecrets, Source};
use routing::Member;

use crate::fleet::Fleet;
use crate::{envoy, twemproxy};

/// The rings of the other tests are those that Redkeel builds from a file with the same pools: shards without names are called as
/// twemproxy and Envoy call them.
#[test]
fn a_file_gives_the_rings_that_were_compared() {
    let fleet = Fleet::start();
    let pools = twemproxy::pools()
        .into_iter()
        .chain(envoy::pools().into_iter().map(|(pool, _)| pool))
        .enumerate();
    for (number, pool) in pools {
        let text = pool.redkeel(&fleet, &format!("pool{number}"), "127.0.0.1:6379");
        let context = Context { secrets: &NoSecrets, default_workers: 1 };
        let loaded = config::load("redkeel.toml", &text, &context).unwrap();
        let Source::Shards(shards) = &loaded.config.pools[0].source else {
            panic!("no shards in {text}")
        };
        let members: Vec<Member> = shards.members.iter().map(config::ShardConfig::member).collect();
        assert_eq!(members, pool.members(&fleet), "{text}");
        assert_eq!(shards.sharding, pool.sharding, "{text}");
    }
}

//! Redkeel, in the place of the programs whose rings it has.

use std::time::Duration;

use testkit::{Address, Redkeel};

use crate::fleet::Fleet;
use crate::pool::Pool;

/// A thousand nodes are asked whether they live.
const START: Duration = Duration::from_secs(60);
/// Nodes neither come nor go, and there are many.
const HEALTH: &str = "interval = \"10s\"\nfast_interval = \"500ms\"\ndown_interval = \"10s\"\ntimeout = \"2s\"\nfall = 1";
/// What a thousand nodes may need of descriptors.
const LIMITS: &str = "max_clients = 4\nmax_pinned = 1";

/// One Redkeel with all these pools, once each node is known to be up or down, and where the pools are, in their order.
/// `sharding` are further lines of each pool's `shards`.
pub(crate) fn redkeel<'a>(
    pools: impl Iterator<Item = &'a Pool>,
    fleet: &Fleet,
    sharding: &str,
) -> (Redkeel, Vec<Address>) {
    let mut text = "workers = 1\n".to_owned();
    let mut names = Vec::new();
    for (number, pool) in pools.enumerate() {
        let name = format!("pool{number}");
        text += &pool.redkeel(fleet, &name, "127.0.0.1:0");
        text +=
            &format!("{sharding}[pool.{name}.health]\n{HEALTH}\n[pool.{name}.limits]\n{LIMITS}\n");
        names.push(name);
    }
    let redkeel = Redkeel::builder(env!("CARGO_BIN_EXE_redkeel"))
        .config(&text)
        .listeners(names.len())
        // Where there are more shards than servers.
        .expect_log("is in two shards")
        .start();
    redkeel.wait_until(START, "all nodes", |status| {
        let pools = status["pools"].as_array().unwrap();
        pools.iter().all(|pool| {
            let nodes = pool["nodes"].as_array().unwrap();
            nodes.iter().all(|node| node["health"] == "down" || pool["primary"].is_string())
        })
    });
    let addresses = names.iter().map(|name| redkeel.address_in(name, "split")).collect();
    (redkeel, addresses)
}

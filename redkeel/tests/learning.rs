//! A command that the built-in table lacks is learned from the nodes. A renamed command stands for one that a newer server brought.

use std::time::Duration;

use testkit::{RedisServer, Redkeel, bulk, error_text, eventually, simple};

const SOON: Duration = Duration::from_secs(10);

/// A server on which GET is called FOOGET and SET is called FOOSET.
fn renamed() -> testkit::RedisBuilder {
    RedisServer::builder()
        .option("rename-command", "GET FOOGET")
        .option("rename-command", "SET FOOSET")
}

/// How often the node has run GET, by whatever name.
fn gets(node: &RedisServer) -> u64 {
    let stats = node.info("commandstats");
    let calls = stats.get("cmdstat_get").and_then(|stat| stat.split(['=', ',']).nth(1));
    calls.and_then(|calls| calls.parse().ok()).unwrap_or(0)
}

#[test]
fn a_command_that_only_the_nodes_know_goes_to_the_primary_until_it_is_learned() {
    let primary = renamed().start();
    let replica = renamed().replica_of(&primary).start();
    replica.wait_link_up();
    let servers = format!("{},{}", primary.address(), replica.address());
    let redkeel = Redkeel::builder(env!("CARGO_BIN_EXE_redkeel"))
        .args(["--listen", "127.0.0.1:0", "--servers", &servers])
        .start();
    redkeel.wait_until(SOON, "a readable replica", |status| {
        status["pools"][0]["nodes"][1]["readable"] == true
    });
    let mut client = redkeel.client();

    assert_eq!(client.command(["FOOSET", "key", "value"]), simple("OK"));
    assert_eq!(client.command(["FOOGET", "key"]), bulk("value"));
    assert_eq!((gets(&primary), gets(&replica)), (1, 0));

    primary.wait_caught_up(&replica);
    eventually(SOON, "FOOGET at the replica", || {
        assert_eq!(client.command(["FOOGET", "key"]), bulk("value"));
        gets(&replica) > 0
    });
    let at_primary = gets(&primary);
    for _ in 0..20 {
        assert_eq!(client.command(["fooget", "key"]), bulk("value"));
    }
    assert_eq!(gets(&primary), at_primary, "a learned read goes by the rules for reads");
    // What was learned as a write stays one.
    assert_eq!(client.command(["FOOSET", "key", "other"]), simple("OK"));
    let unknown = client.command(["NOSUCH", "key"]);
    let text = error_text(&unknown).unwrap_or_default();
    assert!(text.starts_with("ERR unknown command"), "{unknown:?}");
}

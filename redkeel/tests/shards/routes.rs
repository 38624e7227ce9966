//! Key prefixes lead to pools.

use testkit::{RedisServer, Redkeel, Value, bulk, error_text, eventually, simple};

use crate::scene::SOON;
use crate::{entries, ready, servers};

fn routed(routes: &str, pools: &[(&str, &RedisServer)]) -> Redkeel {
    let mut text = format!("workers = 2\n[pool.main]\nlisten = \"127.0.0.1:0\"\n{routes}\n");
    for (name, server) in pools {
        text += &format!("[pool.{name}]\nservers = [\"{}\"]\n", server.address());
    }
    ready(Redkeel::builder(env!("CARGO_BIN_EXE_redkeel")).config(&text))
}

fn has(server: &RedisServer, key: &str) -> bool {
    server.cli(["EXISTS", key]) == Value::Integer(1)
}

#[test]
fn the_longest_prefix_wins_and_the_rest_goes_to_the_catch_all() {
    let [users, admins, rest] = [(); 3].map(|()| RedisServer::start());
    let routes = "[[pool.main.routes]]\nprefix = \"user:\"\npool = \"users\"\n\
                  [[pool.main.routes]]\nprefix = \"user:admin:\"\npool = \"admins\"\n\
                  [[pool.main.routes]]\nprefix = \"\"\npool = \"rest\"\n";
    let redkeel = routed(routes, &[("users", &users), ("admins", &admins), ("rest", &rest)]);
    let mut client = redkeel.client();
    let command = ["MSET", "user:1", "a", "user:admin:1", "b", "x", "c"];
    assert_eq!(client.command(command), simple("OK"));
    assert!(has(&users, "user:1") && has(&admins, "user:admin:1") && has(&rest, "x"));
    let values = client.command(["MGET", "x", "user:admin:1", "user:1"]);
    assert_eq!(values, Value::Array(vec![bulk("c"), bulk("b"), bulk("a")]));
    assert_eq!(client.command(["DBSIZE"]), Value::Integer(3));
    let error = error_text(&client.command(["RENAME", "user:1", "x"])).unwrap();
    assert!(error.contains("'user:1' is on users, 'x' on rest"), "{error}");
}

#[test]
fn a_pool_with_nodes_of_its_own_is_its_catch_all() {
    let [own, other] = [(); 2].map(|()| RedisServer::start());
    let routes = format!(
        "servers = [\"{}\"]\n[[pool.main.routes]]\nprefix = \"o:\"\npool = \"other\"\n",
        own.address()
    );
    let redkeel = routed(&routes, &[("other", &other)]);
    let mut client = redkeel.client();
    client.command(["MSET", "o:1", "a", "x", "b"]);
    assert!(has(&other, "o:1") && has(&own, "x") && !has(&own, "o:1"));
}

#[test]
fn reads_of_a_prefix_may_come_from_another_pool() {
    let [new, old] = [(); 2].map(|()| RedisServer::start());
    old.cli(["SET", "m:1", "old"]);
    let routes = "[[pool.main.routes]]\nprefix = \"\"\npool = \"new\"\n\
                  [[pool.main.routes]]\nprefix = \"m:\"\npool = \"new\"\nreads = \"old\"\n";
    let redkeel = routed(routes, &[("new", &new), ("old", &old)]);
    let mut client = redkeel.client();
    assert_eq!(client.command(["SET", "m:1", "new"]), simple("OK"));
    assert_eq!(client.command(["GET", "m:1"]), bulk("old"));
    assert!(has(&new, "m:1"));
    assert_eq!(client.command(["DBSIZE"]), Value::Integer(1), "what is only read from is no shard");
}

#[test]
fn a_mirror_gets_its_share_and_nobody_waits_for_it() {
    let [main, mut shadow] = [(); 2].map(|()| RedisServer::start());
    let routes = "[[pool.main.routes]]\nprefix = \"\"\npool = \"real\"\n\
                  mirror = { pool = \"shadow\", share = \"50%\", commands = \"writes\" }\n";
    let text = format!(
        "workers = 1\n[pool.main]\nlisten = \"127.0.0.1:0\"\n{routes}\n[pool.real]\nservers = [\"{}\"]\n\
         [pool.shadow]\nservers = [\"{}\"]\n",
        main.address(),
        shadow.address()
    );
    let mut builder = Redkeel::builder(env!("CARGO_BIN_EXE_redkeel")).config(&text);
    for text in ["is down", "writes are held"] {
        builder = builder.expect_log(text);
    }
    let redkeel = ready(builder);
    let mut client = redkeel.client();
    eventually(SOON, "the mirror", || redkeel.status()["pools"][2]["primary"].is_string());
    let commands =
        (0..1000).map(|number| vec!["SET".to_owned(), format!("k{number}"), "x".to_owned()]);
    let replies = client.pipeline(commands);
    assert!(replies.iter().all(|reply| *reply == simple("OK")));
    assert_eq!(main.cli(["DBSIZE"]), Value::Integer(1000));
    let mirrored = || shadow.cli(["DBSIZE"]).as_int().unwrap();
    eventually(SOON, "copies", || mirrored() > 400);
    assert!(mirrored() < 600, "{}", mirrored());
    let metrics = redkeel.admin_get("/metrics").body;
    let line =
        metrics.lines().find(|line| line.starts_with("redkeel_pool_mirrors_total{pool=\"main\"}"));
    let counted: i64 = line.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    eventually(SOON, "all copies", || mirrored() == counted);
    // A mirror that is gone holds up nobody.
    shadow.kill9();
    let value = "x".repeat(1000);
    for round in 0..20 {
        let commands =
            (0..100).map(|number| ["SET".to_owned(), format!("r{round}:{number}"), value.clone()]);
        assert!(client.pipeline(commands).iter().all(|reply| *reply == simple("OK")));
    }
    assert_eq!(client.command(["GET", "k1"]), bulk("x"));
}

#[test]
fn routes_change_while_clients_go_on() {
    let [one, two, three] = [(); 3].map(|()| RedisServer::start());
    let text = |routes: &str| {
        let mut text =
            format!("workers = 2\n[pool.main]\nlisten = \"127.0.0.1:0\"\nroutes = {routes}\n");
        for (name, server) in [("one", &one), ("two", &two), ("three", &three)] {
            text += &format!("[pool.{name}]\nservers = [\"{}\"]\n", server.address());
        }
        text
    };
    let first = "[{ prefix = \"\", pool = \"one\" }, { prefix = \"t:\", pool = \"two\" }, { prefix = \"z:\", pool = \"three\" }]";
    let builder = Redkeel::builder(env!("CARGO_BIN_EXE_redkeel"))
        .config(&text(first))
        .expect_log("nothing of the configuration is taken over")
        .expect_log("the configuration is not taken over");
    let mut redkeel = ready(builder);
    let mut client = redkeel.client();
    let set = |client: &mut testkit::Client, round: usize| {
        let commands = (0..500).map(|number| {
            let key = if number % 2 == 0 {
                format!("t:{round}:{number}")
            } else {
                format!("x:{round}:{number}")
            };
            ["SET".to_owned(), key, "v".to_owned()]
        });
        assert!(client.pipeline(commands).iter().all(|reply| *reply == simple("OK")));
    };
    set(&mut client, 0);
    assert_eq!(two.cli(["DBSIZE"]), Value::Integer(250));
    let second = "[{ prefix = \"\", pool = \"one\" }, { prefix = \"t:\", pool = \"three\" }, { prefix = \"x:\", pool = \"two\", reads = \"one\" }]";
    redkeel.rewrite_config(&text(second));
    redkeel.signal(testkit::Signal::HUP);
    eventually(SOON, "the new routes", || {
        set(&mut client, 1);
        has(&three, "t:1:498") && has(&two, "x:1:499")
    });
    // Reads of `x:` still come from where they were.
    assert_eq!(client.command(["GET", "x:0:1"]), bulk("v"));
    assert_eq!(
        client.command(["MGET", "t:1:0", "x:0:1"]),
        Value::Array(vec![bulk("v"), bulk("v")])
    );
    // What cannot be taken over changes nothing.
    redkeel.rewrite_config(&text(first).replace("workers = 2", "workers = 1"));
    redkeel.signal(testkit::Signal::HUP);
    eventually(SOON, "the refusal", || redkeel.log().contains("changes only with a restart"));
    redkeel.rewrite_config("nonsense = 1\n");
    redkeel.signal(testkit::Signal::HUP);
    eventually(SOON, "the complaint", || {
        redkeel.log().contains("the configuration is not taken over")
    });
    assert_eq!(client.command(["SET", "t:last", "v"]), simple("OK"));
    assert!(has(&three, "t:last"));
    // A pool with another number of groups is shown as such.
    assert_eq!(redkeel.status()["pools"][0]["groups"], serde_json::json!(["one", "three", "two"]));
}

#[test]
fn a_route_may_lead_to_a_sharded_pool() {
    let servers = servers(2);
    let other = RedisServer::start();
    let text = format!(
        "workers = 1\n[pool.main]\nlisten = \"127.0.0.1:0\"\nservers = [\"{}\"]\n[[pool.main.routes]]\nprefix = \"s:\"\npool = \"many\"\n\
         [pool.many.shards]\nservers = {}\nhash = \"md5\"\n",
        other.address(),
        entries(&servers)
    );
    let redkeel = ready(Redkeel::builder(env!("CARGO_BIN_EXE_redkeel")).config(&text));
    let mut client = redkeel.client();
    client
        .pipeline((0..100).map(|number| ["SET".to_owned(), format!("s:{number}"), "x".to_owned()]));
    assert!(servers.iter().all(|server| server.cli(["DBSIZE"]).as_int().unwrap() > 10));
    assert_eq!(other.cli(["DBSIZE"]), Value::Integer(0));
    assert_eq!(client.command(["DBSIZE"]), Value::Integer(100));
}

//! Commands over TLS, on either side and on both.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::{
    Address, Authority, Client, Load, Peer, RedisServer, Secure, bulk, eventually, simple,
};

use crate::common::{
    LOCAL, SOON, address_over, handshakes, proxy, proxy_of, ready, replicated, replicated_over,
    shown, trusting,
};

/// Values of all sizes go and come as they are, one by one and in a pipeline, and a load sees nothing but right answers.
fn serves(address: &Address, nodes: &[RedisServer]) {
    // Reads go to the replicas.
    let replicas = (nodes.len() - 1).to_string();
    let wait = |client: &mut Client| client.command(["WAIT", &replicas, "10000"]);
    let mut client = Client::connect(address);
    for bytes in [0, 1, 100, 16_383, 16_384, 16_385, 65_536, 70_000, 1 << 20, 5 << 20] {
        let value: Vec<u8> = (0..bytes).map(|n: u32| (n % 251) as u8).collect();
        assert_eq!(client.command([b"SET".as_slice(), b"value", &value]), simple("OK"));
        wait(&mut client);
        assert!(client.command(["GET", "value"]) == bulk(&value), "{bytes} bytes");
    }
    let count = 20_000;
    let replies =
        client.pipeline((0..count).map(|n| ["SET".to_owned(), format!("n{n}"), n.to_string()]));
    assert!(replies.iter().all(|reply| *reply == simple("OK")));
    wait(&mut client);
    let replies = client.pipeline((0..count).map(|n| ["GET".to_owned(), format!("n{n}")]));
    for (n, reply) in replies.iter().enumerate() {
        assert_eq!(*reply, bulk(n.to_string()));
    }
    assert_eq!(client.command(["SUBSCRIBE", "news"]).as_array().map(<[_]>::len), Some(3));
    nodes[0].cli(["PUBLISH", "news", "told"]);
    assert_eq!(client.receive().as_array().unwrap()[2], bulk("told"));

    let load = Load::builder(address)
        .readers(8)
        .writers(8)
        .mixers(8)
        .keys(100)
        .value_bytes(1..=40_000)
        .pipeline(1..=20)
        .close_one_in(200)
        .fill(&mut nodes[0].client(), nodes.len() - 1)
        .start();
    eventually(SOON * 4, "a load", || {
        let done = (load.reads().ok, load.writes().ok, load.mixed().ok);
        if done.0 > 3_000 && done.1 > 300 && done.2 > 3_000 {
            Ok(())
        } else {
            Err(format!("{done:?}"))
        }
    });
    let report = load.stop();
    for counts in [&report.reads, &report.writes, &report.mixed] {
        assert_eq!(counts.errors, BTreeMap::new());
        assert!(counts.wrong.is_empty(), "{:?}", counts.wrong);
    }
}

#[test]
fn clients_over_tls_and_nodes_without() {
    let authority = Authority::new();
    let nodes = replicated(1);
    let redkeel = ready(proxy(&nodes, &shown(&authority.certificate(&LOCAL))));
    serves(&address_over(&redkeel, &authority), &nodes);
    assert_eq!(handshakes(&redkeel, "client", "failed"), 0);
}

#[test]
fn clients_without_tls_and_nodes_over_it() {
    let authority = Authority::new();
    let nodes = replicated_over(&authority, 1);
    let redkeel = ready(proxy(&nodes, &trusting(&authority)));
    serves(&redkeel.address(), &nodes);
    assert!(handshakes(&redkeel, "node", "full") + handshakes(&redkeel, "node", "resumed") > 0);
}

#[test]
fn tls_on_both_sides() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let nodes = replicated_over(&theirs, 1);
    let settings = trusting(&theirs) + &shown(&ours.certificate(&LOCAL));
    let redkeel = ready(proxy(&nodes, &settings));
    serves(&address_over(&redkeel, &ours), &nodes);
}

/// From one HAProxy, and to another one that demands it, both of which pass on what they cannot read.
#[test]
fn the_proxy_protocol_stands_before_the_handshake() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let nodes = replicated_over(&theirs, 0);
    let behind = Peer::haproxy_speaking(&nodes[0].address().to_string(), "");
    let node = behind.accepting().unwrap();
    for (from, to) in [("send-proxy", "v2"), ("send-proxy-v2", "v1")] {
        let settings = format!(
            "listen = {{ address = '127.0.0.1:0', proxy_protocol = true }}\n{}{}\
             [pool.main.upstream]\nproxy_protocol = '{to}'\n",
            shown(&ours.certificate(&LOCAL)),
            trusting(&theirs)
        );
        let redkeel = ready(proxy_of([&node], &settings));
        let before = Peer::haproxy_speaking(&redkeel.address().to_string(), from);
        let secure = Secure::new(&ours.trust());
        let mut client = Client::connect(before.address().clone().over(&secure));
        assert_eq!(client.command(["SET", "key", from]), simple("OK"));
        assert_eq!(client.command(["GET", "key"]), bulk(from));
        let info = client.command(["CLIENT", "INFO"]);
        let info = String::from_utf8_lossy(info.as_bytes().unwrap()).into_owned();
        let own = format!(" addr={} ", client.local_address());
        assert!(info.contains(&own), "{info} without{own}");
        assert_eq!(handshakes(&redkeel, "client", "failed"), 0);
    }
}

/// One pool has both, as `port` and `tls-port` of Redis; a `tcp` listener has TLS as well.
#[test]
fn listeners_with_and_without_tls_stand_side_by_side() {
    let authority = Authority::new();
    let nodes = replicated(0);
    let settings = "listen = [{ address = \"127.0.0.1:0\", mode = \"write\" }, \
                    { address = \"127.0.0.1:0\", tls = false, mode = \"split\" }, \
                    { address = \"127.0.0.1:0\", mode = \"tcp\", role = \"primary\" }]\n";
    let settings = settings.to_owned() + &shown(&authority.certificate(&LOCAL));
    let redkeel = ready(proxy(&nodes, &settings).listeners(3));
    let secure = Secure::new(&authority.trust());
    let [with, without, raw] =
        ["write", "split", "tcp"].map(|mode| redkeel.address_in("main", mode));
    let mut client = Client::connect(with.over(&secure));
    assert_eq!(client.command(["SET", "key", "value"]), simple("OK"));
    assert_eq!(Client::connect(without).command(["GET", "key"]), bulk("value"));
    let mut raw = Client::connect(raw.over(&secure));
    assert_eq!(raw.command(["GET", "key"]), bulk("value"));
    raw.shutdown_write();
    raw.expect_closed();
}

/// What a client is owed when it ends its sending direction is still written.
#[test]
fn a_client_that_ends_is_answered_first() {
    let authority = Authority::new();
    let nodes = replicated(0);
    let redkeel = ready(proxy(&nodes, &shown(&authority.certificate(&LOCAL))));
    let value = vec![b'x'; 3 << 20];
    nodes[0].cli([b"SET".as_slice(), b"large", &value]);
    let mut client = Client::connect(address_over(&redkeel, &authority));
    for _ in 0..10 {
        client.send(["GET", "large"]);
    }
    client.shutdown_write();
    for _ in 0..10 {
        assert!(client.receive() == bulk(&value));
    }
    client.expect_closed();
    let mut client = Client::connect(address_over(&redkeel, &authority));
    client.send_raw(b"GET large\r\nQUIT\r\n");
    assert!(client.receive() == bulk(&value));
    assert_eq!(client.receive(), simple("OK"));
    client.expect_closed();
}

/// A slow reader costs little memory and holds up nobody's reads; then it gets everything.
#[test]
fn a_slow_reader_holds_up_nobody() {
    let authority = Authority::new();
    let nodes = replicated_over(&authority, 0);
    let settings = trusting(&authority) + &shown(&authority.certificate(&LOCAL));
    let redkeel = ready(proxy(&nodes, &settings));
    let address = address_over(&redkeel, &authority);
    let value = vec![b'x'; 4 << 20];
    nodes[0].cli([b"SET".as_slice(), b"large", &value]);
    nodes[0].cli(["SET", "small", "value"]);
    let before = redkeel.rss();
    let mut slow = Client::connect(&address);
    let mut others: Vec<Client> = (0..5).map(|_| Client::connect(&address)).collect();
    for _ in 0..20 {
        slow.send(["GET", "large"]);
    }
    for _ in 0..200 {
        for client in &mut others {
            assert_eq!(client.command(["GET", "small"]), bulk("value"));
        }
    }
    let grown = redkeel.rss().saturating_sub(before);
    assert!(grown < 40 << 20, "{} KiB more while 80 MiB wait", grown >> 10);
    for _ in 0..20 {
        assert!(slow.receive() == bulk(&value));
    }
}

#[test]
fn redis_cli_and_redis_benchmark() {
    let authority = Authority::new();
    let nodes = replicated_over(&authority, 1);
    let certificate = authority.certificate(&LOCAL);
    let mutual = format!("client_ca = {:?}\n", authority.ca());
    let settings = trusting(&authority) + &shown(&certificate) + &mutual;
    let redkeel = ready(proxy(&nodes, &("mode = \"write\"\n".to_owned() + &settings)));
    let port = redkeel.address().to_string().rsplit_once(':').unwrap().1.to_owned();
    let own = authority.certificate(&["a client"]);
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(["-h", "127.0.0.1", "-p", &port, "--tls"]);
        command.arg("--cacert").arg(authority.ca());
        command.arg("--cert").arg(&own.cert).arg("--key").arg(&own.key);
        let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run("redis-cli", &["SET", "key", "value"]), "OK\n");
    assert_eq!(run("redis-cli", &["-3", "GET", "key"]), "value\n");
    for pipeline in ["1", "16"] {
        let said =
            run("redis-benchmark", &["-n", "5000", "-P", pipeline, "-t", "set,get,mset", "--csv"]);
        assert!(!said.contains("rror") && said.lines().count() >= 4, "{said}");
    }
}

/// redis-py checks the certificate's name by default; RESP2 and RESP3.
#[test]
fn redis_py() {
    let authority = Authority::new();
    let nodes = replicated_over(&authority, 1);
    let settings = trusting(&authority) + &shown(&authority.certificate(&LOCAL));
    let redkeel = ready(proxy(&nodes, &("mode = \"write\"\n".to_owned() + &settings)));
    let port = redkeel.address().to_string().rsplit_once(':').unwrap().1.to_owned();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/everyday.py");
    let output = testkit::python().arg(script).arg(port).arg(authority.ca()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "as from a single Redis",
        "{errors}"
    );
}

/// As ElastiCache has it: TLS, a password, and nodes that are asked by the clients' own credentials.
#[test]
fn passwords_pass_through_over_tls() {
    let authority = Authority::new();
    let primary = RedisServer::builder().tls(&authority).requirepass("secret").start();
    let replica = RedisServer::builder().tls(&authority).requirepass("secret").replica_of(&primary);
    let nodes = [primary, replica.start()];
    crate::common::wait_in_step(&nodes);
    let upstream = format!(
        "[pool.main.upstream]\npassword = \"secret\"\ntls = {{ ca = {:?} }}\n",
        authority.ca()
    );
    let settings =
        "mode = \"write\"\n".to_owned() + &upstream + &shown(&authority.certificate(&LOCAL));
    let redkeel = ready(proxy(&nodes, &settings));
    let mut client = Client::connect(address_over(&redkeel, &authority));
    let refused = testkit::error_text(&client.command(["GET", "key"])).unwrap();
    assert!(refused.starts_with("NOAUTH"), "{refused}");
    let wrong = testkit::error_text(&client.command(["AUTH", "wrong"])).unwrap();
    assert!(wrong.starts_with("WRONGPASS"), "{wrong}");
    assert_eq!(client.command(["AUTH", "secret"]), simple("OK"));
    assert_eq!(client.command(["SET", "key", "value"]), simple("OK"));
    assert_eq!(client.command(["GET", "key"]), bulk("value"));
    client.set_timeout(Duration::from_secs(5));
    client.send(["BLPOP", "list", "0"]);
    eventually(SOON, "the pop", || nodes[0].info("clients")["blocked_clients"] == "1");
    nodes[0].cli(["RPUSH", "list", "element"]);
    assert_eq!(client.receive().as_array().unwrap()[1], bulk("element"));
}

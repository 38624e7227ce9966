//! From the first bound socket to the last closed one, with the real binary.

use std::net::TcpListener;
use std::time::Duration;

use testkit::{Address, Client, Folder, RedisServer, Redkeel, Signal, Value, bulk, eventually};

const SOON: Duration = Duration::from_secs(10);

fn start(server: &RedisServer) -> Redkeel {
    let redkeel = Redkeel::builder(env!("CARGO_BIN_EXE_redkeel"))
        .config(&format!(
            "[pool.main]\nlisten = \"127.0.0.1:0\"\nservers = [\"{}\"]\n",
            server.address()
        ))
        .start();
    eventually(SOON, "readiness", || redkeel.admin_get("/readyz").status == 200);
    redkeel
}

/// A client that waits for an element of the list `queue`, and is known to by the server.
fn blocked_client(redkeel: &Redkeel, server: &RedisServer) -> Client {
    let mut client = redkeel.client();
    client.send(["BLPOP", "queue", "0"]);
    eventually(SOON, "a blocked client", || server.info("clients")["blocked_clients"] == "1");
    client
}

#[test]
fn a_drain_turns_readiness_off_answers_who_waits_and_ends_with_0() {
    let server = RedisServer::start();
    let mut redkeel = start(&server);
    let mut waiting = blocked_client(&redkeel, &server);

    redkeel.signal(Signal::TERM);
    eventually(SOON, "readiness to end", || redkeel.admin_get("/readyz").status == 503);
    assert_eq!(redkeel.admin_get("/readyz").body, "draining: no new clients\n");
    assert_eq!(redkeel.admin_get("/healthz").status, 200);
    assert_eq!(redkeel.status()["draining"], true);
    eventually(SOON, "new clients to be turned away", || {
        Client::try_connect(&redkeel.address()).is_err()
    });

    server.cli(["RPUSH", "queue", "element"]);
    assert_eq!(waiting.receive(), Value::Array(vec![bulk("queue"), bulk("element")]));
    assert_eq!(redkeel.wait_exit(SOON).code(), Some(0));
    assert!(redkeel.log_lines().iter().any(|line| line.is("stopped")), "{}", redkeel.log());
}

#[test]
fn a_second_signal_ends_a_drain_at_once() {
    let server = RedisServer::start();
    let mut redkeel = start(&server);
    let mut waiting = blocked_client(&redkeel, &server);
    redkeel.signal(Signal::TERM);
    eventually(SOON, "readiness to end", || redkeel.admin_get("/readyz").status == 503);
    redkeel.signal(Signal::INT);
    assert_eq!(redkeel.wait_exit(SOON).code(), Some(0));
    waiting.expect_closed();
}

#[test]
fn the_administration_endpoint_is_where_it_is_told_to_be() {
    let server = RedisServer::start();
    let folder = Folder::new("admin");
    let redkeel = Redkeel::builder(env!("CARGO_BIN_EXE_redkeel"))
        .config(&format!(
            "[admin]\nlisten = \"unix:{}/admin.sock\"\n[pool.main]\nlisten = \"127.0.0.1:0\"\nservers = [\"{}\"]\n",
            folder.path().display(),
            server.address()
        ))
        .start();
    let status = redkeel.status();
    assert_eq!(status["pools"][0]["name"], "main");
    assert_eq!(status["pools"][0]["listeners"][0]["address"], redkeel.address().to_string());
}

#[test]
fn without_administration_it_runs_all_the_same() {
    let server = RedisServer::start();
    let servers = server.address().to_string();
    let redkeel = Redkeel::builder(env!("CARGO_BIN_EXE_redkeel"))
        .args(["--listen", "127.0.0.1:0", "--servers", &servers, "--admin", "none"])
        .start();
    let mut client = redkeel.client();
    assert_eq!(client.command(["ECHO", "hello"]), bulk("hello"));
    assert!(!redkeel.log().contains("admin listening"), "{}", redkeel.log());
}

#[test]
fn a_listener_in_use_names_its_pool_and_address() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = Address::from(taken.local_addr().expect("bound").to_string().as_str());
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_redkeel"))
        .args([
            "run",
            "--listen",
            &address.to_string(),
            "--servers",
            "127.0.0.1:1",
            "--admin",
            "none",
        ])
        .output()
        .expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(&format!("pool main: cannot listen on {address}")), "{stderr}");
    assert!(stderr.contains("give it another address"), "{stderr}");
}

//! Unix sockets and IPv6, towards clients and nodes.

use testkit::{Address, Client, Folder, RedisServer, bulk, eventually, simple};

use crate::common::{
    DOWN, FENCED, HELD, LOSS, SOON, calls, expecting, promote, proxy, proxy_of, ready, wait_in_step,
};

#[test]
fn nodes_and_listeners_on_unix_sockets() {
    let folder = Folder::new("sockets");
    let path = |name: &str| folder.path().join(name).display().to_string();
    // Replication goes over TCP.
    let primary = RedisServer::builder().option("unixsocket", &path("a")).start();
    let replica =
        RedisServer::builder().option("unixsocket", &path("b")).replica_of(&primary).start();
    let mut nodes = vec![primary, replica];
    wait_in_step(&nodes);
    let servers = [format!("unix:{}", path("a")), format!("unix:{}", path("b"))];
    let listen = format!("listen = \"unix:{}\"\ntimeouts.hold = \"15s\"", path("main"));
    let redkeel = ready(expecting(proxy_of(&servers, &listen), &[DOWN, HELD, LOSS]));
    assert_eq!(redkeel.address(), Address::Unix(folder.path().join("main")));
    let mut client = redkeel.client();
    assert_eq!(client.command(["SET", "key", "value"]), simple("OK"));
    nodes[0].wait_caught_up(&nodes[1]);
    let before = calls(&nodes[1], "get");
    let large = vec![b'x'; 3 << 20];
    assert_eq!(client.command([b"SET".as_slice(), b"large", &large]), simple("OK"));
    nodes[0].wait_caught_up(&nodes[1]);
    assert_eq!(client.command(["GET", "key"]), bulk("value"));
    assert_eq!(client.command(["GET", "large"]), bulk(&large));
    assert_eq!(calls(&nodes[1], "get"), before + 2);

    // A socket whose process is gone, and one whose file is.
    nodes[0].kill9();
    std::fs::remove_file(path("a")).unwrap();
    client.send(["SET", "key", "other"]);
    redkeel.wait_until(SOON, "the primary to be found out", |status| {
        crate::common::node(status, &Address::from(servers[0].as_str()))["health"] == "down"
    });
    promote(&nodes[1]);
    assert_eq!(client.receive(), simple("OK"));
    redkeel.stop();
    assert!(!folder.path().join("main").exists(), "the socket's file stays behind");
}

#[test]
fn nodes_and_listeners_on_ipv6() {
    let primary = RedisServer::builder().ipv6().start();
    let replica = RedisServer::builder().ipv6().replica_of(&primary).start();
    let mut nodes = vec![primary, replica];
    wait_in_step(&nodes);
    let settings = "listen = [\"[::1]:0\", { address = \"127.0.0.1:0\", mode = \"read\" }]\n\
                    timeouts.hold = \"15s\"";
    let builder = expecting(proxy(&nodes, settings), &[DOWN, HELD, FENCED, LOSS]).listeners(2);
    let redkeel = ready(builder);
    assert!(redkeel.address().to_string().starts_with("[::1]:"), "{}", redkeel.address());
    let mut client = redkeel.client();
    assert_eq!(client.command(["SET", "key", "value"]), simple("OK"));
    nodes[0].wait_caught_up(&nodes[1]);
    let mut reader = Client::connect(redkeel.address_in("main", "read"));
    assert_eq!(reader.command(["GET", "key"]), bulk("value"));
    nodes[0].kill9();
    client.send(["SET", "key", "other"]);
    promote(&nodes[1]);
    let reply = client.receive();
    // It may have been on its way.
    if reply != simple("OK") {
        crate::common::assert_error(&reply, "OUTCOMEUNKNOWN");
    }
    eventually(SOON, "writes", || client.command(["SET", "key", "other"]) == simple("OK"));
    assert_eq!(reader.command(["GET", "key"]), bulk("other"));
}

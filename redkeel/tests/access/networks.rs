//! `allow` and `deny`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use testkit::{Address, RedisServer, eventually, simple};

use crate::proxy_protocol::metric;
use crate::scene::{SOON, proxy, ready};

/// Does it let a connection from this address of the machine do anything?
fn lets_in(address: &Address) -> bool {
    let Address::Tcp(address) = address else { panic!("{address}") };
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    // It may be closed before that.
    let _ = stream.write_all(b"PING\r\n");
    let mut reply = [0; 7];
    stream.read_exact(&mut reply).is_ok()
}

#[test]
fn only_those_who_are_allowed_and_not_denied_may_connect() {
    let server = RedisServer::start();
    for (lists, expected) in [
        ("allow = ['127.0.0.0/8']", true),
        ("allow = ['10.0.0.0/8', '127.0.0.1']", true),
        ("allow = ['10.0.0.0/8']", false),
        ("allow = []", false),
        ("deny = ['127.0.0.0/8']", false),
        ("deny = ['10.0.0.0/8']", true),
        ("allow = ['127.0.0.0/8']\ndeny = ['127.0.0.1']", false),
    ] {
        let redkeel = ready(proxy([&server], lists));
        assert_eq!(lets_in(&redkeel.address()), expected, "{lists}");
        let denied = u64::from(!expected);
        eventually(SOON, "the counter", || {
            metric(&redkeel, "redkeel_pool_clients_denied_total") == denied
        });
    }
}

#[test]
fn a_listener_has_its_own_lists_and_a_unix_socket_none() {
    let server = RedisServer::start();
    let path = std::env::temp_dir().join(format!("redkeel-access-{}.sock", std::process::id()));
    let settings = format!(
        "deny = ['0.0.0.0/0']\nlisten = ['unix:{}', '127.0.0.1:0', \
         {{ address = '127.0.0.1:0', mode = 'write', deny = [] }}]",
        path.display()
    );
    let redkeel = ready(proxy([&server], &settings).listeners(3));
    assert!(lets_in(&redkeel.address_in("main", "write")));
    let mut client = testkit::Client::connect(Address::Unix(path));
    assert_eq!(client.command(["PING"]), simple("PONG"));
}

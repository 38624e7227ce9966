//! Many clients at once, and clients that never finish their handshake.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use testkit::{Authority, Client, Load, Secure, eventually, simple};

use crate::common::{
    LOCAL, SOON, address_over, handshakes, proxy, ready, replicated, shown, wait_logged,
};

/// 1,000 new clients at once, none of which resumes a session, and as many who never say a word: who is being served
/// goes on.
#[test]
fn a_crowd_does_not_stop_those_who_are_served() {
    const THREADS: usize = 8;
    const EACH: usize = 125;
    let authority = Authority::new();
    let nodes = replicated(1);
    let redkeel = ready(proxy(&nodes, &shown(&authority.certificate(&LOCAL))));
    let load = Load::builder(address_over(&redkeel, &authority))
        .readers(10)
        .writers(10)
        .keys(100)
        .pause(Duration::from_millis(1))
        .fill(&mut nodes[0].client(), 1)
        .start();
    eventually(SOON, "a load", || load.reads().ok > 300 && load.writes().ok > 300);
    let address = redkeel.address();
    let silent: Vec<TcpStream> =
        (0..THREADS * EACH).map(|_| TcpStream::connect(address.to_string()).unwrap()).collect();
    let trust = authority.trust();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let connect = |_| {
                    let stranger = address.clone().over(&Secure::new(&trust));
                    let mut client = Client::connect(stranger);
                    assert_eq!(client.command(["PING"]), simple("PONG"));
                    client
                };
                let clients: Vec<Client> = (0..EACH).map(connect).collect();
                drop(clients);
            });
        }
    });
    let (reads, writes) = (load.reads().ok, load.writes().ok);
    eventually(SOON, "a load", || load.reads().ok > reads + 300 && load.writes().ok > writes + 300);
    let report = load.stop();
    println!("longest read {:?}, write {:?}", report.reads.longest, report.writes.longest);
    assert_eq!(report.reads.errors_total() + report.writes.errors_total(), 0);
    assert!(report.reads.longest < Duration::from_secs(2), "{:?}", report.reads.longest);
    assert!(report.writes.longest < Duration::from_secs(2), "{:?}", report.writes.longest);
    assert!(handshakes(&redkeel, "client", "full") >= (THREADS * EACH) as u64);
    drop(silent);
}

/// One who says nothing, or not enough, has a client's place for ten seconds.
#[test]
fn a_handshake_has_a_deadline() {
    let authority = Authority::new();
    let nodes = replicated(0);
    let limit = "limits.max_clients = 2\n".to_owned();
    let redkeel = ready(proxy(&nodes, &(limit + &shown(&authority.certificate(&LOCAL)))));
    let address = redkeel.address().to_string();
    let mut silent = TcpStream::connect(&address).unwrap();
    let mut half = TcpStream::connect(&address).unwrap();
    // The head of a record with a ClientHello that does not come.
    half.write_all(&[22, 3, 1, 1, 0, 1, 0, 0, 252]).unwrap();
    let over = address_over(&redkeel, &authority);
    eventually(SOON, "the places to be taken", || Client::try_connect(&over).is_err());
    for stream in [&mut silent, &mut half] {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut rest = Vec::new();
        // Closed, or reset where something was left unread.
        let _ = stream.read_to_end(&mut rest);
    }
    wait_logged(&redkeel, &["TLS handshake failed: the client takes longer than 10s"]);
    let mut client = eventually(SOON, "a place", || {
        let mut client = Client::try_connect(&over).map_err(|error| error.to_string())?;
        client.try_command(["PING"]).map_err(|error| error.to_string())?;
        Ok::<_, String>(client)
    });
    assert_eq!(client.command(["PING"]), simple("PONG"));
    assert_eq!(redkeel.status()["pools"][0]["clients"]["connected"], 1);
}

/// Half-done handshakes are broken off when the proxy ends, and keep nobody waiting.
#[test]
fn a_drain_does_not_wait_for_handshakes() {
    let authority = Authority::new();
    let nodes = replicated(0);
    let redkeel = ready(proxy(&nodes, &shown(&authority.certificate(&LOCAL))));
    let silent: Vec<TcpStream> =
        (0..20).map(|_| TcpStream::connect(redkeel.address().to_string()).unwrap()).collect();
    let mut client = Client::connect(address_over(&redkeel, &authority));
    assert_eq!(client.command(["PING"]), simple("PONG"));
    redkeel.stop();
    client.expect_closed();
    for mut stream in silent {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
    }
}

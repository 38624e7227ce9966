//! Certificates that change while the proxy runs, and sessions that are resumed.

use std::fs;
use std::path::Path;

use testkit::{Authority, Certificate, Client, Folder, Secure, bulk, simple};

use crate::common::{
    LOCAL, SOON, address_over, expecting, handshakes, proxy, ready, replicated, replicated_over,
    shown, trusting, wait_logged,
};

/// As tools do that renew certificates: to the side, then in its place at once.
fn replace(place: &Path, with: &Path) {
    let aside = place.with_extension("new");
    fs::copy(with, &aside).unwrap();
    fs::rename(aside, place).unwrap();
}

#[test]
fn new_certificates_are_shown_without_a_restart() {
    let (before, after) = (Authority::new(), Authority::new());
    let folder = Folder::new("renewed");
    let nodes = replicated(0);
    let place =
        Certificate { cert: folder.path().join("it.pem"), key: folder.path().join("it.key") };
    let (old, new) = (before.certificate(&LOCAL), after.certificate(&LOCAL));
    replace(&place.cert, &old.cert);
    replace(&place.key, &old.key);
    let redkeel = ready(proxy(&nodes, &shown(&place)).expect_log("cannot be used"));
    let (trusts_old, trusts_new) =
        (address_over(&redkeel, &before), address_over(&redkeel, &after));
    let mut living = Client::connect(&trusts_old);
    assert_eq!(living.command(["SET", "key", "value"]), simple("OK"));
    Client::try_connect(&trusts_new).unwrap_err();

    // The new certificate without its key changes nothing but the log.
    replace(&place.cert, &new.cert);
    wait_logged(
        &redkeel,
        &["WARN", "TLS files have changed and cannot be used", "does not belong"],
    );
    assert_eq!(Client::connect(&trusts_old).command(["GET", "key"]), bulk("value"));
    replace(&place.key, &new.key);
    testkit::eventually(SOON, "the new certificate", || {
        Client::try_connect(&trusts_new).map_err(|error| error.to_string())
    });
    wait_logged(&redkeel, &["TLS files have changed; new connections use them"]);
    assert_eq!(living.command(["GET", "key"]), bulk("value"));
    let broken = redkeel.log().matches("cannot be used").count();
    assert_eq!(broken, 1, "said once");
}

/// The authority by which nodes are judged is another: new connections use it.
#[test]
fn new_authorities_are_believed_without_a_restart() {
    let (right, wrong) = (Authority::new(), Authority::new());
    let folder = Folder::new("authority");
    let ca = folder.path().join("ca.pem");
    replace(&ca, &wrong.ca());
    let nodes = replicated_over(&right, 0);
    let settings = format!("[pool.main.upstream.tls]\nca = {ca:?}\n");
    let expected = ["that no authority of `ca` has signed", "writes are held"];
    let redkeel = expecting(proxy(&nodes, &settings), &expected).start();
    wait_logged(&redkeel, &["WARN", "that no authority of `ca` has signed"]);
    replace(&ca, &right.ca());
    redkeel.wait_until(SOON, "the node to be used", |status| {
        status["pools"][0]["nodes"][0]["readable"] == true
    });
    assert_eq!(redkeel.client().command(["SET", "key", "value"]), simple("OK"));
}

/// The second connection of a client resumes the session of its first, at whichever worker; so do those to the nodes.
#[test]
fn sessions_are_resumed_on_both_sides() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let nodes = replicated_over(&theirs, 0);
    let settings = trusting(&theirs) + &shown(&ours.certificate(&LOCAL));
    let redkeel = ready(proxy(&nodes, &settings));
    let address = address_over(&redkeel, &ours);
    let mut clients: Vec<Client> = (0..6)
        .map(|_| {
            let mut client = Client::connect(&address);
            // The ticket comes with the first reply at the latest.
            assert_eq!(client.command(["PING"]), simple("PONG"));
            client
        })
        .collect();
    assert_eq!(handshakes(&redkeel, "client", "full"), 1);
    assert_eq!(handshakes(&redkeel, "client", "resumed"), 5);
    // Each blocks on a connection of its own.
    for client in &mut clients {
        client.send(["BLPOP", "list", "0"]);
    }
    testkit::eventually(SOON, "all to be blocked", || {
        nodes[0].info("clients")["blocked_clients"] == "6"
    });
    let resumed = handshakes(&redkeel, "node", "resumed");
    assert!(resumed >= 4, "{resumed}");
    // A client that keeps no sessions.
    let stranger = redkeel.address().over(&Secure::new(&ours.trust()));
    Client::connect(stranger).command(["PING"]);
    assert_eq!(handshakes(&redkeel, "client", "full"), 2);
}

/// A session that began with an authority's certificate ends with the authority.
#[test]
fn sessions_of_a_former_authority_are_not_resumed() {
    let (authority, next) = (Authority::new(), Authority::new());
    let folder = Folder::new("former");
    let ca = folder.path().join("clients.pem");
    replace(&ca, &authority.ca());
    let nodes = replicated(0);
    let settings = shown(&authority.certificate(&LOCAL)) + &format!("client_ca = {ca:?}\n");
    let redkeel = ready(proxy(&nodes, &settings));
    let own = config::ClientTls {
        certificate: Some(authority.certificate(&["someone"])),
        ..authority.trust()
    };
    let address = redkeel.address().over(&Secure::new(&own));
    for _ in 0..2 {
        assert_eq!(Client::connect(&address).command(["PING"]), simple("PONG"));
    }
    assert_eq!(handshakes(&redkeel, "client", "resumed"), 1);
    replace(&ca, &next.ca());
    wait_logged(&redkeel, &["TLS files have changed; new connections use them"]);
    let refused = Client::try_connect(&address).and_then(|mut client| client.try_command(["PING"]));
    refused.unwrap_err();
    wait_logged(&redkeel, &["that no authority of `client_ca` has signed"]);
}

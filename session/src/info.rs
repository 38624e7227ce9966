//! INFO: which sections count clients, and the node's reply with the clients of the pool in them.

use resp::Protocol;

use crate::Call;

/// The pool's clients, as INFO counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientCounts {
    /// All of them.
    pub connected: u64,
    /// Those that wait: in a command that blocks, or for the end of a CLIENT PAUSE.
    pub blocked: u64,
}

/// Does this INFO show the section about clients? (Redis, `genInfoSectionDict`.)
pub(crate) fn shows_clients(call: Call<'_>) -> bool {
    let shows = |section: &[u8]| {
        ["clients", "default", "all", "everything"]
            .iter()
            .any(|name| section.eq_ignore_ascii_case(name.as_bytes()))
    };
    call.len() == 1 || call.rest().any(shows)
}

/// A node's reply to INFO, with these counts for those of its own connections. `None`: it counts none, or is no text.
#[must_use]
pub fn with_client_counts(reply: &[u8], counts: ClientCounts) -> Option<Vec<u8>> {
    let head = reply.windows(2).position(|end| end == b"\r\n")?;
    let body = reply.get(head + 2..)?.strip_suffix(b"\r\n")?;
    let (body, protocol) = match reply.first()? {
        b'$' => (body, Protocol::Resp2),
        b'=' => (body.strip_prefix(b"txt:")?, Protocol::Resp3),
        _ => return None,
    };
    let mut text = Vec::with_capacity(body.len() + 32);
    let mut found = false;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let own = [("connected_clients:", counts.connected), ("blocked_clients:", counts.blocked)]
            .into_iter()
            .find(|(name, _)| line.starts_with(name.as_bytes()));
        match own {
            Some((name, count)) => {
                found = true;
                text.extend_from_slice(format!("{name}{count}\r\n").as_bytes());
            }
            None => text.extend_from_slice(line),
        }
    }
    let mut out = Vec::with_capacity(text.len() + 32);
    resp::write_verbatim(&mut out, &text, protocol);
    found.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::with_call;

    const COUNTS: ClientCounts = ClientCounts { connected: 12_345, blocked: 0 };
    const TEXT: &str = "# Clients\r\nconnected_clients:2\r\nmaxclients:10000\r\nblocked_clients:100\r\n\r\n# Memory\r\nused:1\r\n";
    const OWN: &str = "# Clients\r\nconnected_clients:12345\r\nmaxclients:10000\r\nblocked_clients:0\r\n\r\n# Memory\r\nused:1\r\n";

    fn reply(text: &str, protocol: Protocol) -> Vec<u8> {
        let mut out = Vec::new();
        resp::write_verbatim(&mut out, text.as_bytes(), protocol);
        out
    }

    #[test]
    fn the_counts_are_the_pools_in_both_protocols() {
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            let patched = with_client_counts(&reply(TEXT, protocol), COUNTS);
            assert_eq!(patched, Some(reply(OWN, protocol)));
        }
    }

    #[test]
    fn what_counts_no_clients_stays_as_it_is() {
        let other = reply("# Memory\r\nused_connected_clients:1\r\n", Protocol::Resp2);
        for reply in [&other[..], b"-NOPERM no\r\n", b"$-1\r\n", b"$0\r\n\r\n", b"=3\r\nx\r\n", b""]
        {
            assert_eq!(with_client_counts(reply, COUNTS), None);
        }
    }

    #[test]
    fn the_sections_that_show_clients() {
        for line in ["INFO", "info clients", "INFO memory ALL", "INFO everything", "INFO Default"] {
            assert!(with_call(line, shows_clients), "{line}");
        }
        for line in ["INFO replication", "INFO memory commandstats", "INFO client"] {
            assert!(!with_call(line, shows_clients), "{line}");
        }
    }
}

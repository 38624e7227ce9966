//! What a Sentinel answers when it is asked about its master (sentinel.c, sentinelCommand).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use resp::Value;

use crate::Refusal;
use crate::info::Info;
use crate::refusal::printable;

/// Longer host names do not exist (RFC 1035 §2.3.4).
const MAX_HOST_BYTES: usize = 253;
/// An identifier is 40 hexadecimal digits.
const MAX_ID_BYTES: usize = 64;
/// Replicas, and Sentinels, of one answer that are taken in.
const MAX_LISTED: usize = 128;

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentinelAnswer {
    /// Its own identifier; `None`: it is older than 6.2 and does not tell.
    pub id: Option<Arc<str>>,
    /// It does not trust its clock, and acts on nothing.
    pub tilt: bool,
    /// The address of the primary, as `host:port`: during a failover the promoted node's as soon as there is one.
    pub primary: Arc<str>,
    /// The address under which it keeps the books: during a failover the old primary's.
    pub booked: Arc<str>,
    /// Grows with every failover.
    pub epoch: u64,
    /// It leads a failover now.
    pub failing_over: bool,
    /// Its replicas, as they or the primary announce them.
    pub replicas: Vec<Arc<str>>,
    /// The other Sentinels that it knows: address and identifier.
    pub peers: Vec<(Arc<str>, Arc<str>)>,
}

impl SentinelAnswer {
    /// The number of replies that [`Self::parse`] takes.
    pub const REPLIES: usize = 6;

    /// Parses the replies of `SENTINEL MASTER`, `GET-MASTER-ADDR-BY-NAME`, `REPLICAS`, `SENTINELS`, `MYID`, and of
    /// `INFO sentinel`, in this order.
    pub fn parse(replies: &[Value]) -> Result<Self, Refusal> {
        let [master, address, replicas, peers, id, info] = replies else {
            return Err(Refusal::Malformed("SENTINEL"));
        };
        let fields = Fields::of(master, "SENTINEL MASTER")?;
        let booked = fields.address().ok_or(Refusal::Malformed("ip and port"))?;
        let epoch = fields.get("config-epoch").and_then(|epoch| epoch.parse().ok());
        let flags = fields.get("flags").unwrap_or_default();
        let info = Info::new(Refusal::text_of(info, "INFO sentinel")?);
        Ok(Self {
            id: id.as_bytes().and_then(identifier),
            tilt: info.get("sentinel_tilt") == Some("1"),
            primary: address_reply(address).ok_or(Refusal::Malformed("the primary's address"))?,
            booked,
            epoch: epoch.ok_or(Refusal::Malformed("config-epoch"))?,
            failing_over: flags.split(',').any(|flag| flag == "failover_in_progress"),
            replicas: all(replicas, "SENTINEL REPLICAS", replica)?,
            peers: all(peers, "SENTINEL SENTINELS", peer)?,
        })
    }
}

impl Refusal {
    /// What a Sentinel that refuses to answer does, and what to do; for an operator.
    pub fn of_sentinel(&self, master: &str) -> Box<str> {
        match self {
            Self::NoAuth => "asks for a password (NOAUTH): set sentinel.password".into(),
            Self::WrongPass => "refuses the credentials (WRONGPASS): correct sentinel.username and \
                                sentinel.password"
                .into(),
            Self::NoPermission => "does not let the user ask (NOPERM): grant +sentinel, +info, +ping, \
                                   +psubscribe and &*, or set sentinel.username and sentinel.password"
                .into(),
            Self::Error(text) if text.contains("No such master") => {
                format!("knows no master {master}: correct sentinel.master").into()
            }
            Self::Error(text) if text.to_ascii_lowercase().contains("unknown command") => {
                "is not a Sentinel: remove it from sentinel.sentinels".into()
            }
            other => other.to_string().into(),
        }
    }
}

/// The replicas that a Sentinel could promote, as `host:port`, from its answer to `SENTINEL REPLICAS`: those that are
/// not down in its eyes and have a priority (sentinel.c, sentinelSelectSlave). One to which it has no connection is not
/// chosen either, but that may be over at any moment: after a failover it connects anew to all of them.
pub(crate) fn candidates(reply: &Value) -> Result<Vec<String>, Refusal> {
    const OUT: [&str; 2] = ["s_down", "o_down"];
    let entries = Fields::of(reply, "SENTINEL REPLICAS")?.0.iter();
    let mut names = Vec::new();
    for entry in entries {
        let fields = Fields::of(entry, "SENTINEL REPLICAS")?;
        let flags = fields.get("flags").ok_or(Refusal::Malformed("flags"))?;
        let is_out = flags.split(',').any(|flag| OUT.contains(&flag));
        if !is_out && fields.get("slave-priority") != Some("0") {
            let name = fields.address().ok_or(Refusal::Malformed("ip and port"))?;
            names.push(name.to_string());
        }
    }
    Ok(names)
}

/// Alternating names and values.
struct Fields<'a>(&'a [Value]);

impl<'a> Fields<'a> {
    fn of(reply: &'a Value, what: &'static str) -> Result<Self, Refusal> {
        match reply {
            Value::Error(text) => Err(Refusal::from_error(text)),
            other => other.as_array().map(Self).ok_or(Refusal::Malformed(what)),
        }
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        let mut pairs = self.0.chunks_exact(2);
        let pair = pairs.find(|pair| pair[0].as_bytes() == Some(name.as_bytes()))?;
        std::str::from_utf8(pair[1].as_bytes()?).ok()
    }

    fn address(&self) -> Option<Arc<str>> {
        node_name(self.get("ip")?, self.get("port")?)
    }
}

fn all<T>(
    reply: &Value,
    what: &'static str,
    read: impl Fn(&Fields<'_>) -> Option<T>,
) -> Result<Vec<T>, Refusal> {
    let entries = Fields::of(reply, what)?.0.iter().take(MAX_LISTED);
    // One that cannot be read is one that nobody can use.
    Ok(entries.filter_map(|entry| read(&Fields(entry.as_array()?))).collect())
}

fn replica(fields: &Fields<'_>) -> Option<Arc<str>> {
    // `replica-announced no`: clients are not to know of it.
    fields.address().filter(|_| fields.get("replica-announced") != Some("0"))
}

fn peer(fields: &Fields<'_>) -> Option<(Arc<str>, Arc<str>)> {
    Some((fields.address()?, identifier(fields.get("runid")?.as_bytes())?))
}

fn address_reply(reply: &Value) -> Option<Arc<str>> {
    let [host, port] = reply.as_array()? else { return None };
    let text = |value: &'_ Value| Some(std::str::from_utf8(value.as_bytes()?).ok()?.to_owned());
    node_name(&text(host)?, &text(port)?)
}

fn identifier(bytes: &[u8]) -> Option<Arc<str>> {
    (1..=MAX_ID_BYTES).contains(&bytes.len()).then(|| printable(bytes).into())
}

/// A node's name: `host:port` in the spelling of the configuration. `None`: nothing could be reached there.
pub(crate) fn node_name(host: &str, port: &str) -> Option<Arc<str>> {
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, port).to_string().into());
    }
    let of_a_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let is_name = (1..=MAX_HOST_BYTES).contains(&host.len()) && host.bytes().all(of_a_name);
    is_name.then(|| format!("{}:{port}", host.to_ascii_lowercase()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulks(words: &str) -> Value {
        Value::Array(words.split(' ').map(bulk).collect())
    }

    fn bulk(text: &str) -> Value {
        Value::Bulk(text.as_bytes().to_vec())
    }

    /// As Redis 7.0 answers, shortened.
    fn replies() -> Vec<Value> {
        vec![
            bulks(
                "name m ip 10.0.0.1 port 6379 runid 8c4c flags master,failover_in_progress config-epoch 3",
            ),
            bulks("10.0.0.2 6379"),
            Value::Array(vec![
                bulks("name x ip 10.0.0.2 port 6379 flags slave replica-announced 1"),
                bulks("name x ip Redis-2.Internal port 6379 flags slave"),
                bulks("name x ip 10.0.0.4 port 6379 flags slave replica-announced 0"),
                bulks("name x ip ? port 0 flags slave"),
            ]),
            Value::Array(vec![bulks("name 196d ip 10.0.0.9 port 26379 runid 196d flags sentinel")]),
            bulk("3c4a"),
            bulk("# Sentinel\r\nsentinel_masters:1\r\nsentinel_tilt:1\r\n"),
        ]
    }

    #[test]
    fn an_answer_is_read() {
        let answer = SentinelAnswer::parse(&replies()).unwrap();
        let expected = SentinelAnswer {
            id: Some("3c4a".into()),
            tilt: true,
            primary: "10.0.0.2:6379".into(),
            booked: "10.0.0.1:6379".into(),
            epoch: 3,
            failing_over: true,
            replicas: vec!["10.0.0.2:6379".into(), "redis-2.internal:6379".into()],
            peers: vec![("10.0.0.9:26379".into(), "196d".into())],
        };
        assert_eq!(answer, expected);
    }

    #[test]
    fn a_sentinel_without_myid_has_no_identifier() {
        let mut replies = replies();
        replies[4] = Value::Error(b"ERR Unknown sentinel subcommand 'myid'".to_vec());
        assert_eq!(SentinelAnswer::parse(&replies).unwrap().id, None);
    }

    #[test]
    fn what_cannot_be_used_is_a_refusal() {
        let with = |index: usize, reply: Value| {
            let mut replies = replies();
            replies[index] = reply;
            SentinelAnswer::parse(&replies)
        };
        let error = |text: &str| Value::Error(text.as_bytes().to_vec());
        assert_eq!(with(0, error("NOAUTH x")), Err(Refusal::NoAuth));
        let unknown = Refusal::Error("ERR No such master with that name".into());
        assert_eq!(with(0, error("ERR No such master with that name")), Err(unknown));
        assert_eq!(with(0, bulks("ip 10.0.0.1 port 1")), Err(Refusal::Malformed("config-epoch")));
        assert_eq!(with(1, Value::Null), Err(Refusal::Malformed("the primary's address")));
        assert_eq!(with(2, bulk("x")), Err(Refusal::Malformed("SENTINEL REPLICAS")));
        assert_eq!(with(5, Value::Null), Err(Refusal::Malformed("INFO sentinel")));
        assert_eq!(SentinelAnswer::parse(&[]), Err(Refusal::Malformed("SENTINEL")));
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let text =
            |error: &str| Refusal::from_error(error.as_bytes()).of_sentinel("m").into_string();
        assert_eq!(
            text("ERR No such master with that name"),
            "knows no master m: correct sentinel.master"
        );
        assert_eq!(
            text("ERR unknown command 'SENTINEL', with args beginning with: 'MASTER'"),
            "is not a Sentinel: remove it from sentinel.sentinels"
        );
        assert!(text("NOAUTH Authentication required.").contains("sentinel.password"));
    }

    #[test]
    fn names_of_nodes_are_spelled_as_in_the_configuration() {
        let name = |host, port| node_name(host, port).as_deref().map(str::to_owned);
        assert_eq!(name("::1", "6379").as_deref(), Some("[::1]:6379"));
        assert_eq!(name("Redis.Internal", "1").as_deref(), Some("redis.internal:1"));
        for (host, port) in [("", "1"), ("a b", "1"), ("a", "0"), ("a", "65536"), ("é", "1")] {
            assert_eq!(name(host, port), None, "{host}:{port}");
        }
    }
}

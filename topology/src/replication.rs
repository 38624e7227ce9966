//! `INFO replication` (server.c, genRedisInfoString).

use resp::Value;

use crate::Refusal;
use crate::info::Info;
use crate::lineage::{Lineage, Parent, ReplId};
use crate::role_reply::Link;

/// What `INFO replication` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replication {
    /// `None`: says `master`. `Some`: says `slave`, with its link.
    pub link: Option<Link>,
    /// Written (a primary) or applied (a replica) so far.
    pub offset: u64,
    /// Whose data it is.
    pub lineage: Lineage,
}

impl Replication {
    /// Parses the reply, or says why it is none.
    pub fn parse(reply: &Value) -> Result<Self, Refusal> {
        let info = Info::new(Refusal::text_of(reply, "INFO replication")?);
        let id = info.get("master_replid").and_then(ReplId::parse);
        let id = id.ok_or(Refusal::Malformed("master_replid"))?;
        let lineage = Lineage { id, parent: parent(info) };
        let written =
            info.number("master_repl_offset").ok_or(Refusal::Malformed("master_repl_offset"))?;
        match info.get("role") {
            Some("master") => Ok(Self { link: None, offset: written, lineage }),
            Some("slave") => {
                let link = link(info);
                let applied = info.number("slave_repl_offset").unwrap_or(written);
                // Without a link, `slave_repl_offset` may be a placeholder (1).
                let offset = if link == Link::Up { applied } else { written };
                Ok(Self { link: Some(link), offset, lineage })
            }
            _ => Err(Refusal::Malformed("role")),
        }
    }
}

fn parent(info: Info<'_>) -> Option<Parent> {
    let id = info.get("master_replid2").and_then(ReplId::parse)?;
    let shared = info.number("second_repl_offset")?.checked_sub(1)?;
    Some(Parent { id, shared })
}

fn link(info: Info<'_>) -> Link {
    if info.get("master_sync_in_progress") == Some("1") {
        Link::Syncing
    } else if info.get("master_link_status") == Some("up") {
        Link::Up
    } else {
        Link::Down
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: &str = "0000000000000000000000000000000000000000";
    const ID: &str = "b48219af8436b4c8cc0bec932911fc1462902dfd";
    const OLD: &str = "afc6dc853b926e375e10f11dfbc49a5378e50c16";

    fn parse(text: &str) -> Result<Replication, Refusal> {
        Replication::parse(&Value::Bulk(text.replace('\n', "\r\n").into_bytes()))
    }

    fn id(text: &str) -> ReplId {
        ReplId::parse(text).unwrap()
    }

    #[test]
    fn a_master_that_was_never_anything_else() {
        let text = format!(
            "# Replication\nrole:master\nconnected_slaves:1\n\
             slave0:ip=127.0.0.1,port=7912,state=online,offset=14,lag=0\n\
             master_failover_state:no-failover\nmaster_replid:{ID}\nmaster_replid2:{NONE}\n\
             master_repl_offset:14\nsecond_repl_offset:-1\n"
        );
        let lineage = Lineage { id: id(ID), parent: None };
        assert_eq!(parse(&text), Ok(Replication { link: None, offset: 14, lineage }));
    }

    #[test]
    fn a_promoted_master_names_its_parent() {
        let text = format!(
            "role:master\nmaster_replid:{ID}\nmaster_replid2:{OLD}\n\
             master_repl_offset:634\nsecond_repl_offset:604\n"
        );
        let parent = Some(Parent { id: id(OLD), shared: 603 });
        assert_eq!(parse(&text).unwrap().lineage, Lineage { id: id(ID), parent });
    }

    #[test]
    fn a_replica_counts_what_it_applied() {
        let replica = |status: &str, sync: u8| {
            parse(&format!(
                "role:slave\nmaster_host:10.0.0.1\nmaster_port:6379\nmaster_link_status:{status}\n\
                 master_sync_in_progress:{sync}\nslave_read_repl_offset:90\nslave_repl_offset:80\n\
                 master_replid:{ID}\nmaster_replid2:{NONE}\nmaster_repl_offset:81\n\
                 second_repl_offset:-1\n"
            ))
            .unwrap()
        };
        let up = replica("up", 0);
        assert_eq!((up.link, up.offset), (Some(Link::Up), 80));
        let down = replica("down", 0);
        assert_eq!((down.link, down.offset), (Some(Link::Down), 81));
        assert_eq!(replica("down", 1).link, Some(Link::Syncing));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(parse("role:master\n"), Err(Refusal::Malformed("master_replid")));
        let text = format!("role:master\nmaster_replid:{ID}\n");
        assert_eq!(parse(&text), Err(Refusal::Malformed("master_repl_offset")));
        let text = format!("role:king\nmaster_replid:{ID}\nmaster_repl_offset:1\n");
        assert_eq!(parse(&text), Err(Refusal::Malformed("role")));
        assert_eq!(Replication::parse(&Value::Null), Err(Refusal::Malformed("INFO replication")));
        let error = Value::Error(b"NOPERM no".to_vec());
        assert_eq!(Replication::parse(&error), Err(Refusal::NoPermission));
    }
}

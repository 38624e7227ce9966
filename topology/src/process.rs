//! `INFO server`: which process answers.

use std::sync::Arc;

use resp::Value;

use crate::Refusal;
use crate::info::Info;
use crate::refusal::printable;

/// A server process, as `INFO server` describes it. A connection leads to one process for as long as it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// New with each start of the server.
    pub run_id: Arc<str>,
    /// `valkey_version`, else `redis_version`.
    pub version: Arc<str>,
}

impl Process {
    /// Parses the reply, or says why it is none.
    pub fn parse(reply: &Value) -> Result<Self, Refusal> {
        let info = Info::new(Refusal::text_of(reply, "INFO server")?);
        let run_id = info.get("run_id").filter(|run_id| !run_id.is_empty());
        let run_id = printable(run_id.ok_or(Refusal::Malformed("run_id"))?.as_bytes());
        let version = info.get("valkey_version").or_else(|| info.get("redis_version"));
        let version = printable(version.unwrap_or_default().as_bytes());
        Ok(Self { run_id: run_id.into(), version: version.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Process, Refusal> {
        Process::parse(&Value::Bulk(text.as_bytes().to_vec()))
    }

    #[test]
    fn valkey_tells_its_own_version() {
        let redis = parse("# Server\r\nredis_version:7.0.15\r\nrun_id:eb21\r\n").unwrap();
        assert_eq!((&*redis.run_id, &*redis.version), ("eb21", "7.0.15"));
        let valkey = parse("redis_version:7.2.4\r\nvalkey_version:8.0.1\r\nrun_id:a\r\n").unwrap();
        assert_eq!(&*valkey.version, "8.0.1");
    }

    #[test]
    fn without_a_run_id_a_restart_could_not_be_seen() {
        assert_eq!(parse("redis_version:7.0.15\r\n"), Err(Refusal::Malformed("run_id")));
        assert_eq!(parse("run_id:\r\n"), Err(Refusal::Malformed("run_id")));
    }
}

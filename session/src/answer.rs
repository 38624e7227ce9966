//! The error replies that Redkeel gives itself. Their texts are a contract: `-CODE redkeel: what happened, to
//! which node of which pool`; what Redis itself would say keeps Redis' words.

use std::fmt::Write as _;

use topology::ErrorKind;

/// An error line for `kind`, without the leading `-` and the line end: `CODE redkeel: text`.
pub fn error(kind: ErrorKind, text: std::fmt::Arguments<'_>) -> String {
    let code = match kind {
        ErrorKind::NoPrimary => "NOPRIMARY",
        ErrorKind::NoReplica => "NOREPLICA",
        ErrorKind::OutcomeUnknown => "OUTCOMEUNKNOWN",
        ErrorKind::Limit => "LIMIT",
        ErrorKind::ExecAbort => "EXECABORT",
        ErrorKind::ReadOnly => "READONLY",
        ErrorKind::CrossShard => "CROSSSHARD",
        ErrorKind::Denied => "NOPERM",
        ErrorKind::Refused | ErrorKind::Protocol | ErrorKind::Command => "ERR",
    };
    let mut line = String::with_capacity(96);
    // Writing to a String cannot fail.
    let _ = write!(line, "{code} redkeel: {text}");
    line
}

/// An error reply of a node which proves that the command did not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `-READONLY`: a write reached a replica.
    ReadOnly,
    /// `-LOADING`: the node reads its data set.
    Loading,
    /// `-MASTERDOWN`: a replica without its primary that may not serve stale data.
    MasterDown,
    /// `-CLUSTERDOWN`.
    ClusterDown,
    /// `-TRYAGAIN`.
    TryAgain,
    /// `-UNBLOCKED force unblock`: a blocked client was let go because the node's role changed. With other words it is an
    /// answer: a stream was deleted, or CLIENT UNBLOCK was asked for an error.
    Unblocked,
}

/// Does this error reply (with its leading `-`) prove that the command did not run, and should be sent elsewhere?
///
/// A transaction is refused as a whole: EXEC repeats the reason behind `EXECABORT Transaction discarded because of: `
/// (Redis, `execCommandAbort`).
pub fn refusal(reply: &[u8]) -> Option<Refusal> {
    let text = reply.strip_prefix(b"-")?;
    let text = text
        .strip_prefix(b"EXECABORT Transaction discarded because of: ".as_slice())
        .unwrap_or(text);
    let code = text.split(|byte| matches!(byte, b' ' | b'\r')).next()?;
    match code {
        b"READONLY" => Some(Refusal::ReadOnly),
        b"LOADING" => Some(Refusal::Loading),
        b"MASTERDOWN" => Some(Refusal::MasterDown),
        b"CLUSTERDOWN" => Some(Refusal::ClusterDown),
        b"TRYAGAIN" => Some(Refusal::TryAgain),
        // Redis, `disconnectOrRedirectAllBlockedClients`.
        b"UNBLOCKED" if text.starts_with(b"UNBLOCKED force unblock ") => Some(Refusal::Unblocked),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_a_whole_word() {
        assert_eq!(refusal(b"-READONLY You can't write\r\n"), Some(Refusal::ReadOnly));
        assert_eq!(refusal(b"-LOADING\r\n"), Some(Refusal::Loading));
        assert_eq!(refusal(b"-READONLYISH x\r\n"), None);
        assert_eq!(refusal(b"+READONLY\r\n"), None);
        let by_role =
            b"-UNBLOCKED force unblock from blocking operation, instance state changed\r\n";
        assert_eq!(refusal(by_role), Some(Refusal::Unblocked));
        assert_eq!(refusal(b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"), None);
        assert_eq!(refusal(b"-OOM command not allowed\r\n"), None);
    }

    #[test]
    fn a_client_that_was_let_go_for_another_reason_has_its_answer() {
        let role = b"-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n";
        assert_eq!(refusal(role), Some(Refusal::Unblocked));
        assert_eq!(refusal(b"-UNBLOCKED the stream key no longer exists\r\n"), None);
        assert_eq!(refusal(b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"), None);
    }

    #[test]
    fn a_refused_exec_names_the_reason_behind_execabort() {
        let line = b"-EXECABORT Transaction discarded because of: READONLY You can't write\r\n";
        assert_eq!(refusal(line), Some(Refusal::ReadOnly));
        let line = b"-EXECABORT Transaction discarded because of previous errors.\r\n";
        assert_eq!(refusal(line), None);
    }

    #[test]
    fn error_lines_carry_code_and_name() {
        let line = error(ErrorKind::NoPrimary, format_args!("pool main has none"));
        assert_eq!(line, "NOPRIMARY redkeel: pool main has none");
    }
}

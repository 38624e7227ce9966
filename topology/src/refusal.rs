//! Why a node that answers did not answer the question.

use std::fmt;

use resp::Value;

/// The longest error text of a node that is kept, in bytes.
const MAX_TEXT: usize = 120;

/// What a node said instead of what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `-NOAUTH`.
    NoAuth,
    /// `-WRONGPASS`, in reply to the probe's own AUTH.
    WrongPass,
    /// `-NOPERM`.
    NoPermission,
    /// `-BUSY`: a script runs.
    Busy,
    /// `-LOADING`.
    Loading,
    /// `-MASTERDOWN`.
    MasterDown,
    /// It is a Sentinel and has no data.
    Sentinel,
    /// Any other error, shortened to printable text.
    Error(Box<str>),
    /// A reply of the wrong shape: what was missing.
    Malformed(&'static str),
}

impl Refusal {
    /// Classifies the text of an error reply.
    pub fn from_error(text: &[u8]) -> Self {
        let code = text.split(|byte| *byte == b' ').next().unwrap_or_default();
        match code {
            b"NOAUTH" => Self::NoAuth,
            b"WRONGPASS" => Self::WrongPass,
            b"NOPERM" => Self::NoPermission,
            b"BUSY" => Self::Busy,
            b"LOADING" => Self::Loading,
            b"MASTERDOWN" => Self::MasterDown,
            _ => Self::Error(printable(text)),
        }
    }

    /// The reply's text, or why it is none.
    pub(crate) fn text_of<'a>(reply: &'a Value, what: &'static str) -> Result<&'a [u8], Self> {
        match reply {
            Value::Error(text) => Err(Self::from_error(text)),
            other => other.as_bytes().ok_or(Self::Malformed(what)),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAuth => f.write_str("asks for a password (NOAUTH): set upstream.password"),
            Self::WrongPass => f.write_str(
                "refuses the credentials (WRONGPASS): correct upstream.username and upstream.password",
            ),
            Self::NoPermission => f.write_str(
                "does not let the user ask (NOPERM): grant +ping, +role and +info, \
                 or set upstream.username and upstream.password",
            ),
            Self::Busy => f.write_str("is busy with a script (BUSY)"),
            Self::Loading => f.write_str("is loading its data"),
            Self::MasterDown => f.write_str("refuses reads while its link is down (MASTERDOWN)"),
            Self::Sentinel => f.write_str("is a Sentinel, not a data node: remove it from servers"),
            Self::Error(text) => write!(f, "answers with an error: {text}"),
            Self::Malformed(what) => {
                write!(f, "does not answer as Redis does: no {what} in its reply")
            }
        }
    }
}

/// A node's text, cut and made safe for a log line.
pub fn printable(text: &[u8]) -> Box<str> {
    let cut = &text[..text.len().min(MAX_TEXT)];
    cut.iter()
        .map(|byte| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '?' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart_by_their_code() {
        for (text, refusal) in [
            ("NOAUTH Authentication required.", Refusal::NoAuth),
            ("WRONGPASS invalid username-password pair", Refusal::WrongPass),
            ("NOPERM this user has no permissions", Refusal::NoPermission),
            ("BUSY Redis is busy running a script.", Refusal::Busy),
            ("LOADING", Refusal::Loading),
            ("MASTERDOWN Link with MASTER is down", Refusal::MasterDown),
            ("LOADINGX", Refusal::Error("LOADINGX".into())),
            ("ERR unknown command 'ROLE'", Refusal::Error("ERR unknown command 'ROLE'".into())),
        ] {
            assert_eq!(Refusal::from_error(text.as_bytes()), refusal);
        }
    }

    #[test]
    fn a_hostile_text_is_cut_and_has_no_control_characters() {
        let text = [b"ERR \x1b[31m\r\n".as_slice(), &[b'x'; 500]].concat();
        let Refusal::Error(text) = Refusal::from_error(&text) else { panic!("an error") };
        assert_eq!(text.len(), MAX_TEXT);
        assert!(text.starts_with("ERR ?[31m??xxx"));
    }
}

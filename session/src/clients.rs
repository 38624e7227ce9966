//! CLIENT LIST, KILL, UNBLOCK, PAUSE and UNPAUSE: which clients they mean. Errors are Redis' own texts
//! (`networking.c`, `clientCommand`).

use topology::{ClientFilter, ClientKind};

use crate::Call;
use crate::client::printable;

/// What a client wants of, or for, the clients of its pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientsRequest {
    /// LIST.
    List(ClientFilter),
    /// KILL.
    Kill {
        /// Whom.
        filter: ClientFilter,
        /// `KILL address`: answered with +OK, or an error if there is none.
        old_form: bool,
        /// Not the one that asks.
        skip_me: bool,
    },
    /// UNBLOCK.
    Unblock {
        /// Whom; none has the identifier 0.
        id: u64,
        /// With an error instead of what a timeout gives.
        with_error: bool,
    },
    /// PAUSE.
    Pause {
        /// For so long.
        millis: u64,
        /// Only what may write.
        writes_only: bool,
    },
    /// UNPAUSE.
    Unpause,
}

const SYNTAX: &str = "ERR syntax error";

/// Reads one of them.
pub(crate) fn parse_clients(call: Call<'_>) -> Result<ClientsRequest, String> {
    let sub = call.arg(1).to_ascii_uppercase();
    match (sub.as_slice(), call.len()) {
        (b"LIST", _) => list(call),
        (b"KILL", 3) => {
            let filter =
                ClientFilter { address: Some(call.arg(2).into()), ..ClientFilter::default() };
            Ok(ClientsRequest::Kill { filter, old_form: true, skip_me: false })
        }
        (b"KILL", 4..) => kill(call),
        (b"UNBLOCK", 3 | 4) => unblock(call),
        (b"PAUSE", 3 | 4) => pause(call),
        (b"UNPAUSE", 2) => Ok(ClientsRequest::Unpause),
        _ => {
            let sub = printable(call.arg(1)).to_ascii_lowercase();
            Err(format!("ERR wrong number of arguments for 'client|{sub}' command"))
        }
    }
}

fn list(call: Call<'_>) -> Result<ClientsRequest, String> {
    let mut filter = ClientFilter::default();
    if call.len() == 4 && call.arg(2).eq_ignore_ascii_case(b"TYPE") {
        filter.kind = Some(kind(call.arg(3))?);
    } else if call.len() > 3 && call.arg(2).eq_ignore_ascii_case(b"ID") {
        for index in 3..call.len() {
            let id = integer(call.arg(index)).ok_or("ERR Invalid client ID")?;
            // None has a negative one.
            filter.ids.push(u64::try_from(id).unwrap_or(0));
        }
    } else if call.len() != 2 {
        return Err(SYNTAX.to_owned());
    }
    Ok(ClientsRequest::List(filter))
}

fn kill(call: Call<'_>) -> Result<ClientsRequest, String> {
    let mut filter = ClientFilter::default();
    let mut skip_me = true;
    let mut index = 2;
    while index < call.len() {
        if index + 1 == call.len() {
            return Err(SYNTAX.to_owned());
        }
        let value = call.arg(index + 1);
        match call.arg(index).to_ascii_uppercase().as_slice() {
            b"ID" => {
                let id = integer(value).and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0);
                filter.ids = vec![id.ok_or("ERR client-id should be greater than 0")?];
            }
            b"TYPE" => filter.kind = Some(kind(value)?),
            b"ADDR" => filter.address = Some(value.into()),
            b"LADDR" => filter.local_address = Some(value.into()),
            b"USER" => filter.user = Some(value.into()),
            b"MAXAGE" => {
                let age = integer(value).and_then(|age| u64::try_from(age).ok());
                let age = age.filter(|age| *age > 0);
                filter.min_age_seconds =
                    Some(age.ok_or("ERR maxage is not an integer or out of range")?);
            }
            b"SKIPME" if value.eq_ignore_ascii_case(b"YES") => skip_me = true,
            b"SKIPME" if value.eq_ignore_ascii_case(b"NO") => skip_me = false,
            _ => return Err(SYNTAX.to_owned()),
        }
        index += 2;
    }
    Ok(ClientsRequest::Kill { filter, old_form: false, skip_me })
}

fn unblock(call: Call<'_>) -> Result<ClientsRequest, String> {
    let with_error = match call.arg(3).to_ascii_uppercase().as_slice() {
        b"" if call.len() == 3 => false,
        b"TIMEOUT" => false,
        b"ERROR" => true,
        _ => return Err("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR".to_owned()),
    };
    let id = integer(call.arg(2)).ok_or("ERR value is not an integer or out of range")?;
    Ok(ClientsRequest::Unblock { id: u64::try_from(id).unwrap_or(0), with_error })
}

fn pause(call: Call<'_>) -> Result<ClientsRequest, String> {
    let writes_only = match call.arg(3).to_ascii_uppercase().as_slice() {
        b"" if call.len() == 3 => false,
        b"ALL" => false,
        b"WRITE" => true,
        _ => return Err("ERR CLIENT PAUSE mode must be WRITE or ALL".to_owned()),
    };
    let millis = integer(call.arg(2)).ok_or("ERR timeout is not an integer or out of range")?;
    let millis = u64::try_from(millis).map_err(|_| "ERR timeout is negative".to_owned())?;
    Ok(ClientsRequest::Pause { millis, writes_only })
}

/// Redis, `getClientTypeByName`.
fn kind(name: &[u8]) -> Result<ClientKind, String> {
    match name.to_ascii_lowercase().as_slice() {
        b"normal" => Ok(ClientKind::Normal),
        b"slave" | b"replica" => Ok(ClientKind::Replica),
        b"pubsub" => Ok(ClientKind::Pubsub),
        b"master" => Ok(ClientKind::Primary),
        _ => Err(format!("ERR Unknown client type '{}'", printable(name))),
    }
}

fn integer(bytes: &[u8]) -> Option<i64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::with_call;

    fn parse(line: &str) -> Result<ClientsRequest, String> {
        with_call(line, parse_clients)
    }

    #[test]
    fn lists() {
        let all = ClientsRequest::List(ClientFilter::default());
        assert_eq!(parse("CLIENT LIST"), Ok(all));
        let some = ClientFilter { ids: vec![7, 0, 9], ..ClientFilter::default() };
        assert_eq!(parse("client list id 7 -1 9"), Ok(ClientsRequest::List(some)));
        let pubsub = ClientFilter { kind: Some(ClientKind::Pubsub), ..ClientFilter::default() };
        assert_eq!(parse("CLIENT LIST TYPE pubsub"), Ok(ClientsRequest::List(pubsub)));
        assert_eq!(parse("CLIENT LIST TYPE x"), Err("ERR Unknown client type 'x'".into()));
        assert_eq!(parse("CLIENT LIST ID x"), Err("ERR Invalid client ID".into()));
        assert_eq!(parse("CLIENT LIST what"), Err(SYNTAX.into()));
    }

    #[test]
    fn kills() {
        let filter = ClientFilter {
            ids: vec![3],
            user: Some(b"me".as_slice().into()),
            min_age_seconds: Some(60),
            ..ClientFilter::default()
        };
        assert_eq!(
            parse("CLIENT KILL ID 3 USER me SKIPME no MAXAGE 60"),
            Ok(ClientsRequest::Kill { filter, old_form: false, skip_me: false })
        );
        let Ok(ClientsRequest::Kill { old_form: true, skip_me: false, .. }) =
            parse("CLIENT KILL 127.0.0.1:7")
        else {
            panic!("the old form");
        };
        let none = Err("ERR client-id should be greater than 0".into());
        assert_eq!(parse("CLIENT KILL ID 0"), none);
        for line in ["CLIENT KILL ID 3 USER", "CLIENT KILL WHAT 3", "CLIENT KILL SKIPME maybe"] {
            assert_eq!(parse(line), Err(SYNTAX.into()), "{line}");
        }
        let wrong = "ERR wrong number of arguments for 'client|kill' command";
        assert_eq!(parse("CLIENT KILL"), Err(wrong.into()));
    }

    #[test]
    fn pauses_and_unblocks() {
        assert_eq!(
            parse("CLIENT PAUSE 100"),
            Ok(ClientsRequest::Pause { millis: 100, writes_only: false })
        );
        assert_eq!(
            parse("CLIENT PAUSE 0 write"),
            Ok(ClientsRequest::Pause { millis: 0, writes_only: true })
        );
        assert_eq!(parse("CLIENT PAUSE -1"), Err("ERR timeout is negative".into()));
        assert!(parse("CLIENT PAUSE x").is_err());
        assert!(parse("CLIENT PAUSE 1 READ").is_err());
        assert_eq!(
            parse("CLIENT UNBLOCK 4 error"),
            Ok(ClientsRequest::Unblock { id: 4, with_error: true })
        );
        assert!(parse("CLIENT UNBLOCK 4 now").is_err());
        assert_eq!(parse("CLIENT UNPAUSE"), Ok(ClientsRequest::Unpause));
    }
}

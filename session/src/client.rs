//! The commands about the client's own connection: what they ask for. Errors are Redis' own texts.

use crate::clients::{ClientsRequest, parse_clients};
use crate::conversation::Login;
use crate::tracking::{Tracking, parse_tracking};
use crate::{Call, HiddenBytes};
use resp::Protocol;

/// What an AUTH or the AUTH of a HELLO asks for.
pub type AuthRequest = Login;

/// `AUTH [username] password`.
pub fn parse_auth(call: Call<'_>) -> Result<AuthRequest, String> {
    match call.len() {
        2 => Ok(Login { username: None, password: call.arg(1).into() }),
        3 => Ok(Login { username: Some(call.arg(1).into()), password: call.arg(2).into() }),
        1 => Err("ERR wrong number of arguments for 'auth' command".to_owned()),
        _ => Err("ERR syntax error".to_owned()),
    }
}

/// `HELLO [version [AUTH user password] [SETNAME name]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelloRequest {
    /// `None`: stay with the present one.
    pub protocol: Option<Protocol>,
    /// With AUTH.
    pub login: Option<AuthRequest>,
    /// With SETNAME.
    pub name: Option<Box<[u8]>>,
}

/// Reads a HELLO.
pub fn parse_hello(call: Call<'_>) -> Result<HelloRequest, String> {
    let mut hello = HelloRequest { protocol: None, login: None, name: None };
    if call.len() == 1 {
        return Ok(hello);
    }
    hello.protocol =
        Some(match std::str::from_utf8(call.arg(1)).ok().and_then(|v| v.parse::<i64>().ok()) {
            Some(2) => Protocol::Resp2,
            Some(3) => Protocol::Resp3,
            Some(_) => return Err("NOPROTO unsupported protocol version".to_owned()),
            None => return Err("ERR Protocol version is not an integer or out of range".to_owned()),
        });
    let mut index = 2;
    while index < call.len() {
        let option = call.arg(index);
        let left = call.len() - index - 1;
        if option.eq_ignore_ascii_case(b"AUTH") && left >= 2 {
            let password: HiddenBytes = call.arg(index + 2).into();
            hello.login = Some(Login { username: Some(call.arg(index + 1).into()), password });
            index += 3;
        } else if option.eq_ignore_ascii_case(b"SETNAME") && left >= 1 {
            hello.name = Some(client_name(call.arg(index + 1))?);
            index += 2;
        } else {
            return Err(format!("ERR Syntax error in HELLO option '{}'", printable(option)));
        }
    }
    Ok(hello)
}

/// `SELECT index`: the database.
pub fn parse_select(call: Call<'_>) -> Result<u32, String> {
    if call.len() != 2 {
        return Err("ERR wrong number of arguments for 'select' command".to_owned());
    }
    let index = std::str::from_utf8(call.arg(1)).ok().and_then(|text| text.parse::<i64>().ok());
    match index {
        None => Err("ERR value is not an integer or out of range".to_owned()),
        Some(index) => u32::try_from(index).map_err(|_| "ERR DB index is out of range".to_owned()),
    }
}

/// Whether a client wants replies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyMode {
    /// All.
    #[default]
    On,
    /// None until `CLIENT REPLY ON`.
    Off,
    /// All but the next command's.
    Skip,
}

/// What a client wants kept as it is, whatever it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// NO-EVICT: its own buffers.
    Memory,
    /// NO-TOUCH: when keys were last used.
    Untouched,
}

/// A CLIENT subcommand, as far as Redkeel answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCommand {
    /// CLIENT ID.
    Id,
    /// CLIENT GETNAME.
    GetName,
    /// CLIENT SETNAME; empty: no name.
    SetName(Box<[u8]>),
    /// CLIENT SETINFO LIB-NAME.
    SetLibName(Box<[u8]>),
    /// CLIENT SETINFO LIB-VER.
    SetLibVersion(Box<[u8]>),
    /// CLIENT INFO.
    Info,
    /// CLIENT REPLY.
    Reply(ReplyMode),
    /// CLIENT GETREDIR.
    GetRedirect,
    /// CLIENT TRACKING ON; `None`: OFF.
    Tracking(Option<Box<Tracking>>),
    /// CLIENT TRACKINGINFO.
    TrackingInfo,
    /// CLIENT CACHING.
    Caching,
    /// NO-EVICT and NO-TOUCH.
    Keep(Keep, bool),
    /// About the pool's clients: LIST, KILL, UNBLOCK, PAUSE, UNPAUSE.
    Clients(ClientsRequest),
    /// Everything else is a question to the server: HELP, what a newer one knows.
    Server,
}

/// Reads a CLIENT command.
pub fn parse_client(call: Call<'_>) -> Result<ClientCommand, String> {
    let sub = call.arg(1).to_ascii_uppercase();
    let wrong = |call: Call<'_>| {
        let sub = printable(call.arg(1)).to_ascii_lowercase();
        Err(format!("ERR wrong number of arguments for 'client|{sub}' command"))
    };
    match (sub.as_slice(), call.len()) {
        (b"ID", 2) => Ok(ClientCommand::Id),
        (b"GETNAME", 2) => Ok(ClientCommand::GetName),
        (b"INFO", 2) => Ok(ClientCommand::Info),
        (b"GETREDIR", 2) => Ok(ClientCommand::GetRedirect),
        (b"TRACKINGINFO", 2) => Ok(ClientCommand::TrackingInfo),
        (b"CACHING", 3) => Ok(ClientCommand::Caching),
        (b"SETNAME", 3) => client_name(call.arg(2)).map(ClientCommand::SetName),
        (b"SETINFO", 4) => set_info(call),
        (b"REPLY", 3) => match call.arg(2).to_ascii_uppercase().as_slice() {
            b"ON" => Ok(ClientCommand::Reply(ReplyMode::On)),
            b"OFF" => Ok(ClientCommand::Reply(ReplyMode::Off)),
            b"SKIP" => Ok(ClientCommand::Reply(ReplyMode::Skip)),
            _ => Err("ERR syntax error".to_owned()),
        },
        (b"NO-EVICT" | b"NO-TOUCH", 3) => match call.arg(2).to_ascii_uppercase().as_slice() {
            value @ (b"ON" | b"OFF") => {
                let keep = if sub == b"NO-EVICT" { Keep::Memory } else { Keep::Untouched };
                Ok(ClientCommand::Keep(keep, value == b"ON"))
            }
            _ => Err("ERR syntax error".to_owned()),
        },
        (b"TRACKING", 3..) => parse_tracking(call).map(ClientCommand::Tracking),
        (b"LIST" | b"KILL" | b"UNBLOCK" | b"PAUSE" | b"UNPAUSE", _) => {
            parse_clients(call).map(ClientCommand::Clients)
        }
        (
            b"ID" | b"GETNAME" | b"INFO" | b"GETREDIR" | b"TRACKINGINFO" | b"CACHING" | b"SETNAME"
            | b"SETINFO" | b"REPLY" | b"NO-EVICT" | b"NO-TOUCH" | b"TRACKING",
            _,
        ) => wrong(call),
        _ => Ok(ClientCommand::Server),
    }
}

/// Redis 7.2, `clientSetinfoCommand`.
fn set_info(call: Call<'_>) -> Result<ClientCommand, String> {
    let attribute = call.arg(2).to_ascii_uppercase();
    let value: Box<[u8]> = call.arg(3).into();
    let name = match attribute.as_slice() {
        b"LIB-NAME" => "lib-name",
        b"LIB-VER" => "lib-ver",
        _ => return Err(format!("ERR Unrecognized option '{}'", printable(call.arg(2)))),
    };
    if value.iter().any(|byte| !(b'!'..=b'~').contains(byte)) {
        return Err(format!("ERR {name} cannot contain spaces, newlines or special characters."));
    }
    Ok(if name == "lib-name" {
        ClientCommand::SetLibName(value)
    } else {
        ClientCommand::SetLibVersion(value)
    })
}

/// Redis, `validateClientName`: printable and without spaces.
fn client_name(name: &[u8]) -> Result<Box<[u8]>, String> {
    if name.iter().any(|byte| !(b'!'..=b'~').contains(byte)) {
        return Err(
            "ERR Client names cannot contain spaces, newlines or special characters.".to_owned()
        );
    }
    Ok(name.into())
}

/// At most 128 bytes of what a client sent, safe inside an error line.
pub(crate) fn printable(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(128)
        .map(|byte| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '?' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::with_call;

    #[test]
    fn hello() {
        let hello = with_call("HELLO 3 AUTH u p SETNAME n", parse_hello).unwrap();
        assert_eq!(hello.protocol, Some(Protocol::Resp3));
        assert_eq!(hello.login.unwrap().username.as_deref(), Some(b"u".as_slice()));
        assert_eq!(hello.name.as_deref(), Some(b"n".as_slice()));
        assert_eq!(
            with_call("HELLO 4", parse_hello),
            Err("NOPROTO unsupported protocol version".into())
        );
        assert_eq!(
            with_call("HELLO x", parse_hello),
            Err("ERR Protocol version is not an integer or out of range".into())
        );
        assert_eq!(
            with_call("HELLO 3 AUTH u", parse_hello),
            Err("ERR Syntax error in HELLO option 'AUTH'".into())
        );
    }

    #[test]
    fn select() {
        assert_eq!(with_call("SELECT 3", parse_select), Ok(3));
        assert_eq!(
            with_call("SELECT -1", parse_select),
            Err("ERR DB index is out of range".into())
        );
        assert!(with_call("SELECT a", parse_select).is_err());
    }

    #[test]
    fn client() {
        assert_eq!(with_call("client id", parse_client), Ok(ClientCommand::Id));
        assert_eq!(
            with_call("CLIENT SETINFO lib-name x", parse_client),
            Ok(ClientCommand::SetLibName(b"x".as_slice().into()))
        );
        assert!(with_call("CLIENT SETINFO lib-nam x", parse_client).is_err());
        assert_eq!(
            with_call("CLIENT REPLY skip", parse_client),
            Ok(ClientCommand::Reply(ReplyMode::Skip))
        );
        assert_eq!(with_call("CLIENT HELP", parse_client), Ok(ClientCommand::Server));
        assert_eq!(
            with_call("CLIENT no-touch on", parse_client),
            Ok(ClientCommand::Keep(Keep::Untouched, true))
        );
        assert_eq!(
            with_call("CLIENT GETNAME x", parse_client),
            Err("ERR wrong number of arguments for 'client|getname' command".into())
        );
    }
}

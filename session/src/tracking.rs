//! CLIENT TRACKING: what it asks for, what nodes push about it, and whom Redkeel's clients redirect it to. Errors are Redis'
//! own texts (`networking.c`, `clientCommand`).

use crate::Call;

/// How a TRACKINGINFO's flags begin.
const FLAGS: &[u8] = b"$5\r\nflags\r\n";
/// What follows them.
const REDIRECT: &[u8] = b"$8\r\nredirect\r\n:";
const BROKEN: &[u8] = b"$15\r\nbroken_redirect\r\n";

/// `CLIENT TRACKING ON` and its options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tracking {
    /// CLIENT ID of who gets the messages; none has the identifier 0.
    pub redirect: Option<u64>,
    /// BCAST.
    pub broadcast: bool,
    /// OPTIN.
    pub opt_in: bool,
    /// OPTOUT.
    pub opt_out: bool,
    /// NOLOOP.
    pub no_loop: bool,
    /// With BCAST; empty: all keys.
    pub prefixes: Vec<Box<[u8]>>,
}

impl Tracking {
    /// The command, with its messages redirected to what a node calls `redirect`.
    pub fn command(&self, redirect: Option<u64>) -> Vec<u8> {
        let id = redirect.map(|id| id.to_string());
        let mut words: Vec<&[u8]> = vec![b"CLIENT", b"TRACKING", b"ON"];
        if let Some(id) = &id {
            words.extend([b"REDIRECT", id.as_bytes()]);
        }
        let options: [(bool, &[u8]); 4] = [
            (self.broadcast, b"BCAST"),
            (self.opt_in, b"OPTIN"),
            (self.opt_out, b"OPTOUT"),
            (self.no_loop, b"NOLOOP"),
        ];
        words.extend(options.iter().filter(|(set, _)| *set).map(|(_, word)| *word));
        for prefix in &self.prefixes {
            words.extend([b"PREFIX".as_slice(), prefix]);
        }
        let mut command = Vec::new();
        resp::write_command(&mut command, &words);
        command
    }

    /// What is in force once a node has accepted this one: prefixes are added to those that there were.
    #[must_use]
    pub fn after(mut self, earlier: Option<&Self>) -> Self {
        let Some(earlier) = earlier.filter(|earlier| self.broadcast && earlier.broadcast) else {
            return self;
        };
        if earlier.prefixes.is_empty() {
            self.prefixes.clear();
        } else if !self.prefixes.is_empty() {
            self.prefixes.splice(..0, earlier.prefixes.iter().cloned());
            self.prefixes.sort_unstable();
            self.prefixes.dedup();
        }
        self
    }
}

/// Reads a CLIENT TRACKING; `None`: OFF.
pub(crate) fn parse_tracking(call: Call<'_>) -> Result<Option<Box<Tracking>>, String> {
    let syntax = || Err("ERR syntax error".to_owned());
    let mut tracking = Tracking::default();
    let mut index = 3;
    while index < call.len() {
        let has_value = index + 1 < call.len();
        let value = call.arg(index + 1);
        match call.arg(index).to_ascii_uppercase().as_slice() {
            b"REDIRECT" if has_value => {
                if tracking.redirect.is_some() {
                    return Err(
                        "ERR A client can only redirect to a single other client".to_owned()
                    );
                }
                let id = std::str::from_utf8(value).ok().and_then(|text| text.parse::<i64>().ok());
                let id = id.ok_or("ERR value is not an integer or out of range")?;
                tracking.redirect = Some(u64::try_from(id).unwrap_or(0));
                index += 1;
            }
            b"PREFIX" if has_value => {
                tracking.prefixes.push(value.into());
                index += 1;
            }
            b"BCAST" => tracking.broadcast = true,
            b"OPTIN" => tracking.opt_in = true,
            b"OPTOUT" => tracking.opt_out = true,
            b"NOLOOP" => tracking.no_loop = true,
            _ => return syntax(),
        }
        index += 1;
    }
    match call.arg(2).to_ascii_uppercase().as_slice() {
        b"ON" => Ok(Some(Box::new(tracking))),
        b"OFF" => Ok(None),
        _ => syntax(),
    }
}

/// The keys of an `invalidate` push, as an array; `Some(None)`: all keys. `None`: it is another push.
pub fn invalidated(push: &[u8]) -> Option<Option<&[u8]>> {
    let keys = push.strip_prefix(b">2\r\n$10\r\ninvalidate\r\n")?;
    Some(keys.starts_with(b"*").then_some(keys).filter(|keys| !keys.starts_with(b"*-")))
}

/// Is it a node's push that says that the connection which its messages were redirected to is gone?
pub fn is_broken_redirect(push: &[u8]) -> bool {
    push.starts_with(b">2\r\n$21\r\ntracking-redir-broken\r\n")
}

/// A node's answer to TRACKINGINFO with the client that the messages are redirected to, and whether it has gone, in place of the
/// node's own. `None`: not what a node answers.
pub fn redirected_info(reply: &[u8], redirect: u64, is_broken: bool) -> Option<Vec<u8>> {
    let start = find(reply, FLAGS)? + FLAGS.len();
    let header = start + reply.get(start..)?.iter().position(|byte| *byte == b'\n')?;
    let marker = *reply.get(start)?;
    let count = reply.get(start + 1..header.checked_sub(1)?)?;
    let count: usize = std::str::from_utf8(count).ok()?.parse().ok()?;
    let flags_end = header + 1 + find(reply.get(header + 1..)?, REDIRECT)?;
    let flags = reply.get(header + 1..flags_end)?;
    let id = flags_end + REDIRECT.len();
    let rest = id + reply.get(id..)?.iter().position(|byte| *byte == b'\r')?;
    let adds = is_broken && find(flags, BROKEN).is_none();
    let mut out = reply.get(..start)?.to_vec();
    out.push(marker);
    out.extend_from_slice((count + usize::from(adds)).to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(flags);
    if adds {
        out.extend_from_slice(BROKEN);
    }
    out.extend_from_slice(REDIRECT);
    out.extend_from_slice(redirect.to_string().as_bytes());
    out.extend_from_slice(reply.get(rest..)?);
    Some(out)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::with_call;

    fn parse(line: &str) -> Result<Option<Box<Tracking>>, String> {
        with_call(line, parse_tracking)
    }

    #[test]
    fn options() {
        let tracking =
            parse("CLIENT TRACKING on bcast redirect 7 PREFIX b PREFIX a NOLOOP").unwrap().unwrap();
        let expected = Tracking {
            redirect: Some(7),
            broadcast: true,
            no_loop: true,
            prefixes: vec![b"b".as_slice().into(), b"a".as_slice().into()],
            ..Tracking::default()
        };
        assert_eq!(*tracking, expected);
        let again =
            with_call("CLIENT TRACKING ON REDIRECT 9 BCAST NOLOOP PREFIX b PREFIX a", |own| {
                let mut out = Vec::new();
                let words: Vec<&[u8]> = (0..own.len()).map(|index| own.arg(index)).collect();
                resp::write_command(&mut out, &words);
                out
            });
        assert_eq!(tracking.command(Some(9)), again);
        assert_eq!(parse("CLIENT TRACKING OFF"), Ok(None));
        assert_eq!(parse("CLIENT TRACKING ON REDIRECT -1").unwrap().unwrap().redirect, Some(0));
        for line in ["CLIENT TRACKING MAYBE", "CLIENT TRACKING ON REDIRECT", "CLIENT TRACKING ON x"]
        {
            assert_eq!(parse(line), Err("ERR syntax error".into()), "{line}");
        }
        let twice = "ERR A client can only redirect to a single other client";
        assert_eq!(parse("CLIENT TRACKING ON REDIRECT 1 REDIRECT 2"), Err(twice.into()));
        assert!(parse("CLIENT TRACKING ON REDIRECT x").is_err());
    }

    #[test]
    fn prefixes_are_added() {
        let tracking = |line: &str| *parse(line).unwrap().unwrap();
        let earlier = tracking("CLIENT TRACKING ON BCAST PREFIX b");
        let both = tracking("CLIENT TRACKING ON BCAST PREFIX a").after(Some(&earlier));
        assert_eq!(both.prefixes, [Box::from(b"a".as_slice()), Box::from(b"b".as_slice())]);
        assert!(tracking("CLIENT TRACKING ON BCAST").after(Some(&earlier)).prefixes.is_empty());
        let plain = tracking("CLIENT TRACKING ON").after(Some(&earlier));
        assert_eq!(plain, Tracking::default());
    }

    #[test]
    fn pushes() {
        let keys = b"*1\r\n$1\r\na\r\n";
        let push = [b">2\r\n$10\r\ninvalidate\r\n".as_slice(), keys].concat();
        assert_eq!(invalidated(&push), Some(Some(keys.as_slice())));
        assert_eq!(invalidated(b">2\r\n$10\r\ninvalidate\r\n_\r\n"), Some(None));
        assert_eq!(invalidated(b">2\r\n$4\r\npong\r\n_\r\n"), None);
        assert!(is_broken_redirect(b">2\r\n$21\r\ntracking-redir-broken\r\n:3\r\n"));
    }

    #[test]
    fn the_info_names_the_client() {
        let reply = b"%3\r\n$5\r\nflags\r\n~1\r\n$2\r\non\r\n$8\r\nredirect\r\n:33\r\n$8\r\nprefixes\r\n*0\r\n";
        let expected = b"%3\r\n$5\r\nflags\r\n~1\r\n$2\r\non\r\n$8\r\nredirect\r\n:7\r\n$8\r\nprefixes\r\n*0\r\n";
        assert_eq!(redirected_info(reply, 7, false).as_deref(), Some(expected.as_slice()));
        let expected = b"%3\r\n$5\r\nflags\r\n~2\r\n$2\r\non\r\n$15\r\nbroken_redirect\r\n$8\r\nredirect\r\n:7\r\n$8\r\nprefixes\r\n*0\r\n";
        assert_eq!(redirected_info(reply, 7, true).as_deref(), Some(expected.as_slice()));
        for no in [b"-ERR no\r\n".as_slice(), b"$5\r\nflags\r\n", b"$5\r\nflags\r\n\n", b""] {
            assert_eq!(redirected_info(no, 7, true), None);
        }
    }
}

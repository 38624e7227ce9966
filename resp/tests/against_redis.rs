//! The request scanner beside a real redis-server: the same bytes get the same answer.

#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use resp::{
    Limits, RequestScanner, Scan, inline_to_multibulk, write_bulk, write_error, write_simple,
};

/// What Redis 7.0 allows: there is no limit on a request as a whole.
const REDIS_LIMITS: Limits = Limits {
    max_bulk: 512 * 1024 * 1024,
    max_request: u64::MAX,
    max_args: i32::MAX as u32,
    max_inline: 64 * 1024,
};

/// A redis-server on a unix socket in a folder of its own.
struct Redis {
    process: Child,
    folder: PathBuf,
    /// Kept open: the server writes to it until it ends.
    _log: BufReader<ChildStdout>,
}

impl Redis {
    fn start(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("resp-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--daemonize", "no", "--unixsocket"])
            .arg(folder.join("socket"))
            .arg("--dir")
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server is needed for this test");
        let mut log = BufReader::new(process.stdout.take().unwrap());
        let mut lines = String::new();
        while !lines.contains("ready to accept connections") {
            assert!(log.read_line(&mut lines).unwrap() > 0, "redis-server has ended: {lines}");
        }
        Self { process, folder, _log: log }
    }

    /// All that Redis answers before it closes, or finds that the client has nothing more to say.
    fn answer(&self, input: &[u8]) -> Vec<u8> {
        let mut stream = UnixStream::connect(self.folder.join("socket")).unwrap();
        stream.write_all(input).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }

    /// Redis answers to these bytes as the scanner says.
    fn agrees(&self, input: &[u8]) {
        assert_eq!(
            self.answer(input).escape_ascii().to_string(),
            answer(input).escape_ascii().to_string(),
            "Redis' answer and ours to {}",
            input[..input.len().min(100)].escape_ascii()
        );
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// What a server that knows PING and ECHO answers to a connection's bytes.
fn answer(mut input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut scanner = RequestScanner::new();
    loop {
        let scanned = match scanner.scan(input, &REDIS_LIMITS) {
            Ok(Scan::Complete { len, inline: true }) => {
                let mut request = Vec::new();
                inline_to_multibulk(&input[..len], &mut request).map(|()| {
                    scanner.reset();
                    scanner.scan(&request, &REDIS_LIMITS).unwrap();
                    answer_command(&scanner, &request, &mut out);
                    len
                })
            }
            Ok(Scan::Complete { len, inline: false }) => {
                answer_command(&scanner, &input[..len], &mut out);
                Ok(len)
            }
            Ok(Scan::Incomplete { .. }) => return out,
            Err(error) => Err(error),
        };
        match scanned {
            Ok(len) => input = &input[len..],
            Err(error) => {
                write_error(&mut out, &format!("ERR {error}"));
                return out;
            }
        }
    }
}

fn answer_command(scanner: &RequestScanner, request: &[u8], out: &mut Vec<u8>) {
    let args: Vec<&[u8]> = scanner.args().iter().map(|arg| arg.of(request)).collect();
    match args.as_slice() {
        [] => {}
        [b"PING"] => write_simple(out, "PONG"),
        [b"ECHO", text] => write_bulk(out, text),
        [b"ECHO", ..] => write_error(out, "ERR wrong number of arguments for 'echo' command"),
        _ => write_error(out, "ERR unexpected command"),
    }
}

#[test]
fn malformed_requests() {
    let redis = Redis::start("malformed");
    let table: &[&[u8]] = &[
        b"*\r\n",
        b"*x\r\n",
        b"*-\r\n",
        b"*-0\r\n",
        b"*+1\r\n",
        b"*01\r\n",
        b"* 1\r\n",
        b"*1 \r\n",
        b"*1x\r\n",
        b"**\r\n",
        b"*2147483648\r\n",
        b"*9223372036854775808\r\n",
        b"*99999999999999999999\r\n",
        b"*1\r\n$\r\n",
        b"*1\r\n$x\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$+1\r\n",
        b"*1\r\n$04\r\nPING\r\n",
        b"*1\r\n$4 \r\nPING\r\n",
        b"*1\r\n$$4\r\nPING\r\n",
        b"*1\r\n$536870913\r\n",
        b"*1\r\n$4294967296\r\n",
        b"*1\r\n$9223372036854775808\r\n",
        b"*1\r\nPING\r\n",
        b"*1\r\n4\r\nPING\r\n",
        b"*1\r\n:4\r\n",
        b"*1\r\n*1\r\n",
        b"*2\r\n$4\r\nECHO\r\n'x'\r\n",
        b"*1\r\n$4\r\nPING\r\n*x\r\n",
        b"*x\r\n*1\r\n$4\r\nPING\r\n",
        b"PING\r\n*1\r\n$4\r\nPING\r\nECHO 'x\r\n",
        b"PING\r\nECHO \"x\"y\r\n",
    ];
    for input in table {
        assert!(answer(input).ends_with(b"\r\n"), "the table's inputs are refused");
        assert!(answer(input).windows(20).any(|window| window == b"-ERR Protocol error:"));
        redis.agrees(input);
    }
}

#[test]
fn endless_lines() {
    let redis = Redis::start("endless");
    for (start, len) in [("x", 65_537), ("*", 65_537), ("*1\r\n$", 65_541), ("*1\r\nx", 65_541)] {
        let line = format!("{start}{}", "1".repeat(len - start.len()));
        redis.agrees(&line.as_bytes()[..len - 1]);
        redis.agrees(line.as_bytes());
        assert!(answer(&line.as_bytes()[..len - 1]).is_empty());
        assert!(answer(line.as_bytes()).starts_with(b"-ERR Protocol error: too big "));
    }
}

#[test]
fn odd_requests_that_are_accepted() {
    let redis = Redis::start("odd");
    let table: &[(&[u8], &[u8])] = &[
        (b"*0\r\nPING\r\n", b"+PONG\r\n"),
        (b"*-1\r\nPING\r\n", b"+PONG\r\n"),
        (b"*-9223372036854775808\r\nPING\r\n", b"+PONG\r\n"),
        (b"\r\n\n \t\r\nPING\n", b"+PONG\r\n"),
        (b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\nPING\r\n", b"$0\r\n\r\n+PONG\r\n"),
        (b"*2\r\n$4\r\nECHO\r\n$2\r\n\r\n\r\n", b"$2\r\n\r\n\r\n"),
        (b"ECHO ''\r\n", b"$0\r\n\r\n"),
        (b"*1\r\n$4\r\nPING\r", b""),
        (b"*x", b""),
        (b"*x\r", b""),
        (b"*1\r\nx\r", b""),
        (b"*2147483647\r\n$536870912\r\n", b""),
    ];
    for (input, expected) in table {
        assert_eq!(answer(input), *expected, "{}", input.escape_ascii());
        redis.agrees(input);
    }
}

#[test]
fn random_lengths() {
    let redis = Redis::start("lengths");
    let text = "(-?[0-9]{0,3}|[-+ 0-9x]{0,4}|-?[0-9]{9,20})";
    TestRunner::default()
        .run(&text, |text| {
            redis.agrees(format!("*{text}\r\nPING\r\n").as_bytes());
            redis.agrees(format!("*1\r\n${text}\r\n").as_bytes());
            Ok(())
        })
        .unwrap();
}

#[test]
fn random_inline_commands() {
    let redis = Redis::start("inline");
    // A line ends at LF, and Redis waits for ever behind a NUL.
    let text = proptest::collection::vec(
        prop_oneof![
            8 => prop::sample::select(b" \t\x0b\x0c\r\"'\\xnrtba0fFz".as_slice()),
            1 => any::<u8>().prop_filter("line end", |byte| !matches!(byte, 0 | b'\n')),
        ],
        0..24,
    );
    TestRunner::default()
        .run(&text, |text| {
            redis.agrees(&[b"ECHO ", text.as_slice(), b"\r\nPING\n"].concat());
            Ok(())
        })
        .unwrap();
}

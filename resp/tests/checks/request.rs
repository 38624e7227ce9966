//! What holds for any bytes that a client sends.

use resp::{Limits, RequestError, RequestScanner, Scan, inline_to_multibulk, write_command};

/// Small enough that random input reaches every limit.
fn limits() -> Limits {
    Limits { max_bulk: 300, max_request: 700, max_args: 20, max_inline: 60 }
}

/// Scans `input` as a stream of requests: whole, and growing byte by byte.
pub(crate) fn check_request(input: &[u8]) {
    let limits = limits();
    let mut whole = RequestScanner::new();
    let mut growing = RequestScanner::new();
    let mut rest = input;
    loop {
        let scanned = whole.scan(rest, &limits);
        check_growing(&mut growing, rest, scanned, &limits);
        assert_eq!(whole.args(), growing.args());
        assert_eq!(whole.argc(), growing.argc());
        match scanned {
            Ok(Scan::Complete { len, inline }) => {
                check_complete(&whole, &rest[..len], inline);
                rest = &rest[len..];
            }
            Ok(Scan::Incomplete { known }) => {
                assert!(known > rest.len() as u64, "{known} bytes are already there");
                assert!(whole.args().len() < whole.argc().max(1) as usize);
                break;
            }
            Err(error) => {
                assert!(error.to_string().starts_with("Protocol error: "));
                assert!(error.to_string().bytes().all(|byte| matches!(byte, b' '..=b'~')));
                break;
            }
        }
    }
}

/// A scanner that is shown the request byte by byte comes to the same end.
fn check_growing(
    scanner: &mut RequestScanner,
    request: &[u8],
    whole: Result<Scan, RequestError>,
    limits: &Limits,
) {
    let mut least = 0;
    for len in 0..=request.len() {
        let scanned = scanner.scan(&request[..len], limits);
        match scanned {
            Ok(Scan::Incomplete { known }) => {
                assert!(known >= least, "what is known does not shrink");
                least = known;
                if len == request.len() {
                    assert_eq!(scanned, whole);
                }
            }
            Ok(Scan::Complete { len: end, .. }) => {
                assert_eq!(scanned, whole);
                assert_eq!(end, len, "a request ends with its last byte");
                assert!(least <= len as u64, "the request was thought to be longer");
                return;
            }
            Err(_) => {
                assert_eq!(scanned, whole);
                return;
            }
        }
    }
}

/// The arguments are the request: written again, they give the same bytes.
fn check_complete(scanner: &RequestScanner, request: &[u8], inline: bool) {
    let args: Vec<&[u8]> = scanner.args().iter().map(|arg| arg.of(request)).collect();
    let mut written = Vec::new();
    if !inline {
        assert_eq!(args.len(), scanner.argc() as usize);
        write_command(&mut written, &args);
        assert!(args.is_empty() || written == request);
        return;
    }
    match inline_to_multibulk(request, &mut written) {
        Ok(()) => {
            let scanned = RequestScanner::new().scan(&written, &Limits::default());
            assert_eq!(scanned, Ok(Scan::Complete { len: written.len(), inline: false }));
            assert_eq!(args.is_empty(), written == b"*0\r\n");
        }
        Err(error) => {
            assert_eq!(error, RequestError::UnbalancedQuotes);
            assert!(written.is_empty());
        }
    }
}

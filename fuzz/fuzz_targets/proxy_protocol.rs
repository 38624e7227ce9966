//! Whatever a connection begins with: no panic, and a header is within what has come.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy_protocol::{Parsed, parse};

fuzz_target!(|data: &[u8]| {
    if let Ok(Parsed::Header { len, addresses }) = parse(data) {
        assert!(len <= data.len());
        for version in [proxy_protocol::Version::V1, proxy_protocol::Version::V2] {
            let written = version.header(addresses);
            assert!(matches!(parse(&written), Ok(Parsed::Header { len, .. }) if len == written.len()));
        }
    }
});

//! Wrong passwords, by the address that they came from.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use config::PasswordDigest;
use topology::Time;

use crate::Login;

/// For so long a failure counts.
const WINDOW: Duration = Duration::from_secs(10);
/// Addresses that are remembered. Beyond, new ones are not: whoever has so many cannot be stopped by counting them.
const MOST: usize = 16 * 1024;

/// Whose failures count together: an IPv4 address, or the /64 that one IPv6 host can choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin(u64);

impl Origin {
    /// Of this address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(u64::from(address.to_bits())),
            // The upper half of a global address is never so small.
            IpAddr::V6(address) => Self((address.to_bits() >> 64) as u64),
        }
    }
}

/// What all workers know of wrong passwords. Looked at only where one logs in.
#[derive(Debug, Default)]
pub struct LoginFailures {
    recent: Mutex<HashMap<(usize, Origin), Vec<Failure>>>,
}

#[derive(Clone, Copy, Debug)]
struct Failure {
    at: Time,
    /// Of user and password: the same ones again tell nobody anything.
    of: u64,
}

impl LoginFailures {
    /// Have so many (`limit`; 0: any number) failed in this pool from there that nothing more is to be tried now?
    pub fn refuse(&self, pool: usize, origin: Origin, limit: u32, now: Time) -> bool {
        if limit == 0 {
            return false;
        }
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = recent.get(&(pool, origin)).map_or(&[][..], Vec::as_slice);
        failures.iter().filter(|failure| failure.counts(now)).count() >= limit as usize
    }

    /// A login has failed.
    pub fn note(&self, pool: usize, origin: Origin, login: &Login, limit: u32, now: Time) {
        if limit == 0 {
            return;
        }
        let of = fingerprint(login);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() >= MOST && !recent.contains_key(&(pool, origin)) {
            recent.retain(|_, failures| failures.iter().any(|failure| failure.counts(now)));
            if recent.len() >= MOST {
                return;
            }
        }
        let failures = recent.entry((pool, origin)).or_default();
        failures.retain(|failure| failure.counts(now));
        if failures.len() < limit as usize && failures.iter().all(|failure| failure.of != of) {
            failures.push(Failure { at: now, of });
        }
    }
}

impl Failure {
    fn counts(&self, now: Time) -> bool {
        now.since(self.at) < WINDOW
    }
}

fn fingerprint(login: &Login) -> u64 {
    let user = login.username.as_deref().unwrap_or(b"default");
    PasswordDigest::of(&[user, b"\0", login.password.reveal()].concat()).fingerprint()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::of(text.parse().unwrap())
    }

    fn login(password: &str) -> Login {
        Login { username: None, password: password.as_bytes().into() }
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn different_wrong_passwords_count_for_a_while() {
        let failures = LoginFailures::default();
        let (here, there) = (origin("10.0.0.1"), origin("10.0.0.2"));
        for (second, password) in ["a", "b", "c"].into_iter().enumerate() {
            assert!(!failures.refuse(0, here, 3, at(second as u64)));
            failures.note(0, here, &login(password), 3, at(second as u64));
        }
        assert!(failures.refuse(0, here, 3, at(2)));
        assert!(!failures.refuse(0, there, 3, at(2)), "another address");
        assert!(!failures.refuse(1, here, 3, at(2)), "another pool");
        assert!(failures.refuse(0, here, 3, at(9)));
        assert!(!failures.refuse(0, here, 3, at(10)), "the oldest has passed");
    }

    #[test]
    fn the_same_one_counts_once_but_for_another_user() {
        let failures = LoginFailures::default();
        let here = origin("10.0.0.1");
        for _ in 0..100 {
            failures.note(0, here, &login("outdated"), 2, at(0));
        }
        assert!(!failures.refuse(0, here, 2, at(0)));
        let other = Login { username: Some(b"app".as_slice().into()), ..login("outdated") };
        failures.note(0, here, &other, 2, at(0));
        assert!(failures.refuse(0, here, 2, at(0)));
    }

    #[test]
    fn hosts_of_ipv6_count_by_their_network() {
        assert_eq!(origin("2001:db8::1"), origin("2001:db8::ffff:1"));
        assert_ne!(origin("2001:db8::1"), origin("2001:db8:0:1::1"));
        assert_eq!(origin("::ffff:10.0.0.1"), origin("10.0.0.1"));
    }

    #[test]
    fn the_memory_is_bounded_and_no_limit_is_none() {
        let failures = LoginFailures::default();
        for host in 0..(MOST as u32 + 10) {
            failures.note(0, Origin(host.into()), &login("a"), 1, at(0));
        }
        assert_eq!(failures.recent.lock().unwrap().len(), MOST);
        assert!(!failures.refuse(0, Origin(u64::from(u32::MAX)), 1, at(0)));
        // What is old makes room.
        failures.note(0, Origin(u64::from(u32::MAX)), &login("a"), 1, at(60));
        assert!(failures.refuse(0, Origin(u64::from(u32::MAX)), 1, at(60)));
        assert!(!failures.refuse(0, Origin(1), 0, at(0)));
    }
}

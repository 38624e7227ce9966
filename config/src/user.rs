//! A user that Redkeel itself knows, as `auth = "users"` has them.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

use commands::Grants;

/// A user of a pool.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// As AUTH names it.
    pub name: String,
    /// At least one; any of them is right.
    pub passwords: Vec<PasswordDigest>,
    /// The commands.
    pub grants: Grants,
    /// The keys.
    pub keys: Patterns,
    /// The channels.
    pub channels: Patterns,
}

/// Which names a user may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patterns {
    /// All.
    All,
    /// Those that match one of these, as Redis matches (util.c `stringmatchlen`).
    Some(Vec<Box<[u8]>>),
}

/// SHA-256 of a password.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PasswordDigest([u8; 32]);

impl PasswordDigest {
    /// Of this password.
    pub fn of(password: &[u8]) -> Self {
        Self(Sha256::digest(password).into())
    }

    /// From 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut digest = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, digits) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(digest))
    }

    /// Are they the same? It takes as long to say no as to say yes.
    pub(crate) fn matches(self, other: Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// The first bytes, to tell one wrong password from another.
    pub fn fingerprint(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Debug for PasswordDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordDigest(…)")
    }
}

/// The user of this name whose password this is. It takes the same time for every wrong password, and as long for a
/// user that does not exist: all users' passwords are compared.
pub fn authenticate(users: &[User], name: &[u8], password: PasswordDigest) -> Option<usize> {
    let mut found = None;
    for (index, user) in users.iter().enumerate() {
        let named = user.name.as_bytes().ct_eq(name);
        let right = user
            .passwords
            .iter()
            .fold(Choice::from(0), |right, own| right | own.0.ct_eq(&password.0));
        if bool::from(named & right) {
            found = Some(index);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, passwords: &[&str]) -> User {
        User {
            name: name.to_owned(),
            passwords: passwords.iter().map(|text| PasswordDigest::of(text.as_bytes())).collect(),
            grants: Grants::NOTHING,
            keys: Patterns::All,
            channels: Patterns::All,
        }
    }

    #[test]
    fn any_password_of_the_user_is_right() {
        let users = [user("a", &["one"]), user("b", &["two", "three"])];
        let found = |name: &str, password: &str| {
            authenticate(&users, name.as_bytes(), PasswordDigest::of(password.as_bytes()))
        };
        assert_eq!(found("a", "one"), Some(0));
        assert_eq!(found("b", "two"), Some(1));
        assert_eq!(found("b", "three"), Some(1));
        for (name, password) in [("a", "two"), ("b", "one"), ("", "one"), ("A", "one"), ("a", "")] {
            assert_eq!(found(name, password), None, "{name} {password}");
        }
    }

    #[test]
    fn a_digest_is_what_sha256sum_prints() {
        let hex = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        assert_eq!(PasswordDigest::from_hex(hex), Some(PasswordDigest::of(b"hello")));
        assert_eq!(
            PasswordDigest::from_hex(&hex.to_uppercase()),
            Some(PasswordDigest::of(b"hello"))
        );
        for wrong in ["", &hex[1..], &format!("{}g", &hex[1..]), &format!("+{}", &hex[1..])] {
            assert_eq!(PasswordDigest::from_hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_digest_does_not_show() {
        assert_eq!(format!("{:?}", PasswordDigest::of(b"x")), "PasswordDigest(…)");
    }
}

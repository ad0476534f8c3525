//! A value as the index keeps it.
//!
//! ```text
//! 0  1  version, 1
//! 1  4  key that the content is sealed with
//! 5     content
//! ```
//! It has no checksum of its own: redb has one over each page.

use std::borrow::Cow;

use super::seal::{self, KeyId};
use super::{Unreadable, take};

const VERSION: u8 = 1;
const HEADER: usize = 5;

/// The bytes of a row.
pub(crate) fn to_bytes(value: &[u8]) -> Vec<u8> {
    let (key, content) = seal::seal(value);
    let mut bytes = Vec::with_capacity(HEADER + content.len());
    bytes.push(VERSION);
    bytes.extend(key.0.to_le_bytes());
    bytes.extend(content.as_ref());
    bytes
}

/// The value in a row.
///
/// # Errors
/// When the bytes are of another version, or sealed with a key that isn't there.
pub(crate) fn from_bytes(mut bytes: &[u8]) -> Result<Cow<'_, [u8]>, Unreadable> {
    if take::<1>(&mut bytes)? != [VERSION] {
        return Err(Unreadable("version of a value"));
    }
    let key = KeyId(u32::from_le_bytes(take(&mut bytes)?));
    seal::open(key, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_survives_its_bytes_and_another_version_is_unreadable() {
        for value in [b"".as_slice(), b"value"] {
            let mut bytes = to_bytes(value);
            assert_eq!(from_bytes(&bytes).unwrap(), value);
            bytes[0] = 2;
            assert!(from_bytes(&bytes).is_err());
        }
        assert!(from_bytes(&[1, 0, 0, 0]).is_err());
    }
}

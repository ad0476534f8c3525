//! An entry of the audit log as it lies in the store's table of values (docs/formats/audit.md).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Every key begins with it; behind it the number, 8 bytes, the highest first, so that keys sort by it.
pub(super) const SPACE: u8 = b'A';
/// The first key behind all of them.
pub(super) const END: [u8; 1] = [SPACE + 1];
/// The layout of values.
const VERSION: u8 = 1;

/// An entry. The first layout, never edited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// When it was begun, in milliseconds since 1970 by the box's clock.
    pub(crate) at_ms: i64,
    /// The client as the configuration calls it.
    pub(crate) client: String,
    /// Where it asked from, if that is known.
    pub(crate) address: Option<IpAddr>,
    /// Method and route, `POST /v1/messages/{id}/resolve`.
    pub(crate) action: String,
    /// What it was done to: an id of the box's own, the id of a number, a name; `None` for the box itself.
    pub(crate) target: Option<String>,
    /// How it was answered; `None` until then, and for good where the program ended or the caller hung up in between.
    pub(crate) status: Option<u16>,
}

pub(super) fn key(number: u64) -> Vec<u8> {
    [&[SPACE][..], &number.to_be_bytes()].concat()
}

pub(super) fn number_of(key: &[u8]) -> Option<u64> {
    let number = key.strip_prefix(&[SPACE])?.try_into().ok()?;
    Some(u64::from_be_bytes(number))
}

pub(super) fn encode(kept: &Kept) -> Vec<u8> {
    // Texts and numbers always have a form in postcard.
    postcard::to_extend(kept, vec![VERSION]).unwrap_or_default()
}

/// `None` for what can't be read; what is left over at the end makes a value unreadable.
pub(super) fn decode(value: &[u8]) -> Option<Kept> {
    let (version, rest) = value.split_first()?;
    let (kept, left) = postcard::take_from_bytes(rest).ok()?;
    (*version == VERSION && left.is_empty()).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of the first layout, which stay readable.
    #[test]
    fn the_first_layout_is_what_it_was() {
        let begun = Kept {
            at_ms: 1,
            client: "crm".into(),
            address: None,
            action: "PUT /v1/balance".into(),
            target: None,
            status: None,
        };
        let bytes = b"\x01\x02\x03crm\x00\x0fPUT /v1/balance\x00\x00";
        assert_eq!(encode(&begun), bytes);
        assert_eq!(decode(bytes), Some(begun.clone()));
        let done = Kept {
            address: Some("192.168.1.7".parse().unwrap()),
            target: Some("m-1".into()),
            status: Some(200),
            ..begun.clone()
        };
        let bytes = b"\x01\x02\x03crm\x01\x00\xc0\xa8\x01\x07\x0fPUT /v1/balance\x01\x03m-1\x01\xc8\x01";
        assert_eq!(encode(&done), bytes);
        assert_eq!(decode(bytes), Some(done));
        let v6 = Kept { address: Some("2001:db8::1".parse().unwrap()), ..begun };
        let mut bytes = b"\x01\x02\x03crm\x01\x01".to_vec();
        bytes.extend_from_slice(b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x0fPUT /v1/balance\x00\x00");
        assert_eq!((encode(&v6), decode(&bytes)), (bytes.clone(), Some(v6)));
        assert_eq!(key(258), b"A\0\0\0\0\0\0\x01\x02");
        assert_eq!(
            (number_of(&key(258)), number_of(b"A"), number_of(b"B\0\0\0\0\0\0\x01\x02")),
            (Some(258), None, None)
        );
    }

    #[test]
    fn what_is_damaged_counts_as_none() {
        let whole = b"\x01\x02\x03crm\x00\x0fPUT /v1/balance\x00\x00";
        for length in 0..whole.len() {
            assert_eq!(decode(&whole[..length]), None);
        }
        assert_eq!(decode(&[&whole[..], &[0]].concat()), None);
        assert_eq!(decode(&[&[2], &whole[1..]].concat()), None);
    }
}

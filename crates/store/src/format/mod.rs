//! The stored formats, described byte by byte in `docs/formats/`.
//!
//! Everything stored begins with a version, and every version that was ever released stays
//! readable: a new one gets a new module, an old one is never edited.

pub(crate) mod block;
pub(crate) mod entry;
pub(crate) mod filter;
pub(crate) mod group;
pub(crate) mod record_v1;
pub(crate) mod seal;
pub(crate) mod value;
pub(crate) mod values_v1;

/// Stored bytes that can't be read: another version, a wrong checksum, a wrong length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unreadable: {0}")]
pub struct Unreadable(pub(crate) &'static str);

/// Takes `N` bytes off the front of `bytes`.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Unreadable> {
    let (head, rest) = bytes.split_first_chunk().ok_or(Unreadable("too short"))?;
    *bytes = rest;
    Ok(*head)
}

//! The one seam through which stored content passes: today in the clear, later encrypted.
//!
//! Each stored value names the key that it is sealed with; 0 is plain. Encryption at rest, and
//! erasure by throwing a key away, then need a key and no new format.

use std::borrow::Cow;

use super::Unreadable;

/// Names a key; stored beside everything that the key seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyId(pub(crate) u32);

impl KeyId {
    /// In the clear.
    pub(crate) const PLAIN: Self = Self(0);
}

/// Seals `content` with the key for new content.
pub(crate) const fn seal(content: &[u8]) -> (KeyId, Cow<'_, [u8]>) {
    (KeyId::PLAIN, Cow::Borrowed(content))
}

/// Opens what `key` sealed.
pub(crate) const fn open(key: KeyId, content: &[u8]) -> Result<Cow<'_, [u8]>, Unreadable> {
    match key {
        KeyId::PLAIN => Ok(Cow::Borrowed(content)),
        KeyId(_) => Err(Unreadable("sealed with a key that this version doesn't have")),
    }
}

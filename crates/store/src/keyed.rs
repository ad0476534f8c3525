//! Keyed hashes: what stands in an index in place of a phone, an id or a wamid.

use std::hash::{BuildHasherDefault, Hasher};

use ring::hmac;

/// The first 128 bits of an HMAC-SHA256 under the store's own key.
///
/// Two different names share a hash once in some 10^20 pairs of a store's lifetime; without the
/// key a hash says nothing about the name.
pub(crate) type Hash = [u8; 16];

/// A map by [`Hash`].
pub(crate) type HashMap<V> = std::collections::HashMap<Hash, V, BuildHasherDefault<Drawn>>;
/// A set of [`Hash`]es.
pub(crate) type HashSet = std::collections::HashSet<Hash, BuildHasherDefault<Drawn>>;

/// Takes a [`Hash`] for what it is: as good as drawn by lot. Who doesn't know the store's key can't
/// choose names whose hashes meet in one place of a table, so there is nothing left to mix.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Drawn(u64);

impl Hasher for Drawn {
    fn write(&mut self, bytes: &[u8]) {
        // The end, since runs are sorted by the beginning: what comes one after another lies apart.
        if let Some(last) = bytes.last_chunk() {
            self.0 = u64::from_le_bytes(*last);
        }
    }

    // Before an array of bytes comes its length, which is always the same.
    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The store's key for index hashes.
#[derive(Clone)]
pub(crate) struct HashKey(hmac::Key);

impl HashKey {
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The hash of `parts` one after another, each behind its length so that parts can't run together.
    pub(crate) fn hash(&self, domain: u8, parts: &[&[u8]]) -> Hash {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&[domain]);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let mut hash = [0; 16];
        hash.copy_from_slice(&context.sign().as_ref()[..16]);
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_its_own_place_in_a_table() {
        use std::hash::BuildHasher as _;
        let key = HashKey::new(b"k");
        let [one, other] = [key.hash(0, &[b"a"]), key.hash(0, &[b"b"])];
        let places = BuildHasherDefault::<Drawn>::default();
        assert_eq!(places.hash_one(one).to_le_bytes(), one[8..]);
        assert_ne!(places.hash_one(one), places.hash_one(other));
    }

    #[test]
    fn parts_cannot_run_together_and_domains_differ() {
        let key = HashKey::new(b"k");
        assert_ne!(key.hash(0, &[b"ab", b"c"]), key.hash(0, &[b"a", b"bc"]));
        assert_ne!(key.hash(0, &[b"a"]), key.hash(1, &[b"a"]));
        assert_ne!(key.hash(0, &[b"a"]), HashKey::new(b"l").hash(0, &[b"a"]));
        assert_eq!(key.hash(0, &[b"a"]), HashKey::new(b"k").hash(0, &[b"a"]));
    }
}

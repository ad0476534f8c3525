//! The file that an update comes in: head, manifest, signatures, the slot's content. `docs/formats/update.md` has it
//! byte by byte.

use std::io::Read;

use crate::keys::{SIGNATURES_MAX, Signature, TrustedKeys};
use crate::manifest::{LAYOUT, MANIFEST_MAX, Manifest};
use crate::{BoardError, Code};

/// How a bundle begins.
pub const MAGIC: &[u8; 8] = b"WAGATEUP";
/// Bytes before the manifest: magic, layout, and the lengths of manifest and signatures.
pub const HEAD_BYTES: usize = 20;

/// What stands before the slot's content, not verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    manifest: Vec<u8>,
    signatures: Vec<u8>,
}

impl Head {
    /// Reads it, and not a byte of what follows.
    ///
    /// # Errors
    /// [`Code::NotABundle`] when these aren't the bytes of a bundle, or of a layout that this version doesn't know;
    /// [`Code::Io`] when they can't be read.
    pub fn read(from: &mut dyn Read) -> Result<Self, BoardError> {
        let mut head = [0; HEAD_BYTES];
        fill(from, &mut head)?;
        let number = |at: usize| {
            let bytes = head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            u32::from_le_bytes(bytes.unwrap_or_default())
        };
        if !head.starts_with(MAGIC) {
            return Err(BoardError::new(
                Code::NotABundle,
                "this isn't an update bundle: choose a file that ends in .update, and fetch it again where a page of a \
                 server came in its place",
            ));
        }
        let layout = number(8);
        if layout != LAYOUT {
            return Err(BoardError::new(
                Code::NotABundle,
                format!(
                    "the bundle is of layout {layout}; this version reads {LAYOUT}, update to one between first"
                ),
            ));
        }
        let part = |length: u32, max: usize, what: &str| match usize::try_from(length) {
            Ok(length) if length <= max => Ok(vec![0; length]),
            _ => Err(BoardError::new(
                Code::NotABundle,
                format!(
                    "the bundle's {what} would have {length} bytes, and {max} are the most: fetch it anew"
                ),
            )),
        };
        let mut manifest = part(number(12), MANIFEST_MAX, "manifest")?;
        let mut signatures = part(number(16), SIGNATURES_MAX, "list of signatures")?;
        fill(from, &mut manifest)?;
        fill(from, &mut signatures)?;
        Ok(Self { manifest, signatures })
    }

    /// The manifest, once its signature was found right; not a field is looked at before.
    ///
    /// # Errors
    /// As [`TrustedKeys::verify`] and [`Manifest::parse`].
    pub fn verify(&self, keys: &TrustedKeys) -> Result<Manifest, BoardError> {
        let key = keys.verify(&self.manifest, &self.signatures)?;
        tracing::info!(key = key.id, "the update is signed with a key that this box trusts");
        Manifest::parse(&self.manifest)
    }
}

fn fill(from: &mut dyn Read, out: &mut [u8]) -> Result<(), BoardError> {
    from.read_exact(out).map_err(|error| {
        if error.kind() == std::io::ErrorKind::UnexpectedEof {
            return BoardError::new(
                Code::NotABundle,
                "this isn't an update bundle, or only the beginning of one: fetch it anew, whole",
            );
        }
        BoardError::io("the bundle can't be read", error)
    })
}

/// A bundle of its parts, for those who make one. Nothing is checked: what is wrong is refused by the box.
#[must_use]
pub fn assemble(manifest: &[u8], signatures: &[Signature], slot: &[u8]) -> Vec<u8> {
    let signatures = serde_json::to_vec(signatures).unwrap_or_default();
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let head = [&MAGIC[..], &LAYOUT.to_le_bytes(), &length(manifest), &length(&signatures)].concat();
    [&head, manifest, &signatures, slot].concat()
}

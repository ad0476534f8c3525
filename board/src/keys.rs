//! Who may sign an update.
//!
//! A box trusts as many keys as its image names, two at least: the one in use, and the next one, whose private half
//! lies in a safe. That one signs once the first is lost or known to others; the update that it signs brings the key after
//! it.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, signature};
use serde::{Deserialize, Serialize};

use crate::{BoardError, Code};

/// Bytes of the signatures of a bundle, at most.
pub const SIGNATURES_MAX: usize = 4 * 1024;
/// Keys that are trusted, at most.
pub const KEYS_MAX: usize = 16;
/// Bytes of a key's file, at most.
const KEY_FILE_MAX: usize = 4 * 1024;
/// What stands before the manifest in what is signed: no signature for anything else is one for a bundle.
const PURPOSE: &[u8] = b"wagate update bundle 1\n";

/// The first 8 bytes of the SHA-256 of a raw public key, in hexadecimal.
#[must_use]
pub fn key_id(public: &[u8; 32]) -> String {
    let hash = digest::digest(&digest::SHA256, public);
    hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// What is signed, for a manifest of these bytes.
#[must_use]
pub fn signed_message(manifest: &[u8]) -> Vec<u8> {
    [PURPOSE, manifest].concat()
}

/// One signature, as it stands in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// [`key_id`] of the key.
    pub key: String,
    /// The 64 bytes of ed25519, in base64.
    pub signature: String,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// See [`key_id`].
    pub id: String,
    /// Whose it is, for people.
    pub comment: String,
    public: [u8; 32],
}

impl TrustedKey {
    /// Reads the line `ed25519 BASE64 COMMENT`. Empty lines and those that begin with `#` may stand around it.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > KEY_FILE_MAX {
            return Err(format!("over {KEY_FILE_MAX} bytes"));
        }
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return Err("one line is expected, `ed25519 BASE64 COMMENT`".to_owned());
        };
        let mut words = line.splitn(3, ' ');
        if words.next() != Some("ed25519") {
            return Err("it doesn't begin with `ed25519 `".to_owned());
        }
        let public = STANDARD.decode(words.next().unwrap_or_default()).unwrap_or_default();
        let Ok(public) = <[u8; 32]>::try_from(public) else {
            return Err("the second word isn't 32 bytes in base64".to_owned());
        };
        let comment = words.next().unwrap_or_default().trim().to_owned();
        Ok(Self { id: key_id(&public), comment, public })
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        signature::UnparsedPublicKey::new(&signature::ED25519, self.public).verify(message, signature).is_ok()
    }
}

/// The keys that this box trusts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustedKeys(Vec<TrustedKey>);

impl TrustedKeys {
    /// These keys; [`KEYS_MAX`] of them at most, the others are left out.
    pub fn new(keys: impl IntoIterator<Item = TrustedKey>) -> Self {
        Self(keys.into_iter().take(KEYS_MAX).collect())
    }

    /// The `*.pub` files of a folder, by name. One that can't be read is passed over and said in the log: the others still
    /// open the way to a version that mends it.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn read(folder: &Path) -> Result<Self, BoardError> {
        let told = |error: std::io::Error| BoardError::io(folder.display(), error);
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(told)? {
            let path = entry.map_err(told)?.path();
            if path.extension().is_some_and(|extension| extension == "pub") {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(Self::new(paths.iter().filter_map(|path| {
            let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
            text.and_then(|text| TrustedKey::parse(&text))
                .inspect_err(|error| tracing::error!(path = %path.display(), %error, "a key for updates is passed over"))
                .ok()
        })))
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &[TrustedKey] {
        &self.0
    }

    /// Whether one of the signatures is a trusted key's, and right for this manifest. Says whose. A wrong one beside a
    /// right one does no harm: anybody could add it.
    ///
    /// # Errors
    /// [`Code::NotABundle`] when the list can't be read, [`Code::UnknownKey`] when none of its keys is trusted,
    /// [`Code::BadSignature`] when none of theirs is right.
    pub fn verify(&self, manifest: &[u8], signatures: &[u8]) -> Result<&TrustedKey, BoardError> {
        let bad = |why: String| BoardError::new(Code::NotABundle, format!("the bundle's signatures {why}"));
        if signatures.len() > SIGNATURES_MAX {
            return Err(bad(format!("have over {SIGNATURES_MAX} bytes")));
        }
        let list: Vec<Signature> =
            serde_json::from_slice(signatures).map_err(|error| bad(format!("can't be read: {error}")))?;
        let message = signed_message(manifest);
        let mut known = false;
        for entry in &list {
            for key in self.0.iter().filter(|key| key.id == entry.key) {
                known = true;
                let bytes = STANDARD.decode(&entry.signature).unwrap_or_default();
                if key.verifies(&message, &bytes) {
                    return Ok(key);
                }
            }
        }
        Err(if known {
            BoardError::new(
                Code::BadSignature,
                "the signature of the update doesn't fit it: it was changed after it was signed, or damaged on its \
                 way; fetch it again from where you trust it",
            )
        } else {
            BoardError::new(
                Code::UnknownKey,
                "the update isn't signed with a key that this box trusts; an update for your boxes is signed with \
                 your own key, see the manual",
            )
        })
    }
}

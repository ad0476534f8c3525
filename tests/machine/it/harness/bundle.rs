//! Update bundles and the keys that sign them, written without the crate that reads them on the box.

use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::tools::{command, done};

const MAGIC: &[u8; 8] = b"WAGATEUP";
const LAYOUT: u32 = 1;
/// Stands before the manifest in what is signed.
const SIGNED: &[u8] = b"wagate update bundle 1\n";

/// A key that signs updates, in a file as the release's own would be.
#[derive(Debug)]
pub(crate) struct Key {
    pair: Ed25519KeyPair,
    /// PEM.
    pub(crate) path: PathBuf,
}

impl Key {
    /// A new key in `folder`, made as `scripts/sign-update.sh` has it made.
    pub(crate) fn make(folder: &Path, name: &str) -> Self {
        let path = folder.join(format!("{name}.pem"));
        done(command("openssl").args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&path));
        let der = done(command("openssl").args(["pkey", "-outform", "DER", "-in"]).arg(&path));
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).unwrap();
        Self { pair, path }
    }

    /// The line of its `*.pub` file.
    pub(crate) fn public_line(&self) -> String {
        format!("ed25519 {} made by a test\n", base64(self.pair.public_key().as_ref()))
    }

    /// By which a signature names it.
    fn id(&self) -> String {
        hex(&digest(&SHA256, self.pair.public_key().as_ref()).as_ref()[..8])
    }
}

/// What is to be in a bundle; the fields of its manifest can be bent.
#[derive(Debug, Clone)]
pub(crate) struct Bundle {
    pub(crate) manifest: Value,
    pub(crate) slot: Vec<u8>,
}

impl Bundle {
    /// A right one.
    pub(crate) fn new(version: &str, slot: Vec<u8>) -> Self {
        let manifest = json!({
            "layout": 1,
            "version": version,
            "board": "generic-arm64",
            "slot_bytes": slot.len(),
            "slot_sha256": hex(digest(&SHA256, &slot).as_ref()),
            "minimum_version": "0.1.0",
            "data_format": store::DATA_FORMAT,
            "built_at": "2026-11-22T00:00:00Z",
        });
        Self { manifest, slot }
    }

    /// The same with another field.
    pub(crate) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.manifest[field] = value.into();
        self
    }

    /// The file, signed by `keys`.
    pub(crate) fn signed(&self, keys: &[&Key]) -> Vec<u8> {
        let manifest = self.manifest.to_string();
        let signatures = keys.iter().map(|key| {
            let message = [SIGNED, manifest.as_bytes()].concat();
            json!({ "key": key.id(), "signature": base64(key.pair.sign(&message).as_ref()) })
        });
        self.assembled(&manifest, &Value::from_iter(signatures).to_string())
    }

    /// The file with a manifest that isn't the one that was signed.
    pub(crate) fn tampered(&self, key: &Key, field: &str, value: impl Into<Value>) -> Vec<u8> {
        let right = self.manifest.to_string();
        let message = [SIGNED, right.as_bytes()].concat();
        let signatures = json!([{ "key": key.id(), "signature": base64(key.pair.sign(&message).as_ref()) }]);
        let manifest = self.clone().with(field, value).manifest.to_string();
        self.assembled(&manifest, &signatures.to_string())
    }

    fn assembled(&self, manifest: &str, signatures: &str) -> Vec<u8> {
        let length = |text: &str| u32::try_from(text.len()).unwrap().to_le_bytes();
        [
            MAGIC,
            &LAYOUT.to_le_bytes()[..],
            &length(manifest),
            &length(signatures),
            manifest.as_bytes(),
            signatures.as_bytes(),
            &self.slot,
        ]
        .concat()
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let sign = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap();
            text.push(if place <= group.len() { char::from(SIGNS[sign]) } else { '=' });
        }
    }
    text
}

pub(crate) fn base64_is_as_everybody_writes_it() {
    for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
        assert_eq!(base64(bytes.as_bytes()), text);
    }
}

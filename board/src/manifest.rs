//! What a bundle says about itself, and whether this box takes it.

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::slots::VERSION_MAX;
use crate::{BoardError, Code};

/// Bytes of a manifest, at most.
pub const MANIFEST_MAX: usize = 16 * 1024;
/// The layout of bundles and manifests that this version reads.
pub const LAYOUT: u32 = 1;
/// Letters of a board's name and of the time of building, at most.
const TEXT_MAX: usize = 64;

/// A bundle's manifest. Fields that aren't known are passed over, so that later versions may say more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`LAYOUT`].
    pub layout: u32,
    /// The version of the firmware.
    #[serde(with = "as_text")]
    pub version: Version,
    /// The board that it is for, as in its description.
    pub board: String,
    /// Bytes of the slot's content, at least 1.
    pub slot_bytes: u64,
    /// Their SHA-256, 64 lower-case hexadecimal digits.
    pub slot_sha256: String,
    /// The lowest version from which it may be installed.
    #[serde(with = "as_text")]
    pub minimum_version: Version,
    /// The highest layout of data that it reads (the store's `DATA_FORMAT`).
    pub data_format: u32,
    /// When it was built, for people.
    pub built_at: String,
}

/// What a bundle has to fit: this box.
#[derive(Debug, Clone, Copy)]
pub struct Here<'a> {
    /// The kind of board.
    pub board: &'a str,
    /// The version that runs.
    pub version: &'a Version,
    /// The layout of the data on it.
    pub data_format: u32,
}

impl Manifest {
    /// Reads a manifest. To be called with bytes whose signature was found right.
    ///
    /// # Errors
    /// [`Code::NotABundle`] when a field is missing, makes no sense or is too long, or the layout is a later one.
    pub fn parse(bytes: &[u8]) -> Result<Self, BoardError> {
        let bad = |why: String| {
            // Its signature is right: it was made so, and fetching it once more changes nothing.
            let text = format!("the bundle's manifest {why}; whoever built the bundle has to build it anew");
            BoardError::new(Code::NotABundle, text)
        };
        if bytes.len() > MANIFEST_MAX {
            return Err(bad(format!("has over {MANIFEST_MAX} bytes")));
        }
        #[derive(Deserialize)]
        struct Layout {
            layout: u32,
        }
        let unreadable = |error: serde_json::Error| bad(format!("can't be read: {error}"));
        let Layout { layout } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if layout != LAYOUT {
            let text = format!(
                "the bundle's manifest is of layout {layout}; this version reads {LAYOUT}, update to one between \
                 first"
            );
            return Err(BoardError::new(Code::NotABundle, text));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(unreadable)?;
        for (name, text, max) in [
            ("version", manifest.version.to_string().as_str(), VERSION_MAX),
            ("minimum_version", manifest.minimum_version.to_string().as_str(), VERSION_MAX),
            ("board", &manifest.board, TEXT_MAX),
            ("built_at", &manifest.built_at, TEXT_MAX),
        ] {
            if text.is_empty() || text.len() > max {
                return Err(bad(format!("has a {name} that is empty or longer than {max} letters")));
            }
        }
        let digits = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if manifest.slot_sha256.len() != 64 || !digits(&manifest.slot_sha256) {
            return Err(bad("has a slot_sha256 that isn't 64 hexadecimal digits".to_owned()));
        }
        if manifest.slot_bytes == 0 {
            return Err(bad("is for an empty slot".to_owned()));
        }
        Ok(manifest)
    }

    /// Whether this box takes it.
    ///
    /// # Errors
    /// [`Code::WrongBoard`], [`Code::Downgrade`] for a version that isn't above the running one,
    /// [`Code::TooOldHere`], [`Code::DataTooNew`].
    pub fn check(&self, here: Here<'_>) -> Result<(), BoardError> {
        let Self { version, board, minimum_version, data_format, .. } = self;
        if board != here.board {
            return Err(BoardError::new(
                Code::WrongBoard,
                format!(
                    "the update is for the board {board:?} and this box is {:?}; fetch the one for it",
                    here.board
                ),
            ));
        }
        // Build metadata says nothing of what is newer.
        if version.cmp_precedence(here.version).is_le() {
            return Err(BoardError::new(
                Code::Downgrade,
                format!(
                    "the update is version {version} and {} runs here; only a later one is installed, an earlier one \
                     that is in the other slot can be rolled back to",
                    here.version
                ),
            ));
        }
        if minimum_version.cmp_precedence(here.version).is_gt() {
            return Err(BoardError::new(
                Code::TooOldHere,
                format!(
                    "version {version} is installed from {minimum_version} on, and {} runs here; update to \
                     {minimum_version} first",
                    here.version
                ),
            ));
        }
        if *data_format < here.data_format {
            return Err(BoardError::new(
                Code::DataTooNew,
                format!(
                    "version {version} reads data up to layout {data_format}, and this box has layout {}; it needs a \
                     version built for that",
                    here.data_format
                ),
            ));
        }
        Ok(())
    }
}

/// A version as it is written.
mod as_text {
    use semver::Version;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(version: &Version, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(version)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Version, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(|error| D::Error::custom(format!("{text:?} is no version: {error}")))
    }
}

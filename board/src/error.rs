//! What the board refuses, and why.

use serde::{Deserialize, Serialize};

/// Why something was refused. The words travel between versions of the program: they are never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The bytes aren't an update bundle, or of a layout that this version doesn't know.
    NotABundle,
    /// No signature of a key that this box trusts.
    UnknownKey,
    /// A signature of a trusted key that doesn't fit the manifest.
    BadSignature,
    /// The bundle is for another board.
    WrongBoard,
    /// The bundle's version is not above the running one.
    Downgrade,
    /// The running version is below the one from which the bundle may be taken.
    TooOldHere,
    /// The data on this box is of a later layout than the bundle's version reads.
    DataTooNew,
    /// The slot's bytes aren't those of the manifest, or weren't when they were read back.
    Damaged,
    /// The slot's content doesn't fit into the partition.
    TooLarge,
    /// The running version isn't committed yet: first it has to prove itself.
    Uncommitted,
    /// Another update is on its way.
    Busy,
    /// The other slot holds nothing that could be booted.
    NothingThere,
    /// This machine has no board, or this board can't do that.
    Unsupported,
    /// A disk or a device refused.
    Io,
    /// The two processes don't understand each other.
    Protocol,
}

/// A refusal: what happened, whose fault it is and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{text}")]
pub struct BoardError {
    /// Why.
    pub code: Code,
    /// The same for people.
    pub text: String,
}

impl BoardError {
    /// A refusal with its words.
    #[must_use]
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// A disk or a device that refused `what`.
    #[must_use]
    pub fn io(what: impl std::fmt::Display, error: impl std::fmt::Display) -> Self {
        Self::new(Code::Io, format!("{what}: {error}"))
    }
}

impl embedded_svc::io::Error for BoardError {
    fn kind(&self) -> embedded_svc::io::ErrorKind {
        embedded_svc::io::ErrorKind::Other
    }
}

//! What came of taking over or giving back one number.

use serde::Serialize;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// Webhooks come to this box now.
    Taken,
    /// They came here before.
    AlreadyOurs,
    /// They go where they went before.
    GivenBack,
    /// Nothing was taken over.
    NotTaken,
    /// Somebody else has sent them elsewhere since.
    Changed,
    /// It didn't succeed.
    Failed,
}

impl What {
    /// Whether it is as was asked.
    pub(crate) const fn is_done(self) -> bool {
        matches!(self, Self::Taken | Self::AlreadyOurs | Self::GivenBack | Self::NotTaken)
    }

    /// Whether webhooks come to this box.
    pub(super) const fn is_ours(self) -> bool {
        matches!(self, Self::Taken | Self::AlreadyOurs)
    }
}

/// What came of one number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Deed {
    pub(crate) number: String,
    pub(crate) what: What,
    /// In words; may hold URLs.
    pub(crate) detail: String,
}

impl Deed {
    pub(super) fn new(number: &str, what: What, detail: impl Into<String>) -> Self {
        Self { number: number.to_owned(), what, detail: detail.into() }
    }

    pub(super) fn failed(number: &str, detail: impl Into<String>) -> Self {
        Self::new(number, What::Failed, detail)
    }
}

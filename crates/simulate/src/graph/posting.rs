//! What is told of each message that is posted, for a live view.

/// How many wait for a slow viewer; the oldest are then skipped, and the viewer is told.
pub const POSTINGS_WAITING_MAX: usize = 1_024;

/// A message that was posted and rightly formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// The `phone_number_id` that it was posted to.
    pub number: String,
    /// The recipient as the store wrote it.
    pub to: String,
    /// `type`.
    pub kind: String,
    /// The name of the template, where it is one.
    pub template: Option<String>,
    /// A text, a caption, the body of an interactive message or an emoji, where there is one.
    pub words: Option<String>,
    /// `biz_opaque_callback_data`.
    pub outbox_id: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a [`Posting`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Taken, and answered so.
    Accepted,
    /// Taken, and not answered.
    Unanswered,
    /// Not taken, and not answered.
    Ignored,
    /// Refused with this code, or HTTP status.
    Refused(i64),
}

//! An update as people and programs see it.

use board::{BoardError, Code, Progress, about::SlotName};
use serde::Serialize;

/// Bytes of a bundle before its slot's content, at most: the header, a manifest of 16 KiB, signatures of 4 KiB.
pub(crate) const BUNDLE_HEAD_MAX: u64 = 20 + (16 << 10) + (4 << 10);
/// Bytes of a bundle, at most: the slots of an image have 128 MiB, and a larger card may have larger ones.
pub(crate) const BUNDLE_MAX: u64 = 256 << 20;

/// Where a bundle comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    /// The body of a request.
    Upload,
    /// An address that the box fetches it from.
    Url,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    /// The bundle comes, and is written.
    Receiving,
    /// The connection was lost; it goes on with the next one.
    Waiting,
    /// All has come: the rest of it is written, and everything is read back.
    Verifying,
    /// It is in its slot, which is started next.
    Activated,
    /// It came to nothing: what runs stays. If its manifest was accepted, the other slot is empty.
    Failed,
    /// A person has ended it; else the same.
    Cancelled,
}

impl Stage {
    /// Nothing comes behind it.
    pub(crate) const fn is_over(self) -> bool {
        matches!(self, Self::Activated | Self::Failed | Self::Cancelled)
    }
}

/// An update, since it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Job {
    /// Counts up from 1 since the gateway's start.
    pub(crate) id: u64,
    pub(crate) source: Source,
    pub(crate) stage: Stage,
    /// The bundle's version, once its manifest was accepted.
    pub(crate) version: Option<String>,
    /// Bytes of the bundle that have come.
    pub(crate) received: u64,
    /// Bytes of the whole bundle, where that is known.
    pub(crate) total: Option<u64>,
    /// Connections that were made for it.
    pub(crate) tries: u32,
    /// Where it is, once it is activated.
    pub(crate) slot: Option<SlotName>,
    /// The machine is started anew when it is activated.
    pub(crate) reboot: bool,
    /// Why it failed, as a word, where the board has one.
    pub(crate) code: Option<Code>,
    /// Why it failed, or why it waits.
    pub(crate) detail: Option<String>,
    /// RFC 3339, by the box's clock.
    pub(crate) started_at: String,
    /// The same.
    pub(crate) ended_at: Option<String>,
    /// Bytes of the slot's content, by the manifest.
    #[serde(skip)]
    pub(crate) slot_bytes: Option<u64>,
    /// A manifest was accepted: the board has emptied the other slot before it wrote the first byte.
    #[serde(skip)]
    pub(crate) emptied: bool,
}

impl Job {
    pub(crate) const fn new(id: u64, source: Source, reboot: bool, started_at: String) -> Self {
        Self {
            id,
            source,
            stage: Stage::Receiving,
            version: None,
            received: 0,
            total: None,
            tries: 0,
            slot: None,
            reboot,
            code: None,
            detail: None,
            started_at,
            ended_at: None,
            slot_bytes: None,
            emptied: false,
        }
    }

    /// Takes in what the board tells. What it wrote lags a little behind what has come, and isn't told.
    pub(super) fn told(&mut self, progress: Progress) {
        match progress {
            Progress::Accepted { version, bytes } => {
                (self.version, self.slot_bytes) = (Some(version), Some(bytes));
                self.emptied = true;
            }
            Progress::Written { .. } => {}
            Progress::Verifying => (self.stage, self.detail) = (Stage::Verifying, None),
            Progress::Activated { version, slot } => (self.version, self.slot) = (Some(version), Some(slot)),
        }
    }

    /// Takes in bytes of the bundle.
    ///
    /// # Errors
    /// When there are more than its manifest says, or than any bundle has.
    pub(super) fn received(&mut self, bytes: u64) -> Result<(), BoardError> {
        self.received = self.received.saturating_add(bytes);
        (self.stage, self.detail) =
            (if self.stage == Stage::Waiting { Stage::Receiving } else { self.stage }, None);
        self.fits(self.received)
    }

    /// Whether a bundle of `bytes` can be one, and the one of the manifest.
    ///
    /// # Errors
    /// When it can't.
    pub(super) fn fits(&self, bytes: u64) -> Result<(), BoardError> {
        if bytes > BUNDLE_MAX {
            let text = format!("the file is larger than any bundle: {} MiB", BUNDLE_MAX >> 20);
            return Err(BoardError::new(Code::TooLarge, text));
        }
        if self.slot_bytes.is_some_and(|slot| bytes > slot.saturating_add(BUNDLE_HEAD_MAX)) {
            return Err(BoardError::new(
                Code::Damaged,
                "the file is longer than its manifest says: fetch it anew",
            ));
        }
        Ok(())
    }

    /// What a failure leaves behind, for people.
    pub(super) const fn aftermath(&self) -> &'static str {
        if self.emptied {
            "what runs stays, and the other slot is empty until the next update"
        } else {
            "what runs stays, and so does the other slot"
        }
    }

    /// Begins with the first byte once more.
    pub(super) fn anew(&mut self) {
        (self.received, self.total, self.version, self.slot_bytes) = (0, None, None, None);
        self.stage = Stage::Waiting;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        Job::new(1, Source::Url, true, String::new())
    }

    #[test]
    fn a_bundle_has_no_more_bytes_than_its_manifest_says() {
        let mut job = job();
        assert!(job.fits(BUNDLE_MAX).is_ok());
        assert_eq!(job.fits(BUNDLE_MAX + 1).unwrap_err().code, Code::TooLarge);
        job.told(Progress::Accepted { version: "0.2.0".to_owned(), bytes: 1_000 });
        assert!(job.received(1_000 + BUNDLE_HEAD_MAX).is_ok());
        assert_eq!(job.received(1).unwrap_err().code, Code::Damaged);
    }

    #[test]
    fn what_an_accepted_manifest_has_emptied_stays_empty() {
        let mut job = job();
        assert!(job.aftermath().contains("so does the other slot"));
        job.told(Progress::Accepted { version: "0.2.0".to_owned(), bytes: 1 });
        job.anew();
        assert!(job.version.is_none() && job.aftermath().contains("is empty"));
    }

    #[test]
    fn it_waits_until_something_comes_and_verifies_what_has_come() {
        let mut job = job();
        job.stage = Stage::Waiting;
        job.detail = Some("no connection".to_owned());
        job.received(1).unwrap();
        assert_eq!((job.stage, job.detail.as_deref()), (Stage::Receiving, None));
        job.told(Progress::Verifying);
        assert_eq!(job.stage, Stage::Verifying);
        job.told(Progress::Activated { version: "0.2.0".to_owned(), slot: SlotName::B });
        assert_eq!((job.slot, job.version.as_deref()), (Some(SlotName::B), Some("0.2.0")));
    }
}

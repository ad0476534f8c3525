//! Why the box changed from one slot to the other.

/// Letters of a note, at most; more are cut off.
const NOTE_MAX: usize = 24;

/// A word for why the last hand-over happened, as it stands in the environment block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note(String);

impl Note {
    /// The new version was given up: it didn't prove itself in time, or ended again and again.
    pub const ROLLED_BACK: &str = "rolled-back";
    /// Somebody asked for the other version.
    pub const ASKED_BACK: &str = "asked-back";
    /// The version couldn't read the data.
    pub const HANDED_BACK: &str = "handed-back";
    /// The kernel of a slot was loaded, but couldn't read it; its initramfs writes this.
    pub const UNMOUNTABLE: &str = "unmountable";
    /// The new version spent its starts and nobody heard of it again. Never stands in the block: it is seen there.
    pub const ATTEMPTS_SPENT: &str = "attempts-spent";
    /// A slot that ought to have been started can't be loaded. Never stands in the block either.
    pub const NOT_LOADABLE: &str = "not-loadable";

    /// A note of `word`: letters, digits, `.`, `_` and `-` of it, 24 at most. `None` where nothing is left.
    #[must_use]
    pub fn new(word: &str) -> Option<Self> {
        let fits = |sign: &char| sign.is_ascii_alphanumeric() || "._-".contains(*sign);
        let word: String = word.chars().filter(fits).take(NOTE_MAX).collect();
        (!word.is_empty()).then_some(Self(word))
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it tells of something that a person asked for, so that nobody has to see to it.
    #[must_use]
    pub fn is_expected(&self) -> bool {
        self.0 == Self::ASKED_BACK
    }

    /// The same for people. `docs/operating/update.md` says what to do about each.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self.0.as_str() {
            Self::ROLLED_BACK => {
                "The last update didn't prove itself and was given up; this is the version before it.".to_owned()
            }
            Self::ASKED_BACK => "This version was gone back to because somebody asked for it.".to_owned(),
            Self::HANDED_BACK => {
                "The version in the other slot couldn't read the data of this box and handed back to this one."
                    .to_owned()
            }
            Self::ATTEMPTS_SPENT => {
                "The last update spent its starts without proving itself; this is the version before it.".to_owned()
            }
            Self::NOT_LOADABLE | Self::UNMOUNTABLE => {
                "The slot that ought to run can't be read; the other one was started. Install an update to mend it."
                    .to_owned()
            }
            other => format!("The box changed its slot: {other}."),
        }
    }
}

//! Where the configuration in force comes from.

use std::path::PathBuf;

use board::wire::NamedFile;
use board::{BoardError, Code};

use super::first_boot::{FirstBoot, Outcome};

/// Finds and takes configurations. Its own words for people (on the console, beside the file) it says itself.
pub trait Configurations: Send {
    /// Looks where a configuration may have been put (the ESP, a USB stick), takes what is right, and says what is
    /// in force now. Asked once at a start; it may block for as long as its media take, and is given up after
    /// a minute and a half: then the one that was in force stays.
    fn configuration(&mut self) -> Outcome;

    /// Leaves `note` for people on the box's own partition that other computers can read, until a configuration is
    /// in force.
    fn leave_note(&mut self, note: &str);

    /// Takes the files that the setup page hands over, and says which file is in force then.
    ///
    /// # Errors
    /// When they are refused, with what is wrong in the words of `wagate check`; nothing has changed then.
    fn configure(&mut self, files: &[NamedFile]) -> Result<PathBuf, BoardError>;
}

impl Configurations for FirstBoot {
    fn configuration(&mut self) -> Outcome {
        Self::configuration(self)
    }

    fn leave_note(&mut self, note: &str) {
        self.leave_setup_note(note);
    }

    fn configure(&mut self, files: &[NamedFile]) -> Result<PathBuf, BoardError> {
        self.take(files).map_err(|words| BoardError::new(Code::Unsupported, words))
    }
}

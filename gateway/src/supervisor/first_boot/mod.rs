//! The configuration's way into the box: from its own FAT partition, a USB stick or the setup page.
//!
//! [`FirstBoot::configuration`] looks at the media: a configuration that is right is kept on the data partition
//! ([`kept`]), put in force, and erased where it came from ([`taken`]); one that is wrong stays where it is, with a
//! file beside it that says why. [`FirstBoot::take`] does the same with what the setup page sends. [`rescue`] takes
//! updates and the wish for empty data from a stick.
//!
//! What must always hold, wherever the power goes: a configuration is in force whole or not at all; nothing is
//! erased on a medium before it is on the disk; and what was begun is finished at the next start.

mod candidate;
mod check;
pub mod claim;
pub(crate) mod disk;
mod kept;
mod label;
mod listing;
mod medium;
mod mount;
mod names;
mod notes;
mod rescue;
mod taken;
#[cfg(test)]
mod tests;
mod usb;

use std::fmt;
use std::path::{Path, PathBuf};

use board::wire::NamedFile;

pub use self::medium::{Media, Medium};
pub use self::mount::Mounts;
pub use self::notes::{ACCEPTED, ERRORS, SETUP};
pub(super) use self::rescue::Rescue;
pub(super) use self::usb::usb_disks;

use self::candidate::{CONFIGURATION, Candidate};
use self::disk::{Disk, LinuxDisk};
use self::kept::Kept;
use self::listing::Listing;
use self::taken::{Left, Taken};

/// Where a configuration is checked: in memory (`/run` is a tmpfs), for the supervisor's eyes only.
const SCRATCH: &str = "run/wagate-candidate";

/// What the box starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A configuration is in force.
    InForce {
        /// Its file: always the same path, through the link `current`.
        path: PathBuf,
        /// What is wrong with another one that was found and not taken, as `wagate check` says it.
        mistakes: Option<String>,
    },
    /// There is none.
    None {
        /// What is wrong with the one that was found, as `wagate check` says it.
        mistakes: Option<String>,
    },
}

/// The configurations of this box and the media that new ones come from.
pub struct FirstBoot {
    kept: Kept,
    scratch: PathBuf,
    media: Option<Box<dyn Media>>,
    disk: Box<dyn Disk>,
}

impl FirstBoot {
    /// Of the machine whose root folder is `root`: `/` on the box, another one in tests.
    #[must_use]
    pub fn new(root: &Path, media: impl Media + 'static) -> Self {
        Self::with(root, media, LinuxDisk)
    }

    pub(crate) fn with(root: &Path, media: impl Media + 'static, disk: impl Disk + 'static) -> Self {
        let config = root.join(board::paths::CONFIG.trim_start_matches('/'));
        Self {
            kept: Kept::new(config),
            scratch: root.join(SCRATCH),
            media: Some(Box::new(media)),
            disk: Box::new(disk),
        }
    }

    /// Looks at all media, takes what is right, and says what is in force. To be called at every start, and as often
    /// as wanted after that: a stick may come later. Where several media hold a right configuration the last wins.
    pub fn configuration(&mut self) -> Outcome {
        self.settle();
        let mut mistakes = None;
        self.each_medium(|this, medium| match this.look(medium) {
            Ok(()) => {}
            Err(words) => {
                tracing::error!("{} holds a configuration that isn't taken: {words}", medium.name());
                mistakes = Some(words);
            }
        });
        self.settle();
        if mistakes.is_some() && self.in_force().is_some() {
            // Another medium's was taken: beside the mistakes the code to set the box up is of no use any more.
            self.each_medium(|this, medium| this.forget(medium, &[SETUP]));
        }
        match self.in_force() {
            Some(path) => Outcome::InForce { path, mistakes },
            None => Outcome::None { mistakes },
        }
    }

    /// Takes a configuration from the setup page, and gives back the path of the one in force.
    ///
    /// # Errors
    /// With what `wagate check` says about it, or why it can't be kept.
    pub fn take(&mut self, files: &[NamedFile]) -> Result<PathBuf, String> {
        self.settle();
        let candidate = Candidate::sent(files)?;
        let verdict = self.check(&candidate)?;
        if !verdict.right {
            return Err(verdict.words);
        }
        let number = self.keep(&candidate, &verdict.words)?;
        tracing::info!(number, "took a configuration from the setup page");
        self.settle();
        self.each_medium(Self::tidy);
        self.in_force().ok_or_else(|| "it was kept and can't be found again: the disk is failing".to_owned())
    }

    /// Leaves `note` as [`SETUP`] on the box's own partition; it goes when a configuration is in force.
    pub fn leave_setup_note(&mut self, note: &str) {
        self.each_medium(|this, medium| {
            if medium.own()
                && let Err(error) = notes::leave(&*this.disk, medium, SETUP, note, &[])
            {
                tracing::warn!("can't write {SETUP}: {error}; the code stands on the console alone");
            }
        });
    }

    fn in_force(&self) -> Option<PathBuf> {
        Some(self.kept.current()).filter(|path| path.is_file())
    }

    fn settle(&self) {
        if let Err(error) = self.kept.settle(&*self.disk) {
            tracing::error!(%error, "can't put the folder of configurations in order: the data partition is failing");
        }
    }

    fn each_medium(&mut self, mut then: impl FnMut(&mut Self, &mut dyn Medium)) {
        // Taken out for as long, since `then` needs the rest.
        let Some(mut media) = self.media.take() else { return };
        media.each(&mut |medium| then(self, medium));
        self.media = Some(media);
    }

    /// Takes what is on one medium.
    fn look(&mut self, medium: &mut dyn Medium) -> Result<(), String> {
        let folder = medium.folder().to_owned();
        let listing = Listing::of(&folder).map_err(|error| format!("it can't be read: {error}\n"))?;
        let Some(name) = listing.find(CONFIGURATION).map(str::to_owned) else {
            self.tidy(medium);
            return Ok(());
        };
        if let Some(number) = self.taken_before(medium, &listing) {
            self.finish(medium, &listing, number);
            return Ok(());
        }
        let words = match self.take_from(&folder, &listing, &name) {
            Ok(Some(number)) => {
                tracing::info!(number, "took the configuration on {}", medium.name());
                self.finish(medium, &listing, number);
                return Ok(());
            }
            Ok(None) => format!("{name} is empty: it was erased, or never saved\n"),
            Err(words) => words,
        };
        let text = notes::errors(&folder, &words, self.in_force().is_some());
        if let Err(error) = notes::leave(&*self.disk, medium, ERRORS, &text, &[ACCEPTED]) {
            tracing::warn!("can't write {ERRORS} to {}: {error}", medium.name());
        }
        Err(words)
    }

    fn take_from(&self, folder: &Path, listing: &Listing, name: &str) -> Result<Option<u64>, String> {
        let Some(candidate) = Candidate::read(folder, listing, name)? else { return Ok(None) };
        let verdict = self.check(&candidate)?;
        if verdict.right { self.keep(&candidate, &verdict.words).map(Some) } else { Err(verdict.words) }
    }

    /// The number under which what is on the medium was taken already, so that it's only left to be erased.
    fn taken_before(&self, medium: &mut dyn Medium, listing: &Listing) -> Option<u64> {
        let folder = medium.folder().to_owned();
        self.kept.numbers().into_iter().enumerate().find_map(|(age, number)| {
            let again = match Taken::read(&self.kept.folder(number)).left(&folder, listing) {
                Left::Other => false,
                Left::Part => true,
                // An older one that stands there whole again was put there to be taken, unless it never could be
                // erased.
                Left::Whole => age == 0 || medium.writable().is_err(),
            };
            again.then_some(number)
        })
    }

    /// Erases on the medium what is kept under `number`, and says so there.
    fn finish(&self, medium: &mut dyn Medium, listing: &Listing, number: u64) {
        let taken = Taken::read(&self.kept.folder(number));
        let folder = medium.folder().to_owned();
        let in_force = self.kept.numbers().first().copied().unwrap_or(number);
        let text = notes::accepted(number, in_force, taken.names(), &taken.said);
        let erased = medium.writable().and_then(|()| {
            let say = || {
                notes::leave(&*self.disk, medium, ACCEPTED, &text, &[ERRORS, SETUP])
                    .map_err(std::io::Error::other)
            };
            taken.erase(&*self.disk, &folder, listing, say).map_err(|error| error.to_string())
        });
        if let Err(error) = erased {
            tracing::warn!(
                "the configuration on {} was taken as number {number}, and can't be erased there: {error}; its secrets \
                 are still on it",
                medium.name()
            );
        }
    }

    /// Takes away what is out of date on a medium without a configuration.
    fn tidy(&mut self, medium: &mut dyn Medium) {
        let stale: &[&str] = if self.in_force().is_some() { &[ERRORS, SETUP] } else { &[ERRORS, ACCEPTED] };
        self.forget(medium, stale);
    }

    fn forget(&self, medium: &mut dyn Medium, stale: &[&str]) {
        if let Err(error) = notes::remove(&*self.disk, medium, stale) {
            tracing::debug!("can't tidy up {}: {error}", medium.name());
        }
    }

    fn check(&self, candidate: &Candidate) -> Result<check::Verdict, String> {
        check::check(candidate, &self.scratch)
            .map_err(|error| format!("it can't be checked: {}: {error}\n", self.scratch.display()))
    }

    fn keep(&self, candidate: &Candidate, said: &str) -> Result<u64, String> {
        self.kept
            .keep(&*self.disk, candidate, said)
            .map_err(|error| format!("it is right, and can't be kept: the data partition refuses: {error}\n"))
    }
}

impl fmt::Debug for FirstBoot {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("FirstBoot").field("kept", &self.kept).finish_non_exhaustive()
    }
}

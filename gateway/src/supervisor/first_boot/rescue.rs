//! What a person may ask of a box by a USB stick, whatever state it is in: an update, or empty data.
//!
//! Where the gateway can't open its store there is no API to ask, and not everybody has a card reader. Looked for
//! once, when the box starts. The stick is trusted with nothing: the board verifies a bundle as it does any other,
//! and a box is emptied only when its own name is written there.

use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::path::{Path, PathBuf};

use board::about::SlotState;
use board::bundle::Head;
use board::{About, Board, BoardError, FileStorage, Progress};
use ring::digest::{SHA256, digest};

use super::disk::{Disk, LinuxDisk};
use super::listing::{self, Listing};
use super::medium::{Media, Medium};
use super::notes;
use crate::supervisor::log::STATE;

/// Holds the name of the box that is to be emptied.
pub(super) const RESET: &str = "wagate-factory-reset.txt";
/// What came of that.
pub(super) const RESET_NOTE: &str = "wagate-reset.txt";
/// What came of the bundles.
pub(super) const UPDATE_NOTE: &str = "wagate-update.txt";
/// How a bundle's name ends.
const BUNDLE: &str = ".update";
/// Bundles on one stick that are looked at.
const BUNDLES_MAX: usize = 4;
/// Where it's kept which bundles were installed from a stick: a line each, its digits and its version.
const KEY: &str = "stick-updates";
/// So many are kept, the latest ones.
const KEPT_MAX: usize = 16;
/// Hexadecimal digits that tell bundles apart.
const DIGITS: usize = 32;

/// See the module.
pub(in super::super) struct Rescue<'a> {
    board: &'a dyn Board,
    /// What the box keeps of itself.
    kept: PathBuf,
    /// A configuration is in force.
    configured: bool,
    /// The data can't be used, and the name of the box lies there: nobody can know it.
    nameless: bool,
    disk: &'a dyn Disk,
}

impl<'a> Rescue<'a> {
    pub(in super::super) fn new(
        board: &'a dyn Board,
        kept: PathBuf,
        configured: bool,
        nameless: bool,
    ) -> Self {
        Self { board, kept, configured, nameless, disk: &LinuxDisk }
    }

    /// Does what is asked for on the sticks; says whether the machine goes down for it.
    pub(in super::super) fn look(&self, media: &mut dyn Media) -> bool {
        let about = match self.board.about() {
            Ok(about) => about,
            Err(error) => {
                tracing::error!("no stick is looked at: {error}");
                return false;
            }
        };
        let mut goes_down = false;
        media.each(&mut |medium| {
            // The card is for who has a reader, and it's taken along by a copy of it.
            if !medium.own() && !goes_down {
                goes_down = self.look_at(medium, &about).unwrap_or_else(|words| {
                    tracing::error!("{}: {words}", medium.name());
                    false
                });
            }
        });
        goes_down
    }

    fn look_at(&self, medium: &mut dyn Medium, about: &About) -> Result<bool, String> {
        let listing = Listing::of(medium.folder()).map_err(|error| format!("it can't be read: {error}"))?;
        if let Some(name) = listing.find(RESET)
            && self.reset(medium, name, about)?
        {
            return Ok(true);
        }
        let mut lines = Vec::new();
        let mut installed = false;
        for name in listing.ending(BUNDLE).take(BUNDLES_MAX) {
            installed = self.update(medium, name, about, &mut lines);
            if installed {
                break;
            }
        }
        for line in &lines {
            tracing::info!(target: STATE, "{}: {line}", medium.name());
        }
        let left = if lines.is_empty() {
            notes::remove(self.disk, medium, &[UPDATE_NOTE])
        } else {
            notes::leave(self.disk, medium, UPDATE_NOTE, &(lines.join("\n") + "\n"), &[])
        };
        if let Err(error) = left {
            tracing::warn!("can't write {UPDATE_NOTE} to {}: {error}", medium.name());
        }
        if installed {
            self.board.reboot("an update from the USB stick").map_err(|error| error.to_string())?;
        }
        Ok(installed)
    }

    /// Installs the bundle `name` unless that was done before; what came of it goes to `lines`.
    fn update(&self, medium: &mut dyn Medium, name: &str, about: &About, lines: &mut Vec<String>) -> bool {
        let path = medium.folder().join(name);
        let (mut file, digits) = match open(&path) {
            Ok(opened) => opened,
            Err(error) => {
                lines.push(format!("{name}: not installed: {error}"));
                return false;
            }
        };
        if let Some(version) = self.installed_before(medium, &digits) {
            let (which, runs) = (version.as_deref().unwrap_or("of this bundle"), &about.version);
            lines.push(if version.as_ref() == Some(runs) {
                format!("{name}: version {which} is installed and runs. ({digits})")
            } else {
                format!(
                    "{name}: version {which} was installed from a stick before, and version {runs} runs: it isn't \
                     installed again by itself. `wagate update install` does it. ({digits})"
                )
            });
            return false;
        }
        // Nothing could prove itself but a gateway.
        if !self.configured {
            lines.push(format!(
                "{name}: not installed: the box has no configuration, without which no version can prove itself; give it \
                 one, then switch it off and on with the stick in it"
            ));
            return false;
        }
        // A version that is given up would be installed again at the next start, for ever.
        if !self.can_remember(medium) {
            lines.push(format!("{name}: not installed: neither the box nor the stick can keep that it was"));
            return false;
        }
        let mut version = String::new();
        let done = self.board.install(&mut file, &mut |progress| {
            if let Progress::Accepted { version: of, .. } = progress {
                version = of;
            }
        });
        match done {
            Ok(()) => {
                if let Err(error) = self.remember(&digits, &version) {
                    tracing::warn!("that version {version} was installed stands on the stick alone: {error}");
                }
                lines.push(format!("{name}: version {version} is installed; the box starts it. ({digits})"));
                true
            }
            Err(error) => {
                lines.push(format!("{name}: not installed: {error}"));
                false
            }
        }
    }

    /// Whether the bundle was installed from a stick before, and its version where that is known.
    fn installed_before(&self, medium: &dyn Medium, digits: &str) -> Option<Option<String>> {
        let kept = self.kept().unwrap_or_default();
        let known = kept.lines().find_map(|line| line.strip_prefix(digits)?.strip_prefix(' '));
        let note = || std::fs::read_to_string(medium.folder().join(UPDATE_NOTE)).unwrap_or_default();
        match known {
            Some(version) => Some(Some(version.to_owned())),
            None => note().contains(digits).then_some(None),
        }
    }

    fn can_remember(&self, medium: &mut dyn Medium) -> bool {
        let kept = self.kept().and_then(|lines| self.keep(&lines));
        kept.is_ok() || medium.writable().is_ok()
    }

    fn remember(&self, digits: &str, version: &str) -> Result<(), BoardError> {
        let before = self.kept()?;
        let before: Vec<&str> = before.lines().collect();
        let stay = before.get(before.len().saturating_sub(KEPT_MAX - 1)..).unwrap_or_default();
        let lines: String = stay.iter().map(|line| format!("{line}\n")).collect();
        self.keep(&format!("{lines}{digits} {version}\n"))
    }

    fn kept(&self) -> Result<String, BoardError> {
        let bytes = FileStorage::open(&self.kept)?.get(KEY)?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn keep(&self, lines: &str) -> Result<(), BoardError> {
        FileStorage::open(&self.kept)?.set(KEY, lines.as_bytes()).map(|_| ())
    }

    /// Has the box emptied, if it is the one that is named.
    fn reset(&self, medium: &mut dyn Medium, name: &str, about: &About) -> Result<bool, String> {
        let path = medium.folder().join(name);
        let bytes = listing::read(&path).map_err(|error| format!("{name} can't be read: {error}"))?;
        let bytes = listing::plain(&bytes.unwrap_or_default());
        let named = String::from_utf8_lossy(&bytes).trim().to_ascii_lowercase();
        let meant = named == about.box_id || (self.nameless && is_a_name(&named));
        let waits = about.slots.iter().any(|slot| slot.next && slot.state == SlotState::Trial);
        let done = if meant && waits {
            Err(format!(
                "a new version has to prove itself first, which takes some minutes; {name} stays, for the next time that \
                 the box is switched on"
            ))
        } else if meant {
            // It is asked for once: a stick that was forgotten in the box must not empty it again.
            let gone = medium.writable().and_then(|()| {
                let removed = self.disk.remove(&path).and_then(|()| self.disk.sync_folder(medium.folder()));
                removed.map_err(|error| error.to_string())
            });
            gone.and_then(|()| self.board.factory_reset().map_err(|error| error.to_string()))
        } else {
            Err(format!("{name} has to hold the name of this box and nothing else: {}", about.box_id))
        };
        let text = match &done {
            Ok(()) => "The box is being emptied: messages, contacts, configuration and secrets are gone.\n"
                .to_owned(),
            Err(why) => format!("The box was not emptied: {why}\n"),
        };
        tracing::warn!("{}: {}", medium.name(), text.trim());
        if let Err(error) = notes::leave(self.disk, medium, RESET_NOTE, &text, &[]) {
            tracing::warn!("can't write {RESET_NOTE} to {}: {error}", medium.name());
        }
        Ok(done.is_ok())
    }
}

/// Whether it looks like the name of a box.
fn is_a_name(text: &str) -> bool {
    let rest = text.strip_prefix("wagate-").unwrap_or_default();
    !rest.is_empty() && rest.len() <= 16 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Opens a bundle, and gives the digits that tell it from others: of all that stands before the slot's content.
fn open(path: &Path) -> Result<(File, String), BoardError> {
    let io = |error: io::Error| BoardError::io("it can't be read", error);
    let mut file = File::open(path).map_err(io)?;
    let mut head = Copying { from: &mut file, seen: Vec::new() };
    Head::read(&mut head)?;
    let mut digits: String =
        digest(&SHA256, &head.seen).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    digits.truncate(DIGITS);
    file.rewind().map_err(io)?;
    Ok((file, digits))
}

/// Keeps what is read; the head of a bundle is bounded.
struct Copying<'a> {
    from: &'a mut File,
    seen: Vec<u8>,
}

impl Read for Copying<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(out)?;
        self.seen.extend(out.iter().take(length));
        Ok(length)
    }
}

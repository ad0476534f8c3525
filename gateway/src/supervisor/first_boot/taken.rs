//! What was taken from which files, so that a power cut while they are being erased is recognised.
//!
//! Kept beside the configuration and put in force with it. Of each file it holds a hash of every sector: a
//! sector that was erased is zeros, any other is as it was, whatever the power did in between.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::candidate::{CONFIGURATION, Candidate};
use super::disk::Disk;
use super::listing::{FILE_MAX, Listing};

/// Its file in the folder of the configuration.
pub(super) const FILE: &str = "taken.json";
/// What disks write at least.
const SECTOR: usize = 512;

/// The files of one configuration on the medium that it came from.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Taken {
    /// By their names there; for each of its sectors, the hash.
    files: BTreeMap<String, Vec<String>>,
    /// Of them, the configuration itself: it is erased last.
    configuration: Option<String>,
    /// What the check said of it.
    pub(super) said: String,
}

/// What is left of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Something else stands there.
    Other,
    /// All of it, as it was.
    Whole,
    /// A part: the rest is erased or gone, as an erasure that was cut short leaves it.
    Part,
}

impl Taken {
    pub(super) fn of(candidate: &Candidate, said: &str) -> Self {
        let sectors = |bytes: &[u8]| bytes.chunks(SECTOR).map(hash).collect();
        let files = candidate.on_medium.iter().map(|(name, bytes)| (name.clone(), sectors(bytes))).collect();
        let configuration = candidate.on_medium.first().map(|(name, _)| name.clone());
        Self { files, configuration, said: said.to_owned() }
    }

    /// Reads it in a configuration's folder; one that can't be read says nothing.
    pub(super) fn read(folder: &Path) -> Self {
        let bytes = std::fs::read(folder.join(FILE)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    /// The names on the medium.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Looks at what is left on the medium in `folder`.
    pub(super) fn left(&self, folder: &Path, listing: &Listing) -> Left {
        let Some(configuration) = self.configuration.as_deref().filter(|name| listing.has(name)) else {
            return Left::Other;
        };
        // Another one, under a name that is nearer to what is looked for.
        if listing.find(CONFIGURATION) != Some(configuration) {
            return Left::Other;
        }
        let (mut whole, mut missing, mut configuration_is_whole) = (true, false, false);
        for (name, sectors) in &self.files {
            if !listing.has(name) {
                missing = true;
                continue;
            }
            match left(&folder.join(name), sectors) {
                Left::Other => return Left::Other,
                Left::Part => whole = false,
                Left::Whole => configuration_is_whole |= name == configuration,
            }
        }
        match (whole, missing) {
            // Nothing is removed before the configuration is erased: somebody put it here without the rest.
            (_, true) if configuration_is_whole => Left::Other,
            (true, false) => Left::Whole,
            _ => Left::Part,
        }
    }

    /// Erases what is left: first every byte but those of the configuration, by which the rest is known, then
    /// `said` is called, then the configuration goes.
    ///
    /// # Errors
    /// When the medium can't be written.
    pub(super) fn erase(
        &self,
        disk: &dyn Disk,
        folder: &Path,
        listing: &Listing,
        said: impl FnOnce() -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let (last, others): (Vec<&str>, Vec<&str>) = self
            .names()
            .filter(|name| listing.has(name))
            .partition(|name| self.configuration.as_deref() == Some(name));
        for name in &others {
            disk.erase(&folder.join(name))?;
        }
        said()?;
        disk.sync_folder(folder)?;
        for name in &last {
            disk.erase(&folder.join(name))?;
        }
        for name in others.iter().chain(&last) {
            disk.remove(&folder.join(name))?;
        }
        disk.sync_folder(folder)
    }
}

fn left(file: &Path, sectors: &[String]) -> Left {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes));
    if read.is_err() || bytes.len().div_ceil(SECTOR) != sectors.len() {
        return Left::Other;
    }
    let mut whole = true;
    for (sector, taken) in bytes.chunks(SECTOR).zip(sectors) {
        if sector.iter().all(|byte| *byte == 0) {
            whole = false;
        } else if hash(sector) != *taken {
            return Left::Other;
        }
    }
    if whole { Left::Whole } else { Left::Part }
}

fn hash(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

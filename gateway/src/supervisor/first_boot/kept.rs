//! The configurations on the data partition: `/data/config/<n>/`, and `current`, a link to the one in force.
//!
//! A folder gets its number when all that is in it is on the disk, so the highest number is the configuration in
//! force; `current` follows it, at the next start if the power went in between.

use std::io;
use std::path::{Path, PathBuf};

use super::candidate::{CONFIGURATION, Candidate};
use super::disk::Disk;
use super::taken::{self, Taken};

/// The link to the one in force.
pub(super) const CURRENT: &str = "current";
/// Configurations that stay: the one in force and two to look back at.
const STAY: usize = 3;
/// What a folder or a link is called before it counts.
const DRAFT: &str = ".tmp";

/// The folder of all configurations.
#[derive(Debug)]
pub(super) struct Kept {
    folder: PathBuf,
}

impl Kept {
    pub(super) const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The file of the configuration in force, wherever that is.
    pub(super) fn current(&self) -> PathBuf {
        self.folder.join(CURRENT).join(CONFIGURATION)
    }

    /// The folder of the configuration `number`.
    pub(super) fn folder(&self, number: u64) -> PathBuf {
        self.folder.join(number.to_string())
    }

    /// The numbers of all that are whole, the newest first.
    pub(super) fn numbers(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = self
            .names()
            .unwrap_or_default()
            .iter()
            .filter_map(|name| name.parse().ok())
            .filter(|number| self.folder(*number).join(CONFIGURATION).is_file())
            .collect();
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        numbers
    }

    /// Finishes what a power cut has left unfinished.
    ///
    /// # Errors
    /// When the data partition can't be written; what is in force stays so.
    pub(super) fn settle(&self, disk: &dyn Disk) -> io::Result<()> {
        if !self.folder.is_dir() {
            return Ok(());
        }
        for name in self.names()?.iter().filter(|name| name.ends_with(DRAFT)) {
            let path = self.folder.join(name);
            if path.symlink_metadata()?.is_dir() { disk.remove_folder(&path)? } else { disk.remove(&path)? }
        }
        let numbers = self.numbers();
        if let Some(newest) = numbers.first() {
            let points_to = std::fs::read_link(self.folder.join(CURRENT));
            if !points_to.is_ok_and(|target| target == Path::new(&newest.to_string())) {
                self.switch(disk, *newest)?;
            }
        }
        for number in numbers.iter().skip(STAY) {
            // First out of the numbers, so that half of it is never taken for the whole.
            let draft = self.draft(*number);
            disk.rename(&self.folder(*number), &draft)?;
            disk.remove_folder(&draft)?;
        }
        Ok(())
    }

    /// Keeps a configuration, and puts it in force; gives back its number. The folder is settled; `said` is what the
    /// check says.
    ///
    /// # Errors
    /// When the data partition can't be written; what was in force stays so.
    pub(super) fn keep(&self, disk: &dyn Disk, candidate: &Candidate, said: &str) -> io::Result<u64> {
        if !self.folder.is_dir() {
            disk.make_folder(&self.folder)?;
            if let Some(above) = self.folder.parent() {
                disk.sync_folder(above)?;
            }
        }
        let highest = self.names()?.iter().filter_map(|name| name.parse::<u64>().ok()).max();
        let number = highest.unwrap_or(0) + 1;
        let draft = self.draft(number);
        disk.make_folder(&draft)?;
        for (name, bytes) in &candidate.files {
            disk.write(&draft.join(name), bytes)?;
        }
        disk.write(&draft.join(taken::FILE), &Taken::of(candidate, said).bytes())?;
        disk.sync_folder(&draft)?;
        disk.rename(&draft, &self.folder(number))?;
        disk.sync_folder(&self.folder)?;
        self.switch(disk, number)?;
        Ok(number)
    }

    fn switch(&self, disk: &dyn Disk, number: u64) -> io::Result<()> {
        let draft = self.folder.join(format!("{CURRENT}{DRAFT}"));
        disk.link(&number.to_string(), &draft)?;
        disk.rename(&draft, &self.folder.join(CURRENT))?;
        disk.sync_folder(&self.folder)
    }

    fn draft(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}{DRAFT}"))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }
}

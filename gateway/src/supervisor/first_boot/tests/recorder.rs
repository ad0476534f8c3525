//! A disk that remembers what was done to it, and does a part of it again elsewhere, as a power cut leaves it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::super::disk::{Disk, LinuxDisk};

/// One operation.
#[derive(Debug, Clone)]
pub(super) enum Op {
    MakeFolder(PathBuf),
    Write(PathBuf, Vec<u8>),
    Rename(PathBuf, PathBuf),
    Link(String, PathBuf),
    Note(PathBuf, Vec<u8>),
    Erase(PathBuf),
    Remove(PathBuf),
    RemoveFolder(PathBuf),
    SyncFolder(PathBuf),
}

/// Does everything, and remembers it.
#[derive(Clone, Default)]
pub(super) struct Recorder(pub(super) Arc<Mutex<Vec<Op>>>);

impl Recorder {
    fn then(&self, op: Op) -> io::Result<()> {
        op.run()?;
        self.0.lock().unwrap().push(op);
        Ok(())
    }
}

impl Disk for Recorder {
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.then(Op::MakeFolder(path.to_owned()))
    }
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.then(Op::Write(path.to_owned(), bytes.to_vec()))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.then(Op::Rename(from.to_owned(), to.to_owned()))
    }
    fn link(&self, target: &str, path: &Path) -> io::Result<()> {
        self.then(Op::Link(target.to_owned(), path.to_owned()))
    }
    fn note(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.then(Op::Note(path.to_owned(), bytes.to_vec()))
    }
    fn erase(&self, path: &Path) -> io::Result<()> {
        self.then(Op::Erase(path.to_owned()))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.then(Op::Remove(path.to_owned()))
    }
    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.then(Op::RemoveFolder(path.to_owned()))
    }
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.then(Op::SyncFolder(path.to_owned()))
    }
}

impl Op {
    pub(super) fn run(&self) -> io::Result<()> {
        match self {
            Self::MakeFolder(path) => LinuxDisk.make_folder(path),
            Self::Write(path, bytes) => LinuxDisk.write(path, bytes),
            Self::Rename(from, to) => LinuxDisk.rename(from, to),
            Self::Link(target, path) => LinuxDisk.link(target, path),
            Self::Note(path, bytes) => LinuxDisk.note(path, bytes),
            Self::Erase(path) => LinuxDisk.erase(path),
            Self::Remove(path) => LinuxDisk.remove(path),
            Self::RemoveFolder(path) => LinuxDisk.remove_folder(path),
            Self::SyncFolder(path) => LinuxDisk.sync_folder(path),
        }
    }

    /// Does as much of it as a power cut in its midst may leave.
    pub(super) fn run_torn(&self, chance: &mut Chance) {
        match self {
            Self::Write(path, bytes) | Self::Note(path, bytes) => {
                let _ = fs::write(path, &bytes[..chance.below(bytes.len() + 1)]);
            }
            Self::Erase(path) => {
                let mut bytes = fs::read(path).unwrap();
                for sector in bytes.chunks_mut(512) {
                    if chance.coin() {
                        sector.fill(0);
                    }
                }
                fs::write(path, bytes).unwrap();
            }
            Self::RemoveFolder(path) => {
                for entry in fs::read_dir(path).unwrap().flatten() {
                    if chance.coin() {
                        let _ = fs::remove_file(entry.path());
                    }
                }
            }
            Self::MakeFolder(_)
            | Self::Rename(..)
            | Self::Link(..)
            | Self::Remove(_)
            | Self::SyncFolder(_) => {}
        }
    }

    /// The folder whose list of names it changes, so that it is lost unless that is synced.
    fn changes_names_of(&self) -> Option<&Path> {
        match self {
            Self::MakeFolder(path)
            | Self::Write(path, _)
            | Self::Rename(_, path)
            | Self::Link(_, path)
            | Self::Remove(path)
            | Self::RemoveFolder(path) => path.parent(),
            Self::Note(path, _) => path.parent(),
            Self::Erase(_) | Self::SyncFolder(_) => None,
        }
    }

    /// The same in another machine's folders.
    pub(super) fn moved(&self, from: &Path, to: &Path) -> Self {
        let there = |path: &PathBuf| to.join(path.strip_prefix(from).unwrap());
        match self {
            Self::MakeFolder(path) => Self::MakeFolder(there(path)),
            Self::Write(path, bytes) => Self::Write(there(path), bytes.clone()),
            Self::Rename(from, to) => Self::Rename(there(from), there(to)),
            Self::Link(target, path) => Self::Link(target.clone(), there(path)),
            Self::Note(path, bytes) => Self::Note(there(path), bytes.clone()),
            Self::Erase(path) => Self::Erase(there(path)),
            Self::Remove(path) => Self::Remove(there(path)),
            Self::RemoveFolder(path) => Self::RemoveFolder(there(path)),
            Self::SyncFolder(path) => Self::SyncFolder(there(path)),
        }
    }
}

/// Does `ops` up to `cut` as they survive it: what was synced is there, of the rest each with the chance of a coin,
/// and of the one at `cut` a part.
pub(super) fn replay(ops: &[Op], cut: usize, keep_unsynced: bool, chance: &mut Chance) {
    let done = &ops[..cut];
    for (place, op) in done.iter().enumerate() {
        let synced = |folder: &Path| {
            done[place..].iter().any(|later| matches!(later, Op::SyncFolder(path) if path == folder))
        };
        let survives = op.changes_names_of().is_none_or(synced) || keep_unsynced || chance.coin();
        if survives {
            // What it needs may be lost, and then it is, too.
            let _ = op.run();
        }
    }
    if let Some(op) = ops.get(cut) {
        op.run_torn(chance);
    }
}

/// Numbers that look random, the same in each run (xorshift64).
pub(super) struct Chance(pub(super) u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn coin(&mut self) -> bool {
        self.next() & 0x100 != 0
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % bound
    }
}

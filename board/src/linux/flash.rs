//! Slots as partitions, the environment block as two files on the ESP.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use crate::about::SlotName;
use crate::slots::{ENV_BYTES, EnvFile, Flash};
use crate::{BoardError, paths};

use super::direct::read_past_cache;
use super::{Access, Esp, Mounted, Partition, Partitions};

/// Bytes that are read of a file which should have [`ENV_BYTES`].
const ENV_READ_MAX: usize = 4096;

/// The disk of a box.
#[derive(Debug)]
pub struct LinuxFlash {
    esp: Arc<Esp>,
    partitions: Partitions,
    /// The slot that is being written.
    open: Option<(SlotName, File)>,
    /// The ESP, between the first and the last write of a change: a FAT that is mounted for writing writes that down, twice.
    mounted: Option<Mounted>,
}

impl LinuxFlash {
    /// The disk with these partitions and this ESP.
    #[must_use]
    pub const fn new(esp: Arc<Esp>, partitions: Partitions) -> Self {
        Self { esp, partitions, open: None, mounted: None }
    }

    fn partition(&self, slot: SlotName) -> Result<Partition, BoardError> {
        self.partitions.find(&format!("root-{slot}"))
    }

    /// The device of a slot, opened for nobody else: the kernel refuses one that is mounted.
    fn file(&mut self, slot: SlotName) -> Result<&File, BoardError> {
        if self.open.as_ref().is_none_or(|(name, _)| *name != slot) {
            let partition = self.partition(slot)?;
            let device = partition.device.display();
            if self.partitions.is_root(&partition) {
                return Err(BoardError::io(device, "this slot runs and is never written; restart the box"));
            }
            let file = OpenOptions::new().write(true).custom_flags(libc::O_EXCL).open(&partition.device);
            let refused = |error: io::Error| {
                BoardError::io(
                    format!("{device} can't be opened for writing"),
                    format!("{error}; restart the box"),
                )
            };
            self.open = Some((slot, file.map_err(refused)?));
        }
        match &self.open {
            Some((_, file)) => Ok(file),
            None => Err(BoardError::io(format!("slot {slot}"), "isn't open")),
        }
    }
}

impl Flash for LinuxFlash {
    fn capacity(&self, slot: SlotName) -> Result<u64, BoardError> {
        Ok(self.partition(slot)?.bytes)
    }

    fn write(&mut self, slot: SlotName, offset: u64, bytes: &[u8]) -> Result<(), BoardError> {
        let written = self.file(slot)?.write_all_at(bytes, offset);
        written.map_err(|error| failing(slot, "written", &error))
    }

    fn sync(&mut self, slot: SlotName) -> Result<(), BoardError> {
        let synced = self.file(slot)?.sync_data();
        synced.map_err(|error| {
            // What the kernel still shows of it may never have reached the disk.
            self.open = None;
            failing(slot, "written", &error)
        })
    }

    fn read(&self, slot: SlotName, offset: u64, out: &mut [u8]) -> Result<(), BoardError> {
        let device = self.partition(slot)?.device;
        let refused = |error: io::Error| failing(slot, "read back", &error);
        match read_past_cache(&device, offset, out).map_err(refused)? {
            all if all == out.len() => Ok(()),
            _ => Err(refused(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    fn read_env(&self, file: EnvFile) -> Result<Vec<u8>, BoardError> {
        let mounted;
        let at = match &self.mounted {
            Some(mounted) => mounted.path(),
            None => {
                mounted = self.esp.open(Access::Read)?;
                mounted.path()
            }
        };
        let mut block = vec![0; ENV_READ_MAX];
        match read_past_cache(&at.join(name(file)), 0, &mut block) {
            Ok(bytes) => block.truncate(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => block.clear(),
            Err(error) => return Err(BoardError::io(name(file), error)),
        }
        Ok(block)
    }

    fn write_env(&mut self, file: EnvFile, block: &[u8; ENV_BYTES]) -> Result<(), BoardError> {
        let mounted = match self.mounted.take() {
            Some(mounted) => mounted,
            None => self.esp.open(Access::Write)?,
        };
        let written = write_in_place(&mounted.path().join(name(file)), block);
        self.mounted = Some(mounted);
        written.map_err(|error| BoardError::io(name(file), error))
    }

    fn rest(&mut self) {
        (self.mounted, self.open) = (None, None);
    }
}

/// A slot that the disk refuses: no other bundle helps, another card does.
fn failing(slot: SlotName, what: &str, error: &io::Error) -> BoardError {
    BoardError::io(
        format!("slot {slot} can't be {what}"),
        format!("{error}; the card is failing: put in another one, flashed anew"),
    )
}

const fn name(file: EnvFile) -> &'static str {
    match file {
        EnvFile::First => paths::GRUBENV,
        EnvFile::Copy => paths::GRUBENV_COPY,
    }
}

/// Writes a block where it stands. A file that isn't there, or has another length, is made first: GRUB writes by the
/// sectors that it finds.
fn write_in_place(path: &Path, block: &[u8; ENV_BYTES]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    let resized = file.metadata()?.len() != ENV_BYTES as u64;
    if resized {
        file.set_len(ENV_BYTES as u64)?;
    }
    file.write_all(block)?;
    file.sync_all()?;
    match path.parent() {
        Some(folder) if resized => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

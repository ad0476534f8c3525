//! The real disk: a folder.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::{Disk, Segment};
use crate::aside::ON_TRIAL;
use crate::error::OpenError;

/// The reserve is this part of the file system …
const RESERVE_PART: u64 = 64;
/// … but at least enough for the copied pages of one deletion,
const RESERVE_MIN: u64 = 1 << 20;
/// … and never more than this.
const RESERVE_MAX: u64 = 16 << 20;
/// Files that are kept aside; the oldest stay, since the first damage says the most.
const ASIDE_MAX: usize = 64;
/// Beyond so many none is added by a version on trial. One that can't read what is whole would else fill the folder,
/// and at its second start all of that would pass for known.
const ASIDE_MAX_ON_TRIAL: usize = ASIDE_MAX / 2;
/// Owner only: the folder holds people's messages.
const MODE_FOLDER: u32 = 0o700;
const MODE_FILE: u32 = 0o600;

/// A folder on a file system, locked for this process.
#[derive(Debug)]
pub struct FolderDisk {
    root: PathBuf,
    /// Holds the lock for as long as it is open.
    _lock: File,
}

impl FolderDisk {
    /// Takes `root`, made with its parents where it isn't there, for the owner alone.
    ///
    /// # Errors
    /// [`OpenError::InUse`] while another process has it, or what the system says.
    pub fn new(root: &Path) -> Result<Self, OpenError> {
        let lock = prepare(root).map_err(|source| OpenError::Io {
            what: format!("the folder {} can't be prepared", root.display()),
            source,
        })?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root: root.to_path_buf(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse),
            Err(TryLockError::Error(source)) => {
                Err(OpenError::Io { what: format!("{} can't be locked", root.display()), source })
            }
        }
    }

    fn index_path(&self) -> PathBuf {
        self.root.join("index.redb")
    }

    fn new_index_path(&self) -> PathBuf {
        self.root.join("index.new")
    }

    fn damaged_folder(&self) -> io::Result<PathBuf> {
        let folder = self.root.join("damaged");
        let made = !folder.is_dir();
        fs::create_dir_all(&folder)?;
        fs::set_permissions(&folder, Permissions::from_mode(MODE_FOLDER))?;
        if made {
            sync_folder(&self.root)?;
        }
        Ok(folder)
    }

    /// Moves a whole file into the folder `damaged`, which takes no room, under a name that is free.
    fn put_aside(&self, from: &Path, name: &str, stem: &str, extension: &str) -> io::Result<()> {
        let folder = self.damaged_folder()?;
        let mut places = (0..).map(|number: u64| folder.join(format!("{stem}-{number}.{extension}")));
        let place = places.find(|path| !path.exists());
        fs::rename(from.join(name), place.ok_or(io::ErrorKind::AlreadyExists)?)?;
        sync_folder(&folder)?;
        sync_folder(from)
    }

    fn reserve_path(&self) -> PathBuf {
        self.root.join(RESERVE)
    }
}

/// Makes the folders and opens the file that is locked.
fn prepare(root: &Path) -> io::Result<File> {
    for folder in [root.to_path_buf(), root.join("log")] {
        if !folder.is_dir() {
            fs::create_dir_all(&folder)?;
            fs::set_permissions(&folder, Permissions::from_mode(MODE_FOLDER))?;
            if let Some(parent) = folder.parent() {
                sync_folder(parent)?;
            }
        }
    }
    OpenOptions::new().write(true).create(true).truncate(false).mode(MODE_FILE).open(root.join("lock"))
}

/// Zeros, until the disk is full.
const RESERVE: &str = "reserve";
/// A byte for each time that redb panicked.
const PANICS: &str = "index.panics";

/// Notes, for the next start, that redb has panicked over the index of the store in `root`: it does
/// on pages that a checksum would have told were damaged. A program that ends on a panic calls this
/// from its panic hook; after the second time the index is set aside and built anew, since starting
/// again and again would help nobody.
///
/// # Errors
/// What the system says.
pub fn note_index_panic(root: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).mode(MODE_FILE).open(root.join(PANICS))?;
    file.write_all(b"!")?;
    file.sync_all()
}

fn segment_name(slot: u32) -> String {
    format!("{slot}.seg")
}

/// The length of a file; `None` where there is none.
fn length(path: &Path) -> io::Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(known) => Ok(Some(known.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a file of `bytes`; one that isn't there, or has another size, is made beside its place first.
fn zero_filled(folder: &Path, name: &str, unfinished: &str, bytes: u64) -> io::Result<Arc<dyn Segment>> {
    let path = folder.join(name);
    let made = !fs::metadata(&path).is_ok_and(|known| known.len() == bytes);
    if made {
        let unfinished = folder.join(unfinished);
        zero_fill(&unfinished, bytes)?;
        fs::rename(&unfinished, &path)?;
        sync_folder(folder)?;
    }
    let file = OpenOptions::new().read(true).write(true).open(&path)?;
    Ok(Arc::new(FileSegment { file, made }))
}

impl Disk for FolderDisk {
    fn segment(&self, slot: u32, bytes: u64) -> io::Result<Arc<dyn Segment>> {
        let (log, name) = (self.root.join("log"), segment_name(slot));
        if length(&log.join(&name))?.is_some_and(|known| known != 0 && known != bytes) {
            tracing::error!(
                slot,
                bytes,
                "a segment of the log has another size: it goes to the folder `damaged`"
            );
            self.put_aside(&log, &name, &format!("log-{slot}"), "seg")?;
        }
        zero_filled(&log, &name, &format!("{slot}.new"), bytes)
    }

    fn segment_lengths(&self) -> io::Result<Vec<u64>> {
        let log = self.root.join("log");
        (0..).map_while(|slot| length(&log.join(segment_name(slot))).transpose()).collect()
    }

    fn remove_segments(&self, count: u32) -> io::Result<()> {
        let log = self.root.join("log");
        for slot in 0..count {
            fs::remove_file(log.join(segment_name(slot)))?;
        }
        sync_folder(&log)
    }

    fn receipts(&self, bytes: u64) -> io::Result<Arc<dyn Segment>> {
        zero_filled(&self.root, "receipts", "receipts.new", bytes)
    }

    fn forget_receipts(&self) -> io::Result<()> {
        remove(&self.root, "receipts")
    }

    fn identity(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.root.join("identity")) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn keep_identity(&self, bytes: &[u8]) -> io::Result<()> {
        let unfinished = self.root.join("identity.new");
        write_file(&unfinished, bytes)?;
        fs::rename(&unfinished, self.root.join("identity"))?;
        sync_folder(&self.root)
    }

    fn index_panics(&self) -> io::Result<u64> {
        Ok(length(&self.root.join(PANICS))?.unwrap_or(0))
    }

    fn forget_index_panics(&self) -> io::Result<()> {
        remove(&self.root, PANICS)
    }

    fn set_index_aside(&self) -> io::Result<()> {
        self.put_aside(&self.root, "index.redb", "index", "redb")
    }

    fn has_index(&self) -> io::Result<bool> {
        self.index_path().try_exists()
    }

    fn new_index(&self) -> Result<Box<dyn StorageBackend>, redb::DatabaseError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(MODE_FILE);
        Ok(Box::new(FileBackend::new(options.open(self.new_index_path())?)?))
    }

    fn keep_index(&self) -> io::Result<()> {
        fs::rename(self.new_index_path(), self.index_path())?;
        sync_folder(&self.root)
    }

    fn index(&self) -> Result<Box<dyn StorageBackend>, redb::DatabaseError> {
        let file = OpenOptions::new().read(true).write(true).open(self.index_path())?;
        Ok(Box::new(FileBackend::new(file)?))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let known = rustix::fs::statvfs(&self.root)?;
        Ok(known.f_bavail.saturating_mul(known.f_frsize))
    }

    fn index_bytes(&self) -> io::Result<u64> {
        use std::os::unix::fs::MetadataExt as _;
        Ok(fs::metadata(self.index_path())?.blocks() * 512)
    }

    fn keep_reserve(&self) -> io::Result<()> {
        let path = self.reserve_path();
        if path.exists() {
            return Ok(());
        }
        let known = rustix::fs::statvfs(&self.root)?;
        let size = known.f_blocks.saturating_mul(known.f_frsize) / RESERVE_PART;
        let size = size.clamp(RESERVE_MIN, RESERVE_MAX);
        if self.free_bytes()? < 2 * size {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let unfinished = self.root.join("reserve.new");
        zero_fill(&unfinished, size)?;
        fs::rename(&unfinished, &path)?;
        sync_folder(&self.root)
    }

    fn release_reserve(&self) -> io::Result<()> {
        remove(&self.root, RESERVE)
    }

    fn set_aside(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let folder = self.damaged_folder()?;
        let most = if name.ends_with(ON_TRIAL) { ASIDE_MAX_ON_TRIAL } else { ASIDE_MAX };
        if fs::read_dir(&folder)?.count() >= most {
            return Ok(());
        }
        write_file(&folder.join(name), bytes)?;
        sync_folder(&folder)
    }

    fn is_aside(&self, name: &str) -> bool {
        let folder = self.root.join("damaged");
        let full = || fs::read_dir(&folder).is_ok_and(|entries| entries.count() >= ASIDE_MAX);
        folder.join(name).exists() || full()
    }
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(MODE_FILE).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Real zeros, not a hole: overwriting them later changes no metadata, so that a sync is one write.
fn zero_fill(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(MODE_FILE).open(path)?;
    let zeros = vec![0; 64 << 10];
    let mut left = bytes;
    while left > 0 {
        let step = zeros.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if let Err(error) = file.write_all(&zeros[..step]) {
            // Half a file of zeros helps nobody, least of all on a full disk.
            fs::remove_file(path)?;
            return Err(error);
        }
        left -= step as u64;
    }
    file.sync_all()
}

/// Removes a file, durably, if it is there. Where it isn't the folder is synced all the same: it may
/// have been removed just before a kill.
fn remove(folder: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(folder.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync_folder(folder),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}

#[derive(Debug)]
struct FileSegment {
    file: File,
    /// It was made at this start.
    made: bool,
}

impl Segment for FileSegment {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn refresh(&self) -> io::Result<()> {
        if self.made {
            // Its zeros are on the disk, and in memory they make the first writing of a block cheaper.
            return Ok(());
        }
        self.file.sync_data()?;
        if let Err(error) = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::DontNeed) {
            // Some file systems have no such thing. ext4, XFS, btrfs and F2FS do.
            tracing::debug!(%error, "the page cache can't be let go");
        }
        Ok(())
    }
}

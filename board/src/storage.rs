//! Small values of the box itself, a file each, replaced whole: after a power cut a value is the old one or the new.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use embedded_svc::storage::{RawStorage, StorageBase};

use crate::{BoardError, Code};

/// Bytes of a value, at most: the tail of the log is the largest.
pub const VALUE_MAX: usize = 1 << 20;
/// Letters of a name, at most.
const NAME_MAX: usize = 64;

/// Refuses a name that isn't one: 1 to 64 of `a-z 0-9 - _ .`, the first a letter or digit.
///
/// # Errors
/// [`Code::Unsupported`].
pub(crate) fn checked(name: &str) -> Result<&str, BoardError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = name.bytes().all(|byte| plain(byte) || b"-_.".contains(&byte));
    if fits && name.len() <= NAME_MAX && name.bytes().next().is_some_and(plain) {
        Ok(name)
    } else {
        Err(BoardError::new(Code::Unsupported, format!("{name:?} can't be the name of a value")))
    }
}

/// Refuses a value that is too large to be kept.
///
/// # Errors
/// [`Code::TooLarge`].
pub(crate) fn small_enough(name: &str, value: &[u8]) -> Result<(), BoardError> {
    if value.len() <= VALUE_MAX {
        return Ok(());
    }
    Err(BoardError::new(Code::TooLarge, format!("{} bytes for {name}, where {VALUE_MAX} fit", value.len())))
}

/// Copies a value into what its reader brought.
///
/// # Errors
/// [`Code::TooLarge`] when that is too small.
pub(crate) fn into_buffer<'a>(value: &[u8], buffer: &'a mut [u8]) -> Result<&'a [u8], BoardError> {
    let Some(part) = buffer.get_mut(..value.len()) else {
        return Err(BoardError::new(
            Code::TooLarge,
            format!("the value has {} bytes, more than asked for", value.len()),
        ));
    };
    part.copy_from_slice(value);
    Ok(part)
}

/// Values as files of a folder. Implements `embedded-svc`'s [`RawStorage`].
#[derive(Debug, Clone)]
pub struct FileStorage {
    folder: PathBuf,
}

impl FileStorage {
    /// Takes `folder`, made for the owner alone where it isn't there.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(folder: &Path) -> Result<Self, BoardError> {
        if !folder.is_dir() {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|error| BoardError::io(folder.display(), error))?;
            if let Some(parent) = folder.parent() {
                sync_folder(parent).map_err(|error| BoardError::io(parent.display(), error))?;
            }
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// A value; `None` where there is none.
    ///
    /// # Errors
    /// What the disk says; [`Code::TooLarge`] for a file that can't be one of ours.
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>, BoardError> {
        let path = self.folder.join(checked(name)?);
        let mut value = Vec::new();
        let limit = VALUE_MAX as u64 + 1;
        match File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut value)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BoardError::io(path.display(), error)),
            Ok(_) => small_enough(name, &value).map(|()| Some(value)),
        }
    }

    /// Puts a value, durably, in the place of what was there. Says whether something was.
    ///
    /// # Errors
    /// What the disk says: the old value still stands, or already the new one.
    pub fn set(&mut self, name: &str, value: &[u8]) -> Result<bool, BoardError> {
        let path = self.folder.join(checked(name)?);
        small_enough(name, value)?;
        let there = path.exists();
        let unfinished = self.folder.join(format!(".{name}.new"));
        replace(&path, &unfinished, value).map_err(|error| BoardError::io(path.display(), error))?;
        sync_folder(&self.folder).map_err(|error| BoardError::io(self.folder.display(), error))?;
        Ok(there)
    }
}

fn replace(path: &Path, unfinished: &Path, value: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(unfinished)?;
    file.write_all(value)?;
    file.sync_all()?;
    fs::rename(unfinished, path)
}

/// Makes the names in a folder durable: a rename alone is lost with the power.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

impl StorageBase for FileStorage {
    type Error = BoardError;

    fn contains(&self, name: &str) -> Result<bool, BoardError> {
        Ok(self.folder.join(checked(name)?).exists())
    }

    fn remove(&mut self, name: &str) -> Result<bool, BoardError> {
        let path = self.folder.join(checked(name)?);
        match fs::remove_file(&path).and_then(|()| sync_folder(&self.folder)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(BoardError::io(path.display(), error)),
        }
    }
}

impl RawStorage for FileStorage {
    fn len(&self, name: &str) -> Result<Option<usize>, BoardError> {
        Ok(self.get(name)?.map(|value| value.len()))
    }

    fn get_raw<'a>(&self, name: &str, buffer: &'a mut [u8]) -> Result<Option<&'a [u8]>, BoardError> {
        self.get(name)?.map(|value| into_buffer(&value, buffer)).transpose()
    }

    fn set_raw(&mut self, name: &str, value: &[u8]) -> Result<bool, BoardError> {
        self.set(name, value)
    }
}

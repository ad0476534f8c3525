//! The files in `tls/acme/` of the store: whole or not at all, for the owner's eyes only (docs/formats/acme.md).

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;
/// A chain of ten certificates has 20 KB.
const BYTES_MAX: u64 = 256 * 1024;

/// What a file of this folder was found to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<T> {
    /// There is none.
    Nothing,
    /// Something that can't be understood, in words: it costs itself only.
    Spoilt(String),
    /// What the disk doesn't give out, in words: it may be whole.
    Unread(String),
    /// This.
    There(T),
}

/// Asked before each step on the disk; an error takes the step's place. Does nothing but in tests.
pub(super) type Hook = Arc<dyn Fn(&'static str) -> io::Result<()> + Send + Sync>;

/// The folder; clones are the same.
#[derive(Clone)]
pub(super) struct Folder {
    path: PathBuf,
    hook: Hook,
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    content: T,
}

/// Of a version that is only known by its number.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self::with_hook(path, Arc::new(|_| Ok(())))
    }

    pub(super) fn with_hook(path: PathBuf, hook: Hook) -> Self {
        Self { path, hook }
    }

    /// Reads a file. Blocks.
    pub(super) fn read<T: DeserializeOwned>(&self, name: &str) -> Found<T> {
        let mut text = String::new();
        let read =
            File::open(self.path.join(name)).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::Nothing,
            // No text at all is no file of ours.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Found::Spoilt(error.to_string());
            }
            Err(error) => return Found::Unread(error.to_string()),
        }
        match serde_json::from_str::<Version>(&text) {
            Ok(Version { version: VERSION }) => {}
            Ok(Version { version }) => return Found::Spoilt(format!("it is of version {version}")),
            Err(error) => return Found::Spoilt(place(&error)),
        }
        match serde_json::from_str::<Versioned<T>>(&text) {
            Ok(read) => Found::There(read.content),
            Err(error) => Found::Spoilt(place(&error)),
        }
    }

    /// Writes a file, off the runtime's thread.
    pub(super) async fn put<T: Serialize>(&self, name: &'static str, content: &T) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(&Versioned { version: VERSION, content })?;
        let folder = self.clone();
        blocking(move || folder.write(name, &bytes)).await
    }

    /// Removes a file, off the runtime's thread; one that isn't there is removed.
    pub(super) async fn remove(&self, name: &'static str) -> io::Result<()> {
        let folder = self.clone();
        blocking(move || folder.delete(name)).await
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        (self.hook)("make the folder")?;
        DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
        let path = self.path.join(name);
        let draft = path.with_extension("new");
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        (self.hook)("begin a draft")?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        (self.hook)("write it")?;
        file.write_all(bytes)?;
        (self.hook)("sync it")?;
        file.sync_all()?;
        (self.hook)("rename it")?;
        fs::rename(&draft, &path)?;
        self.sync()
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        (self.hook)("remove it")?;
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| self.sync()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        (self.hook)("sync the folder")?;
        File::open(&self.path)?.sync_all()
    }
}

/// Where the text is wrong, without the text: there are keys in it.
fn place(error: &serde_json::Error) -> String {
    format!("it can't be understood from line {}, column {} on", error.line(), error.column())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const NAME: &str = "order.json";

    #[tokio::test]
    async fn a_file_is_whole_for_its_owner_and_of_one_version() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().join("tls/acme"));
        assert_eq!(folder.read::<u32>(NAME), Found::Nothing);
        folder.put(NAME, &7).await.unwrap();
        assert_eq!(folder.read::<u32>(NAME), Found::There(7));
        let mode = |path: &str| fs::metadata(root.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("tls/acme"), mode("tls/acme/order.json")), (0o700, 0o600));
        for (text, words) in [
            ("", "line 1"),
            ("{\"version\": 2, \"content\": 7}", "version 2"),
            ("{\"version\": 1, \"content\": \"secret\"}", "line 1, column 34"),
        ] {
            fs::write(root.path().join("tls/acme/order.json"), text).unwrap();
            let Found::Spoilt(why) = folder.read::<u32>(NAME) else { panic!("{text:?} was read") };
            assert!(why.contains(words) && !why.contains("secret"), "{why}");
        }
        folder.remove(NAME).await.unwrap();
        folder.remove(NAME).await.unwrap();
        assert_eq!(folder.read::<u32>(NAME), Found::Nothing);
    }

    #[tokio::test]
    async fn a_disk_that_refuses_at_any_step_leaves_the_old_or_the_new_and_the_next_write_works() {
        for refused in 0..6 {
            let root = tempfile::tempdir().unwrap();
            let good = Folder::new(root.path().to_owned());
            good.put(NAME, &1).await.unwrap();
            let steps = std::sync::atomic::AtomicUsize::new(0);
            let hook = move |_| {
                let step = steps.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if step == refused { Err(io::Error::other("refused")) } else { Ok(()) }
            };
            let bad = Folder::with_hook(root.path().to_owned(), Arc::new(hook));
            bad.put(NAME, &2).await.unwrap_err();
            let left = good.read::<u32>(NAME);
            assert!([Found::There(1), Found::There(2)].contains(&left), "step {refused}: {left:?}");
            good.put(NAME, &3).await.unwrap();
            assert_eq!(good.read::<u32>(NAME), Found::There(3));
            assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "no draft is left behind");
        }
    }
}

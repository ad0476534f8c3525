//! The files of `docs/operating/reachability`, as people copy them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

/// Where the folders are: `sshd` takes no file from where others may write.
pub(super) const FOLDERS: &str = "/run";
/// What their names begin with, the process id of the test behind it.
pub(super) const FOLDER: &str = "wagate-reach-";

/// Where one machine has its files, for everybody to read.
pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        let prefix = format!("{FOLDER}{}-", std::process::id());
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(FOLDERS).unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of a file in it.
    pub(super) fn at(&self, name: &str) -> String {
        self.path().join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file, for its owner alone.
    pub(super) fn put(&self, name: &str, content: &str) -> String {
        let path = self.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        self.at(name)
    }

    /// All that stands in its files.
    pub(super) fn content(&self) -> String {
        let files = std::fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path());
        // Sockets can't be read.
        files
            .filter_map(|path| std::fs::read(path).ok())
            .map(|file| String::from_utf8_lossy(&file).into_owned())
            .collect()
    }
}

/// A file of the repository, as it stands there.
pub(super) fn original(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating/reachability");
    std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Copies a file of the repository, and replaces words in it: keys, names and places that a test has others for.
/// Each of them must stand there, or the test would run something else than what people copy.
pub(super) fn copy(folder: &Folder, name: &str, replaced: &[(&str, &str)]) -> String {
    copy_as(folder, name, name, replaced)
}

/// The same under another name.
pub(super) fn copy_as(folder: &Folder, name: &str, new: &str, replaced: &[(&str, &str)]) -> String {
    let mut text = original(name);
    for (word, by) in replaced {
        assert!(text.contains(word), "{name} has no {word:?}");
        text = text.replace(word, by);
    }
    folder.put(new, &text)
}

//! Where a box has what the board needs.

use std::path::{Path, PathBuf};

use crate::paths;

/// Roots and folders; [`Places::on_the_box`] outside of tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// `/proc`
    pub proc: PathBuf,
    /// `/sys`
    pub sys: PathBuf,
    /// `/dev`
    pub dev: PathBuf,
    /// Where the ESP is mounted.
    pub esp: PathBuf,
    /// Whether it has to be mounted there, or is a folder already.
    pub mount_esp: bool,
    /// What the supervisor keeps; see [`paths::BOX`].
    pub kept: PathBuf,
    /// See [`paths::RELEASE`].
    pub release: PathBuf,
    /// See [`paths::UPDATE_KEYS`].
    pub update_keys: PathBuf,
}

impl Places {
    /// Those of [`crate::paths`].
    #[must_use]
    pub fn on_the_box() -> Self {
        Self { mount_esp: true, ..Self::below(Path::new("/")) }
    }

    /// The same below another root, with the ESP as a folder: for tests.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        let at = |path: &str| root.join(path.trim_start_matches('/'));
        Self {
            proc: at("proc"),
            sys: at("sys"),
            dev: at("dev"),
            esp: at(paths::ESP),
            mount_esp: false,
            kept: at(paths::BOX),
            release: at(paths::RELEASE),
            update_keys: at(paths::UPDATE_KEYS),
        }
    }
}

//! Where things are: on the box, or below one folder that plays the box in tests.

use std::path::{Path, PathBuf};

/// The user and group of gateway and setup page, as the image has them. They may ask the supervisor.
pub(super) const WAGATE: u32 = 990;
/// Those of the process that says the box's name. It may ask nobody anything.
pub(super) const ANNOUNCE: u32 = 991;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    root: PathBuf,
    real: bool,
}

impl Place {
    /// The box itself, or, where `root` is given, a folder with the same paths in it: nothing outside of it is
    /// touched then, neither users nor clock nor network.
    pub(super) fn new(root: Option<&Path>) -> Self {
        match root {
            Some(root) => Self { root: root.to_owned(), real: false },
            None => Self { root: PathBuf::from("/"), real: true },
        }
    }

    /// Whether this is the box itself.
    pub(super) const fn real(&self) -> bool {
        self.real
    }

    /// The root folder.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// An absolute path of the box.
    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The folder for sockets and process ids, in memory.
    pub(super) fn run(&self) -> PathBuf {
        self.at("/run/wagate")
    }

    /// Where the gateway says how it is.
    pub(super) fn notify_socket(&self) -> PathBuf {
        self.at("/run/wagate/notify.sock")
    }

    /// Where the gateway asks.
    pub(super) fn board_socket(&self) -> PathBuf {
        self.at(board::paths::SOCKET)
    }

    /// The configuration in force, if there is one.
    pub(super) fn configuration(&self) -> PathBuf {
        self.at(board::paths::CONFIG).join("current/wagate.toml")
    }

    /// There when the data partition can't be used; why stands in it.
    pub(super) fn no_data(&self) -> PathBuf {
        self.at("/run/wagate/no-data")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_has_the_users_that_processes_are_started_as() {
        let passwd = include_str!("../../../board/image/slot/etc/passwd");
        let group = include_str!("../../../board/image/slot/etc/group");
        for (name, number) in [("wagate", WAGATE), ("announce", ANNOUNCE)] {
            let start = format!("{name}:*:{number}:{number}:");
            assert!(passwd.lines().any(|line| line.starts_with(&start)), "{start}");
            let start = format!("{name}:x:{number}:");
            assert!(group.lines().any(|line| line == start), "{start}");
        }
    }
}

//! Cards and sticks as folders.

mod power;
mod recorder;
mod rescue;
mod setup_page;
mod taking;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::disk::{Disk, LinuxDisk};
use super::{FirstBoot, Media, Medium, Outcome};

/// A configuration with secrets, and a key of several sectors.
pub(super) const GOOD: &str = "[webhook]\nverify_token = \"file:verify_token\"\napp_secret = \"file:app_secret\"\n\
    [webhook.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n\
    [api]\nlisten = \"0.0.0.0:8080\"\ntoken = \"file:api_token\"\n";

/// Files by name.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// The configuration with all its files; those of one `version` differ from those of another.
pub(super) fn good(version: &str) -> Files {
    static PAIR: LazyLock<[String; 2]> = LazyLock::new(|| {
        let made = rcgen::generate_simple_self_signed(["box.example.com".to_owned()]).unwrap();
        [made.cert.pem(), made.signing_key.serialize_pem()]
    });
    let [certificate, key] = &*PAIR;
    // What stands around a block of PEM is nobody's business.
    let padded = |pem: &str| {
        let lines: String = (0..40).map(|line| format!("{version} SECRET line {line}\n")).collect();
        format!("{lines}{pem}")
    };
    [
        ("wagate.toml", format!("{GOOD}# {version}\n")),
        ("verify_token", format!("SECRET-verify-{version}\n")),
        ("app_secret", format!("SECRET-app-{version}\n")),
        ("api_token", format!("SECRET-api-{version}\n")),
        ("cert.pem", padded(certificate)),
        ("key.pem", padded(key)),
    ]
    .into_iter()
    .map(|(name, text)| (name.to_owned(), text.into_bytes()))
    .collect()
}

/// The folders of a machine: `/`, its card and a stick.
pub(super) struct Stage {
    folder: tempfile::TempDir,
    pub(super) stick_is_protected: bool,
}

impl Stage {
    pub(super) fn new() -> Self {
        // In memory where there is such a folder: hundreds of power cuts sync thousands of times.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        for name in ["root/data", "root/run", "card", "stick"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        Self { folder, stick_is_protected: false }
    }

    pub(super) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    pub(super) fn card(&self) -> PathBuf {
        self.folder.path().join("card")
    }

    pub(super) fn stick(&self) -> PathBuf {
        self.folder.path().join("stick")
    }

    pub(super) fn boot(&self) -> FirstBoot {
        self.boot_with(LinuxDisk)
    }

    pub(super) fn boot_with(&self, disk: impl Disk + 'static) -> FirstBoot {
        FirstBoot::with(&self.root(), self.media(), disk)
    }

    /// The card, then the stick.
    pub(super) fn media(&self) -> Folders {
        Folders(vec![
            Folder { name: "the card", path: self.card(), own: true, protected: false },
            Folder {
                name: "the USB stick",
                path: self.stick(),
                own: false,
                protected: self.stick_is_protected,
            },
        ])
    }

    /// Starts the box and gives back the mistakes; there has to be a configuration in force.
    pub(super) fn start(&self) -> Option<String> {
        match self.boot().configuration() {
            Outcome::InForce { path, mistakes } => {
                assert_eq!(path, self.root().join("data/config/current/wagate.toml"));
                mistakes
            }
            Outcome::None { mistakes } => panic!("no configuration: {mistakes:?}"),
        }
    }

    /// Starts the box, which has no configuration after that.
    pub(super) fn start_without(&self) -> Option<String> {
        match self.boot().configuration() {
            Outcome::InForce { .. } => panic!("a configuration is in force"),
            Outcome::None { mistakes } => mistakes,
        }
    }

    /// The files in force, without those that the box adds.
    pub(super) fn in_force(&self) -> Option<Files> {
        let folder = self.root().join("data/config/current");
        let mut files = folder.is_dir().then(|| read(&folder))?;
        files.remove(super::taken::FILE);
        Some(files)
    }

    /// The names in the folder of configurations.
    pub(super) fn kept(&self) -> Vec<String> {
        names(&self.root().join("data/config"))
    }
}

pub(super) fn put(folder: &Path, files: &Files) {
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

pub(super) fn read(folder: &Path) -> Files {
    names(folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
}

pub(super) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Whether a secret stands in any file of a folder.
pub(super) fn holds_secrets(folder: &Path) -> bool {
    read(folder).values().any(|bytes| String::from_utf8_lossy(bytes).contains("SECRET"))
}

pub(super) struct Folders(Vec<Folder>);

struct Folder {
    name: &'static str,
    path: PathBuf,
    own: bool,
    protected: bool,
}

impl Media for Folders {
    fn each(&mut self, look: &mut dyn FnMut(&mut dyn Medium)) {
        for folder in &mut self.0 {
            look(folder);
        }
    }
}

impl Medium for Folder {
    fn name(&self) -> &'static str {
        self.name
    }

    fn folder(&self) -> &Path {
        &self.path
    }

    fn own(&self) -> bool {
        self.own
    }

    fn writable(&mut self) -> Result<(), String> {
        if self.protected { Err("it is write-protected".to_owned()) } else { Ok(()) }
    }
}

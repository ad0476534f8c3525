//! A configuration on its way in: its file and the files that it names, in memory.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use board::wire::NamedFile;

use super::listing::{self, Listing};
use super::names;
use crate::config::{Source, strings};

/// What a configuration's file is called.
pub(crate) const CONFIGURATION: &str = "wagate.toml";
/// Files that a configuration may name; each kind of secret and certificate there is makes some twenty.
pub(super) const FILES_MAX: usize = 64;

/// A configuration that nobody has checked yet.
#[derive(Debug, Default)]
pub(super) struct Candidate {
    /// The files by the names that the configuration calls them by, as the box will keep them.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// The same as they lie on the medium: name and bytes there. Empty for one from the setup page.
    pub(super) on_medium: Vec<(String, Vec<u8>)>,
}

impl Candidate {
    /// Reads the configuration in the file `name` of a medium's `folder`, and what it names there; `None`: the
    /// file is empty.
    ///
    /// # Errors
    /// When a file that is there can't be read, in words for people.
    pub(super) fn read(folder: &Path, listing: &Listing, name: &str) -> Result<Option<Self>, String> {
        let cannot = |name: &str| {
            let name = name.to_owned();
            move |error: std::io::Error| format!("{name} can't be read: {error}")
        };
        let mut found = Self::default();
        let Some(bytes) = listing::read(&folder.join(name)).map_err(cannot(name))? else { return Ok(None) };
        found.add(CONFIGURATION, name, bytes);
        for wanted in found.named() {
            if let Some(name) = listing.find(&wanted)
                && let Some(bytes) = listing::read(&folder.join(name)).map_err(cannot(name))?
            {
                found.add(&wanted, name, bytes);
            }
        }
        Ok(Some(found))
    }

    /// Takes the files that the setup page has sent; what the configuration doesn't name is left out.
    ///
    /// # Errors
    /// When there is no configuration among them, or one isn't in base64, too large or too many.
    pub(super) fn sent(files: &[NamedFile]) -> Result<Self, String> {
        let mut sent = BTreeMap::new();
        for file in files {
            let bytes = STANDARD.decode(&file.base64);
            let bytes = bytes.map_err(|_| format!("{}: it didn't come through whole", file.name))?;
            if bytes.len() as u64 > listing::FILE_MAX {
                return Err(format!("{} is larger than 1 MiB", file.name));
            }
            sent.insert(file.name.as_str(), listing::plain(&bytes));
        }
        let mut found = Self::default();
        let text = sent.get(CONFIGURATION).ok_or("there is no wagate.toml among the files")?;
        found.files.insert(CONFIGURATION.to_owned(), text.clone());
        for wanted in found.named() {
            if let Some(bytes) = sent.get(wanted.as_str()) {
                found.files.insert(wanted, bytes.clone());
            }
        }
        Ok(found)
    }

    /// The configuration's text; what isn't UTF-8 in it is replaced, and refused by its check.
    pub(super) fn source(&self) -> Source {
        let bytes = self.files.get(CONFIGURATION).map_or(&[][..], Vec::as_slice);
        Source::new(Path::new(CONFIGURATION), String::from_utf8_lossy(bytes).into_owned())
    }

    fn add(&mut self, wanted: &str, on_medium: &str, bytes: Vec<u8>) {
        self.files.insert(wanted.to_owned(), listing::plain(&bytes));
        if !self.on_medium.iter().any(|(name, _)| name == on_medium) {
            self.on_medium.push((on_medium.to_owned(), bytes));
        }
    }

    /// The names of all files that the configuration needs, as far as the box may take them.
    fn named(&self) -> Vec<String> {
        names::needed(&strings(&self.source())).into_iter().take(FILES_MAX).collect()
    }
}

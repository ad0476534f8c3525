//! What a machine says on its serial line.

use std::path::{Path, PathBuf};

/// The file that QEMU writes it to.
#[derive(Debug)]
pub(crate) struct Serial {
    path: PathBuf,
    /// Where the part begins that is of interest now.
    since: usize,
}

impl Serial {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), since: 0 }
    }

    fn all(&self) -> Vec<u8> {
        std::fs::read(&self.path).unwrap_or_default()
    }

    /// What was said so far is of no interest any more.
    pub(crate) fn forget(&mut self) {
        self.since = self.all().len();
    }

    /// Everything since the last [`forget`](Self::forget), without the signs that move a cursor.
    pub(crate) fn text(&self) -> String {
        let all = self.all();
        plain(&String::from_utf8_lossy(all.get(self.since..).unwrap_or_default()))
    }

    /// How often these words stand there.
    pub(crate) fn count(&self, words: &str) -> usize {
        self.text().matches(words).count()
    }

    pub(crate) fn has(&self, words: &str) -> bool {
        self.text().contains(words)
    }

    /// The last lines of all, for a test that has failed.
    pub(super) fn show(&self, lines: usize) {
        let text = plain(&String::from_utf8_lossy(&self.all()));
        let all: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        println!("---- the serial line, the last of {} lines:", all.len());
        for line in all.iter().skip(all.len().saturating_sub(lines)) {
            println!("{line}");
        }
        println!("----");
    }
}

/// Without escape sequences, which firmware and GRUB draw their screens with.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut signs = text.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '\u{1b}' => {
                if signs.next() == Some('[') {
                    // A sequence ends with a letter.
                    let _ = signs.by_ref().find(char::is_ascii_alphabetic);
                }
            }
            '\r' => {}
            _ => plain.push(sign),
        }
    }
    plain
}

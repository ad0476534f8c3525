//! GRUB's environment block, read and written without the crate that the box uses.

use std::collections::BTreeMap;

/// Bytes of the block.
const BLOCK: usize = 1024;
/// All variables have to be in the first sector, which a power cut can't tear.
const SECTOR: usize = 512;
const HEADER: &str = "# GRUB Environment Block\n";

/// The variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Env(BTreeMap<String, String>);

impl Env {
    /// Reads a block as strictly as GRUB does, and holds it to one sector.
    pub(crate) fn parse(block: &[u8]) -> Result<Self, String> {
        if block.len() != BLOCK {
            return Err(format!("{} bytes long", block.len()));
        }
        let text = std::str::from_utf8(block).map_err(|_| "not a text".to_owned())?;
        let text = text.strip_prefix(HEADER).ok_or("without GRUB's first line")?;
        let mut variables = BTreeMap::new();
        let mut used = HEADER.len();
        for line in text.lines() {
            let Some((name, value)) = line.split_once('=') else {
                // The rest is filled with this sign; a line of words is a remark of GRUB's tool.
                if line.bytes().all(|byte| byte == b'#') || line.starts_with("# ") {
                    continue;
                }
                return Err(format!("a line {line:?}"));
            };
            used = used.max(text.find(line).unwrap_or_default() + HEADER.len() + line.len() + 1);
            variables.insert(name.to_owned(), value.to_owned());
        }
        if used > SECTOR {
            return Err(format!("variables up to byte {used}"));
        }
        Ok(Self(variables))
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// The block with these variables.
    pub(crate) fn block(&self) -> Vec<u8> {
        let mut text = HEADER.to_owned();
        for (name, value) in &self.0 {
            text.push_str(&format!("{name}={value}\n"));
        }
        assert!(text.len() <= SECTOR, "too much for a sector");
        let mut block = text.into_bytes();
        block.resize(BLOCK, b'#');
        block
    }

    /// Whether a slot, `A` or `B`, is trusted.
    pub(crate) fn is_committed(&self, slot: &str) -> bool {
        self.get(&format!("{slot}_OK")) == "1"
    }

    /// How many starts are left to a slot.
    pub(crate) fn left(&self, slot: &str) -> &str {
        self.get(&format!("{slot}_LEFT"))
    }
}

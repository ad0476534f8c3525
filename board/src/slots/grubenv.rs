//! GRUB's environment block: what is decided about the slots, as it stands in a file of 1,024 bytes.
//!
//! The layout is GRUB's own (`grub-core/lib/envblk.c`): a line of signature, then `NAME=value` lines in which `\`
//! escapes itself and a line feed, then `#` up to the end. GRUB writes it in place, by the sectors that it knows, and so
//! do we. A sector is the most that a power cut can't tear: all that is ours stands in the first one, `SANE=1` last.

use crate::about::SlotName;

use super::{ATTEMPTS, BootState, Note, SlotEnv};

/// Bytes of the block, as `grub-editenv create` makes it; another length GRUB couldn't write in place.
pub const ENV_BYTES: usize = 1024;

const SIGNATURE: &[u8] = b"# GRUB Environment Block\n";
/// Longest name of a variable that is kept.
const NAME_MAX: usize = 64;
/// Those that are ours, in the order in which they are written.
const OURS: [&str; 11] = [
    "ORDER",
    "A_OK",
    "A_LEFT",
    "B_OK",
    "B_LEFT",
    "RESET",
    "NOTE",
    "HANDED",
    "VERSION_A",
    "VERSION_B",
    "SANE",
];

/// The variables of a block, each name once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnvBlock {
    variables: Vec<(String, Vec<u8>)>,
}

impl EnvBlock {
    /// Reads a block the way GRUB does; never fails on what is in it. `None` without the signature.
    ///
    /// Of a name that stands there twice the last one counts, as in GRUB. Names with other signs than letters,
    /// digits and `_` are left out.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(SIGNATURE)?;
        let mut block = Self::default();
        while let Some(first) = rest.first() {
            if *first != b'#' {
                // As in GRUB, a name reaches up to its `=`, beyond line feeds if need be.
                let Some(sign) = rest.iter().position(|byte| *byte == b'=') else { break };
                let (name, value) = (&rest[..sign], &rest[sign + 1..]);
                let Some(end) = line_end(value) else { break };
                block.keep(name, unescape(&value[..end]));
                rest = &value[end + 1..];
                continue;
            }
            let Some(end) = line_end(rest) else { break };
            rest = &rest[end + 1..];
        }
        Some(block)
    }

    /// Whether GRUB may go by it: the last of our variables is there.
    #[must_use]
    pub fn is_sane(&self) -> bool {
        self.get("SANE") == Some("1")
    }

    /// Whether a file holds what we or GRUB write, so that GRUB can write it again: signature, `SANE=1`, the
    /// right length, and nothing but filling behind the last line.
    #[must_use]
    pub fn is_whole(bytes: &[u8]) -> bool {
        let last = bytes.iter().rposition(|byte| *byte != b'#').and_then(|place| bytes.get(place));
        bytes.len() == ENV_BYTES
            && last == Some(&b'\n')
            && Self::parse(bytes).is_some_and(|block| block.is_sane())
    }

    /// A variable's value, where it is text.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.variables.iter().find(|(known, _)| known == name)?;
        std::str::from_utf8(value).ok()
    }

    /// What it says about the slots. What is missing or makes no sense counts as the cautious one: not committed, no
    /// attempts, no reset.
    #[must_use]
    pub fn state(&self) -> BootState {
        let slot = |ok: &str, left: &str, version: &str| {
            let left = self.get(left).and_then(|text| text.parse().ok()).filter(|left| *left <= ATTEMPTS);
            SlotEnv {
                ok: self.get(ok) == Some("1"),
                left: left.unwrap_or(0),
                version: text(self.get(version)),
            }
        };
        let mut state = BootState {
            first: if self.get("ORDER").is_some_and(|order| order.trim_start().starts_with('B')) {
                SlotName::B
            } else {
                SlotName::A
            },
            a: slot("A_OK", "A_LEFT", "VERSION_A"),
            b: slot("B_OK", "B_LEFT", "VERSION_B"),
            reset: self.get("RESET") == Some("1"),
            note: text(self.get("NOTE")).and_then(|word| Note::new(&word)),
            handed: match self.get("HANDED") {
                Some("A") => Some(SlotName::A),
                Some("B") => Some(SlotName::B),
                _ => None,
            },
        };
        // Through the filter: what stands there may be anything.
        for name in SlotName::BOTH {
            let version = state.slot(name).version.clone().unwrap_or_default();
            state.name_version(name, &version);
        }
        state
    }

    /// The same block with what `state` says; variables that aren't ours stay.
    #[must_use]
    pub fn with(&self, state: &BootState) -> Self {
        let bit = |on: bool| if on { "1" } else { "0" }.to_owned();
        let order = match state.first {
            SlotName::A => "A B",
            SlotName::B => "B A",
        };
        let handed = match state.handed {
            Some(SlotName::A) => "A",
            Some(SlotName::B) => "B",
            None => "none",
        };
        let values: [String; OURS.len()] = [
            order.to_owned(),
            bit(state.a.ok),
            state.a.left.to_string(),
            bit(state.b.ok),
            state.b.left.to_string(),
            bit(state.reset),
            state.note.as_ref().map_or("none", Note::as_str).to_owned(),
            handed.to_owned(),
            state.a.version.clone().unwrap_or_default(),
            state.b.version.clone().unwrap_or_default(),
            bit(true),
        ];
        let ours = OURS.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value.into_bytes()));
        let others = self.variables.iter().filter(|(name, _)| !OURS.contains(&name.as_str())).cloned();
        Self { variables: ours.chain(others).collect() }
    }

    /// As it is written. Variables that don't fit any more are left out, the last ones first: they are never ours.
    #[must_use]
    pub fn encode(&self) -> [u8; ENV_BYTES] {
        let mut block = [b'#'; ENV_BYTES];
        let mut at = SIGNATURE.len();
        block[..at].copy_from_slice(SIGNATURE);
        for (name, value) in &self.variables {
            let line: Vec<u8> = name
                .bytes()
                .chain(*b"=")
                .chain(value.iter().flat_map(|byte| escape(*byte)))
                .chain(*b"\n")
                .collect();
            if at + line.len() > ENV_BYTES {
                break;
            }
            block[at..at + line.len()].copy_from_slice(&line);
            at += line.len();
        }
        block
    }

    fn keep(&mut self, name: &[u8], value: Vec<u8>) {
        let fits = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        if name.is_empty() || name.len() > NAME_MAX || !name.iter().all(fits) {
            return;
        }
        let name = String::from_utf8_lossy(name).into_owned();
        match self.variables.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.variables.push((name, value)),
        }
    }
}

/// A value that says something.
fn text(value: Option<&str>) -> Option<String> {
    value.filter(|value| !value.is_empty() && *value != "none").map(str::to_owned)
}

/// The place of the line feed that ends a value; an escaped one doesn't.
fn line_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'\n' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn unescape(value: &[u8]) -> Vec<u8> {
    let mut escaped = false;
    let keep = |byte: &&u8| {
        escaped = !escaped && **byte == b'\\';
        !escaped
    };
    value.iter().filter(keep).copied().collect()
}

fn escape(byte: u8) -> impl Iterator<Item = u8> {
    let mark = matches!(byte, b'\\' | b'\n').then_some(b'\\');
    mark.into_iter().chain([byte])
}

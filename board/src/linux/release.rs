//! Which firmware runs.

use std::path::Path;

use semver::Version;

use crate::{BoardError, Code};

/// The file that names it, `/etc/wagate/release`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its version.
    pub version: Version,
    /// The board that it is for.
    pub board: String,
    /// When it was built, milliseconds since 1970.
    pub built_at_ms: i64,
}

impl Release {
    /// Reads the file.
    ///
    /// # Errors
    /// [`Code::Io`] when it can't be read, [`Code::Unsupported`] when a line is missing or makes no sense.
    pub fn read(path: &Path) -> Result<Self, BoardError> {
        let text = std::fs::read_to_string(path).map_err(|error| BoardError::io(path.display(), error))?;
        Self::parse(&text)
            .map_err(|what| BoardError::new(Code::Unsupported, format!("{}: {what}", path.display())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let line = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('='));
            let value = lines
                .find(|(known, _)| known.trim() == name)
                .map(|(_, value)| value.trim().trim_matches('"'));
            value.ok_or_else(|| format!("there is no line {name}="))
        };
        let seconds: i64 =
            line("BUILT")?.parse().map_err(|_| "BUILT isn't in seconds since 1970".to_owned())?;
        Ok(Self {
            version: line("VERSION")?.parse().map_err(|error| format!("VERSION: {error}"))?,
            board: line("BOARD")?.to_owned(),
            built_at_ms: seconds.saturating_mul(1000),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_three_lines() {
        let release = Release::parse("VERSION=0.2.0\nBOARD=generic-arm64\nBUILT=1700000000\n").unwrap();
        assert_eq!(release.version, Version::new(0, 2, 0));
        assert_eq!((release.board.as_str(), release.built_at_ms), ("generic-arm64", 1_700_000_000_000));
        for missing in ["VERSION", "BOARD", "BUILT"] {
            let text = "VERSION=0.2.0\nBOARD=b\nBUILT=1\n".replace(missing, "OTHER");
            assert!(Release::parse(&text).unwrap_err().contains(missing));
        }
    }
}

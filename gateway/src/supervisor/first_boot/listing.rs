//! The files in the top folder of a medium, by the names that people and their editors give them.

use std::io::{self, Read as _};
use std::path::Path;

/// Bytes of one file, at most; the configuration's reader has the same bound.
pub(super) const FILE_MAX: u64 = 1024 * 1024;
/// Names that are looked at; a card that a box starts from has some twenty.
const NAMES_MAX: usize = 4096;

/// The names of the files in a folder, sorted.
#[derive(Debug)]
pub(super) struct Listing {
    names: Vec<String>,
}

impl Listing {
    /// Lists the files of `folder`; names that aren't Unicode are passed over.
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder)?.take(NAMES_MAX) {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(Self { names })
    }

    /// Whether a file is there under exactly this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|there| there == name)
    }

    /// The files whose names end so, in capitals or not.
    pub(super) fn ending(&self, end: &str) -> impl Iterator<Item = &str> {
        let ends = move |name: &&str| {
            let at = name.len().checked_sub(end.len()).and_then(|at| name.get(at..));
            at.is_some_and(|there| there.eq_ignore_ascii_case(end))
        };
        self.names.iter().map(String::as_str).filter(ends)
    }

    /// The file that is meant by `wanted`: of that name, else in other capitals (FAT knows no difference), else
    /// with the `.txt` that Notepad adds and Windows hides, else under the short name that is left of it where
    /// long names aren't known.
    pub(super) fn find(&self, wanted: &str) -> Option<&str> {
        let with_ending = format!("{wanted}.txt");
        let short = short_name(wanted);
        let same = |there: &str| there == wanted;
        let capitals = |there: &str| there.eq_ignore_ascii_case(wanted);
        let ending = |there: &str| there.eq_ignore_ascii_case(&with_ending);
        let shortened = |there: &str| there.eq_ignore_ascii_case(&short);
        let tests: [&dyn Fn(&str) -> bool; 4] = [&same, &capitals, &ending, &shortened];
        tests.iter().find_map(|test| self.names.iter().map(String::as_str).find(|there| test(there)))
    }
}

/// `WAGATE~1.TOM` of `wagate.toml`.
fn short_name(name: &str) -> String {
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    let plain = |text: &str, most: usize| -> String {
        text.chars().filter(|character| !" .".contains(*character)).take(most).collect()
    };
    let (stem, ending) = (plain(stem, 6), plain(ending, 3));
    if ending.is_empty() { format!("{stem}~1") } else { format!("{stem}~1.{ending}") }
}

/// A file's bytes; `None`: it holds nothing, or only the zeros that an erased one holds until it is removed.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.iter().any(|byte| *byte != 0)))
}

/// The same text as the box keeps it: UTF-8 without a byte order mark, also where an editor has written UTF-16,
/// and with one line break at its end at most. What is no text stays as it is.
pub(super) fn plain(bytes: &[u8]) -> Vec<u8> {
    let wide = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = rest.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        char::decode_utf16(units).collect::<Result<String, _>>().ok().map(String::into_bytes)
    };
    let text = match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => Some(rest.to_vec()),
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => None,
    };
    let mut text = text.unwrap_or_else(|| bytes.to_vec());
    let kept = text.iter().rposition(|byte| !b"\r\n".contains(byte)).map_or(0, |last| last + 1);
    if kept < text.len() {
        text.truncate(kept);
        text.push(b'\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(names: &[&str]) -> Listing {
        Listing { names: names.iter().map(|&name| name.to_owned()).collect() }
    }

    #[test]
    fn a_file_is_found_by_what_editors_and_fat_make_of_its_name() {
        for name in ["wagate.toml", "WAGATE.TOML", "Wagate.toml", "wagate.toml.txt", "WAGATE~1.TOM"] {
            assert_eq!(listing(&["wagate.txt", name, "zzz"]).find("wagate.toml"), Some(name));
        }
        assert_eq!(listing(&["VERIFY~1"]).find("verify_token"), Some("VERIFY~1"));
        assert_eq!(listing(&["wagate.toml.bak", "wagate", "my-wagate.toml"]).find("wagate.toml"), None);
        let both = listing(&["WAGATE.TOML", "wagate.toml", "wagate.toml.txt"]);
        assert_eq!(both.find("wagate.toml"), Some("wagate.toml"), "the nearest name wins");
    }

    #[test]
    fn marks_wide_characters_and_line_breaks_are_made_plain() {
        let wide = |text: &str, mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            mark.into_iter().chain(text.encode_utf16().flat_map(bytes)).collect()
        };
        assert_eq!(plain(b"secret"), b"secret");
        assert_eq!(plain(b"\xef\xbb\xbfsecret\r\n\r\n"), b"secret\n");
        assert_eq!(plain(&wide("gehe\u{ef}m\n", [0xff, 0xfe], u16::to_le_bytes)), "gehe\u{ef}m\n".as_bytes());
        assert_eq!(plain(&wide("a", [0xfe, 0xff], u16::to_be_bytes)), b"a");
        assert_eq!(plain(b"a = 1\r\nb = 2\r\n"), b"a = 1\r\nb = 2\n", "lines within stay");
        assert_eq!(plain(b"\xff\xfe\x00\xd8"), b"\xff\xfe\x00\xd8", "half a character is no text");
        assert_eq!(plain(b"\n"), b"\n");
    }
}

//! The counts that are expected, and how far a new one may be away.

use std::fmt::Write as _;

use crate::profile::Counts;

/// Counts may differ by this many percent, either way: a part that got cheaper is to be told, too,
/// or the next regression hides in what was gained.
pub const PERCENT: u64 = 5;

/// What the file holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Stored {
    /// The compiler and the processor that the counts are of, `rustc 1.95.0 x86_64`.
    pub made_with: String,
    /// Per webhook, by the part's name.
    pub counts: Vec<(String, Counts)>,
}

impl Stored {
    /// Reads the file; a line that isn't understood is as if it weren't there.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut stored = Self { made_with: String::new(), counts: Vec::new() };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["made", "with", ..] => stored.made_with = words[2..].join(" "),
                [part, instructions, "instructions", allocations, "allocations"] => {
                    if let (Ok(instructions), Ok(allocations)) = (instructions.parse(), allocations.parse()) {
                        stored.counts.push(((*part).to_owned(), Counts { instructions, allocations }));
                    }
                }
                _ => {}
            }
        }
        stored
    }

    /// The file's text.
    #[must_use]
    pub fn write(&self) -> String {
        let mut text = format!("# Per webhook. Written by `{BLESS}`.\nmade with {}\n", self.made_with);
        for (part, counts) in &self.counts {
            let Counts { instructions, allocations } = counts;
            // Writing into a text doesn't fail.
            let _ = writeln!(text, "{part} {instructions} instructions {allocations} allocations");
        }
        text
    }

    /// A sentence for every count of `new` that is out of its range, or that isn't stored.
    #[must_use]
    pub fn compare(&self, new: &[(String, Counts)]) -> Vec<String> {
        let mut wrong = Vec::new();
        for (part, new) in new {
            let Some((_, old)) = self.counts.iter().find(|(name, _)| name == part) else {
                wrong.push(format!("{part}: no count is stored"));
                continue;
            };
            for (what, old, new) in [
                ("instructions", old.instructions, new.instructions),
                ("allocations", old.allocations, new.allocations),
            ] {
                if old.abs_diff(new) * 100 > old * PERCENT {
                    let change = 100.0 * (new as f64 / old as f64 - 1.0);
                    wrong.push(format!(
                        "{part}: {new} {what} per webhook, {change:+.1} % of the {old} stored"
                    ));
                }
            }
        }
        wrong
    }
}

/// The command that writes the file anew.
pub const BLESS: &str = "cargo run --release --locked -p wagate-micro -- --bless";

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(instructions: u64, allocations: u64) -> Vec<(String, Counts)> {
        vec![("parse".to_owned(), Counts { instructions, allocations })]
    }

    #[test]
    fn what_is_written_is_read() {
        let stored = Stored { made_with: "rustc 1.95.0 x86_64".to_owned(), counts: counts(12_345, 17) };
        assert_eq!(Stored::read(&stored.write()), stored);
    }

    #[test]
    fn five_percent_either_way_is_too_far() {
        let stored = Stored { made_with: String::new(), counts: counts(10_000, 20) };
        for (instructions, allocations, wrong) in [
            (10_000, 20, 0),
            (10_500, 21, 0),
            (9_500, 19, 0),
            (10_501, 20, 1),
            (9_499, 20, 1),
            (10_000, 22, 1),
            (20_000, 40, 2),
        ] {
            let found = stored.compare(&counts(instructions, allocations));
            assert_eq!(found.len(), wrong, "{instructions} {allocations}: {found:?}");
        }
        assert_eq!(Stored::read("").compare(&counts(1, 1)), ["parse: no count is stored"]);
    }
}

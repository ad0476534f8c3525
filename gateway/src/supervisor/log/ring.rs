//! The last lines, in memory, within a fixed room.

use std::collections::VecDeque;

/// Bytes of all lines together: some hours of a quiet box.
pub(in super::super) const RING_BYTES: usize = 512 * 1024;
/// Bytes of a line; what is longer is cut.
pub(in super::super) const LINE_BYTES: usize = 4 * 1024;
/// What a line costs beside its bytes.
const OVERHEAD: usize = size_of::<String>();

/// See the module.
#[derive(Debug, Default)]
pub(in super::super) struct Ring {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Ring {
    /// Takes one line in; the oldest ones make room for it.
    pub(in super::super) fn push(&mut self, mut line: String) {
        if line.len() > LINE_BYTES {
            let end = (0..=LINE_BYTES).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
            line.truncate(end);
        }
        line.shrink_to_fit();
        self.bytes += line.len() + OVERHEAD;
        self.lines.push_back(line);
        while self.bytes > RING_BYTES {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.len() + OVERHEAD;
        }
    }

    /// The last `count` lines, the oldest first.
    pub(in super::super) fn last(&self, count: usize) -> Vec<String> {
        self.lines.iter().skip(self.lines.len().saturating_sub(count)).cloned().collect()
    }

    /// The last whole lines within `bytes`, each with its line break, the oldest first.
    pub(in super::super) fn tail(&self, bytes: usize) -> String {
        let mut room = bytes;
        let fitting = self.lines.iter().rev().take_while(|line| {
            let fits = line.len() < room;
            room = room.saturating_sub(line.len() + 1);
            fits
        });
        let first = self.lines.len() - fitting.count();
        self.lines.iter().skip(first).flat_map(|line| [line.as_str(), "\n"]).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_the_newest_lines_that_fit(lengths in prop::collection::vec(0..6000usize, 1..400), wanted in 0..500usize) {
            let mut ring = Ring::default();
            let line = |n: usize, length: usize| format!("{n:06}{}", "ö".repeat(length / 2));
            for (n, length) in lengths.iter().enumerate() {
                ring.push(line(n, *length));
                let held: usize = ring.lines.iter().map(|line| line.len() + OVERHEAD).sum();
                prop_assert_eq!(held, ring.bytes);
                prop_assert!(held <= RING_BYTES && ring.lines.iter().all(|line| line.len() <= LINE_BYTES));
            }
            let last = ring.last(wanted);
            prop_assert!(last.len() <= wanted);
            for (line, n) in last.iter().rev().zip((0..lengths.len()).rev()) {
                let number = format!("{:06}", n);
                prop_assert!(line.starts_with(&number));
            }
            let tail = ring.tail(64 * 1024);
            prop_assert!(tail.len() <= 64 * 1024);
            prop_assert!(tail.is_empty() || tail.ends_with('\n'));
            prop_assert_eq!(tail.lines().last(), ring.lines.back().map(String::as_str));
        }
    }
}

//! What the boot loader has written on the kernel's line for us.

use std::time::Duration;

use super::chain::COMMIT_WITHIN;

/// How long a version on trial has to commit: `wagate.commit_within=SECONDS`, else five minutes.
pub(super) fn commit_within(line: &str) -> Duration {
    let words = line.split_ascii_whitespace().rev();
    let mut seconds = words.filter_map(|word| word.strip_prefix("wagate.commit_within=")?.parse().ok());
    seconds.next().filter(|seconds| (1..=3600).contains(seconds)).map_or(COMMIT_WITHIN, Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_counts_and_nonsense_doesnt() {
        for (line, expected) in [
            ("quiet wagate.slot=a", 300),
            ("wagate.commit_within=40 quiet", 40),
            ("wagate.commit_within=40 wagate.commit_within=90\n", 90),
            ("wagate.commit_within=soon", 300),
            ("wagate.commit_within=0", 300),
            ("wagate.commit_within=9999", 300),
        ] {
            assert_eq!(commit_within(line), Duration::from_secs(expected), "{line}");
        }
    }
}

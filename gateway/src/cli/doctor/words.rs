//! Figures as people say them.

use std::time::Duration;

use crate::demo::text::time;

/// `less than a day`, `1 day`, `12 days`.
pub(super) fn days(number: u64) -> String {
    match number {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        number => format!("{number} days"),
    }
}

/// `840.0 KiB`, `12.5 MiB`, `3.9 GiB`.
pub(super) fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a size for people")]
    let kib = bytes as f64 / 1_024.0;
    match kib {
        kib if kib < 1_024.0 => format!("{kib:.1} KiB"),
        kib if kib < 1_024.0 * 1_024.0 => format!("{:.1} MiB", kib / 1_024.0),
        kib => format!("{:.1} GiB", kib / 1_024.0 / 1_024.0),
    }
}

/// A time that was set: `5 s` where that is all, else as [`time`] has it.
pub(super) fn limit(within: Duration) -> String {
    if within.subsec_nanos() == 0 { format!("{} s", within.as_secs()) } else { time(within) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_their_units() {
        assert_eq!(
            [5_000, 2_500, 300].map(|ms| limit(Duration::from_millis(ms))),
            ["5 s", "2.5 s", "300 ms"]
        );
        assert_eq!([days(0), days(1), days(2)], ["less than a day", "1 day", "2 days"]);
        for (bytes, text) in [
            (0, "0.0 KiB"),
            (1_023 * 1_024, "1023.0 KiB"),
            (13_107_200, "12.5 MiB"),
            (u64::from(u32::MAX), "4.0 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}

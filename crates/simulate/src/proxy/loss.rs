//! What packet loss looks like above TCP: nothing is missing, and some of it comes late.
//!
//! A segment that is lost is sent again after the retransmission timeout, which doubles each time it
//! is lost again (RFC 6298, section 5.5); what follows it waits for it, since TCP gives bytes in order.
//! That an answer of many segments is mended faster (fast retransmission) is left out: requests and
//! answers of this system are one or two segments long, and then there is nothing to be fast by.

use std::time::Duration;

use crate::Random;

/// The shortest retransmission timeout of Linux, which holds for short ways.
pub const RTO: Duration = Duration::from_millis(200);
/// The timeout for a lost SYN (RFC 6298, section 2.1).
pub const SYN_RTO: Duration = Duration::from_secs(1);
/// Bytes of a segment on Ethernet with timestamps.
pub const SEGMENT_BYTES: usize = 1_448;
/// How often one segment is lost in a row at most; at 30 % two in a thousand million are more unlucky.
pub const LOSSES_MAX: u32 = 16;

/// How late one segment is.
pub(crate) fn lateness(percent: u32, rto: Duration, random: &mut Random) -> Duration {
    let mut late = Duration::ZERO;
    for doubled in 0..LOSSES_MAX {
        if !random.percent(percent) {
            break;
        }
        late += rto.saturating_mul(1 << doubled);
    }
    late
}

/// How late so many bytes are that go together: as late as the latest of their segments.
pub(crate) fn lateness_of(bytes: usize, percent: u32, rto: Duration, random: &mut Random) -> Duration {
    let segments = bytes.div_ceil(SEGMENT_BYTES);
    (0..segments).map(|_| lateness(percent, rto, random)).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_segment_is_late_by_a_timeout_that_doubles() {
        let mut random = Random::new(7);
        let late: Vec<u128> = (0..10_000).map(|_| lateness(30, RTO, &mut random).as_millis()).collect();
        let share = |wanted| late.iter().filter(|late| **late == wanted).count();
        // 70 % at once, 21 % lost once, 6.3 % twice, 1.9 % three times.
        for (wanted, expected) in [(0, 7_000), (200, 2_100), (600, 630), (1_400, 189)] {
            let got = share(wanted);
            assert!((expected * 8 / 10..=expected * 12 / 10).contains(&got), "{wanted} ms: {got}");
        }
        // Nothing in between: sums of 200, 400, 800, …
        assert!(late.iter().all(|late| (late / 200 + 1).is_power_of_two() && late % 200 == 0));
    }

    #[test]
    fn the_same_seed_loses_the_same_and_the_edges_hold() {
        let run = |seed| {
            let mut random = Random::new(seed);
            (0..100).map(|_| lateness(30, RTO, &mut random)).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        let mut random = Random::new(1);
        assert_eq!(lateness(0, RTO, &mut random), Duration::ZERO);
        assert_eq!(lateness(100, RTO, &mut random), RTO * ((1 << LOSSES_MAX) - 1));
    }

    #[test]
    fn many_segments_are_late_more_often_than_one() {
        let late = |bytes| {
            let mut random = Random::new(3);
            (0..1_000).filter(|_| !lateness_of(bytes, 30, RTO, &mut random).is_zero()).count()
        };
        assert_eq!(late(0), 0);
        assert!((240..360).contains(&late(SEGMENT_BYTES)), "{}", late(SEGMENT_BYTES));
        assert!((750..900).contains(&late(4 * SEGMENT_BYTES + 1)), "{}", late(4 * SEGMENT_BYTES + 1));
    }
}

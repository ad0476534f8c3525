//! What becomes of an agreement: a clock that is right, one that is set, or nothing.

use policy::sending::clock::{CONFIRMS_MS, FLOOR_MS, LATEST_MS};

use super::judge::Agreement;

/// The clock is set when it is off by more.
const SET_ABOVE_MS: i64 = 100;
/// One server alone is believed at once where it is nearer than this.
const NEAR_MS: i64 = 1_000;
/// Else when it has said the same in so many rounds in a row.
const ALONE_ROUNDS: u32 = 3;

/// Why the clock is left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Nobody answered.
    Silence,
    /// Each says something else.
    Disagreement,
    /// Only one of several answered, and is far off.
    Alone,
    /// The firmware is younger than that.
    BeforeBuilt,
    /// It is behind what is proved to have happened.
    Past,
    /// It is too far ahead of what is proved.
    Far,
}

impl Why {
    /// As a label of metrics.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Disagreement => "disagreement",
            Self::Alone => "alone",
            Self::BeforeBuilt => "before_built",
            Self::Past => "past",
            Self::Far => "far",
        }
    }

    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Silence => "no time server answers: is UDP port 123 open outwards?",
            Self::Disagreement => "the time servers disagree: name others in `clock.servers`",
            Self::Alone => "only one time server answers, and is far off: it has to say so three times",
            Self::BeforeBuilt => "the time servers tell a time before this firmware was built",
            Self::Past => {
                "the time servers tell a time before what WhatsApp or an endpoint has told: they are wrong"
            }
            Self::Far => {
                "the time servers are more than 400 days ahead of what WhatsApp or an endpoint has told"
            }
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing: the clock is right.
    Right {
        /// How far the servers are ahead.
        offset_ms: i64,
    },
    /// Set it.
    Set {
        /// Milliseconds since 1970.
        now_ms: i64,
        /// How far the servers are ahead.
        offset_ms: i64,
    },
    /// Nothing: there is nothing to go by.
    No(Why),
}

/// Remembers what one server alone has said, from round to round.
#[derive(Debug, Default)]
pub(super) struct Keep {
    alone: Option<(i64, u32)>,
    last_offset_ms: Option<i64>,
}

impl Keep {
    /// How far the servers were ahead when they were last believed.
    pub(super) const fn last_offset_ms(&self) -> Option<i64> {
        self.last_offset_ms
    }

    /// Decides about the machine's clock, which says `wall_ms`. `proved_ms` is the newest time that is proved.
    pub(super) fn decide(
        &mut self,
        agreement: Agreement,
        wall_ms: i64,
        built_at_ms: i64,
        proved_ms: Option<i64>,
    ) -> Verdict {
        let alone = self.alone.take();
        let offset_ms = match agreement {
            Agreement::Silence => return Verdict::No(Why::Silence),
            Agreement::None => return Verdict::No(Why::Disagreement),
            Agreement::Offset(offset_ms) => offset_ms,
            Agreement::Alone(offset_ms) if offset_ms.saturating_abs() <= NEAR_MS => offset_ms,
            Agreement::Alone(offset_ms) => {
                let told_ms = wall_ms.saturating_add(offset_ms);
                let same = |(before, _): &(i64, u32)| before.abs_diff(offset_ms) <= NEAR_MS.unsigned_abs();
                let rounds = alone.filter(same).map_or(1, |(_, rounds)| rounds + 1);
                if rounds < ALONE_ROUNDS || told_ms < built_at_ms {
                    self.alone = Some((offset_ms, rounds));
                    return Verdict::No(Why::Alone);
                }
                offset_ms
            }
        };
        let now_ms = wall_ms.saturating_add(offset_ms);
        if now_ms < built_at_ms {
            return Verdict::No(Why::BeforeBuilt);
        }
        if proved_ms.is_some_and(|proved| now_ms < proved.saturating_sub(CONFIRMS_MS)) {
            return Verdict::No(Why::Past);
        }
        if now_ms > LATEST_MS || proved_ms.is_some_and(|proved| now_ms.saturating_sub(proved) > FLOOR_MS) {
            return Verdict::No(Why::Far);
        }
        self.last_offset_ms = Some(offset_ms);
        if offset_ms.saturating_abs() > SET_ABOVE_MS {
            Verdict::Set { now_ms, offset_ms }
        } else {
            Verdict::Right { offset_ms }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-20T00:00:00Z.
    const T: i64 = 1_795_132_800_000;
    const DAY: i64 = 24 * 3_600_000;
    const BUILT: i64 = T - 30 * DAY;

    fn decide(offset_ms: i64, proved_ms: Option<i64>) -> Verdict {
        Keep::default().decide(Agreement::Offset(offset_ms), T, BUILT, proved_ms)
    }

    #[test]
    fn a_clock_is_set_when_it_is_off_by_more_than_a_tenth_of_a_second() {
        for (offset_ms, set) in
            [(0, false), (100, false), (-100, false), (101, true), (-101, true), (DAY, true)]
        {
            let expected = if set {
                Verdict::Set { now_ms: T + offset_ms, offset_ms }
            } else {
                Verdict::Right { offset_ms }
            };
            assert_eq!(decide(offset_ms, None), expected);
        }
    }

    #[test]
    fn what_is_proved_bounds_what_is_believed() {
        for (offset_ms, proved_ms, why) in [
            (-30 * DAY - 1, None, Some(Why::BeforeBuilt)),
            (-30 * DAY, None, None),
            (-CONFIRMS_MS - 1, Some(T), Some(Why::Past)),
            (-CONFIRMS_MS, Some(T), None),
            (FLOOR_MS + 1, Some(T), Some(Why::Far)),
            (FLOOR_MS, Some(T), None),
            (FLOOR_MS + 1, None, None),
            (LATEST_MS - T + 1, None, Some(Why::Far)),
        ] {
            match (decide(offset_ms, proved_ms), why) {
                (Verdict::No(said), Some(why)) => assert_eq!(said, why),
                (Verdict::Set { .. }, None) => {}
                (said, _) => panic!("{offset_ms} {proved_ms:?}: {said:?}"),
            }
        }
    }

    #[test]
    fn one_alone_has_to_be_near_or_to_say_the_same_three_times() {
        let mut keep = Keep::default();
        let mut hear = |agreement| keep.decide(agreement, T, BUILT, None);
        assert_eq!(hear(Agreement::Alone(900)), Verdict::Set { now_ms: T + 900, offset_ms: 900 });
        assert_eq!(hear(Agreement::Alone(DAY)), Verdict::No(Why::Alone));
        assert_eq!(hear(Agreement::Alone(DAY + 10)), Verdict::No(Why::Alone));
        assert_eq!(hear(Agreement::Alone(DAY)), Verdict::Set { now_ms: T + DAY, offset_ms: DAY });
        // Something else in between, or another time, and it begins anew.
        for other in [Agreement::Silence, Agreement::Alone(2 * DAY), Agreement::None] {
            for heard in [Agreement::Alone(DAY), Agreement::Alone(DAY), other] {
                assert!(matches!(hear(heard), Verdict::No(_)), "{heard:?}");
            }
        }
    }
}

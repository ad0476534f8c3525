//! What several time servers say together.

/// What is unknown of an answer beside half of its way: rounding, a busy machine at either end.
const SLACK_MS: i64 = 100;

/// What one server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    /// How far its clock is ahead of ours.
    pub(crate) offset_ms: i64,
    /// How long question and answer were on their way: half of it is how wrong the offset can be.
    pub(crate) delay_ms: i64,
}

impl Answer {
    /// Where the truth is, by this answer.
    const fn interval(self) -> (i64, i64) {
        let half = (if self.delay_ms > 0 { self.delay_ms / 2 } else { 0 }).saturating_add(SLACK_MS);
        (self.offset_ms.saturating_sub(half), self.offset_ms.saturating_add(half))
    }
}

/// What they say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Agreement {
    /// This, by more than half of those that answered, and two at least unless only one was asked.
    Offset(i64),
    /// Only one of several answered, and says this.
    Alone(i64),
    /// Each something else.
    None,
    /// Nothing.
    Silence,
}

/// Finds the time that most answers can be right about (after Marzullo, "Maintaining the time in a distributed
/// system"); of these the median.
pub(super) fn agree(answers: &[Answer], asked: usize) -> Agreement {
    match answers {
        [] => return Agreement::Silence,
        [one] if asked == 1 => return Agreement::Offset(one.offset_ms),
        [one] => return Agreement::Alone(one.offset_ms),
        _ => {}
    }
    // Where most intervals lie over each other, one of them begins.
    let covering = |point: i64| {
        let holds = |answer: &&Answer| {
            let (from, to) = answer.interval();
            (from..=to).contains(&point)
        };
        answers.iter().filter(holds).map(|answer| answer.offset_ms).collect::<Vec<i64>>()
    };
    let most = answers.iter().map(|answer| covering(answer.interval().0)).max_by_key(Vec::len);
    let mut most = most.unwrap_or_default();
    if most.len() * 2 <= answers.len() {
        return Agreement::None;
    }
    most.sort_unstable();
    Agreement::Offset(most[most.len() / 2])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const YEAR: i64 = 365 * 24 * 3_600_000;

    fn said(offsets: &[i64]) -> Vec<Answer> {
        offsets.iter().map(|offset_ms| Answer { offset_ms: *offset_ms, delay_ms: 40 }).collect()
    }

    #[test]
    fn most_are_believed_and_a_liar_isnt() {
        for (offsets, asked, expected) in [
            (vec![], 4, Agreement::Silence),
            (vec![7], 1, Agreement::Offset(7)),
            (vec![7], 2, Agreement::Alone(7)),
            (vec![7, 9], 2, Agreement::Offset(9)),
            (vec![7, YEAR], 2, Agreement::None),
            (vec![7, 9, YEAR], 3, Agreement::Offset(9)),
            (vec![-YEAR, 7, 9, 11], 4, Agreement::Offset(9)),
            (vec![-YEAR, -YEAR, 7, 9], 4, Agreement::None),
            (vec![0, 10_000, 20_000], 3, Agreement::None),
            (vec![i64::MIN, i64::MAX, 3], 3, Agreement::None),
        ] {
            assert_eq!(agree(&said(&offsets), asked), expected, "{offsets:?}");
        }
    }

    #[test]
    fn a_long_way_makes_an_answer_less_sure() {
        let near = Answer { offset_ms: 0, delay_ms: 10 };
        let far = |delay_ms| Answer { offset_ms: 900, delay_ms };
        assert_eq!(agree(&[near, far(100)], 2), Agreement::None);
        assert_eq!(agree(&[near, far(1_600)], 2), Agreement::Offset(900));
    }

    proptest! {
        #[test]
        fn liars_in_the_minority_never_win(
            honest in prop::collection::vec(-20..20_i64, 2..5),
            lies in prop::collection::vec(prop_oneof![-YEAR..-10_000_i64, 10_000..YEAR], 0..4),
        ) {
            prop_assume!(lies.len() < honest.len());
            let all = said(&[lies.clone(), honest.clone()].concat());
            let Agreement::Offset(offset) = agree(&all, all.len()) else { panic!("no agreement of {all:?}") };
            prop_assert!((-20..20).contains(&offset), "{}", offset);
        }
    }
}

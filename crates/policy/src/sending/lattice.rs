//! How a message's standing moves: only ever forwards, whatever order the news comes in.
//!
//! Statuses come late, twice and in any order, so the standing is the highest of all that was said:
//!
//! ```text
//! queued, held, sending, uncertain, expired, cancelled, accepted  <  sent  <  delivered  <  read  <  failed
//! ```
//!
//! - Any status shows that the message was sent, whatever the box believed: `uncertain` is settled by it, and
//!   so is a message that was taken back. Truth wins.
//! - `failed` is final: no late `sent` or `delivered` undoes it, and it has to stand above them in both orders, else
//!   the standing would hang on the order of arrival. A customer with several devices may get a message
//!   that failed on one of them: the history keeps what else was said.

use model::{Standing, StatusWord};

/// The standing after a status; `None` when that changes nothing.
#[must_use]
pub fn after_status(standing: Standing, word: StatusWord) -> Option<Standing> {
    let next = match word {
        StatusWord::Sent => Standing::Sent,
        StatusWord::Delivered => Standing::Delivered,
        StatusWord::Read => Standing::Read,
        StatusWord::Failed => Standing::Failed,
    };
    (height(next) > height(standing)).then_some(next)
}

/// The standing after Graph said 200; `None` when a status has said more already.
///
/// A message that failed by a status meanwhile stays so.
#[must_use]
pub fn after_accepted(standing: Standing) -> Option<Standing> {
    match standing {
        Standing::Queued
        | Standing::Held
        | Standing::Sending
        | Standing::Uncertain
        | Standing::Expired
        | Standing::Cancelled => Some(Standing::Accepted),
        Standing::Accepted | Standing::Sent | Standing::Delivered | Standing::Read | Standing::Failed => None,
    }
}

/// Whether the box has nothing left to do for the message.
#[must_use]
pub const fn is_over(standing: Standing) -> bool {
    match standing {
        Standing::Queued | Standing::Held | Standing::Sending | Standing::Uncertain => false,
        Standing::Accepted
        | Standing::Sent
        | Standing::Delivered
        | Standing::Read
        | Standing::Failed
        | Standing::Expired
        | Standing::Cancelled => true,
    }
}

const fn height(standing: Standing) -> u8 {
    match standing {
        Standing::Queued
        | Standing::Held
        | Standing::Sending
        | Standing::Uncertain
        | Standing::Expired
        | Standing::Cancelled
        | Standing::Accepted => 0,
        Standing::Sent => 1,
        Standing::Delivered => 2,
        Standing::Read => 3,
        Standing::Failed => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Standing; 11] = [
        Standing::Queued,
        Standing::Held,
        Standing::Sending,
        Standing::Accepted,
        Standing::Sent,
        Standing::Delivered,
        Standing::Read,
        Standing::Failed,
        Standing::Expired,
        Standing::Cancelled,
        Standing::Uncertain,
    ];
    const WORDS: [StatusWord; 4] =
        [StatusWord::Sent, StatusWord::Delivered, StatusWord::Read, StatusWord::Failed];

    fn after(start: Standing, words: &[StatusWord]) -> Standing {
        words.iter().fold(start, |standing, word| after_status(standing, *word).unwrap_or(standing))
    }

    #[test]
    fn the_order_of_arrival_makes_no_difference() {
        for start in ALL {
            // Every sequence of up to five statuses, repetitions included, against its sorted self.
            for length in 0..=5_u32 {
                for number in 0..4_usize.pow(length) {
                    let words: Vec<StatusWord> =
                        (0..length).map(|place| WORDS[number / 4_usize.pow(place) % 4]).collect();
                    let mut sorted = words.clone();
                    sorted.sort();
                    sorted.dedup();
                    assert_eq!(after(start, &words), after(start, &sorted), "{start:?} {words:?}");
                }
            }
        }
    }

    #[test]
    fn every_pair_is_as_it_is_meant() {
        use Standing::{Delivered, Failed, Read, Sent};
        for start in ALL {
            for (word, next) in WORDS.into_iter().zip([Sent, Delivered, Read, Failed]) {
                let expected = match (start, next) {
                    (Failed, _)
                    | (Read, Sent | Delivered | Read)
                    | (Delivered, Sent | Delivered)
                    | (Sent, Sent) => None,
                    _ => Some(next),
                };
                assert_eq!(after_status(start, word), expected, "{start:?} {word:?}");
            }
        }
    }

    #[test]
    fn an_answer_that_comes_after_its_status_takes_nothing_back() {
        for start in ALL {
            let accepted = after_accepted(start);
            assert!(
                accepted.is_none_or(|next| next == Standing::Accepted && !matches!(start, Standing::Sent))
            );
            for word in WORDS {
                let first = after(start, &[word]);
                assert_eq!(after_accepted(first), None, "{start:?} {word:?}");
                assert_eq!(after(accepted.unwrap_or(start), &[word]), first, "{start:?} {word:?}");
            }
        }
        assert_eq!(after_accepted(Standing::Uncertain), Some(Standing::Accepted));
        assert_eq!(after_accepted(Standing::Failed), None);
        assert!(!is_over(Standing::Uncertain) && is_over(Standing::Accepted));
    }
}

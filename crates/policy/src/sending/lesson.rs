//! What a failed status teaches about the messages that come after it.
//!
//! A status is final for its own message: whatever the code, that one isn't sent again by itself (it was
//! accepted, and may have cost something). But the code is as true as in an answer, and often comes only here:
//! a closed window, an opt-out, a token that was revoked in between.

use model::Refusal;

use super::errors::{Class, StopScope, class};

/// What to remember after a message failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lesson {
    /// Nothing beyond this message.
    Nothing,
    /// For Meta the customer's window is closed, whatever the box believes: nothing free-form to this customer until
    /// the customer writes again.
    WindowClosed,
    /// No marketing to this customer until they want it again.
    NoMarketing,
    /// No marketing to this customer for so long: Meta holds it back, longer each time.
    RecipientRests {
        /// How long, in milliseconds.
        ms: i64,
    },
    /// Nothing of this template for so long.
    TemplateRests {
        /// How long, in milliseconds.
        ms: i64,
    },
    /// The pair rate of this customer is used up by Meta's count.
    PairBusy,
    /// The number is too fast for Meta.
    Slower,
    /// Stop, keep the queue, raise the alarm.
    Stop(StopScope),
}

/// Experiments of Meta's (130472) go on for longer than a campaign: a day of rest, as for 131049.
const EXPERIMENT_REST_MS: i64 = 24 * 3_600_000;

/// What a failed status teaches, by the same table as an answer ([`class`]).
#[must_use]
pub fn of_status(refusal: &Refusal) -> Lesson {
    match (class(refusal), refusal.code) {
        (_, Some(130_472)) => Lesson::RecipientRests { ms: EXPERIMENT_REST_MS },
        (Class::Wait { ms }, Some(131_049)) => Lesson::RecipientRests { ms },
        (Class::Wait { ms }, Some(132_015)) => Lesson::TemplateRests { ms },
        (Class::Template, _) => Lesson::WindowClosed,
        (Class::OptOut, _) => Lesson::NoMarketing,
        (Class::Pair, _) => Lesson::PairBusy,
        (Class::Replay, _) => Lesson::Slower,
        (Class::Stop(scope), _) => Lesson::Stop(scope),
        (Class::Ambiguous | Class::Wait { .. } | Class::Permanent | Class::Configuration, _) => {
            Lesson::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_status_teaches_what_its_code_says() {
        let day = 24 * 3_600_000;
        for (code, lesson) in [
            (131_047, Lesson::WindowClosed),
            (131_050, Lesson::NoMarketing),
            (131_049, Lesson::RecipientRests { ms: day }),
            (130_472, Lesson::RecipientRests { ms: day }),
            (132_015, Lesson::TemplateRests { ms: 3 * 3_600_000 }),
            (131_056, Lesson::PairBusy),
            (130_429, Lesson::Slower),
            (190, Lesson::Stop(StopScope::Channel)),
            (131_048, Lesson::Stop(StopScope::PauseNumber)),
            (130_497, Lesson::Stop(StopScope::Country)),
            (131_026, Lesson::Nothing),
            (131_053, Lesson::Nothing),
            (131_000, Lesson::Nothing),
            (99_999, Lesson::Nothing),
        ] {
            let refusal = Refusal { code: Some(code), ..Refusal::default() };
            assert_eq!(of_status(&refusal), lesson, "{code}");
        }
        assert_eq!(of_status(&Refusal::default()), Lesson::Nothing);
    }
}

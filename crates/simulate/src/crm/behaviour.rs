//! How the CRM misbehaves.

use std::time::Duration;

use serde::Deserialize;

use crate::Random;

/// What the CRM does with deliveries. As JSON `{"kind": "status", "code": 429, "retry_after_s": 2}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Behaviour {
    /// Takes what is right and answers 200.
    #[default]
    Ok,
    /// Takes nothing and answers so; except for 409 ("already there"), which says that it was
    /// taken, so it is.
    Status {
        /// 400 to 599, or a redirection.
        code: u16,
        /// Seconds for `Retry-After`.
        #[serde(default)]
        retry_after_s: Option<u32>,
    },
    /// Takes it and never answers.
    Hang,
    /// Takes it and resets the connection in the middle of the answer.
    Reset,
    /// Takes it and answers 200 after a while.
    Slow {
        /// The while, in milliseconds.
        ms: u32,
    },
    /// The listener and all connections are closed; the port is used again afterwards.
    Down,
    /// Refuses every `every`-th delivery and takes the others.
    EveryNth {
        /// 1 refuses all.
        every: u32,
        /// The status to refuse with.
        code: u16,
    },
    /// Refuses a delivery that holds a record whose id contains this text, and takes the others.
    Matching {
        /// Part of the id.
        id: String,
        /// The status to refuse with.
        code: u16,
    },
}

/// A `GET` that a gateway may ask as a probe of its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// Of [`super::CrmOptions::health`].
    Health,
    /// Of any other path, such as the one for deliveries; not of the pages for people.
    Address,
}

/// What to do with one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Accept,
    Refuse { code: u16, retry_after_s: Option<u32> },
    Hang,
    Reset,
    AcceptAfter(Duration),
}

impl Act {
    /// Whether the CRM keeps the records, whatever it says about them.
    pub(crate) const fn takes(self) -> bool {
        match self {
            Self::Accept | Self::Hang | Self::Reset | Self::AcceptAfter(_) => true,
            Self::Refuse { code, .. } => code == 409,
        }
    }
}

impl Behaviour {
    /// Decides about the delivery with this number (from 1) and these ids.
    pub(crate) fn act<'a>(&self, number: u64, mut ids: impl Iterator<Item = &'a str>) -> Act {
        let refuse_if = |refused, code| {
            if refused { Act::Refuse { code, retry_after_s: None } } else { Act::Accept }
        };
        match self {
            // Who got in before the door closed is served.
            Self::Ok | Self::Down => Act::Accept,
            Self::Status { code, retry_after_s } => {
                Act::Refuse { code: *code, retry_after_s: *retry_after_s }
            }
            Self::Hang => Act::Hang,
            Self::Reset => Act::Reset,
            Self::Slow { ms } => Act::AcceptAfter(Duration::from_millis(u64::from(*ms))),
            Self::EveryNth { every, code } => {
                refuse_if(number.is_multiple_of(u64::from(*every).max(1)), *code)
            }
            Self::Matching { id, code } => refuse_if(ids.any(|held| held.contains(id.as_str())), *code),
        }
    }
}

/// A run of troubles, each with its time, from a seed. Troubles and calm take turns, and the run
/// ends calm. Nothing in it makes the gateway give a record up as long as it is tried five times
/// or more.
#[must_use]
pub fn chaos(seed: u64, lasts: Duration) -> Vec<(Behaviour, Duration)> {
    let mut random = Random::new(seed);
    let mut left = lasts;
    let mut run = Vec::new();
    while left > Duration::ZERO {
        let trouble = match random.below(8) {
            0 => Behaviour::Status { code: 500, retry_after_s: None },
            1 => Behaviour::Status { code: 429, retry_after_s: Some(1) },
            2 => Behaviour::Status { code: 503, retry_after_s: None },
            3 => Behaviour::Hang,
            4 => Behaviour::Reset,
            5 => Behaviour::Slow { ms: 50 },
            6 => Behaviour::Down,
            _ => Behaviour::EveryNth { every: 3, code: 502 },
        };
        for behaviour in [trouble, Behaviour::Ok] {
            let time = Duration::from_millis(100 + random.below(700)).min(left);
            left -= time;
            if time > Duration::ZERO {
                run.push((behaviour, time));
            }
        }
    }
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_behaviour_is_written_as_json() {
        for (json, behaviour) in [
            (r#"{"kind":"ok"}"#, Behaviour::Ok),
            (
                r#"{"kind":"status","code":429,"retry_after_s":2}"#,
                Behaviour::Status { code: 429, retry_after_s: Some(2) },
            ),
            (r#"{"kind":"hang"}"#, Behaviour::Hang),
            (r#"{"kind":"reset"}"#, Behaviour::Reset),
            (r#"{"kind":"slow","ms":5}"#, Behaviour::Slow { ms: 5 }),
            (r#"{"kind":"down"}"#, Behaviour::Down),
            (r#"{"kind":"every_nth","every":3,"code":500}"#, Behaviour::EveryNth { every: 3, code: 500 }),
            (r#"{"kind":"matching","id":"x","code":400}"#, Behaviour::Matching { id: "x".into(), code: 400 }),
        ] {
            assert_eq!(serde_json::from_str::<Behaviour>(json).unwrap(), behaviour);
        }
        for json in ["{}", r#"{"kind":"nap"}"#, r#"{"kind":"slow"}"#, r#"{"kind":"slow","ms":5,"x":1}"#] {
            assert!(serde_json::from_str::<Behaviour>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn every_nth_and_matching_choose() {
        let nth = Behaviour::EveryNth { every: 3, code: 500 };
        let refused: Vec<u64> = (1..=7).filter(|number| !nth.act(*number, [].into_iter()).takes()).collect();
        assert_eq!(refused, [3, 6]);
        assert!(!Behaviour::EveryNth { every: 0, code: 500 }.act(1, [].into_iter()).takes());
        let matching = Behaviour::Matching { id: "bad".into(), code: 400 };
        assert!(matching.act(1, ["good"].into_iter()).takes());
        assert!(!matching.act(1, ["good", "a bad one"].into_iter()).takes());
    }

    #[test]
    fn only_409_takes_what_it_refuses() {
        let takes = |code| Behaviour::Status { code, retry_after_s: None }.act(1, [].into_iter()).takes();
        assert!(takes(409));
        assert!(!takes(400) && !takes(500));
    }

    #[test]
    fn chaos_repeats_with_its_seed_ends_calm_and_lasts_as_asked() {
        let lasts = Duration::from_secs(20);
        assert_eq!(chaos(4, lasts), chaos(4, lasts));
        assert_ne!(chaos(4, lasts), chaos(5, lasts));
        let run = chaos(4, lasts);
        assert_eq!(run.iter().map(|(_, time)| *time).sum::<Duration>(), lasts);
        assert!(run.iter().any(|(behaviour, _)| *behaviour == Behaviour::Ok));
        assert!(chaos(4, Duration::ZERO).is_empty());
    }
}

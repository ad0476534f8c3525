//! Which lanes may go, which sleep, which want to be read again: looked up without a walk.

use std::collections::BTreeSet;

use model::Sequence;

use super::lane::{Lane, LaneKey, State};
use crate::Moment;

/// The lanes that hold something, by what they wait for.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Their first record may go; by its sequence, so that the oldest goes first.
    pub(super) ready: BTreeSet<(Sequence, LaneKey)>,
    /// The same for lanes whose first record has failed before.
    pub(super) retries: BTreeSet<(Sequence, LaneKey)>,
    /// By the end of their sleep.
    pub(super) asleep: BTreeSet<(Moment, LaneKey)>,
    /// Records of theirs were passed over and should be read again; by where to go on.
    pub(super) hungry: BTreeSet<(Sequence, LaneKey)>,
}

/// Where the index has a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Listed {
    turn: Turn,
    hungry: Option<Sequence>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Turn {
    #[default]
    None,
    Ready(Sequence),
    Retry(Sequence),
    Asleep(Moment),
}

impl Index {
    /// Brings the index in line with a lane that has changed.
    pub(super) fn relist<T>(&mut self, key: LaneKey, lane: &mut Lane<T>, share: usize) {
        let turn = match (lane.queue.front(), lane.state) {
            (None, _) | (_, State::Busy(_)) => Turn::None,
            (Some(first), State::Ready) if lane.is_troubled() => Turn::Retry(first.sequence),
            (Some(first), State::Ready) => Turn::Ready(first.sequence),
            (Some(_), State::Asleep(until)) => Turn::Asleep(until),
        };
        let hungry = if lane.is_hungry(share) { lane.resume } else { None };
        let before = std::mem::replace(&mut lane.listed, Listed { turn, hungry });
        if before.turn != turn {
            match before.turn {
                Turn::None => false,
                Turn::Ready(sequence) => self.ready.remove(&(sequence, key)),
                Turn::Retry(sequence) => self.retries.remove(&(sequence, key)),
                Turn::Asleep(until) => self.asleep.remove(&(until, key)),
            };
            match turn {
                Turn::None => false,
                Turn::Ready(sequence) => self.ready.insert((sequence, key)),
                Turn::Retry(sequence) => self.retries.insert((sequence, key)),
                Turn::Asleep(until) => self.asleep.insert((until, key)),
            };
        }
        if before.hungry != hungry {
            if let Some(sequence) = before.hungry {
                self.hungry.remove(&(sequence, key));
            }
            if let Some(sequence) = hungry {
                self.hungry.insert((sequence, key));
            }
        }
    }
}

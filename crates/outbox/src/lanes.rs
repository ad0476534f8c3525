//! Lanes: the messages of one recipient, of which at most one is being posted, and which wait for one another.

use crate::keys;
use crate::table::TableError;
use crate::turn::Turn;
use crate::values::{Busy, Lane, Message};

impl Turn<'_> {
    /// Puts a message into its recipient's lane.
    pub(crate) fn enter_lane(&mut self, place: u64, message: &Message) -> Result<(), TableError> {
        self.view.mark(keys::in_lane(&message.number, message.contact, message.class(), place));
        let lane = self.lane(message)?;
        // Behind others it changes nothing for its lane.
        if let (Busy::No, Some((class, first))) = (lane.busy, lane.head)
            && (class, first) < (message.class(), place)
            && self.view.get::<u128>(&keys::head(&message.number, class, first))? == Some(message.contact)
        {
            return Ok(());
        }
        self.settle_lane(&message.number, message.contact, lane)
    }

    pub(crate) fn lane(&self, message: &Message) -> Result<Lane, TableError> {
        Ok(self.known_lane(&message.number, message.contact)?.unwrap_or_default())
    }

    /// The lanes of a message's recipient under their other names: of messages that waited when the names were joined.
    pub(crate) fn other_lanes(&self, message: &Message) -> Result<Vec<(u128, Lane)>, TableError> {
        let mut lanes = Vec::new();
        for one in self.view.family(message.contact) {
            if one != message.contact
                && let Some(lane) = self.known_lane(&message.number, one)?
            {
                lanes.push((one, lane));
            }
        }
        Ok(lanes)
    }

    /// What was taken of the pair rate under all names of a recipient, as one time of paying back; `None` while a
    /// message is being posted under another one.
    pub(crate) fn pair_of_all(&self, message: &Message, lane: &Lane) -> Result<Option<i64>, TableError> {
        let mut pair_ms = lane.pair_ms;
        for (_, other) in self.other_lanes(message)? {
            if let Busy::Posting(place) = other.busy
                && self.view.has(&keys::posting(place))?
            {
                return Ok(None);
            }
            let owed = other.pair_ms.saturating_sub(self.now).max(0);
            if owed > 0 {
                pair_ms = pair_ms.max(self.now).saturating_add(owed);
            }
        }
        Ok(Some(pair_ms))
    }

    /// From now on one lane owes what was taken of the pair rate under all names.
    pub(crate) fn owe_for_all(&mut self, message: &Message, lane: &mut Lane) -> Result<(), TableError> {
        lane.pair_ms = self.pair_of_all(message, lane)?.unwrap_or(lane.pair_ms);
        for (contact, mut other) in self.other_lanes(message)? {
            if other.pair_ms > self.now {
                other.pair_ms = 0;
                self.settle_lane(&message.number, contact, other)?;
            }
        }
        Ok(())
    }

    /// Takes a message out of its lane, wherever it stands in there.
    pub(crate) fn leave_lane(&mut self, place: u64, message: &Message) -> Result<(), TableError> {
        self.view.remove(&keys::in_lane(&message.number, message.contact, message.class(), place));
        let lane = self.lane(message)?;
        self.settle_lane(&message.number, message.contact, lane)
    }

    /// A message isn't being posted any more: it leaves its lane, which is `busy` from now on.
    pub(crate) fn posted(&mut self, place: u64, message: &Message, busy: Busy) -> Result<(), TableError> {
        let mut lane = self.lane(message)?;
        self.view.remove(&keys::posting(place));
        self.view.remove(&keys::in_lane(&message.number, message.contact, message.class(), place));
        if lane.busy == Busy::Posting(place) {
            lane.busy = busy;
        }
        self.settle_lane(&message.number, message.contact, lane)
    }

    /// A message isn't being posted any more, and stays at the head of its lane.
    pub(crate) fn stays(&mut self, place: u64, message: &Message, busy: Busy) -> Result<(), TableError> {
        let mut lane = self.lane(message)?;
        self.view.remove(&keys::posting(place));
        if lane.busy == Busy::Posting(place) {
            lane.busy = busy;
        }
        self.settle_lane(&message.number, message.contact, lane)
    }

    /// What a lane waits for on behalf of a message is over.
    pub(crate) fn release(&mut self, place: u64, message: &Message) -> Result<(), TableError> {
        let mut lane = self.lane(message)?;
        if matches!(lane.busy, Busy::Until { on, .. } if on == place) {
            lane.busy = Busy::No;
            self.settle_lane(&message.number, message.contact, lane)?;
        }
        Ok(())
    }

    /// Saves a lane, with its first message entered among the heads exactly if it may go on.
    pub(crate) fn settle_lane(
        &mut self,
        number: &str,
        contact: u128,
        mut lane: Lane,
    ) -> Result<(), TableError> {
        if let Busy::Posting(place) = lane.busy
            && !self.view.has(&keys::posting(place))?
        {
            // It ended, and the lane was read or written wrongly.
            lane.busy = Busy::No;
        }
        let messages = keys::lane_messages(number, contact);
        let first = self.view.list(&messages, &messages, 1)?.pop().and_then(|(key, _)| {
            let class = *key.get(key.len().checked_sub(9)?)?;
            Some((class, keys::place_of(&key)?))
        });
        let head = first.filter(|_| lane.busy == Busy::No);
        if let Some((class, place)) = lane.head.filter(|_| head != lane.head) {
            self.view.remove(&keys::head(number, class, place));
        }
        if let Some((class, place)) = head {
            let key = keys::head(number, class, place);
            if head != lane.head || self.view.get::<u128>(&key)? != Some(contact) {
                self.view.put(key, &contact);
                if let Some(from) = self.way(number).from.get_mut(usize::from(class)) {
                    *from = place.min(*from);
                }
            }
        }
        lane.head = head;
        match lane.busy {
            Busy::Until { at, .. } => self.look_at_lane(number, contact, at),
            Busy::No if first.is_none() && lane.pair_ms > self.now => {
                // The pair rate has to be remembered until then, and no longer.
                self.look_at_lane(number, contact, lane.pair_ms);
            }
            Busy::No if first.is_none() => {
                self.view.remove(&keys::lane(number, contact));
                return Ok(());
            }
            Busy::No | Busy::Posting(_) => {}
        }
        self.view.put(keys::lane(number, contact), &lane);
        Ok(())
    }

    /// The heads of lanes of one class, in order.
    pub(crate) fn heads(&self, number: &str, class: u8, limit: usize) -> Result<Vec<u64>, TableError> {
        let from = self.memory.ways.get(number).map_or(0, |way| way.from[usize::from(class)]);
        let heads = self.view.list(&keys::heads(number, class), &keys::head(number, class, from), limit)?;
        Ok(heads.iter().filter_map(|(key, _)| keys::place_of(key)).collect())
    }
}

//! The memory that bodies may take.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::network::Network;

/// Memory is counted in blocks of this many bytes.
const BLOCK: usize = 4096;

/// The memory that all bodies share, of which strangers get only a part, and those of one address
/// only a part of that.
#[derive(Debug)]
pub(crate) struct Memory {
    blocks: Arc<Semaphore>,
    stranger_blocks: usize,
    strangers_blocks: usize,
    neighbours_blocks: usize,
    strangers: Mutex<Strangers>,
    taken: Gauge,
}

/// What is in use over connections that have proved nothing.
#[derive(Debug, Default)]
struct Strangers {
    blocks: usize,
    /// Of those in whose neighbourhood somebody is proved.
    neighbours: usize,
    /// By address; nobody is here without any.
    each: HashMap<Network, usize>,
}

impl Strangers {
    const fn of(&mut self, known: bool) -> &mut usize {
        if known { &mut self.neighbours } else { &mut self.blocks }
    }
}

impl Memory {
    /// Of `bytes` altogether strangers get `strangers_bytes`, those who are known
    /// `neighbours_bytes`, and those of one address `stranger_bytes`; `taken` shows how many are in use.
    pub(crate) fn new(
        bytes: usize,
        stranger_bytes: usize,
        strangers_bytes: usize,
        neighbours_bytes: usize,
        taken: Gauge,
    ) -> Arc<Self> {
        Arc::new(Self {
            blocks: Arc::new(Semaphore::new(bytes.div_ceil(BLOCK))),
            stranger_blocks: stranger_bytes.div_ceil(BLOCK),
            strangers_blocks: strangers_bytes.div_ceil(BLOCK),
            neighbours_blocks: neighbours_bytes.div_ceil(BLOCK),
            strangers: Mutex::default(),
            taken,
        })
    }

    /// An empty share, for a body that comes from `stranger` or from somebody who is proved. A stranger who is `known`,
    /// because somebody beside it is proved, takes nothing of that which all strangers share: there is another part for those.
    pub(crate) fn share(self: &Arc<Self>, stranger: Option<Network>, known: bool) -> Share {
        Share { memory: Arc::clone(self), stranger, known, blocks: 0, permit: None }
    }

    fn strangers(&self) -> MutexGuard<'_, Strangers> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of [`Memory`] that one body has.
#[derive(Debug)]
pub(crate) struct Share {
    memory: Arc<Memory>,
    stranger: Option<Network>,
    known: bool,
    blocks: usize,
    permit: Option<OwnedSemaphorePermit>,
}

impl Share {
    /// Makes room for `bytes` altogether; false when there is none.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.div_ceil(BLOCK).saturating_sub(self.blocks);
        if more == 0 {
            return true;
        }
        let Ok(count) = u32::try_from(more) else { return false };
        let Ok(permit) = Arc::clone(&self.memory.blocks).try_acquire_many_owned(count) else {
            return false;
        };
        if let Some(network) = self.stranger {
            let mut strangers = self.memory.strangers();
            let theirs = strangers.each.get(&network).copied().unwrap_or_default() + more;
            let most = if self.known { self.memory.neighbours_blocks } else { self.memory.strangers_blocks };
            let all = strangers.of(self.known);
            if theirs > self.memory.stranger_blocks || *all + more > most {
                return false;
            }
            *all += more;
            strangers.each.insert(network, theirs);
        }
        match &mut self.permit {
            Some(held) => held.merge(permit),
            None => self.permit = Some(permit),
        }
        self.blocks += more;
        self.memory.taken.inc_by(gauge(more * BLOCK));
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.taken.dec_by(gauge(self.blocks * BLOCK));
        let Some(network) = self.stranger else { return };
        let mut strangers = self.memory.strangers();
        let all = strangers.of(self.known);
        *all = all.saturating_sub(self.blocks);
        if let Some(theirs) = strangers.each.get_mut(&network) {
            *theirs = theirs.saturating_sub(self.blocks);
            if *theirs == 0 {
                strangers.each.remove(&network);
            }
        }
    }
}

fn gauge(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_stranger_gets_a_part_the_proved_the_rest_and_all_comes_back() {
        let taken = Gauge::default();
        let memory = Memory::new(4 * BLOCK, 2 * BLOCK, 3 * BLOCK, BLOCK, taken.clone());
        let [one, other] = [1, 2].map(|last| Some(Network::V4(Ipv4Addr::new(203, 0, 113, last))));
        let (mut first, mut second) = (memory.share(one, false), memory.share(one, false));
        assert!(first.grow_to(1) && first.grow_to(BLOCK) && second.grow_to(BLOCK));
        assert!(!first.grow_to(BLOCK + 1), "the address has its part");
        let (mut third, mut proved) = (memory.share(other, false), memory.share(None, false));
        assert!(third.grow_to(BLOCK));
        assert!(!third.grow_to(BLOCK + 1), "strangers have theirs");
        assert!(proved.grow_to(BLOCK));
        assert!(!proved.grow_to(2 * BLOCK), "there is no more at all");
        assert_eq!(taken.get(), gauge(4 * BLOCK));
        drop((first, second, third));
        assert!(proved.grow_to(4 * BLOCK));
        drop(proved);
        assert_eq!((taken.get(), memory.strangers().each.len()), (0, 0));
        assert_eq!(memory.strangers().blocks, 0);
        assert!(memory.share(one, false).grow_to(2 * BLOCK));
    }

    #[test]
    fn strangers_leave_room_for_who_is_known() {
        let memory = Memory::new(9 * BLOCK, 2 * BLOCK, 2 * BLOCK, 3 * BLOCK, Gauge::default());
        let [one, other] = [1, 2].map(|last| Some(Network::V4(Ipv4Addr::new(203, 0, 113, last))));
        let mut stranger = memory.share(one, false);
        assert!(stranger.grow_to(2 * BLOCK));
        let mut known = memory.share(other, true);
        assert!(known.grow_to(2 * BLOCK), "all that strangers share is taken");
        assert!(!known.grow_to(3 * BLOCK), "its address has its part");
        let mut third = memory.share(Some(Network::V4(Ipv4Addr::new(203, 0, 113, 3))), true);
        assert!(third.grow_to(BLOCK) && !third.grow_to(2 * BLOCK), "those who are known have theirs");
        drop((stranger, known, third));
        let left = memory.strangers();
        assert_eq!((left.blocks, left.neighbours, left.each.len()), (0, 0, 0));
    }
}

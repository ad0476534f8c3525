//! What GRUB makes of the environment block: the model of `grub.cfg`, for tests and for the page of what is next.

use crate::about::SlotName;

use super::BootState;

/// One run of GRUB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The state as GRUB leaves it.
    pub state: BootState,
    /// The slot that it started; `None`: it waits 5 s and starts the machine anew.
    pub slot: Option<SlotName>,
    /// It wrote the block.
    pub wrote: bool,
    /// Nothing that is trusted could be loaded: it took what can be loaded at all.
    pub last_resort: bool,
}

/// What GRUB does with `state` when those slots can be loaded whose place in `loadable` (a, b) is true.
///
/// A committed slot is tried without a write. One on trial pays first: its attempt is on the disk before its kernel is
/// loaded. What can't be loaded is passed over in the same run. A slot without trust is taken only when no other can be
/// loaded: a version that was given up may still serve, an empty screen never does.
#[must_use]
pub fn what_grub_does(state: &BootState, loadable: [bool; 2]) -> Start {
    let can_load = |name: SlotName| loadable[usize::from(name == SlotName::B)];
    let mut start = Start { state: state.clone(), slot: None, wrote: false, last_resort: false };
    for name in state.order() {
        let slot = start.state.slot_mut(name);
        if !slot.startable() {
            continue;
        }
        if !slot.ok {
            slot.left -= 1;
            start.wrote = true;
        }
        if can_load(name) {
            start.slot = Some(name);
            return start;
        }
    }
    start.slot = state.order().into_iter().find(|name| can_load(*name));
    start.last_resort = start.slot.is_some();
    start
}

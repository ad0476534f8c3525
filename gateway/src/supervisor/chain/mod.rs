//! What the supervisor decides: who is started, killed and waited for, when the watchdog is fed, and when a version
//! on trial is given up. Pure: events and the time come in, actions go out.
//!
//! What must always hold:
//! - A gateway that beats is never killed, and while it does the watchdog is fed; one that is still starting may do so
//!   for [`OPEN_WITHIN`].
//! - A gateway that has stopped beating is killed within [`BEAT_WITHIN`]; if no new one gets well either, the
//!   machine is started anew at last.
//! - A gateway that leaves by itself never brings the machine down, however often it does: it has said why, and a
//!   start of the machine would change nothing. Neither does a missing configuration.
//! - Data that can't be kept brings a new start, whose check of the file system may mend it, once in [`MEND_AFTER`].
//! - A version on trial that doesn't commit is given up, whatever else happens. While its gateway runs and the disk
//!   refuses the mark for that, it is asked for again and again.
//! - A process that doesn't go when it is killed brings the machine to a new start, whatever it was killed for.
//! - The CRM, Meta, the network and the clock don't appear in here at all.

mod decide;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub(super) use decide::Chain;

/// How long a gateway may take from its start to READY or to its next beat: a large store is replayed.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(120);
/// How long beats count of gateways that aren't ready: an index is repaired, and killed it would begin from nothing.
pub(super) const OPEN_WITHIN: Duration = Duration::from_secs(3600);
/// How long a gateway that is ready may go without a beat; it is asked to beat three times as often.
pub(super) const BEAT_WITHIN: Duration = Duration::from_secs(60);
/// How long after the last beat before a hang the machine is started anew, where no gateway got well since.
pub(super) const WELL_WITHIN: Duration = Duration::from_secs(300);
/// How long a gateway has to finish what is in flight: 10 s of its own, and 5 s for the disk.
pub(super) const STOP_WITHIN: Duration = Duration::from_secs(15);
/// How long a process may take to go after SIGKILL: only one that waits for a broken disk takes longer.
pub(super) const GONE_WITHIN: Duration = Duration::from_secs(5);
/// How long the machine may take to go down; it isn't fed any longer.
pub(super) const DOWN_WITHIN: Duration = Duration::from_secs(45);
/// How long the machine stays up, at least, while nothing can be kept: time to read what is wrong.
pub(super) const MEND_AFTER: Duration = Duration::from_secs(600);
/// How long the search for a configuration may take; then the one that was in force is used.
pub(super) const FOUND_WITHIN: Duration = Duration::from_secs(90);
/// How long a version on trial has to commit, unless the kernel's line says otherwise. The time in which it opens its
/// store and beats isn't counted, up to [`OPEN_WITHIN`].
pub(super) const COMMIT_WITHIN: Duration = Duration::from_secs(300);
/// How long the answer to [`Action::GiveUp`] may take. After a start of the machine the boot loader counts.
pub(super) const GIVEN_UP_WITHIN: Duration = Duration::from_secs(60);
/// Gateways of a version on trial that end before they are ready; then it's given up.
pub(super) const UNREADY_ON_TRIAL: u32 = 3;
/// The wait before a gateway is started again: doubled from the first to the last.
pub(super) const AGAIN_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// After so long of beating, what failed before is forgotten.
const WELL_AFTER: Duration = Duration::from_secs(60);
/// Nobody asks for so long: then this process itself was stopped, and what came in meanwhile is yet unread.
const STALLED: Duration = Duration::from_secs(10);

/// What is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Child {
    /// The gateway.
    Gateway,
    /// The setup page, while there is no configuration.
    Setup,
}

/// What there is to run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A configuration is in force.
    Configuration,
    /// There is none.
    Nothing,
    /// The data partition can't be used.
    NoData,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

/// The exit status of a gateway whose configuration is refused.
const REFUSED: Ended = Ended::Status(2);

/// What a gateway says of itself, in the words of `sd_notify`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// `READY=1`: it has started.
    Ready,
    /// `WATCHDOG=1`: its writer has just answered.
    Beat,
    /// `STOPPING=1`: it finishes what is in flight.
    Stopping,
}

/// Where to, once everything is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// The machine starts anew.
    Reboot,
    /// This process ends, as its parent has asked.
    End,
}

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// Nothing but time.
    Tick,
    /// There is something to run with, or something else than before.
    Found(Found),
    /// The child has ended.
    Ended(Ended),
    /// The child couldn't even be started.
    NotStarted,
    /// The gateway said something.
    Said(Word),
    /// The running version has committed.
    Committed,
    /// It has been given up: that is on the disk.
    GivenUp,
    /// It can't be given up: the other slot holds nothing.
    Stays,
    /// The disk refuses to have it given up now.
    CannotGiveUp,
    /// The data can't be written to, and nobody would be disturbed by a new start of the machine.
    DataLost,
    /// Everything is to stop.
    Stop(Goal),
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Start this child; there is no other at that moment.
    Start(Child),
    /// Ask the child to end (SIGTERM).
    Terminate,
    /// End the child (SIGKILL).
    Kill,
    /// Stop looking for a configuration: say what was in force ([`Event::Found`]).
    SearchNoMore,
    /// Give the running version up; to be answered by [`Event::GivenUp`], [`Event::Stays`] or [`Event::CannotGiveUp`].
    GiveUp(&'static str),
    /// Write the tail of the log down: something happened that nobody asked for.
    Remember(&'static str),
    /// Show how things are.
    Show(Shown),
    /// Everything is stopped: go.
    Go(Goal),
}

/// How things are, for lamp and console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// Something is being started.
    Starting,
    /// The gateway runs.
    Running,
    /// The setup page waits for somebody.
    Setup,
    /// The gateway refuses its configuration.
    Refused,
    /// The data partition can't be used.
    NoData,
    /// The gateway doesn't stay, or doesn't answer.
    Failing,
    /// The running version is being given up.
    GivingUp,
    /// The machine goes down.
    Stopping,
}

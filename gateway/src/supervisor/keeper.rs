//! What the supervisor answers to the gateway.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, OnceLock, PoisonError, TryLockError};
use std::time::Instant;

use board::about::REFUSED_MAX;
use board::linux::Machine;
use board::serve::Keeper;
use board::wire::NamedFile;
use board::{About, BoardError, Clock, Code, Firmware, Identity, Power, Progress};

use super::Happening;
use super::chain::{Event, Found, Goal};
use super::clock;
use super::configuration::Configurations;
use super::first_boot::{Media, Outcome, Rescue};
use super::log::{Log, STATE};
use super::network::{Net, wired};
use super::place::Place;

/// What became of the running version: the gateway commits it, this process gives it up, and only one of them may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    Committed,
    GivenUp,
}

/// See the module.
pub(super) struct Desk {
    place: Place,
    /// `Err`: this machine wasn't started from a slot, and why one thinks so.
    machine: Result<Machine, BoardError>,
    box_id: String,
    log: Log,
    net: OnceLock<Net>,
    watchdog_seconds: Option<u64>,
    configurations: Mutex<Box<dyn Configurations>>,
    /// What is wrong with a configuration that was found and not taken, while another one is in force.
    refused: Mutex<Option<String>>,
    fate: Mutex<Fate>,
    installing: AtomicBool,
    clock_is_saved: AtomicBool,
    since: Instant,
    told: SyncSender<Happening>,
}

/// What a desk is made of.
pub(super) struct Parts {
    pub(super) place: Place,
    pub(super) machine: Result<Machine, BoardError>,
    pub(super) box_id: String,
    pub(super) log: Log,
    pub(super) watchdog_seconds: Option<u64>,
    pub(super) configurations: Box<dyn Configurations>,
    pub(super) told: SyncSender<Happening>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Desk").field("machine", &self.machine).finish_non_exhaustive()
    }
}

impl Desk {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            place: parts.place,
            machine: parts.machine,
            box_id: parts.box_id,
            log: parts.log,
            net: OnceLock::new(),
            watchdog_seconds: parts.watchdog_seconds,
            configurations: Mutex::new(parts.configurations),
            refused: Mutex::new(None),
            fate: Mutex::new(Fate::Open),
            installing: AtomicBool::new(false),
            clock_is_saved: AtomicBool::new(false),
            since: Instant::now(),
            told: parts.told,
        }
    }

    /// The network is there from now on.
    pub(super) fn connect(&self, net: Net) {
        let _ = self.net.set(net);
    }

    /// Whether an update is being written.
    pub(super) fn is_installing(&self) -> bool {
        self.installing.load(Ordering::Acquire)
    }

    /// Looks for configurations; it may take long.
    pub(super) fn search(&self) -> Outcome {
        let outcome = self.configurations.lock().unwrap_or_else(PoisonError::into_inner).configuration();
        if let Outcome::InForce { mistakes, .. } = &outcome {
            self.refuse(mistakes.as_deref());
        }
        outcome
    }

    /// Notes what the gateway is to say loudly; `None`: nothing any more.
    fn refuse(&self, mistakes: Option<&str>) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = mistakes.map(cut);
    }

    /// Does what is asked for by a USB stick, in whatever state the box is; says whether the machine goes down for it.
    /// An update takes as long as the stick.
    pub(super) fn ask_sticks(&self, media: &mut dyn Media) -> bool {
        // Nobody else mounts them meanwhile.
        let _alone = self.configurations.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = self.place.at(board::paths::BOX);
        let configured = self.place.configuration().exists();
        Rescue::new(self, kept, configured, self.place.no_data().exists()).look(media)
    }

    /// The box's name.
    pub(super) fn box_id(&self) -> &str {
        &self.box_id
    }

    /// Leaves a note for people on the card.
    pub(super) fn leave_note(&self, note: &str) {
        self.configurations.lock().unwrap_or_else(PoisonError::into_inner).leave_note(note);
    }

    /// The gateway runs, so it can read the data, and shows what the last hand-over has to say.
    pub(super) fn gateway_is_ready(&self) {
        if let Ok(machine) = &self.machine
            && let Err(error) = machine.is_ready()
        {
            tracing::debug!("the last hand-over isn't forgotten yet: {error}");
        }
    }

    /// Gives the running version up, unless it has committed at the last moment. `Ok(false)`: it has.
    pub(super) fn give_up(&self) -> Result<bool, BoardError> {
        let mut fate = self.fate();
        if *fate == Fate::Committed {
            return Ok(false);
        }
        self.machine()?.give_up()?;
        *fate = Fate::GivenUp;
        Ok(true)
    }

    /// The other slot is next: a commit that comes behind it would undo that.
    fn leave_for_the_other(
        &self,
        how: impl FnOnce(&Machine) -> Result<(), BoardError>,
    ) -> Result<(), BoardError> {
        let mut fate = self.fate();
        how(self.machine()?)?;
        *fate = Fate::GivenUp;
        Ok(())
    }

    fn machine(&self) -> Result<&Machine, BoardError> {
        self.machine.as_ref().map_err(Clone::clone)
    }

    fn fate(&self) -> std::sync::MutexGuard<'_, Fate> {
        self.fate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: Event) -> Result<(), BoardError> {
        let gone = |_| BoardError::new(Code::Busy, "the box is going down");
        self.told.send(Happening::Event(event)).map_err(gone)
    }

    fn start_anew(&self, why: &str) -> Result<(), BoardError> {
        tracing::info!(target: STATE, "the machine starts anew: {}", short(why));
        self.tell(Event::Stop(Goal::Reboot))
    }

    /// What is known where this isn't a box with slots.
    fn bare(&self) -> About {
        About {
            box_id: self.box_id.clone(),
            board: "none".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            built_at_ms: 0,
            slots: vec![],
            boot_note: None,
            boot_note_expected: false,
            ntp_servers: vec![],
            interfaces: vec![],
            watchdog_seconds: None,
            configuration_refused: None,
            uptime_ms: u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// Mistakes as far as [`About`] has room for them.
fn cut(mistakes: &str) -> String {
    const MORE: &str = "\n...";
    if mistakes.len() <= REFUSED_MAX {
        return mistakes.to_owned();
    }
    let (mut kept, room) = (String::with_capacity(REFUSED_MAX), REFUSED_MAX - MORE.len());
    kept.extend(
        mistakes.char_indices().take_while(|(at, sign)| at + sign.len_utf8() <= room).map(|(_, sign)| sign),
    );
    kept + MORE
}

/// What another process gives as its reason, as far as a line of the log has room for it.
fn short(why: &str) -> String {
    why.chars().filter(|sign| !sign.is_control()).take(200).collect()
}

impl Identity for Desk {
    fn about(&self) -> Result<About, BoardError> {
        let mut about = match &self.machine {
            Ok(machine) => machine.about()?,
            Err(_) => self.bare(),
        };
        about.watchdog_seconds = self.watchdog_seconds;
        about.configuration_refused.clone_from(&self.refused.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(net) = self.net.get() {
            about.interfaces = net.interfaces();
            about.ntp_servers = net.ntp_servers();
        }
        Ok(about)
    }

    fn log(&self, lines: usize) -> Result<Vec<String>, BoardError> {
        Ok(self.log.last(lines))
    }
}

impl Clock for Desk {
    fn set(&self, now_ms: i64) -> Result<(), BoardError> {
        if !self.place.real() {
            return Err(BoardError::new(Code::Unsupported, "this isn't the box's own clock"));
        }
        match &self.machine {
            Ok(machine) => machine.set_clock(now_ms)?,
            Err(_) => board::linux::set_clock(now_ms, 0)?,
        }
        if !self.clock_is_saved.swap(true, Ordering::AcqRel) {
            clock::save(&self.place.at(board::paths::BOX));
        }
        Ok(())
    }
}

impl Power for Desk {
    fn reboot(&self, why: &str) -> Result<(), BoardError> {
        self.start_anew(why)
    }

    fn factory_reset(&self) -> Result<(), BoardError> {
        self.machine()?.request_reset()?;
        self.start_anew("the data is to be emptied")
    }
}

impl Firmware for Desk {
    fn install(&self, bundle: &mut dyn Read, told: &mut dyn FnMut(Progress)) -> Result<(), BoardError> {
        let machine = self.machine()?;
        if self.installing.swap(true, Ordering::AcqRel) {
            return Err(BoardError::new(Code::Busy, "another update is being written"));
        }
        let mut step = |progress: Progress| {
            match &progress {
                Progress::Accepted { version, .. } => {
                    tracing::info!(target: STATE, "version {version} is being written");
                    wired::note(&self.place);
                }
                Progress::Activated { version, slot } => {
                    tracing::info!(target: STATE, "version {version} is in slot {slot}, and is started next");
                }
                Progress::Written { .. } | Progress::Verifying => {}
            }
            told(progress);
        };
        let done = machine.install(bundle, &mut step);
        self.installing.store(false, Ordering::Release);
        if let Err(error) = &done {
            tracing::warn!("an update isn't taken: {error}");
        }
        done
    }

    fn commit(&self) -> Result<(), BoardError> {
        wired::as_before(&self.place)?;
        let mut fate = self.fate();
        if *fate == Fate::GivenUp {
            return Err(BoardError::new(Code::Unsupported, "this version has been given up"));
        }
        self.machine()?.commit()?;
        *fate = Fate::Committed;
        drop(fate);
        tracing::info!(target: STATE, "this version has proved itself and stays");
        self.tell(Event::Committed)
    }

    fn roll_back(&self, why: &str) -> Result<(), BoardError> {
        self.leave_for_the_other(Machine::roll_back)?;
        tracing::warn!("back to the other slot: {}", short(why));
        self.start_anew("back to the other slot")
    }

    fn hand_back(&self, why: &str) -> Result<(), BoardError> {
        self.leave_for_the_other(Machine::hand_back)?;
        tracing::warn!("this version can't read the data and hands back: {}", short(why));
        self.start_anew("handed back to the other slot")
    }
}

impl Keeper for Desk {
    fn configure(&self, files: &[NamedFile]) -> Result<(), BoardError> {
        let mut configurations = match self.configurations.try_lock() {
            Ok(configurations) => configurations,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(BoardError::new(
                    Code::Busy,
                    "the box still looks for a configuration; try again in a minute",
                ));
            }
        };
        configurations.configure(files)?;
        self.refuse(None);
        self.tell(Event::Found(Found::Configuration))
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;

//! A machine in memory, for tests of those who ask one. Its bundles are a line, `VERSION BYTES`, and the slot's bytes;
//! a version that begins with `forged` is signed by nobody.

use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard};

use board::about::{SlotAbout, SlotName, SlotState};
use board::{About, BoardError, Clock, Code, Firmware, Identity, Power, Progress};

/// What the test holds of it; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct FakeBoard(Arc<Mutex<State>>);

/// What there is of it.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) about: About,
    /// What was written into the other slot.
    pub(crate) written: Vec<u8>,
    /// How often a bundle was begun.
    pub(crate) installs: usize,
    /// What the clock was set to.
    pub(crate) set: Vec<i64>,
    /// Why it was started anew, each time.
    pub(crate) reboots: Vec<String>,
    /// How often it was emptied.
    pub(crate) resets: usize,
    /// What was asked about the version that runs, refused or not.
    pub(crate) asked: Vec<&'static str>,
    /// So many commits are refused yet.
    pub(crate) commits_refused: usize,
    /// Nobody answers who it is.
    pub(crate) silent: bool,
}

/// 2026-11-01T00:00:00Z.
pub(crate) const BUILT_MS: i64 = 1_793_491_200_000;

impl FakeBoard {
    pub(crate) fn new() -> Self {
        let slot = |name, state, version: Option<&str>, running| SlotAbout {
            name,
            state,
            attempts_left: 0,
            version: version.map(str::to_owned),
            running,
            next: running,
        };
        let about = About {
            box_id: "wagate-7f3a".to_owned(),
            board: "generic-arm64".to_owned(),
            version: "0.1.0".to_owned(),
            built_at_ms: BUILT_MS,
            slots: vec![
                slot(SlotName::A, SlotState::Committed, Some("0.1.0"), true),
                slot(SlotName::B, SlotState::Unusable, None, false),
            ],
            boot_note: None,
            boot_note_expected: false,
            ntp_servers: Vec::new(),
            interfaces: Vec::new(),
            watchdog_seconds: Some(60),
            configuration_refused: None,
            uptime_ms: 1_000_000,
        };
        Self(Arc::new(Mutex::new(State {
            about,
            written: Vec::new(),
            installs: 0,
            set: Vec::new(),
            reboots: Vec::new(),
            resets: 0,
            asked: Vec::new(),
            commits_refused: 0,
            silent: false,
        })))
    }

    /// One whose running version stands so.
    pub(crate) fn running(state: SlotState) -> Self {
        let board = Self::new();
        board.state().about.slots[0].state = state;
        board
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

/// A bundle of `version` with these bytes.
pub(crate) fn bundle(version: &str, bytes: &[u8]) -> Vec<u8> {
    [format!("{version} {}\n", bytes.len()).as_bytes(), bytes].concat()
}

impl Identity for FakeBoard {
    fn about(&self) -> Result<About, BoardError> {
        let state = self.state();
        if state.silent {
            return Err(BoardError::new(Code::Protocol, "nobody answers"));
        }
        Ok(state.about.clone())
    }

    fn log(&self, lines: usize) -> Result<Vec<String>, BoardError> {
        Ok((0..lines.min(3)).map(|line| format!("line {line}")).collect())
    }
}

impl Clock for FakeBoard {
    fn set(&self, now_ms: i64) -> Result<(), BoardError> {
        self.state().set.push(now_ms);
        Ok(())
    }
}

impl Power for FakeBoard {
    fn reboot(&self, why: &str) -> Result<(), BoardError> {
        self.state().reboots.push(why.to_owned());
        Ok(())
    }

    fn factory_reset(&self) -> Result<(), BoardError> {
        self.state().resets += 1;
        Ok(())
    }
}

impl Firmware for FakeBoard {
    fn install(&self, bundle: &mut dyn Read, told: &mut dyn FnMut(Progress)) -> Result<(), BoardError> {
        self.state().installs += 1;
        let mut line = Vec::new();
        let mut byte = [0];
        while bundle.read(&mut byte).map_err(|error| BoardError::io("the bundle", error))? == 1
            && byte != *b"\n"
        {
            line.push(byte[0]);
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        let read = line.split_once(' ').and_then(|(version, bytes)| Some((version, bytes.parse().ok()?)));
        let (version, bytes): (&str, u64) =
            read.ok_or_else(|| BoardError::new(Code::NotABundle, "this is no bundle"))?;
        if version.starts_with("forged") {
            return Err(BoardError::new(Code::UnknownKey, "no key of this box has signed it"));
        }
        told(Progress::Accepted { version: version.to_owned(), bytes });
        let mut written = Vec::new();
        bundle.take(bytes).read_to_end(&mut written).map_err(|error| BoardError::io("the bundle", error))?;
        told(Progress::Written { bytes: written.len() as u64 });
        if (written.len() as u64) < bytes {
            return Err(BoardError::new(Code::Damaged, "it is too short"));
        }
        told(Progress::Verifying);
        let mut state = self.state();
        state.written = written;
        state.about.slots[0].next = false;
        let slot = &mut state.about.slots[1];
        (slot.state, slot.attempts_left, slot.next) = (SlotState::Trial, 3, true);
        slot.version = Some(version.to_owned());
        drop(state);
        told(Progress::Activated { version: version.to_owned(), slot: SlotName::B });
        Ok(())
    }

    fn commit(&self) -> Result<(), BoardError> {
        let mut state = self.state();
        state.asked.push("commit");
        if state.commits_refused > 0 {
            state.commits_refused -= 1;
            return Err(BoardError::new(Code::Io, "not now"));
        }
        state.about.slots[0].state = SlotState::Committed;
        Ok(())
    }

    fn roll_back(&self, why: &str) -> Result<(), BoardError> {
        let mut state = self.state();
        state.asked.push("roll back");
        if state.about.slots[1].state == SlotState::Unusable {
            return Err(BoardError::new(Code::NothingThere, "the other slot holds nothing"));
        }
        state.about.slots[0].next = false;
        state.about.slots[1].next = true;
        state.reboots.push(why.to_owned());
        Ok(())
    }

    fn hand_back(&self, _: &str) -> Result<(), BoardError> {
        self.state().asked.push("hand back");
        Ok(())
    }
}

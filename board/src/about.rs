//! What the board tells about itself.

use serde::{Deserialize, Serialize};

/// One of the two places for firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SlotName {
    /// The first one, which an image is flashed with.
    A,
    /// The second one, empty when flashed.
    B,
}

impl SlotName {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl std::fmt::Display for SlotName {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(match self {
            Self::A => "a",
            Self::B => "b",
        })
    }
}

/// How far a slot is to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SlotState {
    /// It has proved itself, or was flashed: it is started as often as it takes.
    Committed,
    /// It is new: each start spends an attempt.
    Trial,
    /// It is never started: empty, half written, or given up.
    Unusable,
}

/// A slot as people and programs see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotAbout {
    /// Which one.
    pub name: SlotName,
    /// How far it is trusted.
    pub state: SlotState,
    /// Starts that are left to it while it is on trial.
    pub attempts_left: u8,
    /// The version in it, where that is known.
    pub version: Option<String>,
    /// It is the one that runs.
    pub running: bool,
    /// It is the one that is started next.
    pub next: bool,
}

/// A network interface of the box.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceAbout {
    /// `eth0`, `eth0.10`.
    pub name: String,
    /// Its hardware address.
    pub mac: Option<String>,
    /// Whether a cable is in it and the other end answers.
    pub carrier: bool,
    /// Its addresses, `192.168.1.20/24`.
    pub addresses: Vec<String>,
}

/// Bytes of [`About::configuration_refused`], at most; the rest is cut off. The whole of it stands beside the file on
/// its medium, and in the log.
pub const REFUSED_MAX: usize = 4096;

/// Everything about the machine at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The stable name of this box, `wagate-7f3a`: made once, kept with the data, also its name in mDNS.
    pub box_id: String,
    /// The kind of board, as in its description (`generic-arm64`).
    pub board: String,
    /// The version of the firmware that runs.
    pub version: String,
    /// When it was built, milliseconds since 1970: no clock is before that.
    pub built_at_ms: i64,
    /// Both slots, `a` first.
    pub slots: Vec<SlotAbout>,
    /// What the last start or roll-back has to say, for people; `None` where all went its way.
    pub boot_note: Option<String>,
    /// [`boot_note`](Self::boot_note) tells of something that a person asked for: nobody has to see to it.
    #[serde(default)]
    pub boot_note_expected: bool,
    /// The time servers that DHCP named.
    pub ntp_servers: Vec<String>,
    /// The interfaces beside loopback.
    pub interfaces: Vec<InterfaceAbout>,
    /// A hardware watchdog is armed, and with which timeout in seconds.
    pub watchdog_seconds: Option<u64>,
    /// What is wrong with a configuration that was found on the card or a stick and not taken while an older one is in
    /// force, as `wagate check` says it; [`REFUSED_MAX`] bytes at most.
    #[serde(default)]
    pub configuration_refused: Option<String>,
    /// Milliseconds since the machine was started.
    pub uptime_ms: u64,
}

impl About {
    /// What of the last start a person has to see to.
    #[must_use]
    pub fn boot_alarm(&self) -> Option<&str> {
        self.boot_note.as_deref().filter(|_| !self.boot_note_expected)
    }

    /// The slot that runs.
    #[must_use]
    pub fn running(&self) -> Option<&SlotAbout> {
        self.slots.iter().find(|slot| slot.running)
    }

    /// Whether the running slot still has to prove itself.
    #[must_use]
    pub fn on_trial(&self) -> bool {
        self.running().is_some_and(|slot| slot.state == SlotState::Trial)
    }
}

/// How far an update is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Progress {
    /// The manifest is accepted: signature, board and versions are right.
    Accepted {
        /// The bundle's version.
        version: String,
        /// Bytes of the slot's content.
        bytes: u64,
    },
    /// So much is written.
    Written {
        /// Bytes written so far.
        bytes: u64,
    },
    /// Everything is written and is being read back.
    Verifying,
    /// It is in its slot, and the slot is the next one to be started.
    Activated {
        /// The bundle's version.
        version: String,
        /// Where it is.
        slot: SlotName,
    },
}

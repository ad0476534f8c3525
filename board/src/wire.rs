//! What gateway and supervisor say to each other, over a Unix socket.
//!
//! One question a connection: a line of JSON, and for an update the bundle behind it in frames (length as four
//! bytes, the most significant first; a length of 0 ends it). The answers are lines of JSON; the last one is
//! [`Answer::Done`], [`Answer::About`], [`Answer::Log`] or [`Answer::Refused`].

use serde::{Deserialize, Serialize};

use crate::{About, BoardError, Progress};

/// Bytes of one line, at most.
pub const LINE_MAX: usize = 256 * 1024;
/// Bytes of one frame of a bundle, at most.
pub const FRAME_MAX: usize = 1024 * 1024;

/// What the gateway asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Question {
    /// See [`crate::Identity::about`].
    About,
    /// See [`crate::Identity::log`].
    Log {
        /// How many lines.
        lines: usize,
    },
    /// See [`crate::Clock::set`].
    SetClock {
        /// Milliseconds since 1970.
        now_ms: i64,
    },
    /// See [`crate::Power::reboot`].
    Reboot {
        /// For the log.
        why: String,
    },
    /// See [`crate::Power::factory_reset`].
    FactoryReset,
    /// See [`crate::Firmware::install`]; the bundle follows.
    Install,
    /// See [`crate::Firmware::commit`].
    Commit,
    /// See [`crate::Firmware::roll_back`].
    RollBack {
        /// For the log.
        why: String,
    },
    /// See [`crate::Firmware::hand_back`].
    HandBack {
        /// For the log.
        why: String,
    },
    /// A configuration from the setup page: checked, and taken if it is right.
    Configure {
        /// Its files, `wagate.toml` among them.
        files: Vec<NamedFile>,
    },
}

/// A file of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedFile {
    /// Its name, without a folder.
    pub name: String,
    /// What is in it, in base64.
    pub base64: String,
}

/// What the supervisor answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// It is done.
    Done,
    /// To [`Question::About`].
    About(Box<About>),
    /// To [`Question::Log`].
    Log {
        /// The oldest first.
        lines: Vec<String>,
    },
    /// To [`Question::Install`], any number of times.
    Progress(Progress),
    /// It isn't done.
    Refused(BoardError),
}

//! What is asked for by a stick.

use std::fs;
use std::io::Read;
use std::sync::Mutex;

use board::about::{SlotAbout, SlotName, SlotState};
use board::{About, BoardError, Clock, Code, Firmware, Identity, Power, Progress};

use super::super::rescue::{RESET, RESET_NOTE, Rescue, UPDATE_NOTE};
use super::*;

/// A board that installs what is above its version, and notes what is asked of it.
#[derive(Debug)]
struct Fake {
    version: Mutex<&'static str>,
    /// The next start is that of a version on trial.
    trial: Mutex<bool>,
    asked: Mutex<Vec<String>>,
}

impl Fake {
    fn new() -> Self {
        Self { version: Mutex::new("0.1.0"), trial: Mutex::default(), asked: Mutex::default() }
    }

    fn note(&self, what: &str) -> Result<(), BoardError> {
        self.asked.lock().unwrap().push(what.to_owned());
        Ok(())
    }

    /// What was asked since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Identity for Fake {
    fn about(&self) -> Result<About, BoardError> {
        Ok(About {
            box_id: "wagate-7f3a".to_owned(),
            board: "none".to_owned(),
            version: (*self.version.lock().unwrap()).to_owned(),
            built_at_ms: 0,
            slots: vec![SlotAbout {
                name: SlotName::B,
                state: if *self.trial.lock().unwrap() { SlotState::Trial } else { SlotState::Committed },
                attempts_left: 3,
                version: None,
                running: true,
                next: true,
            }],
            boot_note: None,
            boot_note_expected: false,
            configuration_refused: None,
            ntp_servers: Vec::new(),
            interfaces: Vec::new(),
            watchdog_seconds: None,
            uptime_ms: 0,
        })
    }

    fn log(&self, _: usize) -> Result<Vec<String>, BoardError> {
        Ok(Vec::new())
    }
}

impl Clock for Fake {
    fn set(&self, _: i64) -> Result<(), BoardError> {
        self.note("set")
    }
}

impl Power for Fake {
    fn reboot(&self, _: &str) -> Result<(), BoardError> {
        self.note("reboot")
    }

    fn factory_reset(&self) -> Result<(), BoardError> {
        self.note("factory reset")
    }
}

impl Firmware for Fake {
    fn install(&self, bundle: &mut dyn Read, told: &mut dyn FnMut(Progress)) -> Result<(), BoardError> {
        let mut bytes = Vec::new();
        bundle.read_to_end(&mut bytes).unwrap();
        assert!(bytes.starts_with(board::bundle::MAGIC), "from its beginning");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let version = if text.contains("0.2.0") { "0.2.0" } else { "0.1.0" };
        self.note(&format!("install {version}"))?;
        if version <= *self.version.lock().unwrap() {
            return Err(BoardError::new(Code::Downgrade, "not above the running one"));
        }
        told(Progress::Accepted { version: version.to_owned(), bytes: 4 });
        Ok(())
    }

    fn commit(&self) -> Result<(), BoardError> {
        self.note("commit")
    }

    fn roll_back(&self, _: &str) -> Result<(), BoardError> {
        self.note("roll back")
    }

    fn hand_back(&self, _: &str) -> Result<(), BoardError> {
        self.note("hand back")
    }
}

fn bundle(version: &str) -> Vec<u8> {
    board::bundle::assemble(version.as_bytes(), &[], b"slot")
}

/// A start of the box, and whether it goes down again.
fn start(stage: &Stage, board: &Fake, nameless: bool) -> bool {
    let kept = stage.root().join("data/box");
    Rescue::new(board, kept, !stage.root().join("unconfigured").exists(), nameless).look(&mut stage.media())
}

fn text(stage: &Stage, name: &str) -> String {
    fs::read_to_string(stage.stick().join(name)).unwrap()
}

#[test]
fn an_update_on_the_stick_is_installed_once_and_stays_there() {
    let (stage, board) = (Stage::new(), Fake::new());
    fs::write(stage.stick().join("wagate-0.2.0.UPDATE"), bundle("0.2.0")).unwrap();
    assert!(start(&stage, &board, false));
    assert_eq!(board.asked(), ["install 0.2.0", "reboot"]);
    assert_eq!(names(&stage.stick()), ["wagate-0.2.0.UPDATE", UPDATE_NOTE]);
    assert!(text(&stage, UPDATE_NOTE).contains("version 0.2.0 is installed"));

    // It was given up: the version before runs again, with the stick still in the box.
    for forget in ["nothing", UPDATE_NOTE, "data/box"] {
        match forget {
            UPDATE_NOTE => fs::remove_file(stage.stick().join(UPDATE_NOTE)).unwrap(),
            "data/box" => fs::remove_dir_all(stage.root().join("data/box")).unwrap(),
            _ => {}
        }
        assert!(!start(&stage, &board, false), "{forget}");
        assert_eq!(board.asked(), [""; 0], "{forget} forgotten");
        assert!(text(&stage, UPDATE_NOTE).contains("isn't installed again by itself"), "{forget}");
    }
}

#[test]
fn without_a_configuration_nothing_is_installed_and_the_stick_says_why() {
    let (stage, board) = (Stage::new(), Fake::new());
    fs::write(stage.stick().join("wagate-0.2.0.update"), bundle("0.2.0")).unwrap();
    fs::write(stage.root().join("unconfigured"), b"").unwrap();
    assert!(!start(&stage, &board, false));
    assert_eq!(board.asked(), [""; 0]);
    assert!(text(&stage, UPDATE_NOTE).contains("no configuration"));
    // It wasn't remembered as one that was installed.
    fs::remove_file(stage.root().join("unconfigured")).unwrap();
    assert!(start(&stage, &board, false));
    assert_eq!(board.asked(), ["install 0.2.0", "reboot"]);
}

#[test]
fn of_an_update_that_stayed_it_is_said_that_it_runs() {
    let (stage, board) = (Stage::new(), Fake::new());
    fs::write(stage.stick().join("a.update"), bundle("0.2.0")).unwrap();
    start(&stage, &board, false);
    *board.version.lock().unwrap() = "0.2.0";
    board.asked();
    assert!(!start(&stage, &board, false));
    assert_eq!(board.asked(), [""; 0]);
    assert!(text(&stage, UPDATE_NOTE).contains("version 0.2.0 is installed and runs"));
}

#[test]
fn what_is_refused_is_left_alone_and_told() {
    let (stage, board) = (Stage::new(), Fake::new());
    fs::write(stage.stick().join("old.update"), bundle("0.1.0")).unwrap();
    fs::write(stage.stick().join("photo.update"), "no bundle").unwrap();
    fs::write(stage.stick().join("photo.jpg"), "no bundle").unwrap();
    assert!(!start(&stage, &board, false));
    assert_eq!(board.asked(), ["install 0.1.0"]);
    let note = text(&stage, UPDATE_NOTE);
    assert!(note.contains("old.update: not installed: not above the running one"), "{note}");
    assert!(note.contains("photo.update: not installed: this isn't an update bundle"), "{note}");
    assert_eq!(fs::read(stage.stick().join("old.update")).unwrap(), bundle("0.1.0"));
}

#[test]
fn nothing_is_installed_that_could_not_be_remembered() {
    let (mut stage, board) = (Stage::new(), Fake::new());
    stage.stick_is_protected = true;
    fs::write(stage.stick().join("a.update"), bundle("0.2.0")).unwrap();
    fs::write(stage.root().join("data/box"), "no folder").unwrap();
    assert!(!start(&stage, &board, false));
    assert_eq!(board.asked(), [""; 0]);
    // Where the box can keep it a protected stick will do.
    fs::remove_file(stage.root().join("data/box")).unwrap();
    assert!(start(&stage, &board, false));
    assert!(!start(&stage, &board, false), "remembered by the box alone");
    assert_eq!(board.asked(), ["install 0.2.0", "reboot"]);
}

#[test]
fn the_box_that_is_named_is_emptied_once_and_no_other() {
    let (mut stage, board) = (Stage::new(), Fake::new());
    let ask =
        |stage: &Stage, name: &str| fs::write(stage.stick().join(RESET), format!("{name}\r\n")).unwrap();
    for other in ["wagate-0000", "", "yes"] {
        ask(&stage, other);
        assert!(!start(&stage, &board, false), "{other}");
        assert!(text(&stage, RESET_NOTE).contains("nothing else: wagate-7f3a"), "{other}");
    }
    ask(&stage, "WAGATE-7f3a");
    *board.trial.lock().unwrap() = true;
    assert!(!start(&stage, &board, false), "the new version couldn't prove itself");
    assert!(stage.stick().join(RESET).exists(), "it stays asked for");
    assert!(text(&stage, RESET_NOTE).contains("prove itself first"));
    *board.trial.lock().unwrap() = false;
    stage.stick_is_protected = true;
    assert!(!start(&stage, &board, false), "it would be emptied at each start");
    assert_eq!(board.asked(), [""; 0]);
    stage.stick_is_protected = false;
    assert!(start(&stage, &board, false));
    assert_eq!(
        (board.asked(), names(&stage.stick())),
        (vec!["factory reset".to_owned()], vec![RESET_NOTE.to_owned()])
    );
    assert!(!start(&stage, &board, false));
    assert_eq!(board.asked(), [""; 0], "once");
    // On the card nobody is asked.
    fs::write(stage.card().join(RESET), "wagate-7f3a").unwrap();
    assert!(!start(&stage, &board, false));
}

#[test]
fn a_box_whose_name_nobody_can_read_takes_any_name_of_a_box() {
    let (stage, board) = (Stage::new(), Fake::new());
    for (text, meant) in [("yes", false), ("wagate-", false), ("wagate-0123", true)] {
        fs::write(stage.stick().join(RESET), text).unwrap();
        assert_eq!(start(&stage, &board, true), meant, "{text}");
    }
    assert_eq!(board.asked(), ["factory reset"]);
}

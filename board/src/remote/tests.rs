//! Both ends of the socket, against each other.

use std::os::unix::net::UnixListener;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::*;
use crate::about::SlotName;
use crate::serve::{Keeper, serve};

/// Remembers what it was asked for.
#[derive(Debug, Default)]
struct Book {
    asked: Mutex<Vec<String>>,
    /// A bundle is refused after this many bytes.
    refuse_after: Option<usize>,
    /// An answer waits for it.
    gate: Mutex<()>,
}

impl Book {
    fn note(&self, what: impl Into<String>) -> Result<(), BoardError> {
        self.asked.lock().unwrap().push(what.into());
        Ok(())
    }
}

impl Identity for Book {
    fn about(&self) -> Result<About, BoardError> {
        let _open = self.gate.lock().unwrap();
        Ok(About {
            box_id: "wagate-7f3a".into(),
            board: "generic-arm64".into(),
            version: "0.1.0".into(),
            built_at_ms: 7,
            slots: vec![],
            boot_note: None,
            boot_note_expected: false,
            ntp_servers: vec!["10.0.0.1".into()],
            interfaces: vec![],
            watchdog_seconds: Some(60),
            configuration_refused: None,
            uptime_ms: 1,
        })
    }

    fn log(&self, lines: usize) -> Result<Vec<String>, BoardError> {
        Ok((0..lines).map(|n| format!("line {n}")).collect())
    }
}

impl Clock for Book {
    fn set(&self, now_ms: i64) -> Result<(), BoardError> {
        self.note(format!("set {now_ms}"))
    }
}

impl Power for Book {
    fn reboot(&self, why: &str) -> Result<(), BoardError> {
        self.note(format!("reboot {why}"))
    }

    fn factory_reset(&self) -> Result<(), BoardError> {
        self.note("factory reset")
    }
}

impl Firmware for Book {
    fn install(&self, bundle: &mut dyn Read, told: &mut dyn FnMut(Progress)) -> Result<(), BoardError> {
        told(Progress::Accepted { version: "0.2.0".into(), bytes: 1 });
        let mut bytes = Vec::new();
        let mut chunk = vec![0; 100_000];
        loop {
            let read = bundle.read(&mut chunk).map_err(|error| BoardError::io("the bundle", error))?;
            bytes.extend_from_slice(&chunk[..read]);
            if self.refuse_after.is_some_and(|after| bytes.len() >= after) {
                return Err(BoardError::new(Code::WrongBoard, "for another board"));
            }
            if read == 0 {
                break;
            }
            told(Progress::Written { bytes: bytes.len() as u64 });
        }
        assert_eq!(bytes, pattern(bytes.len()));
        told(Progress::Activated { version: "0.2.0".into(), slot: SlotName::B });
        self.note(format!("installed {}", bytes.len()))
    }

    fn commit(&self) -> Result<(), BoardError> {
        Err(BoardError::new(Code::Io, "the card refused"))
    }

    fn roll_back(&self, why: &str) -> Result<(), BoardError> {
        self.note(format!("roll back {why}"))
    }

    fn hand_back(&self, why: &str) -> Result<(), BoardError> {
        self.note(format!("hand back {why}"))
    }
}

impl Keeper for Book {
    fn configure(&self, files: &[NamedFile]) -> Result<(), BoardError> {
        self.note(format!("configure {}", files[0].name))
    }
}

struct Stage {
    folder: tempfile::TempDir,
    book: Arc<Book>,
    stop: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Stage {
    fn new(book: Book) -> Self {
        Self::for_users(book, &[rustix::process::getuid().as_raw()])
    }

    fn for_users(book: Book, users: &[u32]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("board.sock")).unwrap();
        let (book, stop, users) = (Arc::new(book), Arc::new(AtomicBool::new(false)), users.to_vec());
        let keeper: Arc<dyn Keeper> = book.clone();
        let told = stop.clone();
        let server = std::thread::spawn(move || serve(&listener, &users, &keeper, &told).unwrap());
        Self { folder, book, stop, server: Some(server) }
    }

    fn remote(&self) -> Remote {
        Remote::new(self.folder.path().join("board.sock"))
    }

    fn raw(&self, bytes: &[u8]) -> Option<Answer> {
        let mut stream = UnixStream::connect(self.folder.path().join("board.sock")).unwrap();
        let _ = stream.write_all(bytes);
        answer(&stream, Duration::from_secs(30)).ok()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.server.take().unwrap().join().unwrap();
    }
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..=250).cycle().take(bytes).collect()
}

#[test]
fn every_question_arrives_and_so_does_its_answer() {
    let stage = Stage::new(Book::default());
    let board: &dyn Board = &stage.remote();
    assert_eq!(board.about().unwrap(), stage.book.about().unwrap());
    assert_eq!(board.log(2).unwrap(), ["line 0", "line 1"]);
    board.set(5).unwrap();
    board.reboot("an update").unwrap();
    board.factory_reset().unwrap();
    board.roll_back("told to").unwrap();
    board.hand_back("too new").unwrap();
    let refused = board.commit().unwrap_err();
    assert_eq!((refused.code, refused.text.as_str()), (Code::Io, "the card refused"));
    let file = NamedFile { name: "wagate.toml".into(), base64: String::new() };
    stage.remote().configure(vec![file]).unwrap();
    assert_eq!(
        *stage.book.asked.lock().unwrap(),
        [
            "set 5",
            "reboot an update",
            "factory reset",
            "roll back told to",
            "hand back too new",
            "configure wagate.toml"
        ]
    );
}

#[test]
fn a_bundle_goes_through_in_frames_and_its_progress_comes_back() {
    let stage = Stage::new(Book::default());
    for size in [0, 1, FRAME_MAX, 3 * FRAME_MAX + 17] {
        let mut told = Vec::new();
        stage.remote().install(&mut pattern(size).as_slice(), &mut |progress| told.push(progress)).unwrap();
        assert_eq!(told.first(), Some(&Progress::Accepted { version: "0.2.0".into(), bytes: 1 }));
        assert_eq!(told.last(), Some(&Progress::Activated { version: "0.2.0".into(), slot: SlotName::B }));
    }
    let sizes: Vec<String> = stage.book.asked.lock().unwrap().clone();
    assert_eq!(sizes, ["installed 0", "installed 1", "installed 1048576", "installed 3145745"]);
}

#[test]
fn a_refusal_amid_a_bundle_reaches_who_is_still_sending() {
    let stage = Stage::new(Book { refuse_after: Some(1), ..Book::default() });
    let bundle = pattern(8 * FRAME_MAX);
    let refused = stage.remote().install(&mut bundle.as_slice(), &mut |_| {}).unwrap_err();
    assert_eq!(refused.code, Code::WrongBoard, "{refused}");
}

/// Breaks off after its bytes.
struct Broken(usize);

impl Read for Broken {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.0.min(to.len());
        self.0 -= read;
        to[..read].fill(0);
        if read == 0 { Err(io::Error::other("the stick was pulled")) } else { Ok(read) }
    }
}

#[test]
fn a_bundle_that_breaks_off_is_never_taken_for_a_whole_one() {
    let stage = Stage::new(Book::default());
    let refused = stage.remote().install(&mut Broken(5000), &mut |_| {}).unwrap_err();
    assert!(refused.text.contains("the stick was pulled"), "{refused}");
    // Its connection is given up, and the next one is answered.
    stage.remote().reboot("still there").unwrap();
    assert_eq!(*stage.book.asked.lock().unwrap(), ["reboot still there"]);
}

#[test]
fn nonsense_and_endless_lines_are_refused() {
    let stage = Stage::new(Book::default());
    let refusal = |answer: Option<Answer>| match answer {
        Some(Answer::Refused(error)) => error.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal(stage.raw(b"hello\n")), Code::Protocol);
    assert_eq!(refusal(stage.raw(b"{\"ask\":\"explode\"}\n")), Code::Protocol);
    assert_eq!(refusal(stage.raw(&vec![b'x'; crate::wire::LINE_MAX + 2])), Code::Protocol);
    stage.remote().set(1).unwrap();
}

#[test]
fn more_than_four_at_once_are_turned_away_and_the_place_is_free_again() {
    let stage = Stage::new(Book::default());
    let closed = stage.book.gate.lock().unwrap();
    let mut waiting: Vec<UnixStream> = Vec::new();
    for _ in 0..crate::serve::CONNECTIONS_MAX {
        let mut stream = UnixStream::connect(stage.folder.path().join("board.sock")).unwrap();
        stream.write_all(b"{\"ask\":\"about\"}\n").unwrap();
        waiting.push(stream);
    }
    // The four are accepted in order before the fifth.
    let refused = stage.remote().about().unwrap_err();
    assert_eq!(refused.code, Code::Busy, "{refused}");
    drop(closed);
    for stream in &waiting {
        assert!(matches!(answer(stream, Duration::from_secs(30)), Ok(Answer::About(_))));
    }
    // The last answer is out a moment before its place is free.
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while stage.remote().about().is_err() {
        assert!(std::time::Instant::now() < until);
    }
}

#[test]
fn another_users_process_hears_nothing() {
    let stage = Stage::for_users(Book::default(), &[u32::MAX - 1]);
    let refused = stage.remote().about().unwrap_err();
    assert!(refused.text.contains("restart the box"), "what to do: {refused}");
    assert!(stage.raw(b"{\"ask\":\"reboot\",\"why\":\"x\"}\n").is_none());
    assert!(stage.book.asked.lock().unwrap().is_empty());
}

//! The supervisor's end of the socket: takes one question a connection and has the [`Keeper`] answer it.
//!
//! Who asks is a process without rights that faces the internet. So everything has a bound: connections at
//! once, bytes of a line and of a frame, and the time that a line, a frame or the taking of an answer may take.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::wire::{Answer, FRAME_MAX, LINE_MAX, NamedFile, Question};
use crate::{Board, BoardError, Code};

/// Connections at once; one more is refused. The gateway asks one thing at a time, and an update may take long.
pub const CONNECTIONS_MAX: usize = 4;
/// How long the question may take to arrive.
const QUESTION_WITHIN: Duration = Duration::from_secs(10);
/// How long the next frame of a bundle may take to arrive: the gateway may wait for its network for a day before it
/// goes on with its download. One that dies hangs up, and is noticed at once.
const FRAME_WITHIN: Duration = Duration::from_secs(25 * 3_600);
/// How long the other end may take to read an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How often the listener looks whether it's to stop.
const LOOK: Duration = Duration::from_millis(200);

/// Who answers.
pub trait Keeper: Board {
    /// Takes a configuration of the setup page.
    ///
    /// # Errors
    /// When it is refused, with what is wrong with it.
    fn configure(&self, files: &[NamedFile]) -> Result<(), BoardError>;
}

/// Answers at `listener` until `stop`. Only the processes of these `users` are heard.
///
/// # Errors
/// When the listener breaks.
pub fn serve(
    listener: &UnixListener,
    users: &[u32],
    keeper: &Arc<dyn Keeper>,
    stop: &AtomicBool,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let open = Arc::new(AtomicUsize::new(0));
    while !stop.load(Ordering::Acquire) {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(LOOK);
                continue;
            }
            // The other end was quicker to leave than we to accept; or too many files are open for a moment.
            Err(error) => {
                tracing::debug!(%error, "no connection to the board's socket");
                std::thread::sleep(LOOK);
                continue;
            }
        };
        if stream.set_nonblocking(false).and_then(|()| stream.set_write_timeout(Some(ANSWER_WITHIN))).is_err()
        {
            continue;
        }
        match peer(&stream) {
            Ok(user) if users.contains(&user) => {}
            Ok(user) => {
                tracing::warn!(user, "a process that may not ask the board anything was turned away");
                continue;
            }
            Err(_) => continue,
        }
        let place = Place::taken(&open);
        let keeper = Arc::clone(keeper);
        let answering = move || {
            if let Some(_place) = place {
                converse(&stream, &*keeper);
            } else {
                refuse(&stream, &BoardError::new(Code::Busy, "the board answers other questions; ask again"));
            }
        };
        if let Err(error) = std::thread::Builder::new().name("board".into()).spawn(answering) {
            tracing::warn!(%error, "no thread to answer a question to the board");
        }
    }
    Ok(())
}

/// The user whose process is at the other end.
fn peer(stream: &UnixStream) -> io::Result<u32> {
    Ok(rustix::net::sockopt::socket_peercred(stream)?.uid.as_raw())
}

/// One of the connections at once.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn taken(open: &Arc<AtomicUsize>) -> Option<Self> {
        let more = |open| (open < CONNECTIONS_MAX).then_some(open + 1);
        open.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok().map(|_| Self(Arc::clone(open)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn converse(stream: &UnixStream, keeper: &dyn Keeper) {
    let answer = match question(stream) {
        Ok(Some(question)) => answer(stream, question, keeper),
        Ok(None) => return,
        Err(error) => Answer::Refused(BoardError::new(Code::Protocol, format!("no question came: {error}"))),
    };
    if let Answer::Refused(error) = &answer {
        refuse(stream, error);
    } else {
        let _ = say(stream, &answer);
    }
}

/// Says why not. What is still on its way is read and dropped for a moment: a socket that is closed over unread
/// bytes may take the answer with it.
fn refuse(stream: &UnixStream, error: &BoardError) {
    if say(stream, &Answer::Refused(error.clone())).is_err()
        || stream.shutdown(std::net::Shutdown::Write).is_err()
    {
        return;
    }
    let until = Instant::now() + ANSWER_WITHIN;
    let mut rest = vec![0; 64 * 1024];
    let mut stream = stream;
    let _ = stream.set_read_timeout(Some(LOOK));
    while Instant::now() < until && stream.read(&mut rest).is_ok_and(|read| read > 0) {}
}

fn say(mut stream: &UnixStream, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// The question; `None` when the other end left without one.
fn question(stream: &UnixStream) -> io::Result<Option<Question>> {
    match line(stream, QUESTION_WITHIN)? {
        Some(line) => serde_json::from_slice(&line).map(Some).map_err(io::Error::other),
        None => Ok(None),
    }
}

/// Bytes up to a line break, which may be followed by others: so it reads byte by byte where it has to.
pub(crate) fn line(mut stream: &UnixStream, within: Duration) -> io::Result<Option<Vec<u8>>> {
    let until = Instant::now() + within;
    let mut line = Vec::new();
    let mut byte = [0];
    stream.set_read_timeout(Some(within))?;
    loop {
        if Instant::now() > until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match stream.read(&mut byte) {
            Ok(0) if line.is_empty() => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) if byte[0] == b'\n' => return Ok(Some(line)),
            Ok(_) if line.len() == LINE_MAX => return Err(io::Error::other("the line is too long")),
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(error) => return Err(error),
        }
    }
}

fn answer(stream: &UnixStream, question: Question, keeper: &dyn Keeper) -> Answer {
    let done = |result: Result<(), BoardError>| result.map(|()| Answer::Done);
    let answer = match question {
        Question::About => keeper.about().map(|about| Answer::About(Box::new(about))),
        Question::Log { lines } => keeper.log(lines).map(|lines| Answer::Log { lines: within_line(lines) }),
        Question::SetClock { now_ms } => done(keeper.set(now_ms)),
        Question::Reboot { why } => done(keeper.reboot(&why)),
        Question::FactoryReset => done(keeper.factory_reset()),
        Question::Install => done(install(stream, keeper)),
        Question::Commit => done(keeper.commit()),
        Question::RollBack { why } => done(keeper.roll_back(&why)),
        Question::HandBack { why } => done(keeper.hand_back(&why)),
        Question::Configure { files } => done(keeper.configure(&files)),
    };
    answer.unwrap_or_else(Answer::Refused)
}

/// The newest lines that fit into one line of the protocol.
fn within_line(mut lines: Vec<String>) -> Vec<String> {
    // Each byte may become six (`\u001b`), and a line has its quotes and comma.
    let room = LINE_MAX - 64;
    let mut taken = 0;
    let fitting = lines.iter().rev().take_while(|line| {
        let escaped: usize = line
            .bytes()
            .map(|b| {
                if b < 0x20 || b == 0x7f {
                    6
                } else if b == b'"' || b == b'\\' {
                    2
                } else {
                    1
                }
            })
            .sum();
        taken += escaped + 3;
        taken <= room
    });
    let first = lines.len() - fitting.count();
    lines.split_off(first)
}

fn install(stream: &UnixStream, keeper: &dyn Keeper) -> Result<(), BoardError> {
    let frames = |error: io::Error| BoardError::new(Code::Protocol, format!("the bundle broke off: {error}"));
    stream.set_read_timeout(Some(FRAME_WITHIN)).map_err(frames)?;
    let mut bundle = Frames { stream, left: 0, over: false };
    let mut told = |progress| {
        // A gateway that has died in between doesn't stop an update that has all its bytes.
        let _ = say(stream, &Answer::Progress(progress));
    };
    keeper.install(&mut bundle, &mut told)
}

/// The bytes within the frames of a bundle.
struct Frames<'s> {
    stream: &'s UnixStream,
    /// Bytes of this frame that are to come.
    left: usize,
    over: bool,
}

impl Read for Frames<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if to.is_empty() || self.over {
            return Ok(0);
        }
        if self.left == 0 {
            let mut length = [0; 4];
            self.stream.read_exact(&mut length).map_err(timely)?;
            self.left = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
            if self.left > FRAME_MAX {
                return Err(io::Error::other("a frame is too long"));
            }
            if self.left == 0 {
                self.over = true;
                return Ok(0);
            }
        }
        let most = to.len().min(self.left);
        let read = self.stream.read(&mut to[..most]).map_err(timely)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read;
        Ok(read)
    }
}

/// A timeout by its name: the system calls it "would block", which readers take for a reason to ask again.
fn timely(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_cut_to_what_fits_and_keeps_its_newest_lines() {
        let lines: Vec<String> = (0..2000).map(|n| format!("{n} {}", "\u{1b}\"".repeat(100))).collect();
        let kept = within_line(lines.clone());
        assert!(!kept.is_empty() && kept.len() < lines.len());
        assert_eq!(kept.last(), lines.last());
        let bytes = serde_json::to_vec(&Answer::Log { lines: kept }).unwrap();
        assert!(bytes.len() <= LINE_MAX, "{}", bytes.len());
        assert_eq!(within_line(lines[..3].to_vec()), lines[..3]);
    }

    #[test]
    fn frames_are_read_as_one_and_a_wrong_one_ends_it() {
        let read = |bytes: &[u8]| {
            let (mut one, other) = UnixStream::pair().unwrap();
            one.write_all(bytes).unwrap();
            drop(one);
            let mut all = Vec::new();
            Frames { stream: &other, left: 0, over: false }
                .read_to_end(&mut all)
                .map(|_| all)
                .map_err(|e| e.kind())
        };
        assert_eq!(read(b"\0\0\0\x03abc\0\0\0\x02de\0\0\0\0more"), Ok(b"abcde".to_vec()));
        assert_eq!(read(b"\0\0\0\0"), Ok(vec![]));
        assert_eq!(read(b"\0\0\0\x03ab"), Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(read(b"\0\0\0\x03abc"), Err(io::ErrorKind::UnexpectedEof), "it has no end");
        assert_eq!(read(b"\0\x10\0\x01a"), Err(io::ErrorKind::Other), "longer than a frame may be");
    }
}

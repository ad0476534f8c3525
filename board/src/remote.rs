//! The gateway's end of the socket: the board as an unprivileged process sees it.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use crate::serve::line;
use crate::wire::{Answer, FRAME_MAX, NamedFile, Question};
use crate::{About, Board, BoardError, Clock, Code, Firmware, Identity, Power, Progress, paths};

/// How long an answer may take: a slow card may sync for a while.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// How long between two signs of an update that has all its bytes: reading a whole slot back from a slow card is one step.
const INSTALL_WITHIN: Duration = Duration::from_secs(600);
/// How long no sign of an update may come while its bundle does: nothing is written while the download waits for its
/// network, for a day at most.
const SIGN_WITHIN: Duration = Duration::from_secs(25 * 3_600);
/// How long the supervisor may take to read a frame, while it writes the last one.
const FRAME_WITHIN: Duration = Duration::from_secs(120);
/// Signs of progress that wait to be told.
const SIGNS_MAX: usize = 64;

/// The board behind the supervisor's socket. Each call is a connection of its own, so that nothing of a call
/// that failed is left for the next one.
#[derive(Debug, Clone)]
pub struct Remote {
    socket: PathBuf,
}

impl Remote {
    /// The board whose supervisor listens at `socket`.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// The board that the environment names, [`paths::SOCKET_ENV`]; `None`: this machine has none.
    #[must_use]
    pub fn from_env() -> Option<Arc<dyn Board>> {
        let socket = std::env::var_os(paths::SOCKET_ENV).filter(|socket| !socket.is_empty())?;
        Some(Arc::new(Self::new(socket)))
    }

    /// Hands a configuration over from the setup page.
    ///
    /// # Errors
    /// When it is refused, with what is wrong with it.
    pub fn configure(&self, files: Vec<NamedFile>) -> Result<(), BoardError> {
        self.done(&Question::Configure { files })
    }

    fn connect(&self, question: &Question) -> Result<UnixStream, BoardError> {
        let asked = || -> io::Result<UnixStream> {
            let mut stream = UnixStream::connect(&self.socket)?;
            stream.set_write_timeout(Some(FRAME_WITHIN))?;
            let mut line = serde_json::to_vec(question)?;
            line.push(b'\n');
            // A supervisor that refuses at once has hung up by now; why, it has said.
            match stream.write_all(&line) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
                _ => Ok(stream),
            }
        };
        asked()
            .map_err(|error| BoardError::io("the supervisor can't be asked", format!("{error}; {RESTART}")))
    }

    fn ask(&self, question: &Question) -> Result<Answer, BoardError> {
        let answer = answer(&self.connect(question)?, ANSWER_WITHIN)?;
        if let Answer::Refused(error) = answer { Err(error) } else { Ok(answer) }
    }

    fn done(&self, question: &Question) -> Result<(), BoardError> {
        match self.ask(question)? {
            Answer::Done => Ok(()),
            Answer::About(_) | Answer::Log { .. } | Answer::Progress(_) | Answer::Refused(_) => Err(odd()),
        }
    }
}

/// What helps against a supervisor that doesn't do its part.
const RESTART: &str = "try again in a minute, then restart the box";

fn hung_up() -> BoardError {
    BoardError::new(Code::Protocol, format!("the supervisor hung up without an answer; {RESTART}"))
}

fn odd() -> BoardError {
    BoardError::new(
        Code::Protocol,
        format!("the supervisor answered something else than what it was asked; {RESTART}"),
    )
}

fn answer(stream: &UnixStream, within: Duration) -> Result<Answer, BoardError> {
    match line(stream, within) {
        Ok(Some(line)) => serde_json::from_slice(&line).map_err(|_| odd()),
        Ok(None) => Err(hung_up()),
        Err(error) => Err(BoardError::io("the supervisor doesn't answer", format!("{error}; {RESTART}"))),
    }
}

impl Identity for Remote {
    fn about(&self) -> Result<About, BoardError> {
        match self.ask(&Question::About)? {
            Answer::About(about) => Ok(*about),
            Answer::Done | Answer::Log { .. } | Answer::Progress(_) | Answer::Refused(_) => Err(odd()),
        }
    }

    fn log(&self, lines: usize) -> Result<Vec<String>, BoardError> {
        match self.ask(&Question::Log { lines })? {
            Answer::Log { lines } => Ok(lines),
            Answer::Done | Answer::About(_) | Answer::Progress(_) | Answer::Refused(_) => Err(odd()),
        }
    }
}

impl Clock for Remote {
    fn set(&self, now_ms: i64) -> Result<(), BoardError> {
        self.done(&Question::SetClock { now_ms })
    }
}

impl Power for Remote {
    fn reboot(&self, why: &str) -> Result<(), BoardError> {
        self.done(&Question::Reboot { why: why.to_owned() })
    }

    fn factory_reset(&self) -> Result<(), BoardError> {
        self.done(&Question::FactoryReset)
    }
}

impl Firmware for Remote {
    fn install(&self, bundle: &mut dyn Read, told: &mut dyn FnMut(Progress)) -> Result<(), BoardError> {
        let stream = self.connect(&Question::Install)?;
        let (signs, heard) = sync_channel(SIGNS_MAX);
        std::thread::scope(|scope| {
            let listening = &stream;
            scope.spawn(move || {
                loop {
                    let answer = answer(listening, SIGN_WITHIN);
                    let last = !matches!(answer, Ok(Answer::Progress(_)));
                    if signs.send(answer).is_err() || last {
                        break;
                    }
                }
            });
            let result = send(&stream, bundle, &heard, told);
            // The listener's read would outlive this call otherwise.
            let _ = stream.shutdown(std::net::Shutdown::Both);
            drop(heard);
            result
        })
    }

    fn commit(&self) -> Result<(), BoardError> {
        self.done(&Question::Commit)
    }

    fn roll_back(&self, why: &str) -> Result<(), BoardError> {
        self.done(&Question::RollBack { why: why.to_owned() })
    }

    fn hand_back(&self, why: &str) -> Result<(), BoardError> {
        self.done(&Question::HandBack { why: why.to_owned() })
    }
}

type Heard = Receiver<Result<Answer, BoardError>>;

/// Sends the bundle frame by frame, and hears in between how far it is.
fn send(
    mut stream: &UnixStream,
    bundle: &mut dyn Read,
    heard: &Heard,
    told: &mut dyn FnMut(Progress),
) -> Result<(), BoardError> {
    let mut frame = vec![0; 4 + FRAME_MAX];
    loop {
        while let Ok(answer) = heard.try_recv() {
            if let Some(end) = end(answer, told) {
                return end;
            }
        }
        let length = fill(bundle, &mut frame[4..])
            .map_err(|error| BoardError::new(Code::Io, format!("the bundle can't be read on: {error}")))?;
        let header = u32::try_from(length).map_err(|_| odd())?.to_be_bytes();
        frame[..4].copy_from_slice(&header);
        if stream.write_all(&frame[..4 + length]).is_err() || length == 0 {
            break;
        }
    }
    // Either it's all there, or the supervisor has hung up: it says why.
    loop {
        match heard.recv_timeout(INSTALL_WITHIN) {
            Ok(answer) => {
                if let Some(end) = end(answer, told) {
                    return end;
                }
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Err(hung_up());
            }
        }
    }
}

/// What an answer ends an update with, if it does.
fn end(answer: Result<Answer, BoardError>, told: &mut dyn FnMut(Progress)) -> Option<Result<(), BoardError>> {
    match answer {
        Ok(Answer::Progress(progress)) => {
            told(progress);
            None
        }
        Ok(Answer::Done) => Some(Ok(())),
        Ok(Answer::Refused(error)) | Err(error) => Some(Err(error)),
        Ok(Answer::About(_) | Answer::Log { .. }) => Some(Err(odd())),
    }
}

/// Reads until `to` is full or there is no more.
fn fill(from: &mut dyn Read, to: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < to.len() {
        match from.read(&mut to[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests;

//! The processes that the supervisor starts: as whom, what becomes of what they say, and how they are ended.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, PipeReader, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::chain::Ended;
use super::log::Log;

/// Bytes of one line that are read; the ring keeps less.
const LINE_BYTES: u64 = 16 * 1024;
/// How long a process of an earlier supervisor is waited for once it was killed.
const GONE_WITHIN: Duration = Duration::from_secs(2);
/// How long the last words of a process that has ended may take to be read.
const LAST_WORDS_WITHIN: Duration = Duration::from_millis(300);

/// What is to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spec {
    /// What it's called in the log and by its file of the process id.
    pub(super) name: String,
    /// The program.
    pub(super) program: PathBuf,
    /// What stands behind it.
    pub(super) args: Vec<OsString>,
    /// Its environment; nothing else is in it.
    pub(super) env: Vec<(&'static str, OsString)>,
    /// The user and group that it runs as; `None`: as this process does.
    pub(super) user: Option<u32>,
}

/// Starts processes.
#[derive(Debug, Clone)]
pub(super) struct Starter {
    log: Log,
    /// The folder of the process ids.
    run: PathBuf,
}

/// One that was started. It isn't ended by being dropped.
#[derive(Debug)]
pub(super) struct Process {
    pid: u32,
    /// Names this very process, also when its number is another's by now.
    handle: OwnedFd,
}

impl Starter {
    pub(super) fn new(log: Log, run: PathBuf) -> Self {
        Self { log, run }
    }

    /// Starts a process; `over` is called once, from another thread, when it has ended.
    pub(super) fn start(
        &self,
        spec: &Spec,
        over: impl FnOnce(u32, Ended) + Send + 'static,
    ) -> io::Result<Process> {
        let (says, said) = io::pipe()?;
        let mut command = Command::new(&spec.program);
        command.args(&spec.args).env_clear().envs(spec.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said).process_group(0).current_dir("/");
        if let Some(user) = spec.user {
            // The standard library drops the groups of root, too, where the user is changed.
            command.uid(user).gid(user);
        }
        let mut child = command.spawn()?;
        // It holds the other end of the pipe, which would never be over.
        drop(command);
        let pid = child.id();
        let started = handle(&child).and_then(|handle| {
            let (log, name) = (self.log.clone(), spec.name.clone());
            let listener = std::thread::Builder::new().name(format!("{name} says"));
            Ok((handle, listener.spawn(move || listen(says, &name, &log))?))
        });
        let (handle, listener) = match started {
            Ok(both) => both,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        let file = self.run.join(format!("{}.pid", spec.name));
        if let Err(error) = std::fs::write(&file, format!("{pid} {}\n", began(pid).unwrap_or_default())) {
            tracing::warn!(%error, "the process id of {} isn't noted", spec.name);
        }
        let wait = move || {
            let ended = child.wait().map_or(Ended::Signal(0), ended);
            // Unless it's the next one's by now.
            if noted(&file).is_some_and(|(noted, _)| noted == pid) {
                let _ = std::fs::remove_file(&file);
            }
            // Its last words say why; but a child of its own may still hold the pipe.
            let until = Instant::now() + LAST_WORDS_WITHIN;
            while !listener.is_finished() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
            over(pid, ended);
        };
        std::thread::Builder::new().name(format!("{} ends", spec.name)).spawn(wait)?;
        Ok(Process { pid, handle })
    }

    /// Kills what a supervisor before this one has left behind.
    pub(super) fn clear(&self) {
        let Ok(files) = std::fs::read_dir(&self.run) else { return };
        for file in files.flatten().map(|entry| entry.path()) {
            if file.extension().is_none_or(|extension| extension != "pid") {
                continue;
            }
            if let Some((pid, since)) = noted(&file)
                && began(pid).is_some_and(|began| began == since)
            {
                kill_left_over(pid, &file);
            }
            let _ = std::fs::remove_file(&file);
        }
    }
}

impl Process {
    pub(super) const fn pid(&self) -> u32 {
        self.pid
    }

    /// Asks it to end.
    pub(super) fn terminate(&self) {
        self.send(Signal::TERM);
    }

    /// Ends it.
    pub(super) fn kill(&self) {
        self.send(Signal::KILL);
    }

    fn send(&self, signal: Signal) {
        match pidfd_send_signal(&self.handle, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => tracing::warn!(pid = self.pid, %error, "a process can't be told to end"),
        }
    }
}

fn handle(child: &Child) -> io::Result<OwnedFd> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("a process without a number"))?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

fn ended(status: ExitStatus) -> Ended {
    match status.code() {
        Some(code) => Ended::Status(code),
        None => Ended::Signal(status.signal().unwrap_or(0)),
    }
}

fn listen(says: PipeReader, name: &str, log: &Log) {
    let mut reader = BufReader::new(says);
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if !text.is_empty() {
            log.of_child(name, text);
        }
    }
}

/// Process id and start of the process that a file names.
fn noted(file: &Path) -> Option<(u32, u64)> {
    let text = std::fs::read_to_string(file).ok()?;
    let (pid, since) = text.trim().split_once(' ')?;
    Some((pid.parse().ok()?, since.parse().ok()?))
}

/// When a process began, in ticks since the machine's start: together with its number it's unique.
fn began(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in brackets, which may hold anything; the 22nd is the time.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

fn kill_left_over(pid: u32, file: &Path) {
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    let Ok(handle) = pidfd_open(number, PidfdFlags::empty()) else { return };
    tracing::warn!(pid, "an earlier supervisor has left {} running: it is ended", file.display());
    let _ = pidfd_send_signal(&handle, Signal::KILL);
    let until = Instant::now() + GONE_WITHIN;
    while began(pid).is_some() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    fn shell(name: &str, script: &str) -> Spec {
        Spec {
            name: name.to_owned(),
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: vec![("WORD", "from its environment".into())],
            user: None,
        }
    }

    fn stage() -> (tempfile::TempDir, Log, Starter) {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::new().unwrap();
        let starter = Starter::new(log.clone(), folder.path().to_owned());
        (folder, log, starter)
    }

    const SOON: Duration = Duration::from_secs(30);

    #[test]
    fn what_it_says_is_in_the_log_and_its_end_is_told() {
        let (folder, log, starter) = stage();
        let (ends, ended) = sync_channel(4);
        let over = move |pid, how| ends.send((pid, how)).unwrap();
        let script = "echo \"INFO $WORD\"; echo INFO x >&2; test -e \"$0\"; read -r any; exit 7";
        let process = starter.start(&shell("child", script), over).unwrap();
        assert_eq!(ended.recv_timeout(SOON), Ok((process.pid(), Ended::Status(7))));
        assert_eq!(log.last(9), ["child: INFO from its environment", "child: INFO x"]);
        assert!(!folder.path().join("child.pid").exists());
        process.kill();
    }

    #[test]
    fn it_can_be_asked_to_end_and_be_ended() {
        let (_folder, _log, starter) = stage();
        let (ends, ended) = sync_channel(4);
        for (script, kill, expected) in
            [("exec sleep 100", false, Ended::Signal(15)), ("exec sleep 100", true, Ended::Signal(9))]
        {
            let ends = ends.clone();
            let process =
                starter.start(&shell("child", script), move |_, how| ends.send(how).unwrap()).unwrap();
            if kill {
                process.kill();
            } else {
                process.terminate();
            }
            assert_eq!(ended.recv_timeout(SOON), Ok(expected));
        }
    }

    #[test]
    fn what_an_earlier_one_left_is_ended_and_nobody_else() {
        let (folder, _log, starter) = stage();
        let (ends, ended) = sync_channel(4);
        let old =
            starter.start(&shell("old", "exec sleep 100"), move |_, how| ends.send(how).unwrap()).unwrap();
        let mut other = Command::new("sleep").arg("100").spawn().unwrap();
        let file = folder.path().join("other.pid");
        // A number that was given to another process since.
        std::fs::write(&file, format!("{} {}\n", other.id(), began(other.id()).unwrap() + 1)).unwrap();
        starter.clear();
        assert_eq!(ended.recv_timeout(SOON), Ok(Ended::Signal(9)));
        assert!(other.try_wait().unwrap().is_none() && !file.exists());
        other.kill().unwrap();
        other.wait().unwrap();
        drop(old);
    }
}

//! What the keeper of this process is told: the protocol of sd_notify(3), which systemd speaks with services of
//! `Type=notify`, and the supervisor of the box likewise.
//!
//! Datagrams of `NAME=value` lines to the socket that `NOTIFY_SOCKET` names. Where there is none, nobody listens,
//! and everything here does nothing.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::{BoardError, Code, Watchdog};

/// Where the keeper listens: a path, or an abstract name behind an `@`.
pub const SOCKET_ENV: &str = "NOTIFY_SOCKET";
/// Microseconds within which the keeper wants to hear [`Keeper::feed`](Watchdog::feed).
pub const WATCHDOG_ENV: &str = "WATCHDOG_USEC";
/// The process that [`WATCHDOG_ENV`] is meant for; all, where it isn't set.
pub const WATCHDOG_PID_ENV: &str = "WATCHDOG_PID";

/// More time to start in, from a beat on, in microseconds: as much as systemd gives a start by itself.
const MORE_USEC: u32 = 90_000_000;
/// Bytes of a status at most: it is a line for people, and a datagram holds so much anywhere.
const STATUS_MAX: usize = 512;

/// The way to the keeper. Clones go to the same one.
#[derive(Debug, Clone, Default)]
pub struct Notify {
    socket: Option<SocketAddr>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// To whom this process's environment names.
    ///
    /// # Errors
    /// When `NOTIFY_SOCKET` is set and no address: whoever started the process has to mend it.
    pub fn from_env() -> Result<Self, BoardError> {
        Self::of(&|name| std::env::var_os(name), std::process::id())
    }

    /// To nobody.
    #[must_use]
    pub fn nobody() -> Self {
        Self::default()
    }

    fn of(env: &dyn Fn(&str) -> Option<OsString>, own: u32) -> Result<Self, BoardError> {
        let Some(name) = env(SOCKET_ENV).filter(|name| !name.is_empty()) else { return Ok(Self::nobody()) };
        let socket = address(&name)
            .map_err(|error| BoardError::io(format_args!("{SOCKET_ENV} names no socket"), error))?;
        let number = |name: &str| env(name)?.to_str()?.parse::<u64>().ok();
        let ours = number(WATCHDOG_PID_ENV).is_none_or(|pid| pid == u64::from(own));
        let usec = number(WATCHDOG_ENV).filter(|usec| ours && *usec > 0);
        Ok(Self { socket: Some(socket), watchdog: usec.map(Duration::from_micros) })
    }

    /// Whether anybody listens.
    #[must_use]
    pub const fn is_heard(&self) -> bool {
        self.socket.is_some()
    }

    /// The start is over, or a [`reloading`](Self::reloading).
    ///
    /// # Errors
    /// When somebody ought to listen and doesn't.
    pub fn ready(&self) -> Result<(), BoardError> {
        self.tell(&[NotifyState::Ready])
    }

    /// What could be read again is being read again; [`ready`](Self::ready) follows.
    ///
    /// # Errors
    /// As [`ready`](Self::ready).
    pub fn reloading(&self) -> Result<(), BoardError> {
        // From systemd 253 on the time is asked for, too.
        let now = NotifyState::monotonic_usec_now().map_err(|error| BoardError::io("the clock", error))?;
        self.tell(&[NotifyState::Reloading, now])
    }

    /// The end has begun: no more beats are to be waited for.
    ///
    /// # Errors
    /// As [`ready`](Self::ready).
    pub fn stopping(&self) -> Result<(), BoardError> {
        self.tell(&[NotifyState::Stopping])
    }

    /// A line for people about how things stand; one that is too long is cut.
    ///
    /// # Errors
    /// As [`ready`](Self::ready).
    pub fn status(&self, line: &str) -> Result<(), BoardError> {
        let mut end = line.len().min(STATUS_MAX);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        // A line break would begin another word of the protocol.
        let line: String =
            line[..end].chars().map(|each| if each.is_control() { ' ' } else { each }).collect();
        self.tell(&[NotifyState::Status(&line)])
    }

    /// The watchdog that the keeper holds over this process; `None` where it holds none.
    #[must_use]
    pub fn watchdog(&self) -> Option<Keeper> {
        self.watchdog.map(|timeout| Keeper { notify: self.clone(), timeout, starts: false })
    }

    /// The same until [`ready`](Self::ready): each beat also asks for more time to start in, which systemd counts beside
    /// the watchdog (`TimeoutStartSec=`, 90 s where nobody says otherwise).
    #[must_use]
    pub fn watchdog_of_the_start(&self) -> Option<Keeper> {
        self.watchdog().map(|keeper| Keeper { starts: true, ..keeper })
    }

    fn tell(&self, states: &[NotifyState<'_>]) -> Result<(), BoardError> {
        let Some(socket) = &self.socket else { return Ok(()) };
        let words: String = states.iter().map(|state| format!("{state}\n")).collect();
        let sent = || -> io::Result<()> {
            let datagram = UnixDatagram::unbound()?;
            // A keeper that doesn't read shall not hold up whom it keeps.
            datagram.set_nonblocking(true)?;
            datagram.send_to_addr(words.as_bytes(), socket)?;
            Ok(())
        };
        sent().map_err(|error| {
            BoardError::new(
                Code::Io,
                format!("the keeper of this process doesn't listen ({SOCKET_ENV}): {error}"),
            )
        })
    }
}

/// A watchdog that the keeper of this process feeds, or not, by what it hears.
#[derive(Debug, Clone)]
pub struct Keeper {
    notify: Notify,
    timeout: Duration,
    starts: bool,
}

impl Watchdog for Keeper {
    fn feed(&mut self) -> Result<(), BoardError> {
        if self.starts {
            return self.notify.tell(&[NotifyState::Watchdog, NotifyState::ExtendTimeoutUsec(MORE_USEC)]);
        }
        self.notify.tell(&[NotifyState::Watchdog])
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }
}

fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is neither a path from the root nor behind an `@`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A keeper, and an environment that names it.
    fn keeper(name: &OsStr, env: &'static [(&'static str, &'static str)]) -> (UnixDatagram, Notify) {
        let heard = UnixDatagram::bind_addr(&address(name).unwrap()).unwrap();
        let name = name.to_owned();
        let lookup = move |wanted: &str| {
            let set = env.iter().find(|(name, _)| *name == wanted).map(|(_, value)| OsString::from(value));
            if wanted == SOCKET_ENV { Some(name.clone()) } else { set }
        };
        (heard, Notify::of(&lookup, 42).unwrap())
    }

    fn next(keeper: &UnixDatagram) -> String {
        let mut bytes = [0; 2048];
        let length = keeper.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_keeper_hears_every_word_by_path_and_by_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify.sock").into_os_string();
        let abstract_name = OsString::from(format!("@wagate-test-{}", std::process::id()));
        for name in [path, abstract_name] {
            let (heard, notify) = keeper(&name, &[(WATCHDOG_ENV, "3000000"), (WATCHDOG_PID_ENV, "42")]);
            assert!(notify.is_heard());
            notify.ready().unwrap();
            assert_eq!(next(&heard), "READY=1\n");
            let mut watchdog = notify.watchdog().unwrap();
            assert_eq!(watchdog.timeout(), Duration::from_secs(3));
            watchdog.feed().unwrap();
            notify.watchdog_of_the_start().unwrap().feed().unwrap();
            assert_eq!(next(&heard), "WATCHDOG=1\n");
            assert_eq!(next(&heard), "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=90000000\n");
            notify.reloading().unwrap();
            assert!(next(&heard).starts_with("RELOADING=1\nMONOTONIC_USEC="));
            notify.stopping().unwrap();
            assert_eq!(next(&heard), "STOPPING=1\n");
        }
    }

    #[test]
    fn a_status_is_one_line_of_bounded_length() {
        let folder = tempfile::tempdir().unwrap();
        let (heard, notify) = keeper(folder.path().join("s").as_os_str(), &[]);
        notify.status("on trial\nREADY=1").unwrap();
        assert_eq!(next(&heard), "STATUS=on trial READY=1\n");
        notify.status(&"é".repeat(STATUS_MAX)).unwrap();
        assert_eq!(next(&heard).len(), "STATUS=\n".len() + STATUS_MAX);
    }

    #[test]
    fn without_a_socket_nothing_happens_and_with_a_wrong_one_it_is_said() {
        let notify = Notify::of(&|name| (name == WATCHDOG_ENV).then(|| "1".into()), 42).unwrap();
        assert!(!notify.is_heard() && notify.watchdog().is_none());
        notify.ready().unwrap();
        let wrong = Notify::of(&|name| (name == SOCKET_ENV).then(|| "run/it".into()), 42).unwrap_err();
        assert!(wrong.text.contains(SOCKET_ENV), "{wrong}");
        let gone = Notify::of(&|name| (name == SOCKET_ENV).then(|| "/nowhere/it".into()), 42).unwrap();
        assert_eq!(gone.ready().unwrap_err().code, Code::Io);
    }

    #[test]
    fn a_watchdog_over_another_process_is_none_of_ours() {
        let folder = tempfile::tempdir().unwrap();
        let cases: [&'static [_]; 4] = [
            &[(WATCHDOG_ENV, "3000000"), (WATCHDOG_PID_ENV, "43")],
            &[(WATCHDOG_ENV, "0")],
            &[(WATCHDOG_ENV, "soon")],
            &[],
        ];
        for (number, env) in cases.into_iter().enumerate() {
            let (_heard, notify) = keeper(folder.path().join(number.to_string()).as_os_str(), env);
            assert!(notify.watchdog().is_none(), "{env:?}");
        }
    }

    #[test]
    fn a_keeper_that_does_not_read_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let (_heard, notify) = keeper(folder.path().join("s").as_os_str(), &[]);
        // Far more than any queue of datagrams holds.
        assert!((0..1_000_000).any(|_| notify.ready().is_err()));
    }
}

//! Network namespaces, the wires between them, and what runs in them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::files::{FOLDER, FOLDERS};
use crate::harness::eventually;

/// What all names begin with, the process id of the test behind it.
const PREFIX: &str = "wagate-";
/// Where `ip netns` keeps them.
const PLACE: &str = "/run/netns";

/// The namespaces of one test. Dropping the one that made them ends all that runs in them.
pub(super) struct Net {
    prefix: String,
    is_mine: bool,
}

impl Net {
    /// None yet; those that a test left behind that was killed are cleared away.
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        sweep();
        let prefix = format!("{PREFIX}{}-{}-", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { prefix, is_mine: true }
    }

    /// Those that another process has made and will clear away.
    pub(super) fn of(prefix: String) -> Self {
        Self { prefix, is_mine: false }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A name for the interface of a tunnel: `wireguard-go` has its sockets where all namespaces share them.
    pub(super) fn interface(&self, role: &str) -> String {
        interface(&format!("{}{role}", self.prefix)).unwrap()
    }

    /// One more, that passes on what isn't for itself.
    pub(super) fn add(&self, role: &str) {
        succeed(Command::new("ip").args(["netns", "add", &format!("{}{role}", self.prefix)]));
        self.ip(role, "link set lo up");
        // Nobody else can have an address here, so nobody is asked for a second whether somebody has.
        let settings = "cd /proc/sys/net; echo 1 | tee ipv4/ip_forward ipv6/conf/all/forwarding; \
            echo 0 | tee ipv6/conf/all/accept_dad ipv6/conf/default/accept_dad";
        self.run(role, "sh", &["-c", settings]);
    }

    /// A cable from an interface of one to an interface of the other, with their addresses.
    pub(super) fn wire(&self, one: (&str, &str, &[&str]), other: (&str, &str, &[&str])) {
        let whole = |role: &str| format!("{}{role}", self.prefix);
        let mut add = Command::new("ip");
        add.args(["link", "add", one.1, "netns", &whole(one.0), "type", "veth"]);
        succeed(add.args(["peer", "name", other.1, "netns", &whole(other.0)]));
        for (role, interface, addresses) in [one, other] {
            for address in addresses {
                self.ip(role, &format!("addr add {address} dev {interface}"));
            }
            self.ip(role, &format!("link set {interface} up"));
        }
    }

    /// Runs `ip` with these words.
    pub(super) fn ip(&self, role: &str, words: &str) {
        let mut ip = Command::new("ip");
        succeed(ip.args(["-n", &format!("{}{role}", self.prefix)]).args(words.split(' ')));
    }

    /// Loads rules of the kernel's filter.
    pub(super) fn nft(&self, role: &str, rules: &str) {
        self.run(role, "nft", &[rules]);
    }

    /// Kills all that runs in one of them.
    pub(super) fn kill_all(&self, role: &str) {
        kill_inside(&format!("{}{role}", self.prefix));
    }

    /// A program that will run in one of them.
    pub(super) fn command(&self, role: &str, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{}{role}", self.prefix), program]).stdin(Stdio::null());
        command
    }

    /// Runs a program to its end, which must be a good one; gives what it said.
    pub(super) fn run(&self, role: &str, program: &str, arguments: &[&str]) -> String {
        String::from_utf8(succeed(self.command(role, program).args(arguments)).stdout).unwrap()
    }

    /// Starts a program that goes on, its words in a file beside those of `folder`.
    pub(super) fn start(&self, role: &str, folder: &Path, program: &str, arguments: &[&str]) -> Running {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let log = folder.join(format!("{role}-{number}.log"));
        let file = File::create(&log).unwrap();
        let mut command = self.command(role, program);
        let output = (Stdio::from(file.try_clone().unwrap()), Stdio::from(file));
        let child = command.args(arguments).stdout(output.0).stderr(output.1).spawn().unwrap();
        Running { child, log }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        if self.is_mine {
            clear(|name| name.starts_with(&self.prefix));
        }
    }
}

/// Clears away what processes left behind that are gone.
fn sweep() {
    clear(|name| {
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        process.is_some_and(is_over)
    });
    for entry in std::fs::read_dir(FOLDERS).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let process = name.strip_prefix(FOLDER).and_then(|rest| rest.split('-').next());
        if process.is_some_and(is_over) {
            // Another test may be doing the same.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether a process of this number has ended.
fn is_over(process: &str) -> bool {
    process.parse::<u32>().is_ok() && !Path::new("/proc").join(process).exists()
}

/// `wagate-1234-0-relay` has `w12340r`, of at most 15 bytes.
fn interface(namespace: &str) -> Option<String> {
    let mut parts = namespace.strip_prefix(PREFIX)?.split('-');
    Some(format!("w{}{}{}", parts.next()?, parts.next()?, parts.next()?.get(..1)?))
}

fn clear(is_gone: impl Fn(&str) -> bool) {
    for entry in std::fs::read_dir(PLACE).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !is_gone(&name) {
            continue;
        }
        kill_inside(&name);
        if let Some(interface) = interface(&name) {
            // Killed, it leaves this behind; most have none.
            let _ = std::fs::remove_file(format!("/run/wireguard/{interface}.sock"));
        }
        // Another test may be clearing the same away.
        let _ = Command::new("ip").args(["netns", "del", &name]).output();
    }
}

/// Looks after whoever is killed so often, that nobody is left who holds the namespace.
const LOOKS: u32 = 500;

fn kill_inside(name: &str) {
    for _ in 0..LOOKS {
        let inside = Command::new("ip").args(["netns", "pids", name]).output();
        let inside = inside.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let inside = inside.unwrap_or_default();
        if inside.trim().is_empty() {
            return;
        }
        for process in inside.split_whitespace() {
            if let Some(process) = process.parse().ok().and_then(Pid::from_raw) {
                // It may have ended by itself.
                let _ = kill_process(process, Signal::KILL);
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A program in a namespace; ends with this, at the latest.
pub(super) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// What it has said.
    pub(super) fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Asks it to end, its own children included, and waits for it.
    pub(super) async fn stop(mut self) {
        let process = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(process, Signal::TERM).unwrap();
        eventually("it ends when it's asked to", async || self.has_ended().then_some(())).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("---- {}:\n{}", self.log.display(), self.said());
        }
    }
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {}", said());
    output
}

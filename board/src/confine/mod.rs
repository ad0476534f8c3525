//! What a process that faces the internet gives up before it reads its first byte from there.
//!
//! Four locks, each for itself: no new privileges, Landlock over files (and the ports that are listened on),
//! seccomp over system calls, and the end with its parent. They hold for everything that the process does from
//! then on and can't be taken back. Whoever takes the process over has its store and its sockets, and no shell,
//! no other file, and none of the kernel's odd corners.
//!
//! To be called before there is a second thread: Landlock holds for the calling thread and those that it starts.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod calls;
mod files;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod filter;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, Signal};

use crate::{BoardError, Code};

/// What a process needs. All else is closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Folders in which it reads, writes, makes and removes files. They have to be there.
    pub writes: Vec<PathBuf>,
    /// Files and folders that it reads. What isn't there is passed over, and stays closed when it comes later.
    pub reads: Vec<PathBuf>,
    /// TCP ports that it listens on; UDP isn't asked about, and connections out aren't either.
    pub listens: Vec<u16>,
    /// It is killed when the thread that started it ends.
    pub dies_with_parent: bool,
}

/// Files that a process with sockets needs of any Linux: names, roots, clocks, and what it tells about itself.
/// Single files of `/etc`, for the whole of it holds the passwords' hashes.
const COMMON: &[&str] = &[
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/passwd",
    "/etc/group",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/etc/wagate",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/share/zoneinfo",
    "/usr/lib/ssl",
    "/proc/self",
    "/proc/sys",
    "/proc/stat",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/loadavg",
    "/proc/uptime",
    "/proc/mounts",
    "/proc/diskstats",
    "/proc/partitions",
    "/sys",
    "/dev/urandom",
];

/// Where the name servers stand.
const NAME_SERVERS: &str = "/etc/resolv.conf";

impl Plan {
    /// The needs of the gateway and of those beside it: `store` is written; `config`, the folder of the
    /// configuration, and `extra` are read.
    #[must_use]
    pub fn new(store: &Path, config: &Path, extra: &[PathBuf]) -> Self {
        let mut reads: Vec<PathBuf> = COMMON.iter().map(PathBuf::from).collect();
        reads.extend(name_servers());
        reads.push(config.to_owned());
        // A configuration is switched by a link beside the folders with the old one and the new one.
        let is_link = |path: &Path| path.symlink_metadata().is_ok_and(|about| about.is_symlink());
        if is_link(config) {
            reads.extend(config.parent().map(Path::to_owned));
        }
        reads.extend(extra.iter().cloned());
        reads.extend(std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from));
        Self { writes: vec![store.to_owned()], reads, listens: Vec::new(), dies_with_parent: false }
    }

    /// The same, listening on these ports too.
    #[must_use]
    pub fn listening(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.listens.extend(ports);
        self
    }

    /// The same, bound to its parent's life.
    #[must_use]
    pub const fn dying_with_parent(mut self, dies: bool) -> Self {
        self.dies_with_parent = dies;
        self
    }
}

/// The file of name servers and, where that is a link, the folder in which it is replaced when the network changes.
fn name_servers() -> Vec<PathBuf> {
    let file = PathBuf::from(NAME_SERVERS);
    let Ok(target) = std::fs::read_link(&file) else { return vec![file] };
    let target = Path::new("/etc").join(target);
    let folder = target.parent().and_then(|folder| folder.canonicalize().ok());
    folder
        .filter(|folder| folder != Path::new("/etc") && folder != Path::new("/"))
        .map_or(vec![file], |it| vec![it])
}

/// How far the kernel went along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// All that was asked for holds.
    Whole,
    /// An older kernel: what it knows of it holds.
    Part,
    /// Nothing of it holds.
    None,
}

/// What holds from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confined {
    /// Landlock.
    pub files: Held,
    /// seccomp.
    pub calls: Held,
}

impl Confined {
    /// What is missing, in words for a log, a status and an alarm; nothing where everything holds that is to be
    /// had.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if self.files == Held::None {
            missing.push(
                "this kernel has no Landlock: the process can open any file that its user may".to_owned(),
            );
        }
        if self.calls == Held::None {
            missing
                .push("there is no seccomp filter for this processor: every system call is open".to_owned());
        }
        missing
    }
}

impl std::fmt::Display for Confined {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = |held: Held| match held {
            Held::Whole => "confined",
            Held::Part => "confined as far as this kernel can",
            Held::None => "NOT confined",
        };
        write!(to, "files {}, system calls {}", word(self.files), word(self.calls))
    }
}

/// Confines this process to `plan`, for good. `WAGATE_CONFINE=1` asks the program for it.
///
/// # Errors
/// When there is more than one thread already, a folder to be written isn't there, or the kernel refuses what it
/// says that it can: the process shouldn't go on then. A kernel that can't is no error here, but is to be said:
/// [`Confined::missing`].
pub fn confine(plan: &Plan) -> Result<Confined, BoardError> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        let text =
            format!("{threads} threads run already: those that do aren't confined by the files' rules");
        return Err(BoardError::new(Code::Unsupported, text));
    }
    lock(plan)
}

/// The gateway's own words for it: see [`Plan::new`].
///
/// # Errors
/// See [`confine`].
pub fn gateway(
    store: &Path,
    config: &Path,
    extra: &[PathBuf],
    listens: &[u16],
    dies_with_parent: bool,
) -> Result<Confined, BoardError> {
    let plan = Plan::new(store, config, extra).listening(listens.iter().copied());
    confine(&plan.dying_with_parent(dies_with_parent))
}

/// The variable of the environment that asks a program of ours to confine itself.
pub const CONFINE_ENV: &str = "WAGATE_CONFINE";

/// Whether this process was asked to confine itself.
#[must_use]
pub fn is_asked() -> bool {
    std::env::var_os(CONFINE_ENV).is_some_and(|value| value == "1")
}

fn lock(plan: &Plan) -> Result<Confined, BoardError> {
    let refused = |what: &'static str| move |error: rustix::io::Errno| BoardError::io(what, error);
    if plan.dies_with_parent {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(refused("the parent-death signal"))?;
    }
    // A core would hold the secrets.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none).map_err(refused("the limit of cores"))?;
    rustix::thread::set_no_new_privs(true).map_err(refused("no new privileges"))?;
    let files = files::lock(plan)?;
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    let calls = filter::lock()?;
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let calls = Held::None;
    Ok(Confined { files, calls })
}

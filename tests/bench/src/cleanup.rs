//! What must not outlive the benchmark: children, mounted images, folders.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

/// Something to be undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kept {
    Process(u32),
    Mounted(PathBuf),
    LoopDevice(String),
    Folder(PathBuf),
}

/// Makes something and remembers it until [`forget`]; a signal comes before or after both.
pub(crate) fn keep<T>(make: impl FnOnce() -> anyhow::Result<(T, Kept)>) -> anyhow::Result<T> {
    let mut all = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let (made, kept) = make()?;
    all.push(kept);
    Ok(made)
}

/// It has been undone.
pub(crate) fn forget(kept: &Kept) {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).retain(|one| one != kept);
}

/// From now on SIGTERM and SIGINT undo everything and end the program.
pub(crate) fn on_signals() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut term, mut int) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
        });
        // Held to the end, so that nothing new is made meanwhile.
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        // Last made, first undone.
        while let Some(kept) = kept.pop() {
            kept.undo();
        }
        // 128 and the signal, as a shell would say.
        std::process::exit(130);
    })?;
    Ok(())
}

impl Kept {
    fn undo(&self) {
        match self {
            Self::Process(id) => {
                let id = i32::try_from(*id).ok().and_then(Pid::from_raw);
                if let Some(id) = id {
                    // Fails only when it has ended already.
                    let _ = kill_process(id, Signal::KILL);
                }
            }
            Self::Mounted(path) => run("umount", &["--lazy".as_ref(), path.as_os_str()]),
            Self::LoopDevice(device) => run("losetup", &["--detach".as_ref(), device.as_ref()]),
            Self::Folder(path) => remove(path),
        }
    }
}

fn run(program: &str, arguments: &[&std::ffi::OsStr]) {
    // What can't be undone stays visible in `mount` and `losetup`.
    let _ = Command::new(program).args(arguments).output();
}

fn remove(path: &Path) {
    // A process that is just dying may still make a file.
    for _ in 0..3 {
        if std::fs::remove_dir_all(path).is_ok() || !path.exists() {
            return;
        }
    }
}

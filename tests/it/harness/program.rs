//! The program under test, built where it is missing or older than its sources.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::SystemTime;

/// The path of `wagate`: `WAGATE_BIN`, or what stands beside this test in the target folder.
///
/// `cargo test --workspace` builds it on the way; a run of this package alone doesn't, so it is
/// done here then.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(given) = std::env::var_os("WAGATE_BIN") {
            return given.into();
        }
        let test = std::env::current_exe().unwrap();
        // target/debug/deps/it-…
        let profile = test.parent().and_then(Path::parent).unwrap();
        let program = profile.join("wagate");
        let built = modified(&program);
        if built.is_none_or(|built| built < newest_source()) {
            build(profile);
        }
        program
    })
}

/// Runs a command of the program to its end.
pub(crate) fn wagate(arguments: &[&str]) -> Output {
    Command::new(program()).args(arguments).output().unwrap()
}

fn build(profile: &Path) {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--package", "wagate", "--bin", "wagate"]).current_dir(workspace());
    cargo.arg("--target-dir").arg(profile.parent().unwrap());
    match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => {}
        Some(name) => drop(cargo.args(["--profile", name])),
    }
    assert!(cargo.status().unwrap().success(), "the program can't be built");
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|known| known.modified()).ok()
}

fn newest_source() -> SystemTime {
    let workspace = workspace();
    let crates = std::fs::read_dir(workspace.join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let mut newest = modified(&workspace.join("Cargo.lock")).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut folders: Vec<PathBuf> = crates
        .chain([workspace.join("board"), workspace.join("gateway")])
        .map(|package| package.join("src"))
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Some(modified) = modified(&path) {
                newest = newest.max(modified);
            }
        }
    }
    newest
}

//! Puts the peer's packages and its certificate beside its program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;

/// Where its sources are.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peer");
const FILES: [&str; 3] = ["package.json", "package-lock.json", "server.mjs"];

/// Installs the peer in `folder` (a folder of the build) unless it is there already; returns where.
///
/// # Errors
/// Without `node` and `npm`, and when the packages can't be had.
pub(crate) fn install(folder: &Path) -> anyhow::Result<PathBuf> {
    let folder = folder.join("bench-peer");
    fs::create_dir_all(&folder)?;
    let lock = fs::read(Path::new(SOURCES).join("package-lock.json"))?;
    let installed = fs::read(folder.join("installed.json")).is_ok_and(|installed| installed == lock);
    for file in FILES {
        fs::copy(Path::new(SOURCES).join(file), folder.join(file))?;
    }
    if !installed {
        // Only better-sqlite3 has a script of its own: it fetches or builds the SQLite that it wraps.
        npm(&folder, &["ci", "--ignore-scripts", "--no-audit", "--no-fund"])?;
        npm(&folder, &["rebuild", "better-sqlite3"])?;
        fs::write(folder.join("installed.json"), lock)?;
    }
    // P-256, as wagate makes it for itself (docs/decisions/0007).
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    fs::write(folder.join("cert.pem"), made.cert.pem())?;
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem())?;
    Ok(folder)
}

fn npm(folder: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let status = Command::new("npm").args(arguments).current_dir(folder).stdout(Stdio::null()).status();
    let status = status.context("the peer needs node and npm; without them: --no-peer")?;
    anyhow::ensure!(status.success(), "npm {}: {status}", arguments.join(" "));
    Ok(())
}

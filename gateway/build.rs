//! Asks the linker for packed relocations (RELR) where what loads the program understands them.
//!
//! A position-independent program of this size has 33,000 places that the loader adjusts: a table of
//! 0.8 MB, all of it in memory after the start, or 13 KB packed.

use std::env;
use std::process::Command;

/// The first glibc that reads them (its release notes; Debian 12 has it). An older one refuses the
/// program.
const GLIBC: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if wanted() {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Whether the program will be loaded by a glibc that is new enough: this machine's, where the
/// program is made for it and finds glibc at its start. A static program brings what its linker has
/// put in, which isn't known here.
fn wanted() -> bool {
    let of_target = |name: &str| env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    let own = env::var("HOST").is_ok_and(|host| env::var("TARGET").is_ok_and(|target| host == target));
    let dynamic = !of_target("FEATURE").split(',').any(|feature| feature == "crt-static");
    own && dynamic
        && of_target("OS") == "linux"
        && of_target("ENV") == "gnu"
        && glibc().is_some_and(|version| version >= GLIBC)
}

/// This machine's glibc; `None` where there is none or it doesn't say.
fn glibc() -> Option<(u32, u32)> {
    let answer = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

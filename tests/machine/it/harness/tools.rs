//! The programs that the tests call.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// UEFI for virtual machines, as Debian's `qemu-efi-aarch64` installs it.
pub(super) const EDK2_CODE: &str = "/usr/share/AAVMF/AAVMF_CODE.fd";
/// The variables that it starts with.
pub(super) const EDK2_VARS: &str = "/usr/share/AAVMF/AAVMF_VARS.fd";
/// U-Boot for QEMU's `virt`, as Debian's `u-boot-qemu` installs it.
pub(super) const U_BOOT: &str = "/usr/lib/u-boot/qemu_arm64/u-boot.bin";

const PROGRAMS: &[&str] =
    &["qemu-system-aarch64", "mcopy", "mkfs.vfat", "e2fsck", "debugfs", "openssl", "cp"];

/// The repository's folder.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

/// Whether everything that the tests need is on this machine; else what isn't.
pub(super) fn all_there() -> Result<(), String> {
    for program in PROGRAMS {
        if find(program).is_none() {
            return Err(format!("{program} isn't installed"));
        }
    }
    for file in [EDK2_CODE, EDK2_VARS, U_BOOT] {
        if !Path::new(file).exists() {
            return Err(format!("{file} isn't there (qemu-efi-aarch64, u-boot-qemu)"));
        }
    }
    super::images::all_there()
}

/// U-Boot and the device tree of a Raspberry Pi 3, from the packages that the image for the Pi 4 is made of;
/// else what is missing.
pub(crate) fn raspberry_pi_3() -> Result<[PathBuf; 2], String> {
    let packages = super::images::package_cache().join("unpacked");
    let folders = std::fs::read_dir(&packages).map_err(|error| format!("{}: {error}", packages.display()))?;
    let folders: Vec<PathBuf> = folders.flatten().map(|entry| entry.path()).collect();
    let trees = folders.iter().filter_map(|folder| folder.join("usr/lib").read_dir().ok());
    let trees = trees.flatten().flatten().map(|entry| entry.path().join("broadcom/bcm2837-rpi-3-b.dtb"));
    let u_boots = folders.iter().map(|folder| folder.join("usr/lib/u-boot/rpi_3/u-boot.bin"));
    let found = |mut files: Box<dyn Iterator<Item = PathBuf> + '_>, what: &str| {
        let missing = || format!("no {what} in {} (scripts/build-image.sh --board rpi4)", packages.display());
        files.find(|file| file.exists()).ok_or_else(missing)
    };
    Ok([found(Box::new(u_boots), "U-Boot")?, found(Box::new(trees), "device tree")?])
}

/// Where a program is; those for file systems may stand outside of a user's `PATH`.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|path| path.exists())
}

/// A command of one of these programs, its input closed.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(find(program).unwrap_or_else(|| program.into()));
    command.stdin(Stdio::null()).env("MTOOLS_SKIP_CHECK", "1");
    command
}

/// `scripts/flash.sh`, which writes an image to a card.
pub(crate) fn flash(image: &Path, card: &Path, more: &[&str]) -> Command {
    let mut script = Command::new(repository().join("scripts/flash.sh"));
    script.arg(image).arg(card).args(more).stdin(Stdio::null());
    script
}

/// Runs a command to its end, whatever that is.
pub(crate) fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs a command that has to go well; gives what it printed.
pub(crate) fn done(command: &mut Command) -> Vec<u8> {
    let output = output(command);
    assert!(
        output.status.success(),
        "{command:?} left with {}:\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

//! `wagate machine`: what the image of the box itself calls, hidden from the help.

use std::io::{Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use board::linux::{Grown, grow};
use clap::Subcommand;

use super::Exit;
use crate::supervisor::announce::Announced;
use crate::{out, setup, supervisor};

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Machine {
    /// Own the machine: start the gateway, feed the watchdog, write updates (as root, under init)
    Supervise {
        /// A folder that plays the box, for tests: no users, clock, network or partitions are touched
        #[arg(long, hide = true, value_name = "FOLDER")]
        root: Option<PathBuf>,
    },
    /// Serve the setup page, while there is no configuration
    Setup(setup::Args),
    /// Say the box's name on the local network
    Announce {
        /// The name, without `.local`
        name: String,
        /// Where HTTPS is spoken
        #[arg(long, value_name = "PORT")]
        https: Option<u16>,
        /// Where HTTP is spoken
        #[arg(long, value_name = "PORT")]
        http: Option<u16>,
    },
    /// Let the last partition of a disk reach to its end
    Grow {
        /// The disk, such as /dev/mmcblk0
        disk: PathBuf,
    },
}

pub(super) fn run(command: &Machine) -> anyhow::Result<Exit> {
    match command {
        Machine::Supervise { root } => supervisor::supervise(root.as_deref()),
        Machine::Announce { name, https, http } => {
            supervisor::announce::announce(&Announced { name: name.clone(), https: *https, http: *http })
        }
        Machine::Setup(args) => setup::run(args).map(|()| Exit::Done),
        Machine::Grow { disk } => grow_disk(disk),
    }
}

/// Bytes of a sector, as [`grow`] counts.
const SECTOR: u64 = 512;

fn grow_disk(disk: &Path) -> anyhow::Result<Exit> {
    let at = || disk.display().to_string();
    let mut file = std::fs::File::options().read(true).write(true).open(disk).with_context(at)?;
    let sectors = file.seek(SeekFrom::End(0)).with_context(at)? / SECTOR;
    let said = match grow(&mut file, sectors).with_context(at)? {
        Grown::Nothing => "nothing to grow: the last partition reaches to the end of the disk".to_owned(),
        Grown::To { from, to } => {
            format!("the data partition has {} MiB now, it had {}", to >> 20, from >> 20)
        }
    };
    out::answer(&format!("{said}\n"))?;
    Ok(Exit::Done)
}

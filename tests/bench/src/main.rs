//! The benchmark: the real program under load, and the store's designs side by side.
//!
//! `scripts/bench` builds and runs it. Load generator and CRM are the stand-ins of [`simulate`], in
//! this process; the gateway is the release binary beside this one, as a child. Every phase begins
//! with an empty store and ends with a check that everything acknowledged reached the CRM, in order:
//! a figure of a run that lost something is no figure. Nothing is asserted about time.
//!
//! Start reading at [`path`] for the whole path and at [`designs`] for the store alone.

mod alternative;
mod designs;
mod disk;
mod gateway;
mod parts;
mod path;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

/// Measures wagate and prints tables in Markdown.
#[derive(Debug, Parser)]
#[command(name = "wagate-bench")]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// A few seconds only: shows that the benchmark works, and nothing else.
    #[arg(long, global = true)]
    smoke: bool,
    /// How often the whole path is measured; the medians are told.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Seconds of each phase with a pace of its own.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Where stores are put; the default is the system's temporary folder.
    #[arg(long, global = true)]
    folder: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole path, from the webhook to the CRM (the default).
    Path,
    /// The store as built beside sealed log segments that are themselves the history.
    StoreDesigns,
    /// The parts of the path that are computation alone, one call after another.
    Parts,
    /// Fills a store and dies without a farewell; used by `store-designs`.
    #[command(hide = true)]
    Fill {
        /// Which design.
        design: designs::Design,
        /// Where.
        folder: PathBuf,
        /// How many records.
        records: usize,
        /// With the usual folds, or with everything left in the log.
        #[arg(long)]
        folding: bool,
    },
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let folder = args.folder.unwrap_or_else(std::env::temp_dir);
    match args.command.unwrap_or(Command::Path) {
        Command::Path => {
            let plan = if args.smoke {
                path::Plan::smoke(folder)
            } else {
                path::Plan::full(folder, args.rounds, Duration::from_secs(args.seconds))
            };
            path::measure(&plan)
        }
        Command::StoreDesigns => designs::measure(&folder, args.smoke),
        Command::Parts => parts::measure(args.smoke),
        Command::Fill { design, folder, records, folding } => {
            designs::fill(design, &folder, records, folding)
        }
    }
}

//! The benchmark: the real program under load, a peer beside it, and the store's designs side by side.
//!
//! `scripts/bench` builds and runs it. Load generator and CRM are in this process and as lean as can be
//! ([`load`], [`sink`]); the gateway is the release binary beside this one, the peer a Node server, as
//! children. Every phase begins with a store of its own and ends with a check that everything
//! acknowledged reached the CRM, in order: a figure of a run that lost something is no figure. Nothing
//! is asserted about time.
//!
//! Start reading at [`phase`], then [`path`]; at [`designs`] for the store alone.

mod alternative;
mod cleanup;
mod designs;
mod disk;
mod http;
mod judge;
mod load;
mod path;
mod peer;
mod phase;
mod poll;
mod results;
mod server;
mod sink;
mod table;
mod work;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use path::Load;
use phase::Bench;
use results::Results;
use server::Programs;

/// Measures wagate and prints tables in Markdown.
#[derive(Debug, Parser)]
#[command(name = "wagate-bench")]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// A few seconds only, without the peer: shows that the benchmark works, and nothing else.
    #[arg(long, global = true)]
    smoke: bool,
    /// How often each phase is measured.
    #[arg(long, global = true)]
    rounds: Option<u32>,
    /// Seconds of each phase with a pace of its own; a closed loop takes half of it.
    #[arg(long, global = true)]
    seconds: Option<f64>,
    /// Only this load; can be given several times.
    #[arg(long, global = true)]
    only: Vec<Load>,
    /// Without the Node server.
    #[arg(long, global = true)]
    no_peer: bool,
    /// The gateway's binary; the default is `wagate` beside this program.
    #[arg(long, global = true)]
    gateway: Option<PathBuf>,
    /// Where stores are put; the default is the system's temporary folder.
    #[arg(long, global = true)]
    folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// The whole path, from the webhook to the CRM (the default).
    Path,
    /// The store as built beside sealed log segments that are themselves the history.
    StoreDesigns,
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
    let folder = args.folder.clone().unwrap_or_else(std::env::temp_dir);
    match args.command.clone().unwrap_or(Command::Path) {
        Command::StoreDesigns => designs::measure(&folder, args.smoke),
        Command::Fill { design, folder, records, folding } => {
            designs::fill(design, &folder, records, folding)
        }
        Command::Path => measure(&args, &folder),
    }
}

fn measure(args: &Args, folder: &std::path::Path) -> anyhow::Result<()> {
    cleanup::on_signals()?;
    let folder = tempfile::Builder::new().prefix("wagate-bench-").tempdir_in(folder)?;
    cleanup::remember(cleanup::Kept::Folder(folder.path().to_owned()));
    let program = std::env::current_exe()?;
    let target = program.parent().and_then(std::path::Path::parent).context("the folder of the build")?;
    let gateway = args.gateway.clone().unwrap_or_else(|| program.with_file_name("wagate"));
    anyhow::ensure!(gateway.exists(), "there is no {}; run scripts/bench, which builds it", gateway.display());
    let peer = if args.no_peer || args.smoke { None } else { Some(peer::install(target)?) };
    let programs = Programs { gateway, peer };
    let folder_path = folder.path().to_owned();
    let bench =
        if args.smoke { Bench::smoke(programs, folder_path) } else { Bench::full(programs, folder_path) };
    let seconds = args.seconds.unwrap_or(if args.smoke { 0.5 } else { 10.0 });
    let plan = path::Plan {
        rounds: args.rounds.unwrap_or(if args.smoke { 1 } else { 5 }),
        paced: Duration::from_secs_f64(seconds),
        loads: if args.only.is_empty() { Load::ALL.to_vec() } else { args.only.clone() },
    };
    let mut results = Results::begin();
    path::measure(&bench, &plan, &mut results)?;
    results.tables()?;
    let saved = results.save(&target.join("bench"))?;
    table::say(&format!("kept in {}", saved.display()));
    Ok(())
}

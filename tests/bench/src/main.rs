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
mod backlog;
mod cleanup;
mod crash;
mod designs;
mod disk;
mod history;
mod http;
mod judge;
mod limits;
mod load;
mod path;
mod peer;
mod phase;
mod pictures;
mod plot;
mod poll;
mod report;
mod results;
mod sending;
mod server;
mod sink;
mod slow_disk;
mod table;
mod wear;
mod work;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};

use backlog::Backlog;
use cleanup::Kept;
use path::{Load, Plan};
use phase::Bench;
use results::Results;
use sending::Extent;
use server::Programs;
use wear::Wear;

/// Measures wagate and prints tables in Markdown.
#[derive(Debug, Parser)]
#[command(name = "wagate-bench")]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, clap::Args)]
struct Options {
    /// Each part for a moment, without the peer: shows that the benchmark works, and nothing else.
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
    /// Writes tables and plots into docs/performance.md and docs/performance/.
    #[arg(long, global = true)]
    write: bool,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// From the webhook to the CRM: rates, latencies, processor time, memory (the default).
    Path,
    /// Flash bytes per webhook at 1/s, at 200/s and saturated.
    Wear,
    /// With every flush 10 ms slower.
    SlowDisk,
    /// A million records that the CRM hasn't taken: memory, start after a kill, drain.
    Backlog,
    /// With a million delivered records in the store, and without.
    History,
    /// Killed while saturated: repeats, restart.
    Crash,
    /// The way out: queueing beside intake, the drain at 80/s, a backlog of 100,000.
    Sending,
    /// The load generator and the CRM against a server that does nothing.
    Limits,
    /// All of the above.
    All,
    /// The store as built beside sealed log segments that are themselves the history.
    StoreDesigns,
    /// Shows results again, several files together.
    Show {
        /// The files that runs have left; a later one wins.
        files: Vec<PathBuf>,
    },
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

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Part {
    Limits,
    Path,
    Crash,
    SlowDisk,
    Wear,
    History,
    Backlog,
    Sending,
}

impl Part {
    const ALL: [Self; 8] = [
        Self::Limits,
        Self::Path,
        Self::Crash,
        Self::SlowDisk,
        Self::Wear,
        Self::History,
        Self::Backlog,
        Self::Sending,
    ];

    /// How often its phases are measured, and the seconds of one with a pace of its own.
    const fn extent(self) -> (u32, f64) {
        match self {
            Self::Path => (5, 10.0),
            Self::Limits | Self::Crash | Self::SlowDisk | Self::History | Self::Sending => (3, 10.0),
            Self::Wear => (2, 10.0),
            Self::Backlog => (1, 0.0),
        }
    }

    fn measure(self, bench: &Bench, options: &Options, results: &mut Results) -> anyhow::Result<()> {
        let smoke = options.smoke;
        let (rounds, seconds) = if smoke { (1, 0.4) } else { self.extent() };
        let plan = Plan {
            rounds: options.rounds.unwrap_or(rounds),
            paced: Duration::from_secs_f64(options.seconds.unwrap_or(seconds)),
            loads: if options.only.is_empty() { Load::ALL.to_vec() } else { options.only.clone() },
        };
        let wear = if smoke { Wear::SMOKE } else { Wear::FULL };
        match self {
            Self::Limits => limits::measure(&plan, results),
            Self::Path => path::measure(bench, &plan, results),
            Self::Crash => crash::measure(bench, &plan, results),
            Self::SlowDisk => slow_disk::measure(bench, &plan, results),
            Self::Wear => wear::measure(bench, &plan, &wear, results),
            Self::History => {
                let records = if smoke { history::SMOKE } else { history::FULL };
                history::measure(bench, &plan, records, &wear, results)
            }
            Self::Backlog => {
                let backlog = if smoke { Backlog::SMOKE } else { Backlog::FULL };
                backlog::measure(bench, &backlog, results)
            }
            Self::Sending => {
                let extent = if smoke { Extent::SMOKE } else { Extent::FULL };
                sending::measure(bench, &plan, &extent, results)
            }
        }
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let options = &args.options;
    let folder = options.folder.clone().unwrap_or_else(std::env::temp_dir);
    // Before any thread is there.
    cleanup::on_signals()?;
    match args.command.unwrap_or(Command::Path) {
        Command::Path => measure(&[Part::Path], options, &folder),
        Command::Wear => measure(&[Part::Wear], options, &folder),
        Command::SlowDisk => measure(&[Part::SlowDisk], options, &folder),
        Command::Backlog => measure(&[Part::Backlog], options, &folder),
        Command::History => measure(&[Part::History], options, &folder),
        Command::Crash => measure(&[Part::Crash], options, &folder),
        Command::Sending => measure(&[Part::Sending], options, &folder),
        Command::Limits => measure(&[Part::Limits], options, &folder),
        Command::All => measure(&Part::ALL, options, &folder),
        Command::StoreDesigns => designs::measure(&folder, options.smoke),
        Command::Show { files } => show(&Results::read(&files)?, options.write),
        Command::Fill { design, folder, records, folding } => {
            designs::fill(design, &folder, records, folding)
        }
    }
}

fn measure(parts: &[Part], options: &Options, folder: &Path) -> anyhow::Result<()> {
    let folder = cleanup::keep(|| {
        let folder = tempfile::Builder::new().prefix("wagate-bench-").tempdir_in(folder)?;
        let kept = Kept::Folder(folder.path().to_owned());
        Ok((folder, kept))
    })?;
    let program = std::env::current_exe()?;
    let target = program.parent().and_then(Path::parent).context("the folder of the build")?;
    let gateway = options.gateway.clone().unwrap_or_else(|| program.with_file_name("wagate"));
    anyhow::ensure!(
        gateway.exists(),
        "there is no {}; run scripts/bench, which builds it",
        gateway.display()
    );
    let peer = if options.no_peer || options.smoke { None } else { Some(peer::install(target)?) };
    let programs = Programs { gateway, peer };
    let at = folder.path().to_owned();
    let bench = if options.smoke { Bench::smoke(programs, at) } else { Bench::full(programs, at) };
    let mut results = Results::begin();
    let smoke = options.smoke;
    let mut failed = Vec::new();
    // The shortest way through everything is what a smoke test wants, whatever part was named.
    for part in if smoke { &Part::ALL } else { parts } {
        let outcome = part.measure(&bench, options, &mut results);
        // A part that fails doesn't take the others with it.
        if let Err(error) = outcome {
            table::say(&format!("{part:?} failed: {error:?}"));
            failed.push(*part);
        }
        let saved = results.save(&target.join("bench"))?;
        table::say(&format!("so far in {}", saved.display()));
    }
    show(&results, options.write && failed.is_empty())?;
    anyhow::ensure!(
        failed.is_empty(),
        "no figures of {failed:?}; why is said above, and nothing was written"
    );
    Ok(())
}

fn show(results: &Results, write: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    write!(out, "{}", report::page(results))?;
    writeln!(out, "### Every figure\n")?;
    out.flush()?;
    drop(out);
    results.tables()?;
    if write { report::write(results) } else { Ok(()) }
}

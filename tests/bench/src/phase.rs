//! One phase: a server with a store of its own, a warm-up, a load, and a check of what arrived.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tempfile::TempDir;

use crate::disk::Image;
use crate::judge::{Promise, judge};
use crate::load::{Generator, Pace, Until};
use crate::results::Figures;
use crate::server::{Kind, Programs, Server, Setup, cpu_seconds};
use crate::sink::Sink;
use crate::work::Work;

/// The measured part begins when connections are open and contacts are known.
const WARM_UP_RATE: f64 = 500.0;
/// How long the CRM may take for what a closed loop has piled up.
const DRAINED_WITHIN: Duration = Duration::from_secs(900);
/// What has just started is left alone for so long before its idle memory is read.
const REST: Duration = Duration::from_secs(1);
/// And after a history was copied beside it: a disk that has just taken hundreds of megabytes is slower
/// for a while, whoever writes to it.
const COPIED_REST: Duration = Duration::from_secs(6);

/// What is common to all phases.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) programs: Programs,
    /// Everything is put in here.
    pub(crate) folder: PathBuf,
    /// A second, or nearly nothing where only the benchmark itself is tried.
    pub(crate) warm_up: Duration,
    pub(crate) rest: Duration,
}

/// How one phase is run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Phase<'a> {
    pub(crate) pace: Pace,
    pub(crate) until: Until,
    /// Bytes are counted on its device; without one by the program, where it counts.
    pub(crate) image: Option<&'a Image>,
    /// A library between the server and the C library.
    pub(crate) preload: Option<&'a Path>,
    /// A folder with a store, of which a copy lies there when the phase begins.
    pub(crate) history: Option<(&'a Path, History)>,
    pub(crate) setup: Setup,
}

/// What a history is to a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum History {
    /// The server has it.
    Known,
    /// It lies beside an empty store: the file system is as full, and the disk has had as much to write.
    Beside,
}

impl Phase<'_> {
    pub(crate) const fn new(pace: Pace, until: Until) -> Self {
        Self { pace, until, image: None, preload: None, history: None, setup: Setup::INTAKE }
    }
}

impl Bench {
    pub(crate) fn full(programs: Programs, folder: PathBuf) -> Self {
        Self { programs, folder, warm_up: Duration::from_secs(1), rest: REST }
    }

    pub(crate) fn smoke(programs: Programs, folder: PathBuf) -> Self {
        Self { programs, folder, warm_up: Duration::from_millis(100), rest: Duration::ZERO }
    }

    /// The servers of a round, in an order that changes from round to round.
    pub(crate) fn kinds(&self, round: u32) -> Vec<Kind> {
        let mut kinds = vec![Kind::Wagate];
        if self.programs.peer.is_some() {
            kinds.push(Kind::Peer);
        }
        if round.is_multiple_of(2) {
            kinds.reverse();
        }
        kinds
    }

    /// Runs a phase.
    pub(crate) fn run(&self, kind: Kind, work: &Arc<Work>, phase: &Phase<'_>) -> anyhow::Result<Figures> {
        let root = phase.image.map_or_else(|| self.folder.clone(), Image::root);
        let folder = TempDir::new_in(root)?;
        if let Some((store, history)) = phase.history {
            let beside = folder.path().join("beside");
            fs::create_dir(&beside)?;
            copy(store, if history == History::Known { folder.path() } else { &beside })?;
        }
        let sink = Sink::start(Arc::clone(work), None)?;
        let server = if phase.setup == Setup::INTAKE {
            Server::start(&self.programs, kind, folder.path(), &sink.url(), phase.preload)?
        } else {
            Server::start_as(&self.programs, folder.path(), &sink.url(), &phase.setup, phase.preload)?
        };
        let copied = phase.history.is_some() && !self.rest.is_zero();
        std::thread::sleep(if copied { COPIED_REST } else { self.rest });
        let idle = server.memory()?;
        let mut generator = Generator::open(Arc::clone(work), server.address(), phase.setup.tls)?;
        let warm_up = generator.run(Pace::PerSecond(WARM_UP_RATE), Until::time(self.warm_up))?;
        drained(&sink, warm_up.acked_items)?;
        let skipped: Vec<usize> = generator.sent().map(<[_]>::len).collect();

        let bytes = || match phase.image {
            Some(image) => image.written(),
            None => server.counter("wagate_store_written_bytes"),
        };
        let counters =
            || anyhow::Ok((server.counter("wagate_store_folds")?, server.counter("wagate_store_groups")?));
        let (folds_before, groups_before) = counters()?;
        let (bytes_before, cpu_before, own_before) = (bytes()?, server.cpu_seconds()?, cpu_seconds("self")?);
        let start = Instant::now();
        let outcome = generator.run(phase.pace, phase.until)?;
        let loaded = server.memory()?;
        anyhow::ensure!(outcome.acked > 0, "nothing was acknowledged");
        drained(&sink, warm_up.acked_items + outcome.acked_items)?;
        let all_there = start.elapsed();
        let (cpu, own) = (server.cpu_seconds()? - cpu_before, cpu_seconds("self")? - own_before);
        let written = bytes()? - bytes_before;
        let (folds, groups) = counters()?;
        let drained_memory = server.memory()?;
        server.stop().with_context(|| format!("after a phase of {kind:?}"))?;
        let seen = sink.stop()?;
        let verdict = judge(work, generator.sent(), &skipped, &seen, Promise::Once, kind == Kind::Wagate)?;

        let acked = outcome.acked as f64;
        let (ack, journey) = (outcome.ack.summary(), verdict.journey.summary());
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let mut figures = Figures::new();
        for (name, value) in [
            ("acked_per_second", acked / outcome.took.as_secs_f64()),
            ("delivered_per_second", outcome.acked_items as f64 / all_there.as_secs_f64()),
            ("ack_p50_ms", ms(ack.p50)),
            ("ack_p99_ms", ms(ack.p99)),
            ("crm_p50_ms", ms(journey.p50)),
            ("crm_p99_ms", ms(journey.p99)),
            ("cpu_s_per_10k", cpu / acked * 1e4),
            ("bench_cpu_s_per_10k", own / acked * 1e4),
            ("rss_idle_mib", idle.resident),
            ("rss_loaded_mib", loaded.resident),
            ("rss_peak_mib", drained_memory.peak),
        ] {
            figures.insert(name.to_owned(), value);
        }
        if phase.image.is_some() {
            figures.insert("bytes_per_webhook".to_owned(), written as f64 / acked);
        } else if kind == Kind::Wagate {
            // What it has given to the page cache, which absorbs some of it.
            figures.insert("own_bytes_per_webhook".to_owned(), written as f64 / acked);
        }
        if kind == Kind::Wagate {
            figures.insert("folds".to_owned(), (folds - folds_before) as f64);
            figures.insert("webhooks_per_group".to_owned(), acked / (groups - groups_before).max(1) as f64);
        }
        Ok(figures)
    }
}

/// Waits until the CRM has so many records.
pub(crate) fn drained(sink: &Sink, records: u64) -> anyhow::Result<()> {
    let deadline = Instant::now() + DRAINED_WITHIN;
    while sink.distinct() < records {
        anyhow::ensure!(Instant::now() < deadline, "the CRM has {} of {records} records", sink.distinct());
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Copies the store that lies in `from` (and nothing else of that folder) into `to`.
pub(crate) fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let store = from.join("store");
    anyhow::ensure!(fs::exists(&store)?, "there is no store in {}", from.display());
    let copied = Command::new("cp").arg("-a").arg(&store).arg(to).status()?;
    anyhow::ensure!(copied.success(), "a store can't be copied: {copied}");
    rustix::fs::syncfs(fs::File::open(to)?)?;
    Ok(())
}

//! The store as built beside the named alternative: flash bytes, latency, recovery.
//!
//! The alternative is a sketch of what it would do to the disk ([`crate::alternative`]); the store
//! is the real one. Both get the same records in the same groups, one group at a time.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use model::{Item, Sequence, WallTime};
use simulate::whatsapp::{PayloadOptions, Payloads};
use simulate::{Histogram, Summary};
use store::{FolderDisk, Options, Store};
use tempfile::TempDir;

use crate::alternative::{Alternative, FOLDING, Segments};
use crate::disk::{IMAGE_BYTES, Image, USUAL};
use crate::table::{Table, ms, say};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Design {
    /// Recycled ring, folded into compressed blocks in redb.
    Built,
    /// Segments are the history; each new one is filled with zeros.
    Segments,
    /// The same, once history has grown full: segments of expired history are used again.
    Expired,
}

impl Design {
    const ALL: [Self; 3] = [Self::Built, Self::Segments, Self::Expired];

    const fn words(self) -> &'static str {
        match self {
            Self::Built => "as built: ring + compressed blocks in redb",
            Self::Segments => "segments are history, still growing",
            Self::Expired => "segments are history, expired ones reused",
        }
    }
}

/// How records come.
#[derive(Debug, Clone, Copy)]
struct Pattern {
    name: &'static str,
    group: usize,
    groups: usize,
    /// Folded by the clock after so many groups, as at a low rate.
    fold_after: Option<usize>,
}

/// Records that are written before anything is measured: the first contacts, the first pages.
const WARM_UP_GROUPS: usize = 64;
/// A segment that is in the log of a store where nothing is folded for long.
const DEEP_SEGMENTS: u32 = 16;
/// Made beforehand for [`Design::Expired`]; more than any pattern fills.
const EXPIRED_SEGMENTS: u64 = 20;
const OPENINGS: usize = 3;

/// Either of them.
enum Subject {
    Built(Box<Store>),
    Alternative(Box<Alternative>),
}

impl Subject {
    fn open(design: Design, folder: &Path, folding: bool) -> anyhow::Result<Self> {
        Ok(match design {
            Design::Built => {
                let options = if folding {
                    Options::default()
                } else {
                    let never = Duration::from_secs(1 << 30);
                    Options {
                        segments: DEEP_SEGMENTS,
                        fold_records: usize::MAX,
                        fold_bytes: u64::MAX,
                        fold_every: never,
                        ..Options::default()
                    }
                };
                let disk = Arc::new(FolderDisk::new(folder)?);
                Self::Built(Box::new(Store::open(disk, options, Box::new(|_| {}))?))
            }
            Design::Segments | Design::Expired => {
                let segments = match design {
                    Design::Expired => Segments::Expired(EXPIRED_SEGMENTS),
                    Design::Built | Design::Segments => Segments::New,
                };
                let fold_records = if folding { FOLDING } else { usize::MAX };
                Self::Alternative(Box::new(Alternative::open(folder, segments, fold_records)?))
            }
        })
    }

    /// One group commit; returns how long it took.
    fn append(&mut self, batch: Batch) -> anyhow::Result<Duration> {
        match self {
            Self::Built(store) => {
                let start = Instant::now();
                store.append_and_wait(batch.items, WallTime(0))?;
                Ok(start.elapsed())
            }
            Self::Alternative(alternative) => {
                let start = Instant::now();
                alternative.append(&batch.entries)?;
                Ok(start.elapsed())
            }
        }
    }

    /// What the CRM does after every group.
    fn settle(&mut self, sequences: std::ops::Range<u64>) {
        match self {
            Self::Built(store) => store.settle(&sequences.map(Sequence).collect::<Vec<_>>()),
            Self::Alternative(alternative) => alternative.settle(sequences.count()),
        }
    }

    fn fold(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Built(store) => Ok(store.fold()?),
            Self::Alternative(alternative) => alternative.fold_and_wait(),
        }
    }

    /// Bytes that the content of all records takes.
    fn content_bytes(&self) -> u64 {
        match self {
            Self::Built(store) => store.health().live_bytes,
            Self::Alternative(alternative) => alternative.log_bytes(),
        }
    }
}

/// One group in both forms.
struct Batch {
    items: Vec<Item>,
    entries: Vec<([u8; 16], Vec<u8>)>,
}

struct Source {
    payloads: Payloads,
    overhead: usize,
}

impl Source {
    /// `overhead` is what the store as built adds to the raw bytes of an item.
    fn new(overhead: usize) -> Self {
        Self { payloads: Payloads::new(PayloadOptions::default()), overhead }
    }

    fn batch(&mut self, group: usize) -> Batch {
        let mut batch = Batch { items: Vec::new(), entries: Vec::new() };
        for body in self.payloads.by_ref().take(group) {
            for item in records::digest(&body.bytes) {
                let mut hash = [0; 16];
                let digest = ring::digest::digest(&ring::digest::SHA256, item.id.as_bytes());
                hash.copy_from_slice(&digest.as_ref()[..16]);
                let mut entry = item.raw.clone();
                // The hash is a part of the entry.
                entry.resize(item.raw.len() + self.overhead - 16, b'x');
                batch.entries.push((hash, entry));
                batch.items.push(item);
            }
        }
        batch
    }
}

/// Mean bytes that an entry of the store as built has beyond the raw bytes and the entry's header.
fn measure_overhead(folder: &Path) -> anyhow::Result<usize> {
    const RECORDS: usize = 2_000;
    const ENTRY_HEADER: usize = 24;
    let folder = TempDir::new_in(folder)?;
    let mut subject = Subject::open(Design::Built, folder.path(), false)?;
    let batch = Source::new(16).batch(RECORDS);
    let raw: usize = batch.items.iter().map(|item| item.raw.len()).sum();
    subject.append(batch)?;
    let entries = usize::try_from(subject.content_bytes())?;
    Ok((entries - raw) / RECORDS - ENTRY_HEADER)
}

/// Measures and prints.
pub(crate) fn measure(folder: &Path, smoke: bool) -> anyhow::Result<()> {
    let scale = if smoke { 64 } else { 1 };
    let patterns = [
        Pattern { name: "1 a group, folded every 600", group: 1, groups: 8_192, fold_after: Some(600) },
        Pattern { name: "1 a group", group: 1, groups: 16_384, fold_after: None },
        Pattern { name: "8 a group", group: 8, groups: 8_192, fold_after: None },
        Pattern { name: "64 a group", group: 64, groups: 2_048, fold_after: None },
    ];
    let place = Place::new(folder)?;
    let overhead = measure_overhead(folder)?;
    say(&format!("an entry is {overhead} B more than the raw bytes"));
    let mut table = Table::new(&[
        "webhooks",
        "design",
        "device B per webhook",
        "of these content kept",
        "commit p50 ms",
        "p99 ms",
        "p99.9 ms",
    ]);
    for pattern in patterns {
        for design in Design::ALL {
            say(&format!("{}: {}", pattern.name, design.words()));
            let groups = (pattern.groups / scale).max(4);
            let measured = wear(&place, design, Pattern { groups, ..pattern }, overhead)?;
            table.row(&[
                pattern.name.to_owned(),
                design.words().to_owned(),
                measured.device.map_or("-".to_owned(), |bytes| format!("{bytes:.0}")),
                format!("{:.0}", measured.kept),
                format!("{:.2}", ms(measured.latency.p50)),
                format!("{:.2}", ms(measured.latency.p99)),
                format!("{:.1}", ms(measured.latency.p999)),
            ]);
        }
    }
    table.print()?;

    let records = 100_000 / scale;
    let mut table = Table::new(&[
        "after a kill",
        "design",
        "opened in ms (each opening)",
        "records replayed from the log",
    ]);
    for (name, folding) in [("folded as usual", true), ("nothing folded", false)] {
        for design in [Design::Built, Design::Segments] {
            say(&format!("opening, {name}: {}", design.words()));
            let opened = recovery(&place, design, records, folding)?;
            let times: Vec<String> = opened.iter().map(|(time, _)| format!("{:.0}", ms(*time))).collect();
            let replayed = opened.first().map_or(0, |(_, replayed)| *replayed);
            table.row(&[
                format!("{records} undelivered, {name}"),
                design.words().to_owned(),
                times.join(", "),
                replayed.to_string(),
            ]);
        }
    }
    table.print()?;
    Ok(())
}

struct Wear {
    device: Option<f64>,
    /// Bytes of content that stay on the disk for each record.
    kept: f64,
    latency: Summary,
}

fn wear(place: &Place, design: Design, pattern: Pattern, overhead: usize) -> anyhow::Result<Wear> {
    let mut subject = Subject::open(design, &place.empty()?, true)?;
    let mut source = Source::new(overhead);
    let mut next = 1;
    let mut step = |subject: &mut Subject, group| {
        let batch = source.batch(group);
        let records = batch.items.len() as u64;
        let took = subject.append(batch)?;
        subject.settle(next..next + records);
        next += records;
        anyhow::Ok(took)
    };
    for _ in 0..WARM_UP_GROUPS {
        step(&mut subject, pattern.group)?;
    }
    subject.fold()?;
    let (written, content) = (place.written()?, subject.content_bytes());
    let mut latency = Histogram::default();
    for number in 1..=pattern.groups {
        latency.record(step(&mut subject, pattern.group)?);
        if pattern.fold_after.is_some_and(|after| number % after == 0) {
            subject.fold()?;
        }
    }
    subject.fold()?;
    let records = (pattern.groups * pattern.group) as f64;
    let device = place.written()?.zip(written).map(|(after, before)| (after - before) as f64 / records);
    let kept = (subject.content_bytes() - content) as f64 / records;
    drop(subject);
    Ok(Wear { device, kept, latency: latency.summary() })
}

/// Kills a process that has just filled a store, and opens the store.
fn recovery(
    place: &Place,
    design: Design,
    records: usize,
    folding: bool,
) -> anyhow::Result<Vec<(Duration, u64)>> {
    let mut opened = Vec::new();
    for _ in 0..OPENINGS {
        let store = place.empty()?;
        let mut command = Command::new(std::env::current_exe()?);
        let name = design.to_possible_value().map(|value| value.get_name().to_owned());
        command.args(["fill", &name.unwrap_or_default()]).arg(&store).arg(records.to_string());
        if folding {
            command.arg("--folding");
        }
        let ended = command.stderr(Stdio::null()).status()?;
        anyhow::ensure!(!ended.success(), "the filling process was to die by its own hand");
        place.forget()?;
        let start = Instant::now();
        let subject = Subject::open(design, &store, folding)?;
        let took = start.elapsed();
        let replayed = match &subject {
            Subject::Built(store) => {
                anyhow::ensure!(store.pending() == records as u64, "{} are there", store.pending());
                store.health().tail_records
            }
            Subject::Alternative(alternative) => alternative.unfolded() as u64,
        };
        opened.push((took, replayed));
    }
    Ok(opened)
}

/// The process that is killed.
pub(crate) fn fill(design: Design, folder: &Path, records: usize, folding: bool) -> anyhow::Result<()> {
    const GROUP: usize = 64;
    let mut subject = Subject::open(design, folder, folding)?;
    let mut source = Source::new(256);
    let mut left = records;
    while left > 0 {
        let group = left.min(GROUP);
        subject.append(source.batch(group))?;
        left -= group;
    }
    std::process::abort()
}

/// An image where that is allowed, else a folder.
enum Place {
    Image(Image),
    Folder(TempDir),
}

impl Place {
    fn new(folder: &Path) -> anyhow::Result<Self> {
        match Image::new(folder, IMAGE_BYTES, USUAL) {
            Ok(image) => Ok(Self::Image(image)),
            Err(error) => {
                say(&format!("no image of its own, so nothing counts the bytes: {error:#}"));
                Ok(Self::Folder(TempDir::new_in(folder)?))
            }
        }
    }

    /// A folder for the next store; the one before is thrown away.
    fn empty(&self) -> anyhow::Result<PathBuf> {
        let store = match self {
            Self::Image(image) => image.root().join("store"),
            Self::Folder(folder) => folder.path().join("store"),
        };
        if store.exists() {
            std::fs::remove_dir_all(&store)?;
        }
        Ok(store)
    }

    fn written(&self) -> anyhow::Result<Option<u64>> {
        match self {
            Self::Image(image) => image.written().map(Some),
            Self::Folder(_) => Ok(None),
        }
    }

    fn forget(&self) -> anyhow::Result<()> {
        match self {
            Self::Image(image) => image.remount(),
            Self::Folder(_) => Ok(()),
        }
    }
}

//! The named alternative to the store's design, for comparison: sealed log segments are themselves
//! the history, and redb holds an index only.
//!
//! It does to the disk what such a store would do, and no more: the same blocks, headers, checksums
//! and group commit as the store as built, the same hashes of seen events folded at the same times,
//! delivered marks with the next group. In place of compressed blocks redb gets the place of every
//! 64th record. New segments are filled with zeros aside, or taken from those whose history has
//! expired ([`Segments`]).

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

/// As in the store as built.
const SEGMENT_BYTES: u64 = 16 << 20;
const BLOCK: usize = 4096;
const GROUP_HEADER: usize = 48;
const ENTRY_HEADER: usize = 24;
const FOLD_RECORDS: usize = 8_192;
const RECENT_MAX: usize = 100_000;
const CACHE_BYTES: usize = 8 << 20;
/// A delivered sequence in a mark.
const MARK_BYTES: usize = 3;
/// The fewest that this sketch writes, so that its entries have the shape of all others.
const MARKS_MIN: usize = 5;
/// Every so-manieth record has its place in the index; the way to the others is by scanning.
const PLACE_EVERY: u64 = 64;

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const PLACES: TableDefinition<'_, u64, (u64, u64)> = TableDefinition::new("places");
const RUNS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("runs");
const SEEN: TableDefinition<'_, [u8; 16], ()> = TableDefinition::new("seen");

/// Where segments come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Segments {
    /// Made for the purpose: history still grows.
    New,
    /// Of history that has expired, so many: the state after the box's first months.
    Expired(u64),
}

/// What goes to the second thread.
enum Order {
    Segment(u64),
    Fold(Box<Fold>),
}

#[derive(Default)]
struct Fold {
    hashes: Vec<[u8; 16]>,
    into_tree: bool,
    places: Vec<(u64, (u64, u64))>,
    /// Sequence, generation, offset and group number from which replay begins.
    position: [u64; 4],
    run: u64,
}

/// The writing end; [`Alternative::append`] is a group commit.
pub(crate) struct Alternative {
    segment: File,
    generation: u64,
    offset: u64,
    group: u64,
    next_sequence: u64,
    buffer: Vec<u8>,
    marks: usize,
    recent: HashSet<[u8; 16]>,
    pending: Fold,
    folding: bool,
    fold_records: usize,
    runs: u64,
    orders: SyncSender<Order>,
    segments: Receiver<io::Result<File>>,
    folds: Receiver<Result<(), redb::Error>>,
    helper: Option<JoinHandle<()>>,
}

impl Alternative {
    /// Makes or opens one in `folder`; replays what isn't folded.
    pub(crate) fn open(folder: &Path, segments: Segments, fold_records: usize) -> anyhow::Result<Self> {
        let fresh = !folder.join("index.redb").exists();
        fs::create_dir_all(folder.join("log"))?;
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(folder.join("index.redb"))?;
        if fresh {
            write_fold(&database, &Fold { position: [1, 1, 0, 1], ..Fold::default() })?;
        }
        let mut recent = HashSet::new();
        let [mut next_sequence, mut generation, mut offset, mut group] = [1, 1, 0, 1];
        let mut runs = 0;
        if !fresh {
            let transaction = database.begin_read()?;
            let table = transaction.open_table(META)?;
            if let Some(position) = table.get("position")? {
                let mut words =
                    position.value().as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
                for value in [&mut next_sequence, &mut generation, &mut offset, &mut group] {
                    *value = words.next().unwrap_or_default();
                }
            }
            for run in transaction.open_table(RUNS)?.iter()? {
                let (number, hashes) = run?;
                runs = number.value() + 1;
                recent.extend(hashes.value().as_chunks::<16>().0);
            }
        }
        let mut pending = Fold::default();
        loop {
            let mut bytes = Vec::new();
            match File::open(segment_path(folder, generation)) {
                Ok(mut file) => file.read_to_end(&mut bytes)?,
                Err(_) => break,
            };
            let from = usize::try_from(offset)?;
            let end = replay(&bytes, from, generation, &mut next_sequence, &mut group, &mut pending);
            offset = end as u64;
            if !begins(&segment_path(folder, generation + 1), generation + 1) {
                break;
            }
            (generation, offset) = (generation + 1, 0);
        }
        recent.extend(&pending.hashes);

        if fresh {
            make_segment(folder, generation)?;
            if let Segments::Expired(count) = segments {
                for number in 0..count {
                    make(&expired_path(folder, number))?;
                }
            }
        }
        let segment = open_segment(folder, generation)?;
        let (orders, order_queue) = sync_channel(2);
        let (made, segment_queue) = sync_channel(1);
        let (done, fold_queue) = sync_channel(1);
        let helper = Helper { folder: folder.to_owned(), database, made, done };
        let helper = std::thread::spawn(move || helper.run(&order_queue));
        orders.send(Order::Segment(generation + 1))?;
        Ok(Self {
            segment,
            generation,
            offset,
            group,
            next_sequence,
            buffer: Vec::new(),
            marks: 0,
            recent,
            pending,
            folding: false,
            fold_records,
            runs,
            orders,
            segments: segment_queue,
            folds: fold_queue,
            helper: Some(helper),
        })
    }

    /// Records that a replay has found, or that aren't folded for another reason.
    pub(crate) fn unfolded(&self) -> usize {
        self.pending.hashes.len()
    }

    /// Bytes of segments that hold something.
    pub(crate) fn log_bytes(&self) -> u64 {
        (self.generation - 1) * SEGMENT_BYTES + self.offset
    }

    /// Writes the entries, each a hash and a body, as one group; returns when it is durable.
    pub(crate) fn append(&mut self, entries: &[([u8; 16], Vec<u8>)]) -> anyhow::Result<()> {
        let bodies: usize = entries.iter().map(|(_, body)| ENTRY_HEADER + body.len()).sum();
        let marks = if self.marks > 0 { ENTRY_HEADER + 2 + self.marks * MARK_BYTES } else { 0 };
        let extent = (GROUP_HEADER + bodies + marks).next_multiple_of(BLOCK);
        if self.offset + extent as u64 > SEGMENT_BYTES {
            self.next_segment()?;
        }
        self.buffer.clear();
        self.buffer.resize(GROUP_HEADER, 0);
        for (hash, body) in entries {
            if !self.recent.insert(*hash) {
                continue;
            }
            if self.next_sequence.is_multiple_of(PLACE_EVERY) {
                self.pending.places.push((self.next_sequence, (self.generation, self.offset)));
            }
            self.entry(1, self.next_sequence, hash, body);
            self.next_sequence += 1;
            self.pending.hashes.push(*hash);
        }
        if self.marks > 0 {
            let body = vec![1; 2 + self.marks * MARK_BYTES - 16];
            self.entry(2, 0, &[0; 16], &body);
        }
        self.marks = 0;
        let payload = (self.buffer.len() - GROUP_HEADER) as u64;
        self.buffer[16..24].copy_from_slice(&self.generation.to_le_bytes());
        self.buffer[24..32].copy_from_slice(&self.group.to_le_bytes());
        self.buffer[32..40].copy_from_slice(&payload.to_le_bytes());
        let sum = crc32fast::hash(&self.buffer[8..GROUP_HEADER]);
        self.buffer[4..8].copy_from_slice(&sum.to_le_bytes());
        self.buffer.resize(self.buffer.len().next_multiple_of(BLOCK), 0);
        self.segment.write_all_at(&self.buffer, self.offset)?;
        self.segment.sync_data()?;
        self.offset += self.buffer.len() as u64;
        self.group += 1;
        self.collect(false)?;
        if self.pending.hashes.len() >= self.fold_records && !self.folding {
            self.fold()?;
        }
        Ok(())
    }

    /// An entry; the hash is the first part of its body.
    fn entry(&mut self, kind: u16, sequence: u64, hash: &[u8; 16], body: &[u8]) {
        let start = self.buffer.len();
        let length = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
        self.buffer.extend(length.to_le_bytes());
        self.buffer.extend([0; 4]);
        self.buffer.extend(sequence.to_le_bytes());
        self.buffer.extend(u64::from(kind).to_le_bytes());
        self.buffer.extend(hash);
        self.buffer.extend(body);
        let sum = crc32fast::hash(&self.buffer[start + 8..]);
        self.buffer[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
    }

    /// Notes that so many were delivered; written with the next group.
    pub(crate) fn settle(&mut self, records: usize) {
        self.marks += records.max(MARKS_MIN);
    }

    /// Folds and waits for it.
    pub(crate) fn fold_and_wait(&mut self) -> anyhow::Result<()> {
        self.collect(true)?;
        self.fold()?;
        self.collect(true)
    }

    fn fold(&mut self) -> anyhow::Result<()> {
        let mut fold = std::mem::take(&mut self.pending);
        fold.position = [self.next_sequence, self.generation, self.offset, self.group];
        fold.run = self.runs;
        self.runs += 1;
        if self.recent.len() >= RECENT_MAX {
            fold.hashes = self.recent.drain().collect();
            fold.into_tree = true;
        }
        fold.hashes.sort_unstable();
        self.orders.send(Order::Fold(Box::new(fold)))?;
        self.folding = true;
        Ok(())
    }

    fn collect(&mut self, wait: bool) -> anyhow::Result<()> {
        if self.folding {
            let done = if wait { Some(self.folds.recv()?) } else { self.folds.try_recv().ok() };
            if let Some(done) = done {
                done?;
                self.folding = false;
            }
        }
        Ok(())
    }

    fn next_segment(&mut self) -> anyhow::Result<()> {
        self.segment = self.segments.recv()??;
        (self.generation, self.offset) = (self.generation + 1, 0);
        self.orders.send(Order::Segment(self.generation + 1))?;
        // The store as built folds at the end of a segment, too.
        if !self.folding && self.fold_records < usize::MAX {
            self.fold()?;
        }
        Ok(())
    }
}

impl Drop for Alternative {
    fn drop(&mut self) {
        (self.orders, _) = sync_channel(0);
        (_, self.segments) = sync_channel(0);
        (_, self.folds) = sync_channel(0);
        if let Some(helper) = self.helper.take() {
            let _ = helper.join();
        }
    }
}

/// Whether a segment holds anything of its generation.
fn begins(path: &Path, generation: u64) -> bool {
    let mut header = [0; GROUP_HEADER];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut header, 0));
    read.is_ok() && header[16..24] == generation.to_le_bytes()
}

/// Shows what a segment holds from `at` on; gives the end.
fn replay(
    bytes: &[u8],
    mut at: usize,
    generation: u64,
    next_sequence: &mut u64,
    group: &mut u64,
    found: &mut Fold,
) -> usize {
    let word = |at: usize| bytes.get(at..at + 8)?.first_chunk().map(|word| u64::from_le_bytes(*word));
    let short = |at: usize| bytes.get(at..at + 4)?.first_chunk().map(|word| u32::from_le_bytes(*word));
    while at + BLOCK <= bytes.len() {
        let sum = crc32fast::hash(&bytes[at + 8..at + GROUP_HEADER]);
        let (Some(payload), true, true) =
            (word(at + 32), short(at + 4) == Some(sum), word(at + 16) == Some(generation))
        else {
            return at;
        };
        let end = at + GROUP_HEADER + usize::try_from(payload).unwrap_or(usize::MAX / 2);
        let mut entry = at + GROUP_HEADER;
        while entry < end {
            let Some(length) = short(entry).map(|length| length as usize) else { return at };
            let Some(whole) = bytes.get(entry..entry + 8 + 16 + length) else { return at };
            if short(entry + 4) != Some(crc32fast::hash(&whole[8..])) {
                return at;
            }
            if word(entry + 16) == Some(1)
                && let Some(hash) = whole[ENTRY_HEADER..].first_chunk::<16>()
            {
                found.hashes.push(*hash);
                *next_sequence = word(entry + 8).unwrap_or_default() + 1;
            }
            entry += whole.len();
        }
        at = end.next_multiple_of(BLOCK);
        *group += 1;
    }
    at
}

struct Helper {
    folder: PathBuf,
    database: Database,
    made: SyncSender<io::Result<File>>,
    done: SyncSender<Result<(), redb::Error>>,
}

impl Helper {
    fn run(&self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            let told = match order {
                Order::Segment(generation) => {
                    let made = make_segment(&self.folder, generation)
                        .and_then(|()| open_segment(&self.folder, generation));
                    self.made.send(made).is_ok()
                }
                Order::Fold(fold) => self.done.send(write_fold(&self.database, &fold)).is_ok(),
            };
            if !told {
                return;
            }
        }
    }
}

fn write_fold(database: &Database, fold: &Fold) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    {
        let mut runs = transaction.open_table(RUNS)?;
        if fold.into_tree {
            let mut seen = transaction.open_table(SEEN)?;
            for hash in &fold.hashes {
                seen.insert(hash, ())?;
            }
            runs.retain(|_, _| false)?;
        } else if !fold.hashes.is_empty() {
            runs.insert(fold.run, fold.hashes.as_flattened())?;
        }
        let mut places = transaction.open_table(PLACES)?;
        for (sequence, place) in &fold.places {
            places.insert(sequence, place)?;
        }
        let position: Vec<u8> = fold.position.iter().flat_map(|word| word.to_le_bytes()).collect();
        transaction.open_table(META)?.insert("position", position.as_slice())?;
    }
    transaction.commit()?;
    Ok(())
}

fn segment_path(folder: &Path, generation: u64) -> PathBuf {
    folder.join("log").join(format!("{generation:08}.seg"))
}

fn expired_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("expired-{number}"))
}

/// Takes an expired segment where there is one, else makes one.
fn make_segment(folder: &Path, generation: u64) -> io::Result<()> {
    let path = segment_path(folder, generation);
    if path.exists() {
        return Ok(());
    }
    let expired = (0..64).map(|number| expired_path(folder, number)).find(|path| path.exists());
    let source = match expired {
        Some(expired) => expired,
        None => {
            let unfinished = folder.join("unfinished");
            make(&unfinished)?;
            unfinished
        }
    };
    fs::rename(source, path)?;
    File::open(folder.join("log"))?.sync_all()
}

fn make(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..SEGMENT_BYTES >> 20 {
        file.write_all(&zeros)?;
    }
    file.sync_all()
}

fn open_segment(folder: &Path, generation: u64) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(segment_path(folder, generation))
}

/// The fold as the store as built has it by default.
pub(crate) const FOLDING: usize = FOLD_RECORDS;

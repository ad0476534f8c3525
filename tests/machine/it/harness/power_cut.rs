//! Power cuts replayed from a log of block writes: what a disk holds when the power goes between two writes,
//! when writes that weren't flushed are lost, and when the last one is half done.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use simulate::Random;
use store::{FolderDisk, Options, Query, Store};

use super::blocklog::{BlockLog, Entry, SECTOR};
use super::disk::{self, DATA, Disk, ESP, Part};
use super::env::Env;
use super::fat::Fat;
use super::tools::{command, done, output};

/// Between two looks at the log's length.
const SAMPLE_EVERY: Duration = Duration::from_millis(1);

/// Notes how long the log is, so that an answer can be placed in it.
pub(crate) struct Sampler {
    samples: Arc<Mutex<Vec<(Instant, u64)>>>,
    ended: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Sampler {
    pub(crate) fn start(log: &Path) -> Self {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let ended = Arc::new(AtomicBool::new(false));
        let (kept, end, log) = (Arc::clone(&samples), Arc::clone(&ended), log.to_owned());
        let thread = std::thread::spawn(move || {
            let mut last = 0;
            while !end.load(Ordering::Relaxed) {
                let length = log.metadata().map_or(0, |known| known.len());
                if length != last {
                    last = length;
                    kept.lock().unwrap().push((Instant::now(), length));
                }
                std::thread::sleep(SAMPLE_EVERY);
            }
        });
        Self { samples, ended, thread }
    }

    pub(crate) fn stop(self) -> Samples {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        Samples(std::mem::take(&mut *self.samples.lock().unwrap()))
    }
}

/// The length of the log over time.
pub(crate) struct Samples(Vec<(Instant, u64)>);

impl Samples {
    /// How many entries of the log there were for certain when `at` was seen: rather one more than one less,
    /// so that nothing is asked of a cut that came before.
    pub(crate) fn entries_at(&self, at: Instant, log: &BlockLog) -> usize {
        let later = self.0.partition_point(|(seen, _)| *seen < at);
        let length = self.0.get(later).or(self.0.last()).map_or(u64::MAX, |(_, length)| *length);
        log.entries.partition_point(|entry| entry.end <= length)
    }
}

/// What becomes of a flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cache {
    /// When it is done, everything before it is on the disk.
    Honest,
    /// Nothing is, as on a card that cheats. No box can live on that: it shows that the replay sees losses.
    Lying,
}

/// What happened to a disk, and what must be on it.
pub(crate) struct Scene {
    /// The disk before the first write.
    pub(crate) before: Disk,
    pub(crate) log: BlockLog,
    /// Record ids, each with the number of entries that the log had at its 200.
    pub(crate) acknowledged: Vec<(usize, String)>,
}

/// A partition, made anew from the log.
struct Twin {
    part: Part,
    /// With everything that can't be lost any more.
    certain: PathBuf,
    /// As one power cut leaves it.
    cut: PathBuf,
}

impl Twin {
    fn new(disk: &Disk, name: &str, folder: &Path) -> Self {
        let mut part = disk.part(name);
        if name == DATA {
            // It grows to the end of the card.
            part.bytes = disk.path().metadata().unwrap().len() - part.start;
        }
        let certain = folder.join(format!("{name}.img"));
        disk::extract(disk.path(), part, &certain);
        Self { part, certain, cut: folder.join(format!("{name}-cut.img")) }
    }

    /// Writes what of an entry falls into the partition.
    fn apply(&self, to: &File, entry: &Entry, data: &[u8]) {
        if !self.part.touches(entry.at, data.len() as u64) {
            return;
        }
        let end = self.part.start + self.part.bytes;
        let skipped = usize::try_from(self.part.start.saturating_sub(entry.at)).unwrap();
        let length = data.len().min(usize::try_from(end - entry.at).unwrap());
        let at = (entry.at + skipped as u64) - self.part.start;
        to.write_all_at(&data[skipped..length], at).unwrap();
    }
}

fn open(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

impl Scene {
    /// Cuts the power `cuts` times at random places of the log, and looks at the disk after each. Gives
    /// what was wrong.
    pub(crate) fn replay(&self, cuts: usize, cache: Cache, random: &mut Random) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let twins = [ESP, DATA].map(|name| Twin::new(&self.before, name, folder.path()));
        let mut places: Vec<usize> = (0..cuts).map(|cut| self.place(cut, random)).collect();
        places.sort_unstable();
        let mut wrong = Vec::new();
        let mut certain = 0;
        for place in places {
            let flushed = match cache {
                Cache::Honest => self.log.flush_before(place).map_or(0, |flush| flush + 1),
                Cache::Lying => certain,
            };
            let files = twins.each_ref().map(|twin| open(&twin.certain));
            for entry in &self.log.entries[certain..flushed.max(certain)] {
                self.put(&twins, &files, entry, entry.bytes);
            }
            certain = certain.max(flushed);
            for twin in &twins {
                // A file that is there would keep its old content in the holes of the new one.
                let _ = std::fs::remove_file(&twin.cut);
                disk::copy(&twin.certain, &twin.cut);
            }
            let files = twins.each_ref().map(|twin| open(&twin.cut));
            for number in certain..=place {
                let entry = &self.log.entries[number];
                if !entry.is_certain() && random.below(2) == 0 {
                    continue;
                }
                let sectors = entry.bytes / SECTOR;
                let is_torn = number == place && sectors > 1;
                let kept = if is_torn { 1 + random.below(sectors - 1) } else { sectors };
                self.put(&twins, &files, entry, kept * SECTOR);
            }
            if let Err(why) = self.look(&twins, place, folder.path()) {
                wrong.push(format!("a cut at entry {place} of {}: {why}", self.log.entries.len()));
            }
        }
        wrong
    }

    /// Half of the cuts are anywhere, and half where webhooks are taken: a first start writes a lot before.
    fn place(&self, cut: usize, random: &mut Random) -> usize {
        let all = self.log.entries.len() as u64;
        let first = self.acknowledged.iter().map(|(entries, _)| *entries as u64).min().unwrap_or(0);
        let from = if cut.is_multiple_of(2) { first.min(all - 1) } else { 0 };
        usize::try_from(from + random.below(all - from)).unwrap()
    }

    fn put(&self, twins: &[Twin; 2], files: &[File; 2], entry: &Entry, bytes: u64) {
        if !entry.is_write() || !twins.iter().any(|twin| twin.part.touches(entry.at, bytes)) {
            return;
        }
        let data = self.log.data(entry);
        for (twin, file) in twins.iter().zip(files) {
            twin.apply(file, entry, &data[..usize::try_from(bytes).unwrap()]);
        }
    }

    /// What the box would find at its next start.
    fn look(&self, [esp, data]: &[Twin; 2], place: usize, folder: &Path) -> Result<(), String> {
        let repaired = output(command("e2fsck").arg("-p").arg(&data.cut));
        if repaired.status.code().is_none_or(|code| code > 1) {
            return Err(format!("e2fsck -p: {}", String::from_utf8_lossy(&repaired.stdout)));
        }
        let checked = output(command("e2fsck").arg("-fn").arg(&data.cut));
        if !checked.status.success() {
            return Err(format!("e2fsck -fn: {}", String::from_utf8_lossy(&checked.stdout)));
        }
        for name in ["grub/grubenv", "grub/grubenv.bak"] {
            let fat = Fat { path: esp.cut.clone(), start: 0 };
            Env::parse(&fat.get(name).unwrap_or_default()).map_err(|why| format!("{name}: {why}"))?;
        }
        let wanted = self.acknowledged.iter().filter(|(entries, _)| *entries <= place);
        let wanted: HashSet<&str> = wanted.map(|(_, id)| id.as_str()).collect();
        let kept = records(&data.cut, folder)?;
        let lost = wanted.iter().filter(|id| !kept.contains(**id)).count();
        if lost > 0 {
            return Err(format!("{lost} of {} acknowledged records are lost", wanted.len()));
        }
        Ok(())
    }
}

/// The ids in the store of a data partition; none where it hasn't been made yet.
pub(crate) fn records(data: &Path, folder: &Path) -> Result<HashSet<String>, String> {
    let copy = tempfile::tempdir_in(folder).unwrap();
    let request = format!("rdump /store {}", copy.path().display());
    done(command("debugfs").arg("-R").arg(request).arg(data));
    let store = copy.path().join("store");
    let mut found = HashSet::new();
    if !store.exists() {
        return Ok(found);
    }
    let refused = |what: &str, why: &dyn std::fmt::Display| format!("{what}: {why}");
    let disk = FolderDisk::new(&store).map_err(|why| refused("the store's folder", &why))?;
    let store = Store::open(Arc::new(disk), Options::default(), Box::new(|_| {}));
    let store = store.map_err(|why| refused("the store", &why))?;
    let mut query = Query { after: None, limit: 1_000, bytes: 1 << 20 };
    loop {
        let page = store.page(&query, &|_| true).map_err(|why| refused("a page", &why))?;
        if page.records.is_empty() {
            break;
        }
        found.extend(page.records.iter().map(|record| record.item.id.to_string()));
        query.after = Some(page.next);
    }
    store.close();
    Ok(found)
}

//! The last partition reaches to the end of the card.
//!
//! An image is made for the smallest card. [`grow`] moves the second partition table to the end of the disk and lets
//! the partition `data` take what is free, so that wherever the power goes the kernel, GRUB and the firmware find a
//! table: they all begin with the first header, and each change of it is one sector.
//!
//! 1. The new entries and the second header are written at the disk's end, where nothing was. Nobody looks there
//!    while the first table is right.
//! 2. The first sector (the protective MBR) learns of the size, which nobody goes by.
//! 3. The first header is replaced: its entries are those at the end now.
//! 4. The first entries are replaced, which nobody reads now.
//! 5. The first header is replaced: its entries are the first ones again.

mod table;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use self::table::{ENTRIES, Entries, Header, Last, PRIMARY, SECTOR, protected};
use crate::{BoardError, Code};

/// The partition that grows.
const NAME: &str = "data";
/// Partitions begin and end at multiples of it (1 MiB in sectors), and less isn't worth growing for.
const STEP: u64 = 1024 * 1024 / SECTOR as u64;

/// A disk, by sectors of 512 bytes.
pub trait Sectors {
    /// Reads whole sectors from `sector` on.
    ///
    /// # Errors
    /// When the disk refuses, or ends before.
    fn read(&mut self, sector: u64, to: &mut [u8]) -> io::Result<()>;

    /// Writes whole sectors from `sector` on.
    ///
    /// # Errors
    /// When the disk refuses, or ends before.
    fn write(&mut self, sector: u64, bytes: &[u8]) -> io::Result<()>;

    /// Everything written is on the disk when this returns.
    ///
    /// # Errors
    /// When the disk refuses.
    fn sync(&mut self) -> io::Result<()>;
}

impl Sectors for File {
    fn read(&mut self, sector: u64, to: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(to, sector * SECTOR as u64)
    }

    fn write(&mut self, sector: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, sector * SECTOR as u64)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grown {
    /// There is less than 1 MiB to be had: nothing was written.
    Nothing,
    /// The partition is larger now, or its table was put in order.
    To {
        /// Bytes of the partition before.
        from: u64,
        /// Bytes of the partition now.
        to: u64,
    },
}

/// Lets the partition `data`, the last one, reach to the end of a disk of `sectors` sectors of 512 bytes.
///
/// A growth that the power interrupted is finished. The kernel goes by the new table when it has been told to read it.
///
/// # Errors
/// When the disk has no GPT that is whole, or its last partition isn't `data`, or it refuses a write: the table is
/// then the old one or the new one.
pub fn grow(disk: &mut impl Sectors, sectors: u64) -> Result<Grown, BoardError> {
    let refused = |error: io::Error| BoardError::io("the disk's partition table", error);
    let Found { header, entries } = find(disk, sectors).map_err(refused)?.ok_or_else(|| {
        BoardError::new(
            Code::Unsupported,
            "neither of the disk's two partition tables can be read: flash it anew",
        )
    })?;
    let mut first_sector = vec![0; SECTOR];
    disk.read(0, &mut first_sector).map_err(refused)?;
    let partition = entries.last().filter(|last| last.name == NAME).ok_or_else(|| {
        BoardError::new(
            Code::Unsupported,
            format!("the disk's last partition isn't `{NAME}`: not a disk of ours"),
        )
    })?;
    let Some(plan) = Plan::of(&header, &partition, sectors)? else { return Ok(Grown::Nothing) };
    let protective = protected(&first_sector, header.disk_sectors(), sectors)?;
    plan.carry_out(disk, &header, &entries.with_end(&partition, plan.end), protective.as_deref())
        .map_err(refused)?;
    let bytes = |end: u64| (end + 1 - partition.first) * SECTOR as u64;
    Ok(Grown::To { from: bytes(partition.last), to: bytes(plan.end) })
}

/// A table that is whole.
struct Found {
    header: Header,
    entries: Entries,
}

/// The first table, or else the second one, which the end of the disk leads to.
fn find(disk: &mut impl Sectors, sectors: u64) -> io::Result<Option<Found>> {
    for at in [PRIMARY, sectors.saturating_sub(1)] {
        let mut sector = vec![0; SECTOR];
        disk.read(at, &mut sector)?;
        let Some(header) = Header::read(&sector, at) else { continue };
        let (from, count) = (header.entries_at(), header.entry_sectors());
        if from.checked_add(count).is_none_or(|end| end > sectors) {
            continue;
        }
        let mut bytes = vec![0; usize::try_from(count).map_err(io::Error::other)? * SECTOR];
        disk.read(from, &mut bytes)?;
        let entries = Entries(bytes);
        if entries.belong_to(&header) {
            return Ok(Some(Found { header, entries }));
        }
    }
    Ok(None)
}

/// Where everything goes.
struct Plan {
    /// The last sector of the partition.
    end: u64,
    /// The last sector that partitions may use.
    last_usable: u64,
    /// Where the second table's entries are, with its header behind them.
    second_entries: u64,
    second: u64,
}

impl Plan {
    /// `None`: there is nothing to do.
    fn of(header: &Header, partition: &Last, sectors: u64) -> Result<Option<Self>, BoardError> {
        // One sector for the header behind the entries.
        let second = sectors.saturating_sub(1);
        let second_entries = second.saturating_sub(header.entry_sectors());
        let last_usable = second_entries.saturating_sub(1);
        if partition.last > last_usable {
            let text = "the disk is smaller than its partition table says: the image doesn't fit on it";
            return Err(BoardError::new(Code::TooLarge, text));
        }
        let aligned = (last_usable + 1) / STEP * STEP;
        let end = aligned.saturating_sub(1).max(partition.last);
        // The second table, and one whose growth was interrupted, have their entries elsewhere.
        if header.entries_at() == ENTRIES && end - partition.last < STEP {
            return Ok(None);
        }
        Ok(Some(Self { end, last_usable, second_entries, second }))
    }

    fn carry_out(
        &self,
        disk: &mut impl Sectors,
        header: &Header,
        entries: &Entries,
        protective: Option<&[u8]>,
    ) -> io::Result<()> {
        // What is there already isn't written again: while a growth is finished the first header may lead to it.
        let mut step = |sector: u64, bytes: &[u8]| {
            let mut there = vec![0; bytes.len()];
            disk.read(sector, &mut there)?;
            if there == bytes {
                return Ok(());
            }
            disk.write(sector, bytes)?;
            disk.sync()
        };
        let first_with =
            |entries_at| header.placed(PRIMARY, self.second, entries_at, self.last_usable, entries);
        let second = header.placed(self.second, PRIMARY, self.second_entries, self.last_usable, entries);
        step(self.second_entries, &entries.0)?;
        step(self.second, second.bytes())?;
        if let Some(sector) = protective {
            step(0, sector)?;
        }
        step(PRIMARY, first_with(self.second_entries).bytes())?;
        step(ENTRIES, &entries.0)?;
        step(PRIMARY, first_with(ENTRIES).bytes())
    }
}

//! The partition table (GPT, UEFI specification 2.10, section 5.3), as far as growing a partition needs it.

use crate::{BoardError, Code};

/// Bytes of a sector. Disks whose sectors are larger need another image.
pub(super) const SECTOR: usize = 512;
/// Where the header of the first table is.
pub(super) const PRIMARY: u64 = 1;
/// Where its entries are.
pub(super) const ENTRIES: u64 = 2;
/// Bytes of the header that count, in the only revision there is.
const HEADER: usize = 92;
/// Bytes of an entry, in every table there is.
const ENTRY: usize = 128;
/// Entries that are read at most; every table has 128.
const ENTRIES_MAX: u32 = 1024;

/// A header: one sector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header(Vec<u8>);

impl Header {
    /// Reads the header that stands in sector `at`; `None`: there is none, or it is damaged.
    pub(super) fn read(sector: &[u8], at: u64) -> Option<Self> {
        let header = Self(sector.get(..SECTOR)?.to_vec());
        let right = header.0.starts_with(b"EFI PART")
            && header.number4(12) as usize == HEADER
            && header.number4(16) == header.checksum()
            && header.number8(24) == at
            && header.number4(84) as usize == ENTRY
            && (1..=ENTRIES_MAX).contains(&header.number4(80));
        right.then_some(header)
    }

    /// Sectors of the disk that the table was made for: one of the two headers is in the last one.
    pub(super) fn disk_sectors(&self) -> u64 {
        self.number8(24).max(self.number8(32)).saturating_add(1)
    }

    /// Where its entries begin.
    pub(super) fn entries_at(&self) -> u64 {
        self.number8(72)
    }

    /// Sectors that the entries take.
    pub(super) fn entry_sectors(&self) -> u64 {
        (u64::from(self.number4(80)) * ENTRY as u64).div_ceil(SECTOR as u64)
    }

    /// The same table's header in another place.
    pub(super) fn placed(
        &self,
        at: u64,
        other: u64,
        entries_at: u64,
        last_usable: u64,
        entries: &Entries,
    ) -> Self {
        let mut header = self.clone();
        for (place, value) in [(24, at), (32, other), (48, last_usable), (72, entries_at)] {
            header.0[place..place + 8].copy_from_slice(&value.to_le_bytes());
        }
        header.0[88..92].copy_from_slice(&entries.checksum(self).to_le_bytes());
        let checksum = header.checksum();
        header.0[16..20].copy_from_slice(&checksum.to_le_bytes());
        header
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn checksum(&self) -> u32 {
        let mut bytes = self.0[..HEADER].to_vec();
        bytes[16..20].fill(0);
        crc32(&bytes)
    }

    fn number4(&self, at: usize) -> u32 {
        self.0[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    fn number8(&self, at: usize) -> u64 {
        self.0[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}

/// The entries: whole sectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entries(pub(super) Vec<u8>);

/// The partition that ends last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Last {
    place: usize,
    /// Its name in the table.
    pub(super) name: String,
    /// Its first sector.
    pub(super) first: u64,
    /// Its last sector.
    pub(super) last: u64,
}

impl Entries {
    /// Whether they are those that `header` was written for.
    pub(super) fn belong_to(&self, header: &Header) -> bool {
        self.checksum(header) == header.number4(88)
    }

    fn checksum(&self, header: &Header) -> u32 {
        crc32(&self.0[..header.number4(80) as usize * ENTRY])
    }

    /// The partition that ends last; `None`: there is none at all.
    pub(super) fn last(&self) -> Option<Last> {
        let used = self.0.chunks_exact(ENTRY).enumerate().filter(|(_, entry)| entry[..16] != [0; 16]);
        let read = |(place, entry): (usize, &[u8])| Last {
            place,
            name: char::decode_utf16(
                entry[56..ENTRY].chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])),
            )
            .map_while(Result::ok)
            .take_while(|character| *character != '\0')
            .collect(),
            first: entry[32..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)),
            last: entry[40..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)),
        };
        used.map(read).max_by_key(|partition| partition.last)
    }

    /// The same with another end of one partition.
    pub(super) fn with_end(&self, partition: &Last, end: u64) -> Self {
        let mut entries = self.clone();
        let at = partition.place * ENTRY + 40;
        entries.0[at..at + 8].copy_from_slice(&end.to_le_bytes());
        entries
    }
}

/// The first sector as it has to be on a disk that got larger: its one partition of type 0xee reaches from the first
/// header to the disk's end, so that programs of before GPT keep away. A hybrid one, in which that partition ends
/// elsewhere, stays as it is, and so does whatever else stands there. `None`: there is nothing to change.
///
/// # Errors
/// When it has no such partition: the disk isn't one of ours.
pub(super) fn protected(
    sector: &[u8],
    old_sectors: u64,
    sectors: u64,
) -> Result<Option<Vec<u8>>, BoardError> {
    let not_ours =
        || BoardError::new(Code::Unsupported, "the disk's first sector protects no GPT: not a disk of ours");
    if sector.get(510..SECTOR) != Some(&[0x55, 0xaa]) {
        return Err(not_ours());
    }
    let kinds = [446, 462, 478, 494].into_iter();
    let at = kinds.clone().find(|at| sector[at + 4] == 0xee).ok_or_else(not_ours)?;
    let short = |sectors: u64| u32::try_from(sectors - 1).unwrap_or(u32::MAX).to_le_bytes();
    let size = &sector[at + 12..at + 16];
    if size != short(old_sectors) || size == short(sectors) {
        return Ok(None);
    }
    let mut sector = sector.to_vec();
    sector[at + 12..at + 16].copy_from_slice(&short(sectors));
    Ok(Some(sector))
}

/// CRC-32 of IEEE 802.3, over some 16 KiB once in the life of a card: no table for it.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(super::crc32(b"123456789"), 0xcbf4_3926, "the check value of the catalogue of CRCs");
    }
}

//! Slots and environment block in memory, with a power that can be cut.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::about::SlotName;
use crate::slots::{BootState, ENV_BYTES, EnvBlock, EnvFile, Flash, Start, what_grub_does};
use crate::{BoardError, Code};

/// What a power cut can't tear.
const SECTOR: usize = 512;
/// How squashfs begins: what GRUB looks for in a slot.
const SQUASHFS: &[u8] = b"hsqs";

/// What goes wrong with a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It is refused; a part of it may be there.
    Fault,
    /// The power goes: of what isn't synced any sectors are there, and nothing works until
    /// [`MemoryFlash::power_on`].
    Cut,
    /// It is taken without a word, and a bit of it is another.
    Garble,
}

#[derive(Debug)]
struct Cells {
    /// What stands on the disk, and what waits for a sync.
    slots: [Vec<u8>; 2],
    waiting: Vec<(usize, usize, Vec<u8>)>,
    env: [Vec<u8>; 2],
    writes: u64,
    trouble: Option<(u64, Trouble)>,
    dark: bool,
    random: u64,
}

/// A disk in memory; its clones are the same one.
#[derive(Debug, Clone)]
pub struct MemoryFlash(Arc<Mutex<Cells>>);

impl MemoryFlash {
    /// As an image is flashed: `content` of `version` in slot a, slots of `capacity` bytes.
    #[must_use]
    pub fn flashed(version: &str, content: &[u8], capacity: usize) -> Self {
        let mut first = content.to_vec();
        first.resize(capacity, 0);
        let slots = [first, vec![0; capacity]];
        let env = EnvBlock::default().with(&BootState::flashed(version)).encode().to_vec();
        Self(Arc::new(Mutex::new(Cells {
            slots,
            waiting: Vec::new(),
            env: [env.clone(), env],
            writes: 0,
            trouble: None,
            dark: false,
            random: 1,
        })))
    }

    /// The `n`-th write or sync from now on, counted from 0, goes wrong. `seed` decides which sectors are hit.
    pub fn trouble_at(&self, n: u64, trouble: Trouble, seed: u64) {
        let mut cells = self.cells();
        cells.trouble = Some((cells.writes + n, trouble));
        cells.random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    }

    /// Writes and syncs so far.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.cells().writes
    }

    /// The power is back, or was gone for a moment; nothing goes wrong any more.
    pub fn power_on(&self) {
        let mut cells = self.cells();
        if !cells.dark {
            cells.lose();
        }
        cells.waiting.clear();
        (cells.dark, cells.trouble) = (false, None);
    }

    /// What stands in a slot.
    #[must_use]
    pub fn content(&self, slot: SlotName) -> Vec<u8> {
        self.cells().slots[place(slot)].clone()
    }

    /// Overwrites a file of the environment block, as nobody should.
    pub fn spoil_env(&self, file: EnvFile, bytes: &[u8]) {
        self.cells().env[env_place(file)] = bytes.to_vec();
    }

    /// Makes a slot one that can't be loaded, whatever the environment block says.
    pub fn spoil_slot(&self, slot: SlotName) {
        self.cells().slots[place(slot)].iter_mut().take(SQUASHFS.len()).for_each(|cell| *cell = 0xFF);
    }

    /// Runs GRUB: the file that is sane, its choice among what can be loaded, and the attempt that it spends. `None`
    /// where it would wait and start the machine anew.
    #[must_use]
    pub fn start(&self) -> Option<Start> {
        let mut cells = self.cells();
        let found = [EnvFile::First, EnvFile::Copy].into_iter().find_map(|file| {
            let block = EnvBlock::parse(&cells.env[env_place(file)]).filter(EnvBlock::is_sane)?;
            Some((file, block))
        });
        let state = found.as_ref().map_or_else(BootState::default, |(_, block)| block.state());
        let loadable = SlotName::BOTH.map(|slot| cells.slots[place(slot)].starts_with(SQUASHFS));
        let start = what_grub_does(&state, loadable);
        if let (true, Some((file, block))) = (start.wrote, found) {
            cells.env[env_place(file)] = block.with(&start.state).encode().to_vec();
        }
        start.slot.is_some().then_some(start)
    }

    fn cells(&self) -> MutexGuard<'_, Cells> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cells {
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// Of what waits for a sync any sectors are there.
    fn lose(&mut self) {
        for (slot, offset, bytes) in std::mem::take(&mut self.waiting) {
            for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                if self.random().is_multiple_of(2) {
                    let at = offset + number * SECTOR;
                    self.slots[slot][at..at + sector.len()].copy_from_slice(sector);
                }
            }
        }
    }

    /// Counts a write; says what goes wrong with it.
    fn count(&mut self) -> Result<Option<Trouble>, BoardError> {
        if self.dark {
            return Err(BoardError::io("the disk", "the power is off"));
        }
        let now = self.trouble.filter(|(at, _)| *at == self.writes).map(|(_, trouble)| trouble);
        self.writes += 1;
        self.dark = now == Some(Trouble::Cut);
        Ok(now)
    }
}

impl Flash for MemoryFlash {
    fn capacity(&self, slot: SlotName) -> Result<u64, BoardError> {
        Ok(self.cells().slots[place(slot)].len() as u64)
    }

    fn write(&mut self, slot: SlotName, offset: u64, bytes: &[u8]) -> Result<(), BoardError> {
        let mut cells = self.cells();
        let slot = place(slot);
        let end =
            usize::try_from(offset).ok().and_then(|offset| Some((offset, offset.checked_add(bytes.len())?)));
        let Some((offset, _)) = end.filter(|(_, end)| *end <= cells.slots[slot].len()) else {
            return Err(BoardError::new(Code::TooLarge, "written behind the end of the slot"));
        };
        let trouble = cells.count()?;
        let mut bytes = bytes.to_vec();
        if trouble == Some(Trouble::Garble)
            && let Some(byte) = bytes.first_mut()
        {
            *byte ^= 1;
        }
        cells.waiting.push((slot, offset, bytes));
        went_wrong(&mut cells, trouble)
    }

    fn sync(&mut self, _slot: SlotName) -> Result<(), BoardError> {
        let mut cells = self.cells();
        let trouble = cells.count()?;
        if matches!(trouble, None | Some(Trouble::Garble)) {
            for (slot, offset, bytes) in std::mem::take(&mut cells.waiting) {
                cells.slots[slot][offset..offset + bytes.len()].copy_from_slice(&bytes);
            }
        }
        went_wrong(&mut cells, trouble)
    }

    fn read(&self, slot: SlotName, offset: u64, out: &mut [u8]) -> Result<(), BoardError> {
        let cells = self.cells();
        let found =
            usize::try_from(offset).ok().and_then(|at| cells.slots[place(slot)].get(at..at + out.len()));
        match found {
            _ if cells.dark => Err(BoardError::io("the disk", "the power is off")),
            Some(found) => {
                out.copy_from_slice(found);
                Ok(())
            }
            None => Err(BoardError::io("the disk", "read behind the end of the slot")),
        }
    }

    fn read_env(&self, file: EnvFile) -> Result<Vec<u8>, BoardError> {
        let cells = self.cells();
        if cells.dark {
            Err(BoardError::io("the disk", "the power is off"))
        } else {
            Ok(cells.env[env_place(file)].clone())
        }
    }

    fn write_env(&mut self, file: EnvFile, block: &[u8; ENV_BYTES]) -> Result<(), BoardError> {
        let mut cells = self.cells();
        let trouble = cells.count()?;
        let mut bytes = block.to_vec();
        match trouble {
            None => {}
            Some(Trouble::Garble) => bytes[SECTOR / 2] ^= 1,
            // The old one, the new one, a sector of each, or what a worn-out card leaves.
            Some(Trouble::Fault | Trouble::Cut) => {
                let chance = cells.random() >> 32;
                let old = cells.env[env_place(file)].clone();
                for (number, sector) in bytes.chunks_mut(SECTOR).enumerate() {
                    if chance & 3 == 3 {
                        sector.fill(0xFF);
                    } else if chance & (1 << number) == 0 {
                        let at = number * SECTOR;
                        sector.copy_from_slice(old.get(at..at + sector.len()).unwrap_or(&[0; SECTOR]));
                    }
                }
            }
        }
        cells.env[env_place(file)] = bytes;
        went_wrong(&mut cells, trouble)
    }
}

/// What the caller is told of it.
fn went_wrong(cells: &mut Cells, trouble: Option<Trouble>) -> Result<(), BoardError> {
    match trouble {
        None | Some(Trouble::Garble) => Ok(()),
        Some(Trouble::Fault | Trouble::Cut) => {
            cells.lose();
            Err(BoardError::io("the disk", "refused"))
        }
    }
}

const fn place(slot: SlotName) -> usize {
    match slot {
        SlotName::A => 0,
        SlotName::B => 1,
    }
}

const fn env_place(file: EnvFile) -> usize {
    match file {
        EnvFile::First => 0,
        EnvFile::Copy => 1,
    }
}

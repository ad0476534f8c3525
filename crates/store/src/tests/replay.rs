//! Any damage to a log of known groups: what it didn't touch is found, and the counts add up.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use proptest::prelude::*;

use crate::disk::simulated::SimulatedDisk;
use crate::disk::{Disk as _, Segment};
use crate::format::entry::EntryKind;
use crate::format::{block, group};
use crate::log::replay::{self, Damage, Found, Visit};
use crate::log::ring::{Draft, Placed, Ring};
use crate::log::{Geometry, Position};

const BLOCK: usize = 4096;
const BLOCKS: usize = 12;
const GEOMETRY: Geometry = Geometry { segments: 4, segment_bytes: (BLOCKS * BLOCK) as u64 };
const SALT: [u8; 16] = [7; 16];

/// Damage to the segment of a generation.
#[derive(Debug, Clone)]
enum Harm {
    Flip { at: usize, bit: u8 },
    Swap(usize, usize),
    Zeros { from: usize, blocks: usize },
    Garbage { block: usize, seed: u64 },
}

fn harm() -> impl Strategy<Value = Harm> {
    let block = 0..BLOCKS;
    prop_oneof![
        (block.clone(), prop_oneof![0..100_usize, 0..BLOCK], 0..8_u8)
            .prop_map(|(block, byte, bit)| Harm::Flip { at: block * BLOCK + byte, bit }),
        (block.clone(), block.clone()).prop_map(|(one, other)| Harm::Swap(one, other)),
        (block.clone(), 1..=BLOCKS).prop_map(|(from, blocks)| Harm::Zeros { from, blocks }),
        (block, any::<u64>()).prop_map(|(block, seed)| Harm::Garbage { block, seed }),
    ]
}

fn apply(harm: &Harm, bytes: &mut [u8]) {
    let whole = |block: usize| block * BLOCK..(block + 1) * BLOCK;
    match *harm {
        Harm::Flip { at, bit } => bytes[at] ^= 1 << bit,
        Harm::Swap(one, other) => {
            let kept = bytes[whole(one)].to_vec();
            bytes.copy_within(whole(other), one * BLOCK);
            bytes[whole(other)].copy_from_slice(&kept);
        }
        Harm::Zeros { from, blocks } => bytes[from * BLOCK..(from + blocks).min(BLOCKS) * BLOCK].fill(0),
        Harm::Garbage { block, seed } => {
            let mut random = crate::disk::simulated::Random::new(seed);
            bytes[whole(block)].iter_mut().for_each(|byte| *byte = random.below(256) as u8);
        }
    }
}

/// A group as it was written: where its bytes are, and its records.
struct Known {
    generation: u64,
    bytes: Range<usize>,
    sequences: Vec<u64>,
}

fn body(sequence: u64, length: usize) -> Vec<u8> {
    (0..length).map(|place| (place as u64 ^ sequence) as u8).collect()
}

#[derive(Default)]
struct Seen {
    records: BTreeMap<u64, Vec<u8>>,
    order: Vec<u64>,
}

impl Visit for Seen {
    fn entry(&mut self, found: &Found<'_>) {
        let mut seen = |sequence, body: &[u8]| {
            self.order.push(sequence);
            self.records.insert(sequence, body.to_vec());
        };
        if found.entry.kind == EntryKind::Block {
            block::each(&found.entry.body, seen).unwrap();
        } else {
            seen(found.entry.sequence, &found.entry.body);
        }
    }

    fn damage(&mut self, _damage: &Damage<'_>) {}
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_damage_does_not_touch_is_found(
        groups in prop::collection::vec(prop::collection::vec(0..6000_usize, 1..4), 1..24),
        harms in prop::collection::vec((1..4_u64, harm()), 0..5),
    ) {
        let disk = SimulatedDisk::new();
        let mut ring = Ring::open(&disk, GEOMETRY, SALT, Position::START, Position::START).unwrap();
        let mut written = BTreeMap::new();
        let mut known = Vec::new();
        for lengths in groups {
            let first = written.len() as u64 + 1;
            let records: Vec<_> =
                (first..).zip(lengths).map(|(sequence, length)| (sequence, body(sequence, length))).collect();
            let drafts = records
                .iter()
                .map(|(sequence, body)| Draft::record(*sequence, body.clone()));
            let Ok(placed) = ring.write(drafts.collect(), 1, true) else { break };
            let (Placed { generation, offset, .. }, last) = (placed[0], placed[placed.len() - 1]);
            let start = offset as usize - group::HEADER;
            known.push(Known {
                generation,
                bytes: start..last.offset as usize + last.length as usize,
                sequences: records.iter().map(|(sequence, _)| *sequence).collect(),
            });
            written.extend(records);
        }

        let mut segments: Vec<_> = (0..GEOMETRY.segments).map(|slot| disk.log_bytes(slot)).collect();
        let before = segments.clone();
        for (generation, harm) in &harms {
            apply(harm, &mut segments[GEOMETRY.slot(*generation) as usize]);
        }
        let damaged = SimulatedDisk::new();
        let mut opened: Vec<Arc<dyn Segment>> = Vec::new();
        for (slot, bytes) in (0..).zip(&segments) {
            let segment = damaged.segment(slot, GEOMETRY.segment_bytes).unwrap();
            segment.write_at(bytes, 0).unwrap();
            opened.push(segment);
        }
        let mut seen = Seen::default();
        let replayed = replay::replay(&opened, GEOMETRY, &SALT, Position::START, &mut seen).unwrap();

        prop_assert!(seen.order.is_sorted(), "in order");
        prop_assert_eq!(seen.order.len(), seen.records.len(), "each once");
        for (sequence, body) in &seen.records {
            prop_assert_eq!(written.get(sequence), Some(body));
        }
        for group in &known {
            let slot = GEOMETRY.slot(group.generation) as usize;
            if segments[slot][group.bytes.clone()] == before[slot][group.bytes.clone()] {
                for sequence in &group.sequences {
                    prop_assert!(seen.records.contains_key(sequence), "{sequence} wasn't touched");
                }
            }
        }
        let missing = written.keys().find(|sequence| !seen.records.contains_key(sequence));
        let told = replayed.holes + replayed.damaged;
        match missing {
            None => prop_assert_eq!(told, 0, "nothing is missing"),
            // The rest of the last group is torn; what is missing before it must be told.
            Some(missing) => {
                let last = seen.order.last().map_or(0, |last| *last);
                let torn = known.iter().find(|group| group.sequences.contains(&last));
                let torn = torn.map_or(0, |group| group.sequences[0]);
                prop_assert!(told > 0 || *missing >= torn.min(last), "{missing} is missing, {last} is there");
            }
        }
    }
}

//! Receipts: what the CRM has isn't delivered again after a kill, whatever the writer was at.

use model::Sequence;

use super::{NOW, item, open, small, waiting};
use crate::Store;
use crate::disk::simulated::{Fault, RECEIPTS, SimulatedDisk};
use crate::receipts::{BYTES, Receipts};

const SALT: [u8; 16] = *b"salt of the box!";

fn sequences(numbers: impl IntoIterator<Item = u64>) -> Vec<Sequence> {
    numbers.into_iter().map(Sequence).collect()
}

#[test]
fn what_is_settled_while_the_disk_hangs_stays_settled_after_a_kill() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, small());
    for number in 0..10 {
        store.append_and_wait(vec![item(&format!("id-{number}"), number)], NOW).unwrap();
    }
    let hung = disk.hold();
    store.append(vec![item("id-10", 10)], NOW, Box::new(|_| {}));
    store.settle(&sequences([1, 3, 10]));
    let killed = disk.after_kill();
    drop(hung);
    let after = open(&killed, small());
    let left: Vec<_> = waiting(&after).iter().map(|record| record.sequence.0).collect();
    assert!(left.starts_with(&[2, 4, 5, 6, 7, 8, 9]), "{left:?}");
    assert!(left.iter().all(|sequence| ![1, 3, 10].contains(sequence)), "{left:?}");
    // From then on the log has them, too.
    after.flush().unwrap();
    drop(after);
    killed.damage_log(RECEIPTS, 0, &vec![0; BYTES as usize]);
    assert_eq!(waiting(&open(&killed.after_power_cut(1), small())).len(), left.len());
}

#[test]
fn receipts_of_records_that_the_log_has_lost_settle_nobody_else() {
    let disk = SimulatedDisk::new();
    let (receipts, known) = Receipts::open(&disk, SALT, 0).unwrap();
    assert!(known.is_empty());
    receipts.note(&[7, 8, 9, 5_000]);
    let (_, known) = Receipts::open(&disk, SALT, 8).unwrap();
    assert_eq!(known, [7, 8]);
    for seed in 0..20 {
        // Thrown away for good: not even a power cut brings them back.
        let (_, known) = Receipts::open(&disk.after_power_cut(seed), SALT, 10_000).unwrap();
        assert!(known.is_empty(), "{known:?}");
    }
}

#[test]
fn receipts_of_another_store_and_damaged_ones_are_none() {
    let disk = SimulatedDisk::new();
    let (receipts, _) = Receipts::open(&disk, SALT, 0).unwrap();
    receipts.note(&[1, 2, 3]);
    assert!(Receipts::open(&disk, *b"salt of another!", 10).unwrap().1.is_empty());
    let whole = disk.log_bytes(RECEIPTS);
    for bit in 0..16 * 8 {
        let mut changed = whole[16..32].to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        disk.damage_log(RECEIPTS, 16, &changed);
        assert_eq!(Receipts::open(&disk, SALT, u64::MAX).unwrap().1, [2, 3], "bit {bit}");
    }
}

/// The bytes that boxes in the field hold.
#[test]
fn a_receipt_keeps_its_form() {
    let disk = SimulatedDisk::new();
    let (receipts, _) = Receipts::open(&disk, SALT, 0).unwrap();
    receipts.note(&[4_097]);
    let bytes = disk.log_bytes(RECEIPTS);
    assert_eq!(bytes.len() as u64, BYTES);
    let form: String = bytes[16..32].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(form, "0110000000000000d404db4900000000");
    assert!(bytes[..16].iter().chain(&bytes[32..]).all(|byte| *byte == 0));
}

#[test]
fn receipts_wrap_around() {
    let disk = SimulatedDisk::new();
    let (receipts, _) = Receipts::open(&disk, SALT, 0).unwrap();
    receipts.note(&(1..=10_000).collect::<Vec<_>>());
    let (_, mut known) = Receipts::open(&disk, SALT, 10_000).unwrap();
    known.sort_unstable();
    assert_eq!(known, (10_000 - BYTES / 16 + 1..=10_000).collect::<Vec<_>>());
}

/// Ten records, of which five were delivered, and the log has lost these.
fn ahead_of_the_log() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let store = open(&disk, small());
    for number in 0..10 {
        store.append_and_wait(vec![item(&format!("id-{number}"), number)], NOW).unwrap();
    }
    store.settle(&sequences(6..=10));
    let disk = disk.after_kill();
    disk.damage_log(1, 5 * 4096, &[0; 11 * 4096]);
    disk
}

/// A start with something wrong, and then others without.
fn start_and_take_more(disk: &SimulatedDisk, when: &str) {
    let take = |store: &Store| {
        let ids = (0..5).map(|number| format!("new-{number}"));
        ids.filter(|id| store.append_and_wait(vec![item(id, 1)], NOW).is_ok()).count()
    };
    if let Ok(store) = Store::open(std::sync::Arc::new(disk.clone()), small(), Box::new(|_| {})) {
        take(&store);
    }
    disk.heal();
    disk.inject(u64::MAX, Fault::ErrorOnce);
    let left = |disk: &SimulatedDisk| {
        let store = open(disk, small());
        assert_eq!(take(&store), 5, "{when}: known or taken");
        waiting(&store).iter().filter(|record| record.item.id.starts_with("new-")).count()
    };
    assert_eq!(left(&disk.after_kill()), 5, "{when}: settled, and nobody has delivered it");
    assert_eq!(left(&disk.after_power_cut(1)), 5, "{when}: settled after a power cut");
}

#[test]
fn receipts_that_cannot_be_opened_at_one_start_settle_nobody_at_the_next() {
    let disk = ahead_of_the_log();
    drop(open(&disk, small()));
    for at in 0..disk.operations() {
        for fault in [Fault::ErrorOnce, Fault::AllFail, Fault::FullFor(2)] {
            let disk = ahead_of_the_log();
            disk.inject(at, fault);
            start_and_take_more(&disk, &format!("{fault:?} at {at}"));
        }
    }
    for times in [1, u64::MAX] {
        let disk = ahead_of_the_log();
        disk.fail_reads(RECEIPTS, 0, 0, times);
        start_and_take_more(&disk, &format!("{times} reads failed"));
    }
}

#[test]
fn receipts_that_can_be_neither_opened_nor_thrown_away_keep_the_store_from_starting() {
    let disk = ahead_of_the_log();
    drop(open(&disk, small()));
    let refused = (0..disk.operations()).filter(|at| {
        let disk = ahead_of_the_log();
        disk.inject(*at, Fault::AllFail);
        let opened = Store::open(std::sync::Arc::new(disk), small(), Box::new(|_| {}));
        opened.err().is_some_and(|error| error.to_string().contains("`receipts`"))
    });
    assert!(refused.count() > 1);
}

#[test]
fn a_folder_with_receipts_that_are_none_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let disk = crate::FolderDisk::new(folder.path())?;
        Store::open(std::sync::Arc::new(disk), small(), Box::new(|_| {}))
    };
    drop(open().unwrap());
    let path = folder.path().join("receipts");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let error = open().err().unwrap().to_string();
    assert!(error.contains("remove it by hand"), "{error}");
    std::fs::remove_dir(&path).unwrap();
    open().unwrap();
    assert!(path.is_file());
}

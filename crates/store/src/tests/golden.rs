//! Every stored format of version 1, as bytes that boxes in the field may hold.
//!
//! The files under `tests/fixtures/v1` are never edited. A line of them is an offset and up to 32
//! bytes, both in hexadecimal; lines of zeros are left out, and the last line is the length.

mod transactions;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use model::{Account, Alias, AliasKind, Contact, Item, Kind, Record, Sequence, Via, WallTime};

use super::{item, open, small};
use crate::contacts::HashedAlias;
use crate::dead::{self, Letter};
use crate::disk::Segment;
use crate::disk::simulated::{Fault, SimulatedDisk};
use crate::format::block::{self, BlockBuilder};
use crate::format::entry::{self, EntryKind, Mark};
use crate::format::filter::Filter;
use crate::format::group::GroupHeader;
use crate::format::record_v1::{self, Lesson};
use crate::format::values_v1;
use crate::index::Index;
use crate::index::schema::{self, Checkpoint, Identity};
use crate::keyed::HashKey;
use crate::log::replay::{self, Damage, Found, Visit};
use crate::log::ring::{Draft, Ring};
use crate::log::{Geometry, Position};
use crate::settled::Settled;
use crate::store::event_hash;

const LINE: usize = 32;
const SALT: [u8; 16] = *b"salt of the box!";
const GEOMETRY: Geometry = Geometry { segments: 3, segment_bytes: 32 << 10 };
const ADVICE: &str = "Boxes in the field hold these bytes. Put the old form back; if it has to change, give the new \
     one a version and a module of its own, with golden files of its own, and keep reading this one.";

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1").join(format!("{name}.hex"))
}

fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (place, line) in bytes.chunks(LINE).enumerate() {
        if line.iter().any(|byte| *byte != 0) {
            write!(text, "{:06x} ", place * LINE).unwrap();
            line.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
            text.push('\n');
        }
    }
    writeln!(text, "{:06x}", bytes.len()).unwrap();
    text
}

fn stored(name: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let number = |digits| usize::from_str_radix(digits, 16).unwrap();
    let mut bytes = vec![0; number(text.lines().last().unwrap())];
    for (offset, digits) in text.lines().filter_map(|line| line.split_once(' ')) {
        for (place, digits) in digits.as_bytes().chunks(2).enumerate() {
            bytes[number(offset) + place] = number(std::str::from_utf8(digits).unwrap()) as u8;
        }
    }
    bytes
}

/// Holds what this version writes against what is stored, and gives back the latter. A file that
/// isn't there yet is made with `WAGATE_GOLDEN=new`; one that is there is never touched.
fn same(name: &str, today: &[u8]) -> Vec<u8> {
    if !path(name).exists() && std::env::var_os("WAGATE_GOLDEN").is_some_and(|value| value == "new") {
        std::fs::write(path(name), dump(today)).unwrap();
    }
    let stored = stored(name);
    assert!(stored == today, "the stored format `{name}` has changed. {ADVICE}\ntoday:\n{}", dump(today));
    stored
}

fn full() -> (Item, Lesson) {
    let item = Item {
        kind: Kind::MessageReceived,
        source: "/wagate/106540352242922".into(),
        id: "wamid.HBgLODUyNjEyMzQ1NjcVAgASGBQzQQ==".into(),
        time: Some(WallTime(1_795_214_595_000)),
        account: Account {
            waba_id: Some("102290129340398".into()),
            phone_number_id: Some("106540352242922".into()),
            phone: Some("+85291234567".into()),
        },
        contact: Some(Contact {
            phone: Some("+85261234567".into()),
            wa_id: Some("85261234567".into()),
            user_id: Some("HK.13491208655302741918".into()),
            parent_user_id: Some("HK.ENT.11815799212886844830".into()),
            username: Some("taiman".into()),
            name: Some("Chan Tai Man".into()),
            aliases: Vec::new(),
        }),
        group: Some("group-1".into()),
        via: Some(Via::History),
        field: "messages".into(),
        reason: String::new(),
        raw: br#"{"type":"text","text":{"body":"How much is it?"}}"#.to_vec(),
    };
    let lesson =
        Lesson { contact: 0x019A_9C5B << 96 | 7, learned: vec![[0x11; 16], [0x22; 16]], joined: vec![9] };
    (item, lesson)
}

fn bare() -> Item {
    Item {
        kind: Kind::Unknown,
        source: "/wagate".into(),
        id: "e3b0c442".into(),
        time: None,
        account: Account::default(),
        contact: None,
        group: None,
        via: None,
        field: String::new(),
        reason: "not_json".into(),
        raw: b"\xff".to_vec(),
    }
}

fn record(sequence: u64, item: Item, lesson: &Lesson) -> Record {
    let contact_id = item.contact.is_some().then(|| model::ContactId::from_bits(lesson.contact));
    Record {
        sequence: Sequence(sequence),
        received_at: WallTime(1_795_214_596_042),
        contact_id,
        replayed: false,
        item,
    }
}

fn full_bytes() -> Vec<u8> {
    let (item, lesson) = full();
    record_v1::to_bytes(&item, WallTime(1_795_214_596_042), &lesson)
}

fn bare_bytes() -> Vec<u8> {
    record_v1::to_bytes(&bare(), WallTime(1_795_214_596_042), &Lesson::default())
}

#[test]
fn records() {
    let (item, lesson) = full();
    let stored = same("record-full", &full_bytes());
    assert_eq!(record_v1::identity(&stored).unwrap().2, lesson);
    assert_eq!(*record_v1::from_bytes(Sequence(7), &stored).unwrap(), record(7, item, &lesson));
    let stored = same("record-bare", &bare_bytes());
    assert_eq!(*record_v1::from_bytes(Sequence(8), &stored).unwrap(), record(8, bare(), &Lesson::default()));
    let kinds: Vec<u8> = Kind::ALL
        .into_iter()
        .map(|kind| record_v1::to_bytes(&Item { kind, ..bare() }, WallTime(0), &Lesson::default())[2])
        .collect();
    assert_eq!(kinds, [1, 2, 3, 4, 5, 6, 7, 8], "the numbers of kinds have changed. {ADVICE}");
}

fn marks() -> [(&'static str, Mark); 5] {
    let reason = "400 Bad Request".to_owned();
    [
        ("mark-settled", Mark::Settled(vec![1, 300, 70_000])),
        (
            "mark-dead",
            Mark::Dead { sequence: 2, reason, status: Some(400), attempts: 5, at_ms: 1_795_214_600_000 },
        ),
        ("mark-retry", Mark::Retry { sequence: 2 }),
        ("mark-dropped", Mark::Dropped { sequence: 3 }),
        ("mark-sealed", Mark::Sealed { generation: 4, end: 8192, burned: Some((5, 6)) }),
    ]
}

#[test]
fn every_mark() {
    for (name, mark) in marks() {
        assert_eq!(Mark::from_bytes(&same(name, &mark.to_bytes())), Ok(mark));
    }
}

/// Two records, a settled mark, a dead letter, and a group that the disk refused: what comes next
/// stands in the second segment and says where the first one ends.
fn write_log() -> (Vec<u8>, Vec<u8>) {
    let disk = SimulatedDisk::new();
    let mut ring = Ring::open(&disk, GEOMETRY, SALT, Position::START, Position::START).unwrap();
    let draft = Draft::record;
    ring.write(vec![draft(1, full_bytes()), draft(2, bare_bytes())], 100, true).unwrap();
    let [(_, settled), (_, dead), ..] = marks();
    ring.write(vec![Draft::mark(&Mark::Settled(vec![1]))], 200, false).unwrap();
    ring.write(vec![Draft::mark(&dead), draft(3, bare_bytes())], 300, true).unwrap();
    disk.inject(disk.operations() + 1, Fault::ErrorOnce);
    ring.write(vec![draft(4, bare_bytes()), draft(5, bare_bytes())], 400, true).unwrap_err();
    ring.write(vec![draft(6, full_bytes()), Draft::mark(&settled)], 500, true).unwrap();
    (disk.log_bytes(1), disk.log_bytes(2))
}

#[test]
fn the_log() {
    let (first, second) = write_log();
    let segments = [vec![0; first.len()], same("log-1", &first), same("log-2", &second)];
    let disk = SimulatedDisk::new();
    let segments: Vec<Arc<dyn Segment>> = (0..)
        .zip(segments)
        .map(|(slot, bytes)| {
            let segment = crate::disk::Disk::segment(&disk, slot, GEOMETRY.segment_bytes).unwrap();
            segment.write_at(&bytes, 0).unwrap();
            segment
        })
        .collect();

    #[derive(Default)]
    struct Seen(Vec<String>);
    impl Visit for Seen {
        fn entry(&mut self, found: &Found<'_>) {
            let what = match found.entry.kind {
                EntryKind::Mark => format!("{:?}", Mark::from_bytes(&found.entry.body).unwrap()),
                EntryKind::Block => format!("{} packed", block::records(&found.entry.body).unwrap().len()),
                EntryKind::Values => {
                    let values = values_v1::from_bytes(&found.entry.body).unwrap();
                    format!("{} changes", values.changes.len())
                }
                EntryKind::Record => record_v1::identity(&found.entry.body).unwrap().1.to_owned(),
            };
            let Found { entry, generation, offset, seen_ms, .. } = found;
            self.0.push(format!("{generation}:{offset} at {seen_ms}: {} {what}", entry.sequence));
        }
        fn damage(&mut self, damage: &Damage<'_>) {
            self.0.push(damage.name());
        }
    }
    let mut seen = Seen::default();
    let replayed = replay::replay(&segments, GEOMETRY, &SALT, Position::START, &mut seen).unwrap();
    assert_eq!((replayed.seen_ms, replayed.holes, replayed.damaged), (500, 0, 0));
    assert_eq!(replayed.end, Position { generation: 2, offset: 4096, number: 5 });
    assert_eq!(
        seen.0,
        [
            "1:48 at 100: 1 wamid.HBgLODUyNjEyMzQ1NjcVAgASGBQzQQ==",
            "1:425 at 100: 2 e3b0c442",
            "1:4144 at 300: 0 Settled([1])",
            "1:4172 at 300: 0 Dead { sequence: 2, reason: \"400 Bad Request\", status: Some(400), attempts: 5, at_ms: 1795214600000 }",
            "1:4225 at 300: 3 e3b0c442",
            "2:48 at 500: 0 Sealed { generation: 1, end: 8192, burned: Some((4, 5)) }",
            "2:80 at 500: 6 wamid.HBgLODUyNjEyMzQ1NjcVAgASGBQzQQ==",
            "2:457 at 500: 0 Settled([1, 300, 70000])",
        ]
    );
}

/// Twelve records in one block of the log, between two marks.
#[test]
fn records_packed_in_the_log() {
    let disk = SimulatedDisk::new();
    let mut ring = Ring::open(&disk, GEOMETRY, SALT, Position::START, Position::START).unwrap();
    let draft = |sequence| Draft::record(sequence, full_bytes());
    let mut drafts = vec![Draft::mark(&Mark::Settled(vec![1]))];
    drafts.extend((2..14).map(draft));
    drafts.push(Draft::mark(&Mark::Retry { sequence: 1 }));
    ring.write(drafts, 100, true).unwrap();
    // How well it packs may change with the library; what was packed must be read for ever.
    if !path("log-packed").exists() {
        same("log-packed", &disk.log_bytes(1));
    }
    for bytes in [stored("log-packed"), disk.log_bytes(1)] {
        let bytes = &bytes[..4096];
        let header = GroupHeader::read(&SALT, 0, bytes).unwrap();
        assert_eq!((header.entries, header.extent()), (3, 4096));
        let mut rest = &bytes[48..];
        let mut entries = Vec::new();
        for _ in 0..3 {
            let (this, behind) = rest.split_at(entry::length(rest).unwrap());
            entries.push(entry::read(&SALT, 1, this).expect(ADVICE));
            rest = behind;
        }
        assert_eq!(Mark::from_bytes(&entries[0].body), Ok(Mark::Settled(vec![1])));
        assert_eq!((entries[1].kind, entries[1].sequence), (EntryKind::Block, 2));
        assert_eq!(Mark::from_bytes(&entries[2].body), Ok(Mark::Retry { sequence: 1 }));
        let records = block::records(&entries[1].body).expect(ADVICE);
        assert_eq!(
            records.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>(),
            (2..14).collect::<Vec<_>>()
        );
        for (sequence, read) in records {
            assert_eq!(*read.unwrap(), record(sequence, full().0, &full().1), "{ADVICE}");
        }
    }
}

#[test]
fn blocks() {
    let mut builder = BlockBuilder::default();
    builder.push(5, 400, &bare_bytes());
    let (first, bytes) = builder.finish().unwrap();
    let plain = same("block-plain", &bytes);
    let read = block::records(&plain).unwrap();
    assert_eq!((first, read.len(), read[0].0), (5, 1, 5));
    assert_eq!(read[0].1.as_ref().unwrap().item, bare());

    for sequence in 7..12 {
        builder.push(sequence, sequence * 100, &full_bytes());
    }
    let (_, bytes) = builder.finish().unwrap();
    // How well it packs may change with the library; what was packed must be read for ever.
    if !path("block-lz4").exists() {
        same("block-lz4", &bytes);
    }
    let packed = stored("block-lz4");
    assert_eq!(block::info(&packed), block::info(&bytes));
    assert_eq!(block::records(&packed), block::records(&bytes), "{ADVICE}");
    assert_eq!(block::records(&packed).unwrap()[4].1.as_ref().unwrap().item, full().0);
}

#[test]
fn dead_letters() {
    let letter = Letter { reason: "422 no such lane".into(), status: Some(422), attempts: 5, at_ms: -1 };
    let stored = same("letter", &dead::to_bytes(&letter, &full_bytes()));
    let (read, kept) = dead::from_bytes(7, &stored).unwrap();
    assert_eq!((read, kept.unwrap().item.clone()), (letter.clone(), full().0));
    let lost = Letter { status: None, ..letter };
    let stored = same("letter-without-record", &dead::to_bytes(&lost, &[]));
    assert!(matches!(dead::from_bytes(7, &stored), Ok((read, None)) if read == lost));
}

#[test]
fn values_of_the_index() {
    let identity = Identity { store: "s-0123456789abcdef0123".into(), salt: SALT, hash_key: [0xA5; 32] };
    assert_eq!(schema::from_bytes(&same("identity", &schema::to_bytes(&identity))), Ok(identity));
    let checkpoint = Checkpoint {
        position: Position { generation: 3, offset: 8192, number: 77 },
        geometry: Geometry { segments: 4, segment_bytes: 16 << 20 },
        next_sequence: 1001,
        seen_ms: 86_400_123,
        floor: 990,
        pending: 4,
        dropped: 12,
        content_bytes: 123_456,
        records: 980,
        next_run: 6,
        day: 1,
    };
    assert_eq!(schema::from_bytes(&same("checkpoint", &schema::to_bytes(&checkpoint))), Ok(checkpoint));
    let mut settled = Settled::new(10);
    settled.insert(12);
    settled.insert(4095);
    let dirty = settled.take_dirty();
    let stored = same("settled", &dirty[0].1.unwrap());
    let mut loaded = Settled::new(10);
    loaded.load(0, &stored);
    assert!(loaded.contains(12) && loaded.contains(4095) && !loaded.contains(11));
    assert_eq!(schema::duplicates_name(7, 3), "duplicates-000007-000003", "{ADVICE}");
    let days = ["duplicates-000007", "duplicates-000007-000003", "duplicates-1234567-000000"];
    assert_eq!(days.map(schema::day_of_name), [Some(7), Some(7), Some(1_234_567)], "{ADVICE}");
    let filter = Filter::over(&[[0x11; 16], [0xA5; 16]]);
    assert_eq!(Filter::from_bytes(&same("filter", &filter.to_bytes())), Ok(filter));
}

#[test]
fn hashes_of_names() {
    let key = HashKey::new(&[0xA5; 32]);
    let mut run = event_hash(&key, "/wagate/106540352242922", "wamid.A").to_vec();
    for kind in [AliasKind::UserId, AliasKind::Phone, AliasKind::ParentUserId, AliasKind::Username] {
        run.extend(HashedAlias::new(&key, &Alias { kind, value: "85261234567".into() }).hash());
    }
    same("hashes", &run);
}

#[test]
fn the_tables() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, small());
    store.append_and_wait(vec![item("a", 1)], super::NOW).unwrap();
    store.fold().unwrap();
    drop(store);
    let index = Index::new(1 << 20);
    index.reopen(&disk).unwrap();
    let transaction = index.begin_read().unwrap();
    let mut names: Vec<String> =
        transaction.list_tables().unwrap().map(|table| redb::TableHandle::name(&table).to_owned()).collect();
    names.sort();
    assert_eq!(
        names,
        ["aliases", "blocks", "dead", "joined", "meta", "retries", "runs", "settled", "values"],
        "the tables have changed. {ADVICE}"
    );
    let meta = transaction.open_table(schema::META).unwrap();
    assert_eq!(meta.get("format").unwrap().unwrap().value(), [3, 0, 0, 0], "{ADVICE}");
}

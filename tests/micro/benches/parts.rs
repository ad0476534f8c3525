//! The time that one call of each part takes; see the crate's documentation.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use model::signature::hub::{AppSecret, Signature};
use model::signature::standard_webhooks::SigningSecret;
use model::{Item, Record};
use simulate::whatsapp::{PayloadOptions, Payloads};
use store::{FolderDisk, Options, Store};
use wagate_micro::corpus::{self, APP_SECRET, CRM_SECRET, RECEIVED_AT};

fn main() {
    divan::main();
}

/// So many of the benchmark's webhooks are gone through in one measured call, so that branches
/// aren't learned by heart; divan's items per second are webhooks, and the time is that of all.
const WEBHOOKS: usize = 512;

/// `mix` is the benchmark's; the others are composed webhooks by their names.
const SETS: [&str; 5] = ["mix", "text_4096", "statuses_50", "order", "account"];

fn bodies(set: &str) -> Vec<Vec<u8>> {
    if set == "mix" {
        return Payloads::new(PayloadOptions::default())
            .take(WEBHOOKS)
            .map(|body| body.bytes.to_vec())
            .collect();
    }
    let composed = corpus::composed().into_iter();
    composed.filter(|(name, _)| *name == set).map(|(_, body)| body.to_vec()).collect()
}

fn bytes_of(bodies: &[Vec<u8>]) -> BytesCount {
    BytesCount::new(bodies.iter().map(Vec::len).sum::<usize>())
}

#[divan::bench(args = SETS)]
fn parse(bencher: Bencher<'_, '_>, set: &str) {
    let bodies = bodies(set);
    let bencher = bencher.counter(ItemsCount::new(bodies.len())).counter(bytes_of(&bodies));
    bencher.bench_local(|| {
        for body in &bodies {
            drop(black_box(records::digest(black_box(body))));
        }
    });
}

#[divan::bench(args = SETS)]
fn verify(bencher: Bencher<'_, '_>, set: &str) {
    let secret = AppSecret::new(APP_SECRET.as_bytes());
    let bodies = bodies(set);
    let signed: Vec<_> = bodies.iter().map(|body| (secret.sign(body), body)).collect();
    let bencher = bencher.counter(ItemsCount::new(bodies.len())).counter(bytes_of(&bodies));
    bencher.bench_local(|| {
        for (header, body) in &signed {
            let signature = Signature::parse(black_box(header.as_bytes()));
            assert!(signature.is_some_and(|signature| secret.verify(body, &signature)));
        }
    });
}

fn journal(set: &str) -> Vec<Record> {
    bodies(set).iter().flat_map(|body| corpus::records_of(body)).collect()
}

#[divan::bench(args = SETS)]
fn normalise(bencher: Bencher<'_, '_>, set: &str) {
    let (journal, numbers) = (journal(set), corpus::numbers());
    bencher.counter(ItemsCount::new(journal.len())).bench_local(|| {
        for record in &journal {
            drop(black_box(records::render(black_box(record), &numbers)));
        }
    });
}

#[divan::bench(args = SETS)]
fn sign(bencher: Bencher<'_, '_>, set: &str) {
    let secret = SigningSecret::parse(CRM_SECRET).expect("the secret is base 64");
    let (journal, numbers) = (journal(set), corpus::numbers());
    let rendered: Vec<_> =
        journal.iter().map(|record| (&*record.item.id, records::render(record, &numbers))).collect();
    bencher.counter(ItemsCount::new(journal.len())).bench_local(|| {
        for (id, event) in &rendered {
            drop(black_box(secret.sign(id, 1_795_214_595, black_box(event))));
        }
    });
}

fn open(folder: &Path, options: Options) -> Store {
    let disk = FolderDisk::new(folder).expect("the folder can be used");
    Store::open(Arc::new(disk), options, Box::new(|_| {})).expect("the store can be opened")
}

/// Webhooks that wait for the writer together: one alone, and as many as connections that wait.
/// A folder of its own in `TMPDIR`, with the disk and the sync below it.
#[divan::bench(args = [1, 16, 64], sample_size = 1, sample_count = 500)]
fn append(bencher: Bencher<'_, '_>, group: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), Options::default());
    let mut fresh = corpus::fresh_items(group * 600).into_iter();
    let groups = || -> Vec<Vec<Item>> { fresh.by_ref().take(group).collect() };
    bencher.counter(ItemsCount::new(group)).with_inputs(groups).bench_local_values(|webhooks| {
        assert_eq!(webhooks.len(), group, "there aren't enough webhooks prepared");
        let (sender, receiver) = sync_channel(group);
        for items in webhooks {
            let sender = sender.clone();
            store.append(items, RECEIVED_AT, Box::new(move |result| _ = sender.send(result)));
        }
        for _ in 0..group {
            receiver.recv().expect("every append is answered").expect("the store takes it");
        }
    });
}

/// Records that no fold has taken into the index when the store is opened.
#[divan::bench(args = [0, 1_000, 8_000], sample_size = 1, sample_count = 20)]
fn replay(bencher: Bencher<'_, '_>, records: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    // More than are appended, so that nothing is folded.
    let options = Options { fold_records: 1 << 20, ..Options::default() };
    let store = open(folder.path(), options.clone());
    for items in corpus::fresh_items(records).chunks(256) {
        store.append_and_wait(items.concat(), RECEIVED_AT).expect("the store takes it");
    }
    drop(store);
    bencher.counter(ItemsCount::new(records)).bench_local(|| {
        let store = open(folder.path(), options.clone());
        assert_eq!(store.newest().0, records as u64);
        store
    });
}

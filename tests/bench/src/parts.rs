//! The parts of the path that are computation alone: what a call takes, one after another.

use std::hint::black_box;
use std::time::Instant;

use model::signature::hub::{AppSecret, Signature};
use model::signature::standard_webhooks::SigningSecret;
use model::{ContactId, Item, Record, Sequence, WallTime};
use records::Numbers;
use simulate::whatsapp::{Body, PayloadOptions, Payloads};

use crate::gateway::{APP_SECRET, CRM_SECRET};
use crate::table::{Table, spread};

const ROUNDS: usize = 7;

/// Measures and prints.
pub(crate) fn measure(smoke: bool) -> anyhow::Result<()> {
    let count = if smoke { 500 } else { 20_000 };
    let bodies: Vec<Body> = Payloads::new(PayloadOptions::default()).take(count).collect();
    let secret = AppSecret::new(APP_SECRET.as_bytes());
    let headers: Vec<String> = bodies.iter().map(|body| secret.sign(&body.bytes)).collect();
    let signing = SigningSecret::parse(CRM_SECRET)?;
    let numbers: Numbers = [("106540352242922".to_owned(), "+15550783881".to_owned())].into_iter().collect();
    let items: Vec<Item> = bodies.iter().flat_map(|body| records::digest(&body.bytes)).collect();
    let contact_id = ContactId::from_bits(1 << 100);
    let journal: Vec<Record> = (1..)
        .zip(items)
        .map(|(sequence, item)| Record {
            sequence: Sequence(sequence),
            received_at: WallTime(1_795_214_595_000),
            contact_id: Some(contact_id.clone()),
            replayed: false,
            item,
        })
        .collect();
    let rendered: Vec<Vec<u8>> = journal.iter().map(|record| records::render(record, &numbers)).collect();

    let mut table = Table::new(&["part", "us per webhook"]);
    let mut part = |name: &str, call: &dyn Fn(usize)| {
        let rounds = (0..ROUNDS).map(|_| {
            let start = Instant::now();
            (0..count).for_each(call);
            start.elapsed().as_secs_f64() * 1e6 / count as f64
        });
        table.row(&[name.to_owned(), spread(rounds, 2)]);
    };
    part("check Meta's signature", &|place| {
        let signature = Signature::parse(headers[place].as_bytes());
        black_box(signature.is_some_and(|signature| secret.verify(&bodies[place].bytes, &signature)));
    });
    part("take the webhook apart", &|place| drop(black_box(records::digest(&bodies[place].bytes))));
    part("render the record", &|place| drop(black_box(records::render(&journal[place], &numbers))));
    part("sign the delivery", &|place| {
        let item = &journal[place].item;
        drop(black_box(signing.sign(&item.id, 1_795_214_595, &rendered[place])));
    });
    part("(sign the webhook, as Meta)", &|place| drop(black_box(secret.sign(&bodies[place].bytes))));
    table.print()?;
    Ok(())
}

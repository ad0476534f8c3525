//! The webhooks that are measured.

use model::{ContactId, Item, Record, Sequence, WallTime};
use records::Numbers;

/// The app secret that the bodies are signed with.
pub const APP_SECRET: &str = "an app secret of the benchmark";
/// The secret that deliveries are signed with.
pub const CRM_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// When the box took them: 2026-11-20T22:43:16.042Z.
pub const RECEIVED_AT: WallTime = WallTime(1_795_214_596_042);

/// The first bodies that the benchmark's generator makes, one a line: 45 % texts, 10 % pictures,
/// choices and places, 45 % statuses, 680 bytes on average. They stand in a file so that a change
/// of the generator doesn't look like a change of the parts.
const MIX: &str = include_str!("../webhooks.jsonl");

/// Bodies that aren't of the usual kind: as large as a text gets, many items, an account event,
/// spread over lines.
const COMPOSED: &[(&str, &str)] = &[
    (
        "text_4096",
        include_str!("../../../crates/records/tests/fixtures/webhooks/comp_text_4096_unicode.json"),
    ),
    ("statuses_50", include_str!("../../../crates/records/tests/fixtures/webhooks/comp_statuses_50.json")),
    ("order", include_str!("../../../crates/records/tests/fixtures/webhooks/comp_order_decimals.json")),
    ("account", include_str!("../../../crates/records/tests/fixtures/webhooks/comp_account_alerts.json")),
];

/// The mix of the benchmark.
#[must_use]
pub fn mix() -> Vec<&'static [u8]> {
    MIX.lines().map(str::as_bytes).collect()
}

/// The composed bodies by their names.
#[must_use]
pub fn composed() -> Vec<(&'static str, &'static [u8])> {
    COMPOSED.iter().map(|(name, text)| (*name, text.as_bytes())).collect()
}

/// The store's number, as the bodies of the mix name it.
#[must_use]
pub fn numbers() -> Numbers {
    [("106540352242922", "+15550783881")].into_iter().collect()
}

/// The records that a body's items become.
#[must_use]
pub fn records_of(body: &[u8]) -> Vec<Record> {
    let record = |(place, item): (u64, Item)| Record {
        sequence: Sequence(place),
        received_at: RECEIVED_AT,
        contact_id: item.contact.as_ref().map(|_| ContactId::from_bits(1 << 100)),
        replayed: false,
        item,
    };
    (1..).zip(records::digest(body)).map(record).collect()
}

/// The items of `webhooks` webhooks of the mix, over and over again with other ids, so that none
/// is a duplicate.
#[must_use]
pub fn fresh_items(webhooks: usize) -> Vec<Vec<Item>> {
    let mix = mix();
    (0..webhooks)
        .map(|place| {
            let mut items = records::digest(mix[place % mix.len()]);
            for item in &mut items {
                item.id = format!("{:06}{}", place / mix.len(), &item.id);
            }
            items
        })
        .collect()
}

//! The stored webhooks are what they are said to be.
//!
//! `WAGATE_BLESS=1 cargo test -p wagate-micro` makes them anew; the counts have to be made anew then, too.

use model::Kind;
use simulate::whatsapp::{PayloadOptions, Payloads};
use wagate_micro::corpus;

#[test]
fn the_stored_webhooks_are_the_usual_mix() {
    if std::env::var_os("WAGATE_BLESS").is_some() {
        let bodies = Payloads::new(PayloadOptions::default()).take(128);
        let lines: Vec<u8> = bodies.flat_map(|body| [&body.bytes[..], b"\n"].concat()).collect();
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/webhooks.jsonl"), lines).unwrap();
        return;
    }
    let bodies = corpus::mix();
    assert_eq!(bodies.len(), 128);
    let bytes: usize = bodies.iter().map(|body| body.len()).sum();
    assert!((640..720).contains(&(bytes / 128)), "{}", bytes / 128);
    let kinds: Vec<Kind> =
        bodies.iter().flat_map(|body| records::digest(body)).map(|item| item.kind).collect();
    assert_eq!(kinds.len(), 128);
    let count = |kind| kinds.iter().filter(|one| **one == kind).count();
    assert!((45..70).contains(&count(Kind::MessageStatus)), "{}", count(Kind::MessageStatus));
    assert_eq!(count(Kind::MessageReceived) + count(Kind::MessageStatus), 128);
}

#[test]
fn the_composed_webhooks_can_be_read() {
    for (name, body) in corpus::composed() {
        assert!(records::digest(body).iter().all(|item| item.kind != Kind::Unknown), "{name}");
    }
}

#[test]
fn no_two_of_the_fresh_items_are_the_same() {
    let items = corpus::fresh_items(512);
    let ids: std::collections::HashSet<_> = items.iter().flatten().map(|item| &item.id).collect();
    assert_eq!(ids.len(), 512);
}

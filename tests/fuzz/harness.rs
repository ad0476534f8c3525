//! What each fuzz target does with its bytes; the ordinary tests do the same with the corpora.
#![allow(dead_code, unreachable_pub, reason = "each target uses one of them, from another module")]

use ingress::Handshake;
use ingress::proxy::{self, Progress};
use model::signature::hub::{AppSecret, Signature};
use model::{ContactId, Kind, Record, Sequence, WallTime};
use serde_json::value::RawValue;

/// A webhook body becomes items, and each of them a record that is JSON.
pub fn body(bytes: &[u8]) {
    let items = records::digest(bytes);
    assert!(!items.is_empty(), "what came is never dropped");
    let numbers = [("106540352242922", "+85291234567")].into_iter().collect();
    for item in items {
        assert!(!item.id.is_empty() && item.source.starts_with("/wagate"));
        assert!(item.raw.len() <= bytes.len());
        assert_eq!(item.kind == Kind::Unknown, !item.reason.is_empty());
        let contact_id = item.contact.is_some().then(|| ContactId::new(1, [1; 10]));
        let record =
            Record { sequence: Sequence(1), received_at: WallTime(1), contact_id, replayed: false, item };
        let rendered = records::render(&record, &numbers);
        // Shape alone: the piece of the payload is in there to the byte, with numbers and lone
        // surrogates that not every reader takes.
        let event: &RawValue = serde_json::from_slice(&rendered)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&rendered)));
        assert!(event.get().starts_with(r#"{"specversion":"1.0","id":""#));
        assert!(event.get().contains(record.item.kind.event_type()));
    }
}

/// A signature header that is read is one that nobody can make without the secret.
pub fn signature(bytes: &[u8]) {
    let Some(signature) = Signature::parse(bytes) else { return };
    assert_eq!(bytes.len(), "sha256=".len() + 64);
    let upper = [&bytes[..7], bytes[7..].to_ascii_uppercase().as_slice()].concat();
    assert_eq!(Signature::parse(&upper), Some(signature));
    let secret = AppSecret::new(b"secret");
    let ours = Signature::parse(secret.sign(bytes).as_bytes()).expect("it reads what it writes");
    assert_eq!(secret.verify(bytes, &signature), signature == ours);
}

/// Whatever a handshake gives back can be shown to anybody, and only to who knows the token.
pub fn handshake(bytes: &[u8]) {
    let Ok(query) = std::str::from_utf8(bytes) else { return };
    assert!(!matches!(ingress::handshake(Some(query), b""), Handshake::Welcome(_) | Handshake::BadChallenge));
    if let Handshake::Welcome(echo) = ingress::handshake(Some(query), b"token") {
        assert!((1..=ingress::CHALLENGE_BYTES).contains(&echo.len()));
        assert!(echo.iter().all(u8::is_ascii_graphic));
        assert!(query.len() >= echo.len() + "hub.mode=subscribe&hub.verify_token=token".len());
    }
}

/// What a relay sends ahead of TLS: read within its bound, a byte at a time as all at once, and nothing behind it.
pub fn proxy(bytes: &[u8]) {
    let whole = proxy::read(bytes);
    for end in 0..bytes.len().min(proxy::V2_BYTES + 1) {
        match (proxy::read(&bytes[..end]), whole) {
            (Progress::More, _) => assert!(end < proxy::V2_BYTES),
            (early, Progress::Header(header)) if end >= header.length => assert_eq!(early, whole),
            (early, later) => assert!(matches!((early, later), (Progress::Broken(_), Progress::Broken(_)))),
        }
    }
    if let Progress::Header(header) = whole {
        let shortest = "PROXY UNKNOWN\r\n".len();
        assert!((shortest..=proxy::V2_BYTES).contains(&header.length) && header.length <= bytes.len());
    }
}

/// Bytes of each stored format.
pub fn stored(bytes: &[u8]) {
    store::fuzzing::stored(bytes);
}

/// A log that holds any bytes.
pub fn log(bytes: &[u8]) {
    store::fuzzing::log(bytes);
}

/// The body of `POST /v1/messages` is a request whose parts are JSON again, or at least one fault.
pub fn outgoing(bytes: &[u8]) {
    let numbers = [("106540352242922", "+85291234567")].into_iter().collect();
    match records::outgoing::read(bytes, &numbers) {
        Ok(request) => assert!(!request.parts.is_empty()),
        Err(faults) => assert!((1..=records::outgoing::FAULTS_MAX).contains(&faults.len())),
    }
}

/// Bytes that a CRM answers with.
pub fn answer(bytes: &[u8]) {
    egress::fuzzing::answer(bytes);
}

/// What a certificate file may hold.
pub fn certificate(bytes: &[u8]) {
    let _ = ingress::authority_and_serial(bytes);
    let read = |bytes: &[u8]| (ingress::not_after(bytes), ingress::is_self_issued(bytes));
    if let (Some(expires), issued) = read(bytes) {
        assert_eq!(read(&[bytes, b"more"].concat()), (Some(expires), issued), "what follows is none of it");
    }
}

/// The beginning of an update, or its manifest once its signature was found right.
pub fn bundle(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    if which % 2 == 0 {
        if let Ok(head) = board::bundle::Head::read(&mut &*bytes) {
            assert!(head.verify(&board::TrustedKeys::new([])).is_err(), "nobody is trusted");
        }
    } else if let Ok(manifest) = board::Manifest::parse(bytes) {
        assert!(manifest.slot_bytes > 0 && manifest.slot_sha256.len() == 64);
    }
}

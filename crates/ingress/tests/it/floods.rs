//! Floods that cost their sender little: each ends with its connection, and Meta's goes on meanwhile.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use wagate_ingress::{ConnectionLimits, RequestLimits};

use crate::frames::*;
use crate::support::{Door, PATIENCE, answer, forged, signed, status};

/// Times short enough to see their end.
const HEADER_TIME: Duration = Duration::from_millis(400);
/// What a listener may take to end a flood: its times, a second for the farewell, and a slow machine.
const SOON: Duration = Duration::from_secs(10);
/// A webhook of Meta's on another connection is answered within this, on a slow machine as well.
const ANSWERED: Duration = Duration::from_secs(2);

async fn door() -> Door {
    let connections = ConnectionLimits { header_time: HEADER_TIME, ..ConnectionLimits::default() };
    let requests =
        RequestLimits { body_time: HEADER_TIME, dropped_time: HEADER_TIME, ..RequestLimits::default() };
    Door::with(connections, requests).await
}

/// How a flood went.
#[derive(Debug)]
struct Ended {
    /// Bytes that were taken.
    sent: usize,
    /// What the listener said, if it was listened to.
    said: Vec<u8>,
    /// The codes of its farewells (RFC 9113, section 7). A reset may swallow them.
    codes: Vec<u32>,
}

/// Sends `first`, then `more(n)` for as long as the connection stays and there is more; meanwhile one good webhook
/// after the other goes through on another connection. Where `listens`, what comes back is read.
async fn flood(first: &[u8], more: impl Fn(u32) -> Vec<u8> + Send + 'static, listens: bool) -> Ended {
    let door = door().await;
    let mut meta = door.connect().await;
    let (mut from, mut to) = door.connect().await.into_split();
    let mut bytes = first.to_vec();
    let talking = tokio::spawn(async move {
        let (mut sent, mut number) = (0, 0);
        while !bytes.is_empty() {
            match to.write_all(&bytes).await {
                Ok(()) => sent += bytes.len(),
                Err(_) => return sent,
            }
            bytes = more(number);
            number += 1;
            // All of this is one thread, and a flood is to be no worse than its sender.
            tokio::task::yield_now().await;
        }
        // Holds the connection, and its tongue.
        tokio::time::sleep(SOON).await;
        drop(to);
        sent
    });
    let hearing = tokio::spawn(async move {
        let (mut said, mut bytes) = (Vec::new(), vec![0; 16 * 1024]);
        if !listens {
            tokio::time::sleep(SOON).await;
        }
        while let Ok(read @ 1..) = from.read(&mut bytes).await {
            if said.len() < 1 << 20 {
                said.extend_from_slice(&bytes[..read]);
            }
        }
        said
    });
    let begun = Instant::now();
    let over = || ["closed", "failed", "idle"].iter().any(|how| door.listener().ended(how) > 0);
    while !over() {
        meta.write_all(&signed(b"{}")).await.unwrap();
        let answered = timeout(ANSWERED, answer(&mut meta)).await.expect("Meta waits");
        assert_eq!(status(&answered), 200);
        assert!(begun.elapsed() < SOON, "it goes on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(door.shelf.bodies().iter().all(|body| body == "{}"));
    assert_eq!(door.listener().open(), 1, "Meta stays");
    talking.abort();
    let said = if listens { timeout(PATIENCE, hearing).await.unwrap().unwrap() } else { Vec::new() };
    let farewells = kinds(&said).into_iter().filter(|(kind, _)| *kind == GOAWAY);
    let codes = farewells.map(|(_, payload)| u32::from_be_bytes(payload[4..8].try_into().unwrap())).collect();
    Ended { sent: talking.await.unwrap_or(0), said, codes }
}

fn opening(values: &[(u16, u32)]) -> Vec<u8> {
    [PREFACE, &settings(values)].concat()
}

/// The head of an unsigned webhook that lasts, on the n-th stream.
fn request(number: u32) -> Vec<u8> {
    let forged = forged();
    let (name, value) = forged.trim().split_once(": ").unwrap();
    let block = head("POST", "/webhook", &[(&name.to_ascii_lowercase(), value)]);
    frame(HEADERS, END_HEADERS, 1 + 2 * number, &block)
}

const ENHANCE_YOUR_CALM: u32 = 11;
const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const NO_ERROR: u32 = 0;

/// A farewell that came says this; one that a reset swallowed says nothing.
fn assert_code(ended: &Ended, code: u32) {
    assert!(ended.codes.iter().all(|found| [NO_ERROR, code].contains(found)), "{:?}", ended.codes);
}

#[tokio::test]
async fn streams_that_are_reset_as_soon_as_they_are_opened_end_the_connection() {
    let reset =
        |number| [request(number), frame(RST_STREAM, 0, 1 + 2 * number, &8_u32.to_be_bytes())].concat();
    let ended = flood(&opening(&[]), reset, true).await;
    assert_code(&ended, ENHANCE_YOUR_CALM);
    // A burst at once, as the attack of 2023 did it.
    let burst = [opening(&[]), (0..2_000).flat_map(reset).collect()].concat();
    let ended = flood(&burst, |_| Vec::new(), true).await;
    assert_code(&ended, ENHANCE_YOUR_CALM);
}

#[tokio::test]
async fn frames_that_have_to_be_answered_are_answered_for_a_while() {
    for listens in [true, false] {
        let settings_flood = |_| settings(&[(TABLE, 4096)]).repeat(64);
        flood(&opening(&[]), settings_flood, listens).await;
        let pings = |_| frame(PING, 0, 0, &[7; 8]).repeat(64);
        let ended = flood(&opening(&[]), pings, listens).await;
        assert!(!listens || !ended.said.is_empty());
    }
}

#[tokio::test]
async fn frames_that_mean_nothing_end_with_the_time_for_a_head() {
    flood(&opening(&[]), |_| frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16]).repeat(64), true).await;
    // A kind that doesn't exist has to be passed over (section 4.1).
    flood(&opening(&[]), |_| frame(0x42, 0, 0, &[0; 512]).repeat(8), true).await;
    flood(&opening(&[]), |_| frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()).repeat(64), true).await;
}

#[tokio::test]
async fn empty_pieces_of_a_body_end_with_the_time_for_a_body() {
    let first = [opening(&[]), request(0)].concat();
    flood(&first, |_| frame(DATA, 0, 1, &[]).repeat(64), true).await;
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let first = [opening(&[]), frame(HEADERS, 0, 1, &head("POST", "/webhook", &[]))].concat();
    let ended = flood(&first, |_| frame(CONTINUATION, 0, 1, &field("x", &"y".repeat(100))), true).await;
    assert!(ended.sent < 1 << 20, "{} bytes", ended.sent);
    // Without a byte in it.
    flood(&first, |_| frame(CONTINUATION, 0, 1, &[]).repeat(64), true).await;
}

/// RFC 7541: a field of 3 KB in the table, then a byte for each time that it's meant.
#[tokio::test]
async fn a_head_that_unpacks_to_megabytes_is_refused() {
    let mut block = head("POST", "/webhook", &[]);
    block.extend([0x40, 1, b'x', 0x7F, 0xB9, 0x16]);
    block.extend([b'y'; 3_000]);
    block.extend(vec![0xBE; 12_000]);
    let door = door().await;
    let mut stream = door.connect().await;
    stream
        .write_all(&[opening(&[]), frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)].concat())
        .await
        .unwrap();
    let mut said = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut said)).await.unwrap();
    assert_eq!(door.metrics.webhooks("unsigned"), 0, "it reached nobody");
    assert!(
        kinds(&said).iter().any(|(kind, _)| [HEADERS, RST_STREAM, GOAWAY].contains(kind)),
        "431, or the end"
    );
}

#[tokio::test]
async fn an_answer_that_is_not_taken_holds_nothing() {
    // No window at all: thirty answers wait, and nobody will take them.
    let many: Vec<u8> = (0..30)
        .flat_map(|number| {
            frame(HEADERS, END_HEADERS | END_STREAM, 1 + 2 * number, &head("GET", "/other", &[]))
        })
        .collect();
    flood(&[opening(&[(WINDOW, 0)]), many].concat(), |_| Vec::new(), true).await;
    // A window that opens by a byte at a time.
    let one = frame(HEADERS, END_HEADERS | END_STREAM, 1, &head("GET", "/other", &[]));
    let drip = |_| frame(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes());
    flood(&[opening(&[(WINDOW, 0)]), one].concat(), drip, true).await;
}

#[tokio::test]
async fn a_window_past_all_bounds_ends_the_connection() {
    let most = 0x7FFF_FFFF_u32.to_be_bytes();
    let ended = flood(&opening(&[]), move |_| frame(WINDOW_UPDATE, 0, 0, &most), true).await;
    assert_code(&ended, FLOW_CONTROL_ERROR);
    let ended = flood(&opening(&[]), |_| frame(WINDOW_UPDATE, 0, 0, &[0; 4]), true).await;
    assert_code(&ended, PROTOCOL_ERROR);
    // The RFC has another code for this one, h2 has this.
    let ended = flood(&opening(&[(WINDOW, u32::MAX)]), |_| Vec::new(), true).await;
    assert_code(&ended, PROTOCOL_ERROR);
}

#[tokio::test]
async fn more_streams_than_allowed_are_refused_and_not_kept() {
    let ended =
        flood(&opening(&[]), |number| if number < 5_000 { request(number) } else { Vec::new() }, true).await;
    assert_code(&ended, ENHANCE_YOUR_CALM);
    let refused = kinds(&ended.said).iter().filter(|(kind, _)| *kind == RST_STREAM).count();
    assert!(refused > 0 || !ended.codes.is_empty() || ended.sent < 1 << 20, "{ended:?}");
}

/// HTTP/1.1: many requests at once are answered one after the other, in order.
#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let door = door().await;
    let mut stream = door.connect().await;
    let mut requests = Vec::new();
    for number in 0..200 {
        requests.extend(signed(format!("{number}").as_bytes()));
        if number % 50 == 49 {
            requests.extend(b"GET /other HTTP/1.1\r\nHost: box\r\n\r\n");
        }
    }
    stream.write_all(&requests).await.unwrap();
    for number in 0..200 {
        assert_eq!(status(&answer(&mut stream).await), 200);
        if number % 50 == 49 {
            assert_eq!(status(&answer(&mut stream).await), 404);
        }
    }
    let expected: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    assert_eq!(door.shelf.bodies(), expected);
}

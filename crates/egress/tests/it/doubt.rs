//! A message is never posted twice by what lies beneath: whatever becomes of the connection, the
//! server has seen exactly what was asked for.

use std::time::Duration;

use futures_util::future::join_all;
use model::Outcome;
use wagate_egress::Called;
use wagate_egress::graph::ANSWER_TIMEOUT;

use crate::graph::{NUMBER, answer, at, is_accepted, of, to, took_it};
use crate::raw::{Act, Raw, Then};

fn reason(called: &Called) -> &str {
    let Outcome::Unknown { reason } = &called.outcome else { panic!("{called:?}") };
    reason
}

/// What a server does that has read the whole message and gives no whole answer.
fn evasions() -> Vec<(Act, &'static str)> {
    let broken = "no whole answer came: ";
    let late = "no answer came in time";
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 62\r\n\r\n{\"messages\":[{\"id\":\"wamid.A\"}]}";
    let refusal = "HTTP/1.1 400 Bad\r\ncontent-length: 99\r\n\r\n{\"error\":";
    let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}nonsense";
    vec![
        (Act::new("", Then::Close), broken),
        (Act::new("", Then::HalfClose), broken),
        (Act::new("", Then::Reset), broken),
        (Act::new("", Then::Hold), late),
        (Act::new("HTTP/1.1 200 OK\r\ncontent-", Then::Close), broken),
        (Act::new("HTTP/1.1 200 OK\r\ncontent-", Then::Reset), broken),
        (Act::new("HTTP/1.1 200 OK\r\ncontent-", Then::Hold), late),
        (Act::new("HTTP/1.1 100 Continue\r\n\r\n", Then::Close), broken),
        (Act::new("SSH-2.0-OpenSSH\r\n\r\n", Then::Close), broken),
        (Act::new(half, Then::Close), broken),
        (Act::new(half, Then::Reset), broken),
        (Act::new(half, Then::Hold), late),
        (Act::new(refusal, Then::Close), broken),
        (Act::new(chunks, Then::Close), broken),
        (answer("200 OK", "<html>Welcome to Shop WiFi</html>"), "a 200 that isn't Graph's answer"),
        (answer("200 OK", ""), "a 200 that isn't Graph's answer"),
        (answer("204 No Content", ""), "a 204 that isn't Graph's answer"),
    ]
}

/// For whoever is held, and long enough for the messages before and behind it, that are answered at once.
const HELD: Duration = Duration::from_secs(3);

/// Long enough for a loopback, where nothing is to be waited for.
fn timeout(then: Then) -> Duration {
    if then == Then::Hold { HELD } else { ANSWER_TIMEOUT }
}

/// All of them wait together.
#[tokio::test]
async fn what_was_read_and_not_answered_is_posted_once() {
    let of = |kept| evasions().into_iter().map(move |(act, words)| is_posted_once(kept, act, words));
    join_all([0, 1].into_iter().flat_map(of)).await;
}

async fn is_posted_once(kept: usize, act: Act, words: &str) {
    let evasion = act.clone();
    let raw = Raw::start(move |place| if place == kept { evasion.clone() } else { took_it() }).await;
    let graph = to(of(&raw).with_timeout(timeout(act.then)));
    let mut expected = Vec::new();
    if kept == 1 {
        assert!(is_accepted(&graph.send(NUMBER, b"before".to_vec()).await));
        expected.push(b"before".to_vec());
    }
    let called = graph.send(NUMBER, b"doubt".to_vec()).await;
    assert!(reason(&called).starts_with(words), "{act:?}: {called:?}");
    assert!(!reason(&called).contains("127.0.0.1"), "{called:?}");
    let connections = raw.saw().connections;
    assert_eq!(connections, 1, "{act:?}: the one before was used again");
    // It comes behind whatever the library might still have sent.
    assert!(is_accepted(&graph.send(NUMBER, b"after".to_vec()).await), "{act:?}");
    expected.extend([b"doubt".to_vec(), b"after".to_vec()]);
    assert_eq!(raw.saw().bodies, expected, "{act:?}, {kept} before it");
}

/// All of them wait together.
#[tokio::test]
async fn a_connection_that_breaks_while_a_message_is_written_leaves_it_in_doubt() {
    let of =
        |kept| [Then::Close, Then::Reset, Then::Hold].into_iter().map(move |then| is_in_doubt(kept, then));
    join_all([0, 1].into_iter().flat_map(of)).await;
}

async fn is_in_doubt(kept: usize, then: Then) {
    let size = 16 * 1024 * 1024;
    let raw = Raw::start(move |place| {
        let early = place == kept;
        if early { Act { early, ..Act::new("", then) } } else { took_it() }
    })
    .await;
    let graph = to(of(&raw).with_timeout(timeout(then)));
    for _ in 0..kept {
        assert!(is_accepted(&graph.send(NUMBER, b"before".to_vec()).await));
    }
    let called = graph.send(NUMBER, vec![b'x'; size]).await;
    let _words = reason(&called);
    assert_eq!((raw.saw().connections, raw.saw().heads.len()), (1, kept + 1), "{then:?}");
    assert!(is_accepted(&graph.send(NUMBER, b"after".to_vec()).await));
    assert_eq!(raw.saw().heads.len(), kept + 2, "{then:?}, {kept} before it");
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_costs_nothing() {
    for then in [Then::Close, Then::HalfClose, Then::Reset] {
        let mut raw = Raw::start(move |_| Act { then, ..took_it() }).await;
        let graph = at(&raw);
        let messages: Vec<_> = (0..20).map(|n| n.to_string().into_bytes()).collect();
        for (n, message) in messages.iter().enumerate() {
            let called = graph.send(NUMBER, message.clone()).await;
            assert!(is_accepted(&called), "{then:?}: {called:?}");
            // Half closed it is closed when the client has seen the end, and closes, too.
            raw.until(|saw| saw.closed == n + 1).await;
        }
        assert_eq!(raw.saw().bodies, messages, "{then:?}: none lost, none twice");
        assert_eq!(raw.saw().connections, messages.len(), "{then:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_waited_for_as_long_as_the_contract_says() {
    let raw = Raw::start(|_| Act::new("", Then::Hold)).await;
    let called = at(&raw).send(NUMBER, b"{}".to_vec()).await;
    assert_eq!(reason(&called), "no answer came in time");
    let seconds = called.latency.as_secs_f64();
    assert!((30.0..30.1).contains(&seconds), "{seconds}");
    assert_eq!(called.status, None);
}

/// Eight at once, over connections that end in every way and at every time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_messages_each_is_seen_once_at_most() {
    let mut dice = 5_u64;
    let raw = Raw::start(move |_| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let half = || Act { bytes: took_it().bytes[..70].to_vec(), ..took_it() };
        match (dice >> 33) % 12 {
            0 => Act::new("", Then::Close),
            1 => Act::new("", Then::Reset),
            2 => Act { then: Then::Close, ..half() },
            3 => Act { then: Then::Reset, ..half() },
            // Taken, but the connection ends while it is kept for the next.
            4 | 5 => Act { then: Then::Close, ..took_it() },
            6 => Act { then: Then::Reset, ..took_it() },
            7 => Act { then: Then::HalfClose, ..took_it() },
            _ => took_it(),
        }
    })
    .await;
    let graph = at(&raw);
    let workers = (0..8).map(|worker| {
        let graph = graph.clone();
        tokio::spawn(async move {
            let mut outcomes = Vec::new();
            for n in 0..200 {
                let message = format!("{worker} {n}").into_bytes();
                outcomes.push((message.clone(), graph.send(NUMBER, message).await));
            }
            outcomes
        })
    });
    let (mut accepted, mut doubtful) = (0, 0);
    let outcomes = join_all(workers.collect::<Vec<_>>()).await;
    let bodies = raw.saw().bodies;
    for (message, called) in outcomes.into_iter().flat_map(Result::unwrap) {
        let seen = bodies.iter().filter(|body| **body == message).count();
        if is_accepted(&called) {
            accepted += 1;
            assert_eq!(seen, 1, "{called:?}");
        } else {
            doubtful += 1;
            let _words = reason(&called);
            assert!(seen <= 1, "{called:?}");
        }
    }
    assert_eq!(accepted + doubtful, 1_600);
    assert!(accepted > 800 && doubtful > 300, "{accepted} {doubtful}");
}

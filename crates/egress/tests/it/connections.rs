//! What becomes of connections, and of what the other side says on them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::Record;
use wagate_egress::{Mode, Settlement, Why};

use crate::journal::Memory;
use crate::raw::{Act, Raw, Then};
use crate::running::{
    REQUEST_TIMEOUT, Running, patient, settings, start, start_as, start_hasty as hasty, start_with,
};

fn count(running: &Running, result: &str) -> u64 {
    let line = format!("wagate_deliveries_total{{endpoint=\"primary\",result=\"{result}\"}} ");
    let metrics = running.metrics();
    metrics.lines().find_map(|text| text.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn a_connection_is_used_again_and_one_that_was_closed_meanwhile_costs_nothing() {
    let mut crm = Raw::start(|place| match place {
        3 => Act { then: Then::Close, ..Act::ok() },
        _ => Act::ok(),
    })
    .await;
    let journal = Memory::new();
    let running = start(&journal, &crm.url(), settings(Mode::Realtime));
    for n in 0..6 {
        journal.append("a");
        journal.left(0).await;
        crm.until(|saw| saw.closed == usize::from(n >= 3)).await;
        // The end of the connection lies ready before anything else runs.
        tokio::task::yield_now().await;
    }
    let saw = crm.saw();
    assert_eq!((saw.connections, saw.ids.len()), (2, 6), "none lost, none twice");
    assert_eq!((count(&running, "accepted"), count(&running, "no_answer")), (6, 0));
    running.stop().await;
}

#[tokio::test]
async fn whoever_closes_after_each_answer_gets_a_connection_for_each_request() {
    for (answer, then) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", Then::Close),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", Then::Hold),
        ("HTTP/1.1 200 OK\r\n\r\neverything to the end", Then::Close),
        ("HTTP/1.1 200 OK\r\n\r\neverything to the end", Then::HalfClose),
        ("HTTP/1.0 200 OK\r\n\r\n", Then::Close),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", Then::Hold),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more", Then::Hold),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\ncut short", Then::Close),
    ] {
        let crm = Raw::start(move |_| Act::new(answer, then)).await;
        let journal = Memory::new();
        let running = start(&journal, &crm.url(), settings(Mode::Realtime));
        for _ in 0..5 {
            journal.append("a");
        }
        journal.left(0).await;
        assert_eq!((crm.saw().connections, crm.saw().ids.len()), (5, 5), "{answer:?}");
        assert_eq!(count(&running, "accepted"), 5, "{answer:?}");
        running.stop().await;
    }
}

#[tokio::test]
async fn answers_in_every_form_leave_the_connection_open() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 409 Conflict\r\ncontent-length: 7\r\n\r\nalready",
    ] {
        let crm = Raw::start(move |_| Act::new(answer, Then::Keep)).await;
        let journal = Memory::new();
        let running = start(&journal, &crm.url(), settings(Mode::Realtime));
        for _ in 0..5 {
            journal.append("a");
        }
        journal.left(0).await;
        assert_eq!((crm.saw().connections, crm.saw().ids.len()), (1, 5), "{answer:?}");
        running.stop().await;
    }
}

#[tokio::test]
async fn what_is_no_answer_is_told_without_its_content() {
    for (answer, then, words) in [
        ("SSH-2.0-OpenSSH_secret\r\n", Then::Keep, "the answer is not HTTP"),
        ("", Then::Close, "the connection was closed before an answer came"),
        ("", Then::HalfClose, "the connection was closed before an answer came"),
        (
            "HTTP/1.1 200 OK\r\nX-Secret: secret\r\n",
            Then::Close,
            "the connection was closed before an answer came",
        ),
        ("", Then::Hold, "no answer came in time"),
        ("HTTP/1.1 200 OK\r\nX-Secret: secret\r\n", Then::Hold, "no answer came in time"),
        ("HTTP/1.1 100 Continue\r\n\r\n", Then::Hold, "no answer came in time"),
    ] {
        let crm = Raw::start(move |place| if place == 0 { Act::new(answer, then) } else { Act::ok() }).await;
        let journal = Memory::new();
        let running = hasty(&journal, &crm.url(), settings(Mode::Realtime));
        let before = Instant::now();
        journal.append("a");
        journal.left(0).await;
        assert_eq!(running.status.borrow().last_error.as_deref(), Some(words), "{answer:?}");
        let unanswered = count(&running, "no_answer");
        assert!(unanswered > 0 && count(&running, "accepted") == 1, "{answer:?}");
        assert!(then != Then::Hold || before.elapsed() >= REQUEST_TIMEOUT);
        assert!(crm.saw().connections > 1, "what is in doubt carries nothing more");
        running.stop().await;
    }
}

#[tokio::test]
async fn once_the_status_has_come_it_counts() {
    for (answer, then) in [
        ("HTTP/1.1 422 No\r\ncontent-length: 99\r\n\r\nthe name", Then::Close),
        ("HTTP/1.1 422 No\r\ncontent-length: 99\r\n\r\nthe name", Then::Hold),
        ("HTTP/1.1 422 No\r\ntransfer-encoding: chunked\r\n\r\n8\r\nthe namenonsense", Then::Keep),
        ("HTTP/1.1 422 No\r\n\r\nthe name", Then::HalfClose),
    ] {
        let crm = Raw::start(move |_| Act::new(answer, then)).await;
        let journal = Memory::new();
        let mut settings = settings(Mode::Realtime);
        settings.lanes.tries = 1;
        let running = hasty(&journal, &crm.url(), settings);
        let sequence = journal.append("a");
        journal.left(0).await;
        let Settlement::DeadLetter { reason, status: Some(422), .. } = &journal.settled()[&sequence] else {
            panic!("{answer:?}");
        };
        assert_eq!(reason, "422 Unprocessable Entity: the name", "{answer:?}");
        running.stop().await;
    }
}

#[tokio::test]
async fn an_endless_answer_costs_its_connection() {
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(4 * 1024 * 1024));
    let crm = Raw::start(move |_| Act::new(endless.clone(), Then::Hold)).await;
    let journal = Memory::new();
    let running = start(&journal, &crm.url(), settings(Mode::Realtime));
    let before = Instant::now();
    journal.append("a");
    journal.append("a");
    journal.left(0).await;
    assert!(before.elapsed() < patient().request_timeout, "nobody waits for its end");
    assert_eq!((crm.saw().connections, count(&running, "accepted")), (2, 2));
    running.stop().await;
}

#[tokio::test]
async fn an_answer_may_come_before_the_request_was_read() {
    // Whether the rest of the request is dropped or left lying.
    for then in [Then::HalfClose, Then::Hold] {
        let crm = Raw::start(move |_| {
            let answer = "HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nhuge";
            Act { early: true, ..Act::new(answer, then) }
        })
        .await;
        let journal = Memory::new();
        let mut settings = settings(Mode::Realtime);
        settings.lanes.tries = 1;
        let render = |_: &Record| vec![b'x'; 16 * 1024 * 1024];
        let running = start_as(&journal, &crm.url(), settings, Arc::new(render), patient());
        let sequence = journal.append("a");
        journal.left(0).await;
        let Settlement::DeadLetter { status: Some(413), .. } = &journal.settled()[&sequence] else {
            panic!("{then:?}: {:?}", journal.settled());
        };
        running.stop().await;
    }
}

#[tokio::test]
async fn what_is_accepted_before_it_was_sent_is_sent_again() {
    let crm = Raw::start(|place| {
        let early = place == 0;
        if early {
            Act { early, ..Act::new("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Then::Hold) }
        } else {
            Act::ok()
        }
    })
    .await;
    let journal = Memory::new();
    let render = |_: &Record| vec![b'x'; 16 * 1024 * 1024];
    let running = start_as(&journal, &crm.url(), settings(Mode::Realtime), Arc::new(render), patient());
    journal.append("a");
    journal.left(0).await;
    assert_eq!((count(&running, "no_answer"), count(&running, "accepted"), crm.saw().ids.len()), (1, 1, 2));
    running.stop().await;
}

#[tokio::test]
async fn a_request_that_is_taken_too_slowly_may_have_been_taken() {
    let crm = Raw::start(|place| {
        let early = place == 0;
        if early { Act { early, ..Act::new("", Then::Hold) } } else { Act::ok() }
    })
    .await;
    let journal = Memory::new();
    let render = |_: &Record| vec![b'x'; 16 * 1024 * 1024];
    let running = start_with(&journal, &crm.url(), settings(Mode::Realtime), Arc::new(render));
    journal.append("a");
    journal.left(0).await;
    assert!(count(&running, "no_answer") > 0 && count(&running, "accepted") == 1);
    running.stop().await;
}

#[tokio::test]
async fn a_crm_on_ipv6_and_one_behind_a_name_get_their_records() {
    let journal = Memory::new();
    let crm = Raw::start(|_| Act::ok()).await;
    let running =
        start(&journal, &format!("http://localhost:{}/", crm.address.port()), settings(Mode::Realtime));
    journal.append("a");
    journal.left(0).await;
    running.stop().await;
    // Not every machine that builds has it.
    let Ok(crm) = Raw::start_at("[::1]:0", None, |_| Act::ok()).await else { return };
    let running = start(&journal, &crm.url(), settings(Mode::Realtime));
    journal.append("a");
    journal.left(0).await;
    assert_eq!(crm.saw().ids.len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let closed = Raw::start(|_| Act::ok()).await.url();
    // Where no DNS server answers the time is over first.
    let nobody = ["the name can't be resolved: ", "no connection in time"];
    for (url, words) in [(closed.as_str(), ["no connection: "; 2]), ("http://crm.store.invalid/", nobody)] {
        let journal = Memory::new();
        let mut running = hasty(&journal, url, settings(Mode::Realtime));
        journal.append("a");
        running.status.wait_for(|status| status.consecutive_failures > 1).await.unwrap();
        let error = running.status.borrow().last_error.clone().unwrap();
        assert!(words.iter().any(|words| error.starts_with(words)), "{error}");
        assert!(!error.contains("127.0.0.1") && !error.contains("crm.store"), "{error}");
        assert_eq!(count(&running, "no_answer"), 0, "{url}");
        assert_eq!(running.status.borrow().paused, Some(Why::Unreachable), "the first one closes the gate");
        running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_before_the_other_side_would() {
    let mut crm = Raw::start(|_| Act::ok()).await;
    let journal = Memory::new();
    let running = hasty(&journal, &crm.url(), settings(Mode::Realtime));
    journal.append("a");
    journal.left(0).await;
    let before = tokio::time::Instant::now();
    crm.until(|saw| saw.closed == 1).await;
    let idle = before.elapsed();
    assert!(idle > Duration::from_secs(3) && idle < Duration::from_secs(5), "{idle:?}");
    running.stop().await;
}

#[tokio::test]
async fn what_is_at_hand_is_not_read_from_the_disk() {
    let crm = Raw::start(|_| Act::ok()).await;
    let journal = Memory::new();
    journal.hold_at_hand(true);
    let running = start(&journal, &crm.url(), settings(Mode::Realtime));
    for n in 0..600 {
        journal.append(&format!("c{}", n % 7));
    }
    journal.left(0).await;
    let read = journal.reads();
    for _ in 0..5 {
        journal.append("a");
        journal.left(0).await;
    }
    assert_eq!(journal.reads(), read, "each of them was at hand");
    journal.hold_at_hand(false);
    journal.append("a");
    journal.left(0).await;
    assert!(journal.reads() > read, "what isn't at hand is on disk");
    assert_eq!(journal.settled().len(), 606);
    running.stop().await;
}

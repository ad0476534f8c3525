//! Files that customers sent: from where they are fetched, and what comes.

use std::time::Duration;

use futures_util::StreamExt as _;
use model::{Outcome, Refusal};
use wagate_egress::{Download, MediaPlace};

use crate::graph::{NUMBER, TOKEN, answer, at, of, provider, to};
use crate::raw::{Act, Raw, Then};

fn place(url: &str) -> MediaPlace {
    MediaPlace { url: url.to_owned(), mime_type: None, sha256: None, file_size: None }
}

async fn whole(download: Download) -> Result<Vec<u8>, String> {
    let (mut file, mut bytes) = (Vec::new(), download.bytes);
    while let Some(portion) = bytes.next().await {
        file.extend(portion.map_err(|error| error.to_string())?);
    }
    Ok(file)
}

#[tokio::test]
async fn a_file_is_looked_up_and_comes_whole() {
    let raw = Raw::start(|place| match place {
        0 => answer(
            "200 OK",
            r#"{"url":"https://lookaside.fbsbx.com/a/?mid=1","mime_type":"image/jpeg","sha256":"ab","file_size":"5"}"#,
        ),
        _ => Act::new(
            format!("HTTP/1.1 200 OK\r\ncontent-type: image/jpeg\r\ncontent-length: 300000\r\n\r\n{}", "x".repeat(300_000)),
            Then::Keep,
        ),
    })
    .await;
    let graph = at(&raw);
    let found = graph.media("1234567890", NUMBER).await.outcome.unwrap();
    assert_eq!((&found.url[..], found.file_size), ("https://lookaside.fbsbx.com/a/?mid=1", Some(5)));
    let here = place(&format!("http://{}/files/1?hash=a%2Fb", raw.address));
    let called = graph.download(&here).await;
    let download = called.outcome.unwrap();
    assert_eq!((called.status, download.length), (Some(200), Some(300_000)));
    assert_eq!(download.content_type.as_deref(), Some("image/jpeg"));
    assert_eq!(whole(download).await.unwrap().len(), 300_000);
    let heads = raw.saw().heads;
    assert!(heads[0].starts_with(&format!("GET /v24.0/1234567890?phone_number_id={NUMBER} HTTP/1.1")));
    assert!(heads[1].starts_with("GET /files/1?hash=a%2Fb HTTP/1.1"), "{}", heads[1]);
    assert!(heads.iter().all(|head| head.contains(&format!("authorization: Bearer {TOKEN}"))));
}

#[tokio::test]
async fn of_a_provider_the_file_comes_from_the_provider() {
    let url = "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1&ext=2";
    let found = format!(r#"{{"url":"{url}","file_size":7,"id":"12"}}"#);
    let raw = Raw::start(move |place| answer("200 OK", if place == 0 { &found } else { "a photo" })).await;
    let graph = to(provider(&format!("http://{}", raw.address)));
    let found = graph.media("12", NUMBER).await.outcome.unwrap();
    let download = graph.download(&found).await.outcome.unwrap();
    assert_eq!(whole(download).await.unwrap(), b"a photo");
    let heads = raw.saw().heads;
    assert!(heads[0].starts_with("GET /12 HTTP/1.1"), "{}", heads[0]);
    assert!(heads[1].starts_with("GET /whatsapp_business/attachments/?mid=1&ext=2 HTTP/1.1"), "{}", heads[1]);
    assert!(heads.iter().all(|head| head.contains(&format!("d360-api-key: {TOKEN}"))));
}

#[tokio::test]
async fn a_stranger_gets_neither_the_token_nor_a_question() {
    let (own, stranger) =
        (Raw::start(|_| answer("200 OK", "x")).await, Raw::start(|_| answer("200 OK", "x")).await);
    let graph = at(&own);
    for url in [format!("http://{}/a", stranger.address), "https://evil.example/a".into(), "nonsense".into()]
    {
        let called = graph.download(&place(&url)).await;
        let Err(Outcome::NotSent { reason }) = &called.outcome else { panic!("{called:?}") };
        assert!(!reason.contains("127.0.0.1") && !reason.contains("evil"), "{reason}");
    }
    let location =
        format!("HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n", stranger.address);
    let redirecting = Raw::start(move |_| Act::new(location.clone(), Then::Keep)).await;
    let here = place(&format!("http://{}/a", redirecting.address));
    let called = at(&redirecting).download(&here).await;
    assert!(matches!(called.outcome, Err(Outcome::Refused(Refusal { http: Some(302), .. }))), "{called:?}");
    assert_eq!((own.saw().connections, stranger.saw().connections), (0, 0));
}

#[tokio::test]
async fn what_is_no_file_or_too_much_is_told() {
    let huge = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\nx", 101 << 20);
    for (act, refused) in [
        (answer("404 Not Found", r#"{"error":{"code":100,"message":"gone"}}"#), Some(404)),
        (answer("401 Unauthorized", ""), Some(401)),
        (answer("500 Oops", ""), Some(500)),
        (answer("204 No Content", ""), None),
        (answer("206 Partial Content", "x"), None),
        (Act::new(huge, Then::Hold), None),
        (Act::new("", Then::Reset), None),
    ] {
        let shown = act.clone();
        let raw = Raw::start(move |_| act.clone()).await;
        let called = at(&raw).download(&place(&format!("http://{}/a", raw.address))).await;
        match (&called.outcome, refused) {
            (Err(Outcome::Refused(refusal)), Some(status)) => assert_eq!(refusal.http, Some(status)),
            (Err(Outcome::Unknown { .. }), None) => {}
            _ => panic!("{shown:?}: {called:?}"),
        }
    }
}

#[tokio::test]
async fn a_file_that_breaks_off_ends_in_an_error_that_names_no_place() {
    let half = Act::new("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", Then::Reset);
    let raw = Raw::start(move |_| half.clone()).await;
    let url = format!("http://{}/a", raw.address);
    let outcome = at(&raw).download(&place(&url)).await.outcome;
    // A reset may overtake the head.
    if let Ok(download) = outcome {
        let error = whole(download).await.unwrap_err();
        assert!(error.starts_with("no whole answer came: ") && !error.contains("127.0.0.1"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_has_the_time_of_its_bytes() {
    for (size, seconds) in [(Some(0), 30), (Some(5 << 20), 70), (Some(u64::MAX), 830), (None, 830)] {
        let act = Act::new("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", Then::Hold);
        let raw = Raw::start(move |_| act.clone()).await;
        let here = MediaPlace { file_size: size, ..place(&format!("http://{}/a", raw.address)) };
        let begun = tokio::time::Instant::now();
        let download = to(of(&raw)).download(&here).await.outcome.unwrap();
        assert_eq!(whole(download).await.unwrap_err(), "no answer came in time");
        let took = begun.elapsed();
        let expected = Duration::from_secs(seconds);
        assert!(took >= expected && took < expected + Duration::from_millis(200), "{size:?}: {took:?}");
    }
}

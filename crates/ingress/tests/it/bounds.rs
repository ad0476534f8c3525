//! Sizes, times and rates.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wagate_ingress::limits::BODY_BYTES;
use wagate_ingress::{ConnectionLimits, RequestLimits};

use crate::support::*;

#[tokio::test]
async fn four_mebibytes_are_taken_and_one_byte_more_is_not() {
    let door = Door::open().await;
    let body = vec![b'x'; BODY_BYTES + 1];
    assert_eq!(status(&door.exchange(&signed(&body[1..])).await), 200);
    assert_eq!(status(&door.exchange(&signed(&body)).await), 413);
    assert_eq!(door.shelf.bodies().len(), 1);
}

/// A client that writes everything before it reads: with a reset it would never see the answer.
#[tokio::test]
async fn a_client_that_keeps_writing_sees_413_and_not_a_reset() {
    let door = Door::open().await;
    let body = vec![b'x'; 3 * BODY_BYTES];
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, "x".repeat(1 << 20));
    let mut chunked = head(&format!("{}Transfer-Encoding: chunked\r\n", forged()));
    chunked.extend(chunk.repeat(12).bytes());
    chunked.extend(b"0\r\n\r\n");
    for request in [post(&forged(), &body), chunked] {
        let mut stream = door.connect().await;
        stream.write_all(&request).await.unwrap();
        assert_eq!(status(&answer(&mut stream).await), 413);
        // The connection is still good: nothing of the large body was taken for a request.
        stream.write_all(&signed(b"{}")).await.unwrap();
        assert_eq!(status(&answer(&mut stream).await), 200);
    }
}

#[tokio::test]
async fn an_announced_size_is_refused_before_the_body_comes() {
    let door = Door::open().await;
    let mut stream = door.connect().await;
    let headers = format!("{}Content-Length: {}\r\n", forged(), BODY_BYTES + 1);
    stream.write_all(&head(&headers)).await.unwrap();
    assert_eq!(status(&answer(&mut stream).await), 413);
}

#[tokio::test]
async fn what_is_read_off_after_413_has_an_end() {
    let requests = RequestLimits { dropped_bytes: 1 << 20, ..RequestLimits::default() };
    let door = Door::with(ConnectionLimits::default(), requests).await;
    let mut stream = door.connect().await;
    stream.write_all(&head(&format!("{}Content-Length: 99999999999\r\n", forged()))).await.unwrap();
    assert_eq!(status(&answer(&mut stream).await), 413);
    let mut sent = 0_usize;
    while stream.write_all(&[b'x'; 64 * 1024]).await.is_ok() {
        sent += 64 * 1024;
        assert!(sent < 100 << 20, "still being read");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let requests = RequestLimits { body_time: Duration::from_millis(50), ..RequestLimits::default() };
    let door = Door::with(ConnectionLimits::default(), requests).await;
    for framing in ["Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let mut stream = door.connect().await;
        let request = format!("POST /webhook HTTP/1.1\r\nHost: box\r\n{}{framing}", forged());
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert_eq!(status(&answer), 408, "{framing}");
        assert_eq!(header(&answer, "connection"), Some("close"));
    }
    assert_eq!(door.metrics.webhooks("timeout"), 2);
}

#[tokio::test]
async fn an_address_over_its_rate_gets_429_and_its_signed_webhooks_are_still_taken() {
    let requests = RequestLimits { unsigned_burst: NonZeroU32::new(3).unwrap(), ..RequestLimits::default() };
    let door = Door::with(ConnectionLimits::default(), requests).await;
    let wrong_handshake = b"GET /webhook?hub.mode=subscribe HTTP/1.1\r\nHost: box\r\n\r\n".to_vec();
    let right_handshake =
        b"GET /webhook?hub.mode=subscribe&hub.verify_token=s3cret&hub.challenge=1 HTTP/1.1\r\nHost: box\r\n\r\n";
    for (request, expected) in [
        (wrong_handshake.clone(), 403),
        (post("", b"x"), 401),
        (post(&forged(), b"x"), 401),
        (post(&forged(), b"x"), 429),
        (post("", b"x"), 429),
        (wrong_handshake, 429),
        (signed(b"{}"), 200),
        (right_handshake.to_vec(), 200),
    ] {
        let answer = door.exchange(&request).await;
        assert_eq!(status(&answer), expected);
        assert_eq!(header(&answer, "retry-after").is_some(), expected == 429);
    }
    assert_eq!(door.shelf.bodies(), ["{}"]);
    assert_eq!(door.metrics.webhooks("over_rate"), 3);
}

#[tokio::test]
async fn more_at_once_than_allowed_is_503() {
    let requests = RequestLimits { requests_in_flight: 2, ..RequestLimits::default() };
    let door = Door::with(ConnectionLimits::default(), requests).await;
    door.shelf.shut();
    let mut waiting = Vec::new();
    for body in ["1", "2"] {
        let mut stream = door.connect().await;
        stream.write_all(&signed(body.as_bytes())).await.unwrap();
        waiting.push(stream);
    }
    door.shelf.begun(2).await;
    let answer_3 = door.exchange(&signed(b"3")).await;
    assert_eq!((status(&answer_3), header(&answer_3, "retry-after")), (503, Some("1")));
    door.shelf.open();
    for mut stream in waiting {
        assert_eq!(status(&answer(&mut stream).await), 200);
    }
    assert_eq!(status(&door.exchange(&signed(b"3")).await), 200);
}

#[tokio::test]
async fn memory_for_bodies_is_shared_and_given_back() {
    let requests = RequestLimits { body_bytes_in_flight: 64 * 1024, ..RequestLimits::default() };
    let door = Door::with(ConnectionLimits::default(), requests).await;
    let (small, large) = (vec![b'x'; 40 * 1024], vec![b'x'; 65 * 1024]);
    assert_eq!(status(&door.exchange(&signed(&large)).await), 503, "larger than all there is");
    door.shelf.shut();
    let mut first = door.connect().await;
    first.write_all(&signed(&small)).await.unwrap();
    door.shelf.begun(1).await;
    assert_eq!(status(&door.exchange(&signed(&small)).await), 503, "the first one has it");
    door.shelf.open();
    assert_eq!(status(&answer(&mut first).await), 200);
    assert_eq!(status(&door.exchange(&signed(&small)).await), 200);
}

/// Stalled uploads take an address's part of the memory and no more; who is proved, or comes from
/// elsewhere, is served.
#[tokio::test]
async fn stalled_uploads_do_not_keep_others_out() {
    let requests = RequestLimits {
        body_bytes_in_flight: 256 * 1024,
        stranger_bytes_in_flight: 64 * 1024,
        strangers_bytes_in_flight: 128 * 1024,
        ..RequestLimits::default()
    };
    let door = Door::with(ConnectionLimits::default(), requests).await;
    let mut proved = door.connect().await;
    proved.write_all(&signed(b"1")).await.unwrap();
    assert_eq!(status(&answer(&mut proved).await), 200);
    let mut stalled = Vec::new();
    let mut request = post(&forged(), &[b'x'; 100 * 1024]);
    request.truncate(40 * 1024);
    for _ in 0..20 {
        let mut stream = door.connect().await;
        stream.write_all(&request).await.unwrap();
        stalled.push(stream);
    }
    until(|| door.metrics.webhooks("busy") == 19).await;
    let body = vec![b'x'; 48 * 1024];
    assert_eq!(status(&door.exchange(&signed(&body)).await), 503, "from the same address, unproved");
    proved.write_all(&signed(&body)).await.unwrap();
    assert_eq!(status(&answer(&mut proved).await), 200);
    // Each from a row of addresses of its own.
    let from = async |row: u8| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("127.0.{row}.9:0").parse().unwrap()).unwrap();
        socket.connect(door.address).await.unwrap()
    };
    let mut elsewhere = from(2).await;
    elsewhere.write_all(&signed(&body)).await.unwrap();
    assert_eq!(status(&answer(&mut elsewhere).await), 200);
    // However many addresses stall, the proved keep their half.
    for row in 3..=5 {
        let mut stream = from(row).await;
        stream.write_all(&request).await.unwrap();
        stalled.push(stream);
    }
    let held = format!("wagate_webhook_body_bytes_in_flight {}\n", 4 * 40 * 1024);
    until(|| exposition(|registry| door.metrics.register(registry)).contains(&held)).await;
    let mut late = from(6).await;
    late.write_all(&signed(&body)).await.unwrap();
    assert_eq!(status(&answer(&mut late).await), 503, "strangers have all of theirs");
    let neighbour = from(0).await;
    for mut known in [proved, elsewhere, neighbour] {
        known.write_all(&signed(&body)).await.unwrap();
        assert_eq!(status(&answer(&mut known).await), 200);
    }
}

#[tokio::test]
async fn a_connection_that_says_nothing_or_dribbles_is_closed() {
    let connections =
        ConnectionLimits { header_time: Duration::from_millis(60), ..ConnectionLimits::default() };
    let door = Door::with(connections, RequestLimits::default()).await;
    let mut silent = door.connect().await;
    assert_eq!(rest(&mut silent).await, "");

    // One byte at a time doesn't buy more time.
    let mut dribbling = door.connect().await;
    let (mut reader, mut writer) = dribbling.split();
    let dribble = async {
        for byte in signed(b"{}") {
            if writer.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let mut bytes = Vec::new();
    tokio::select! {
        () = dribble => panic!("the whole request was let through"),
        closed = reader.read_to_end(&mut bytes) => drop(closed),
    }
    until(|| door.listener().ended("idle") == 2).await;
    assert!(door.shelf.bodies().is_empty());
}

#[tokio::test]
async fn who_has_proved_itself_may_be_idle_for_longer() {
    let connections =
        ConnectionLimits { header_time: Duration::from_millis(600), ..ConnectionLimits::default() };
    let door = Door::with(connections, RequestLimits::default()).await;
    let (mut proved, mut unproved) = (door.connect().await, door.connect().await);
    proved.write_all(&signed(b"1")).await.unwrap();
    assert_eq!(status(&answer(&mut proved).await), 200);
    unproved.write_all(&post("", b"x")).await.unwrap();
    assert_eq!(status(&answer(&mut unproved).await), 401);
    rest(&mut unproved).await;
    proved.write_all(&signed(b"2")).await.unwrap();
    assert_eq!(status(&answer(&mut proved).await), 200);
}

#[tokio::test]
async fn a_flood_of_connections_makes_room_for_who_is_signed() {
    let connections = ConnectionLimits { connections: 8, ..ConnectionLimits::default() };
    let door = Door::with(connections, RequestLimits::default()).await;
    let mut proved = door.connect().await;
    proved.write_all(&signed(b"1")).await.unwrap();
    assert_eq!(status(&answer(&mut proved).await), 200);
    let mut flood = Vec::new();
    for _ in 0..50 {
        flood.push(door.connect().await);
    }
    assert_eq!(status(&door.exchange(&signed(b"2")).await), 200);
    proved.write_all(&signed(b"3")).await.unwrap();
    assert_eq!(status(&answer(&mut proved).await), 200);
    until(|| door.listener().open() <= 8).await;
    assert!(door.listener().ended("evicted") >= 42);
}

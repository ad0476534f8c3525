//! Stopping: what is in flight is finished, and nothing keeps the listener for ever.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use wagate_ingress::{ConnectionLimits, RequestLimits};

use crate::support::*;

#[tokio::test]
async fn requests_in_flight_get_their_answer() {
    let door = Door::open().await;
    let (shelf, address) = (std::sync::Arc::clone(&door.shelf), door.address);
    shelf.shut();
    let mut stream = door.connect().await;
    stream.write_all(&signed(b"{}")).await.unwrap();
    shelf.begun(1).await;
    let served = door.stop();
    let closed = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, closed).await.expect("still accepting");
    shelf.open();
    assert_eq!(status(&rest(&mut stream).await), 200);
    assert_eq!(served.await.unwrap().cut, 0);
    assert_eq!(shelf.bodies(), ["{}"]);
}

#[tokio::test]
async fn idle_connections_do_not_hold_it_up() {
    let door = Door::open().await;
    let mut fresh = door.connect().await;
    let mut halfway = door.connect().await;
    halfway.write_all(b"POST /webhook HTT").await.unwrap();
    let mut used = door.connect().await;
    used.write_all(&signed(b"{}")).await.unwrap();
    assert_eq!(status(&answer(&mut used).await), 200);
    let listener = door.listener();
    until(|| listener.open() == 3).await;
    let begun = Instant::now();
    let drained = door.stop().await.unwrap();
    assert_eq!(drained.cut, 0);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    for stream in [&mut fresh, &mut halfway, &mut used] {
        assert_eq!(rest(stream).await, "");
    }
}

#[tokio::test]
async fn what_never_ends_is_cut_when_the_time_is_over() {
    let connections =
        ConnectionLimits { drain_time: Duration::from_millis(50), ..ConnectionLimits::default() };
    let door = Door::with(connections, RequestLimits::default()).await;
    door.shelf.shut();
    let mut stream = door.connect().await;
    stream.write_all(&signed(b"{}")).await.unwrap();
    door.shelf.begun(1).await;
    let (listener, shelf) = (door.listener(), std::sync::Arc::clone(&door.shelf));
    let drained = door.stop().await.unwrap();
    assert_eq!(drained.cut, 1);
    assert_eq!((listener.open(), listener.ended("cut")), (0, 1));
    assert_eq!(rest(&mut stream).await, "", "no answer is better than an untrue one");
    shelf.open();
    shelf.holds(1).await;
}

//! A standby over a real store and a simulated Graph, with a peer that can be switched off.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::failover::{graph, inbound, overridden, public_side, world};
use super::{SHOP, VERIFY_TOKEN};
use crate::app::inbound::{self, Inbound};
use crate::config::Standby;

/// What waits longer has failed.
const LONG: Duration = Duration::from_secs(20);

/// A peer, as long as it isn't aborted; gives its address.
async fn peer(at: SocketAddr, answer: StatusCode) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind(at).await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, task)
}

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn standby(peer: SocketAddr, take: bool) -> Standby {
    Standby {
        ca: None,
        peer: format!("http://{peer}/healthz").parse().unwrap(),
        every: Duration::from_millis(20),
        silent_for: Duration::from_millis(100),
        timeout: Duration::from_secs(5),
        take,
    }
}

async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < LONG, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn alarms(inbound: &Inbound, words: &str) -> bool {
    inbound.alarms().iter().any(|alarm| alarm.contains(words))
}

#[tokio::test]
async fn a_silent_peer_raises_an_alarm_and_one_that_is_back_ends_it() {
    let (graph, (ours, _)) = (graph(), public_side(VERIFY_TOKEN).await);
    let world = world(&graph, &ours);
    // Under 500 it lives, whatever it thinks of the question.
    let (address, first) = peer(any(), StatusCode::FORBIDDEN).await;
    let watched = inbound(&world, &graph, &ours, Some(&standby(address, false)));
    let watching = tokio::spawn(inbound::watch(watched.clone(), std::future::pending()));
    let view = async || watched.view().await["standby"].clone();
    eventually("the peer is heard", async || view().await["heard_before"] == true).await;
    assert_eq!((view().await["state"].clone(), watched.alarms().len()), (json!("watching"), 0));
    first.abort();
    eventually("its silence is told", async || alarms(&watched, "the peer box is silent since")).await;
    assert_eq!(view().await["state"], "silent");
    let alarm = watched.alarms();
    assert!(!alarm[0].contains("http") && alarm[0].contains("wagate failover take"), "{alarm:?}");
    assert_eq!(overridden(&graph), None, "nobody told it to take");
    let _peer = peer(address, StatusCode::OK).await;
    eventually("it is heard again", async || watched.alarms().is_empty()).await;
    watching.abort();

    // After a restart the same peer is known, and another isn't.
    let again = inbound(&world, &graph, &ours, Some(&standby(address, true)));
    assert_eq!(again.view().await["standby"]["heard_before"], true);
    let other = inbound(&world, &graph, &ours, Some(&standby("127.0.0.1:9".parse().unwrap(), true)));
    assert_eq!(other.view().await["standby"]["heard_before"], false);
}

#[tokio::test]
async fn an_address_where_nobody_ever_was_takes_nothing_over() {
    let (graph, (ours, asked)) = (graph(), public_side(VERIFY_TOKEN).await);
    let world = world(&graph, &ours);
    let (address, gone) = peer(any(), StatusCode::OK).await;
    gone.abort();
    let watched = inbound(&world, &graph, &ours, Some(&standby(address, true)));
    let watching = tokio::spawn(inbound::watch(watched.clone(), std::future::pending()));
    eventually("it is told", async || alarms(&watched, "nor ever before")).await;
    assert_eq!((overridden(&graph), asked.load(std::sync::atomic::Ordering::Relaxed)), (None, 0));
    watching.abort();
}

#[tokio::test]
async fn a_peer_that_is_well_keeps_its_webhooks_whatever_was_believed() {
    let (graph, (ours, _)) = (graph(), public_side(VERIFY_TOKEN).await);
    let world = world(&graph, &ours);
    let (address, well) = peer(any(), StatusCode::OK).await;
    let standby = standby(address, true);
    let box_ = inbound(&world, &graph, &ours, Some(&standby));
    let [deed] = &box_.take_as_standby().await[..] else { panic!("one number") };
    assert!(deed.detail.contains("the peer answers again"), "{deed:?}");
    assert_eq!(overridden(&graph), None);
    assert_eq!(box_.view().await["numbers"][0]["taken_at"], serde_json::Value::Null);
    well.abort();
    // 5xx is no sign of life.
    eventually("the port is free", async || TcpListener::bind(address).await.is_ok()).await;
    let (_, _sick) = peer(address, StatusCode::BAD_GATEWAY).await;
    assert!(box_.take_as_standby().await[0].what.is_done());
    assert_eq!(overridden(&graph), Some(ours));
    assert_eq!(box_.view().await["standby"]["state"], "taken");
    assert!(alarms(&box_, SHOP) && box_.alarms().len() == 1, "{:?}", box_.alarms());
}

/// It falls silent, and the webhooks come here; it comes back, and they still do.
#[tokio::test]
async fn a_standby_that_may_takes_over_and_stays_so() {
    let (graph, (ours, _)) = (graph(), public_side(VERIFY_TOKEN).await);
    let world = world(&graph, &ours);
    let (address, first) = peer(any(), StatusCode::OK).await;
    let watched = inbound(&world, &graph, &ours, Some(&standby(address, true)));
    let watching = tokio::spawn(inbound::watch(watched.clone(), std::future::pending()));
    eventually("the peer is heard", async || watched.view().await["standby"]["heard_before"] == true).await;
    first.abort();
    eventually("it is taken over", async || alarms(&watched, "has taken over the webhooks")).await;
    assert_eq!(overridden(&graph), Some(ours));
    let _peer = peer(address, StatusCode::OK).await;
    eventually("it is heard again", async || watched.view().await["standby"]["silent_since"].is_null()).await;
    assert!(alarms(&watched, "has taken over the webhooks"), "it never gives back by itself");
    watching.abort();
}

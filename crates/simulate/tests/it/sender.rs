//! The sender's book is right, whatever the gateway does.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use model::signature::hub::{AppSecret, HEADER, Signature};
use wagate_simulate::whatsapp::{
    Backoff, HandshakeError, Line, Pace, PayloadOptions, Payloads, Redirects, Report, Retry, Sender,
    SenderOptions, Supply, Target, WhatsappOptions, handshake, run_whatsapp,
};
use wagate_simulate::{Event, Item};

use crate::gateway::{Gateway, Reaction, yes};
use crate::run;

const QUICK: Backoff = Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(4) };

fn secret() -> AppSecret {
    AppSecret::new(b"app secret")
}

fn options(gateway: &Gateway) -> SenderOptions {
    SenderOptions {
        retry: Retry::Later(QUICK),
        keep_acknowledged: true,
        ..SenderOptions::new(Target::parse(&gateway.url()).unwrap())
    }
}

fn supplies(lanes: u32, each: usize) -> Vec<Supply> {
    Payloads::lanes(&PayloadOptions::default(), lanes)
        .into_iter()
        .map(|lane| Supply::limited(lane, secret(), each))
        .collect()
}

fn ids(items: impl IntoIterator<Item = impl AsRef<[Item]>>) -> HashSet<String> {
    items
        .into_iter()
        .flat_map(|items| items.as_ref().iter().map(|item| item.id.to_string()).collect::<Vec<_>>())
        .collect()
}

/// Distinct bodies that the gateway has seen, and how often.
fn bodies(gateway: &Gateway) -> HashMap<Bytes, u32> {
    let mut bodies = HashMap::new();
    for (_, body) in gateway.received.lock().unwrap().iter() {
        *bodies.entry(body.clone()).or_default() += 1;
    }
    bodies
}

#[test]
fn what_is_acknowledged_was_signed_and_sent_over_few_connections() {
    run(async {
        let gateway = Gateway::start(yes).await;
        let report = Sender::new(options(&gateway)).run(supplies(4, 50)).await;
        assert_eq!((report.webhooks, report.requests, report.acked, report.connections), (200, 200, 200, 4));
        assert!(report.is_complete() && report.refused.is_empty() && report.unacknowledged.is_empty());
        assert_eq!(report.latency.count(), 200);
        assert_eq!(report.acknowledged_ids().collect::<HashSet<_>>().len(), 200);
        for (head, body) in gateway.received.lock().unwrap().iter() {
            assert_eq!((head.method.as_str(), head.uri.path()), ("POST", "/webhook"));
            assert_eq!(head.headers["content-type"], "application/json");
            let signature = Signature::parse(head.headers[HEADER].as_bytes()).unwrap();
            assert!(secret().verify(body, &signature));
        }
    });
}

#[test]
fn what_is_refused_broken_or_unanswered_comes_again_with_the_same_bytes() {
    run(async {
        // Of each four requests one is refused, one broken and one never answered.
        let gateway = Gateway::start(|number, _, _| match number % 4 {
            0 => Reaction::Answer(503, Bytes::from_static(b"later")),
            1 => Reaction::Close,
            2 => Reaction::Hang,
            _ => Reaction::Answer(200, Bytes::new()),
        })
        .await;
        let options = SenderOptions { answer_timeout: Duration::from_millis(50), ..options(&gateway) };
        let report = Sender::new(options).run(supplies(2, 5)).await;
        assert!(report.is_complete(), "{report:?}");
        assert_eq!((report.webhooks, report.acked, report.latency.count()), (10, 10, 10));
        let refused = report.refused[&503];
        assert_eq!(report.requests, report.acked + refused + report.broken);
        assert!(refused >= 9 && report.broken >= 18, "{report:?}");
        let bodies = bodies(&gateway);
        assert_eq!(bodies.len(), 10);
        assert_eq!(u64::from(bodies.values().sum::<u32>()), report.requests);
    });
}

#[test]
fn what_is_never_acknowledged_is_named() {
    run(async {
        let gateway = Gateway::start(|_, _, _| Reaction::Answer(401, Bytes::new())).await;
        let never = SenderOptions { retry: Retry::Never, ..options(&gateway) };
        let report = Sender::new(never).run(supplies(2, 5)).await;
        assert_eq!((report.webhooks, report.requests, report.acked), (10, 10, 0));
        assert_eq!((report.refused[&401], report.latency.count(), report.is_complete()), (10, 0, false));
        assert_eq!(ids(report.unacknowledged).len(), 10);

        let until = SenderOptions { drain: Duration::from_millis(30), ..options(&gateway) };
        let report = Sender::new(until).run(supplies(1, 5)).await;
        assert_eq!((report.webhooks, report.acked), (5, 0));
        assert!(report.requests > 10, "{report:?}");
        assert_eq!(ids(report.unacknowledged).len(), 5);
    });
}

#[test]
fn in_order_a_contact_s_numbers_are_acknowledged_in_order() {
    run(async {
        let gateway = Gateway::start(|number, _, _| {
            Reaction::Answer(if number % 3 == 0 { 500 } else { 200 }, Bytes::new())
        })
        .await;
        let in_order = SenderOptions { retry: Retry::InOrder(QUICK), ..options(&gateway) };
        let options = PayloadOptions { contacts: 6, ..PayloadOptions::default() };
        let supplies =
            Payloads::lanes(&options, 3).into_iter().map(|lane| Supply::limited(lane, secret(), 40));
        let report = Sender::new(in_order).run(supplies.collect()).await;
        assert!(report.is_complete() && report.refused[&500] > 20);
        let mut counters: HashMap<u32, u32> = HashMap::new();
        for item in report.acknowledged.iter().flat_map(|webhook| webhook.items.iter()) {
            assert_eq!(item.counter, counters.insert(item.contact, item.counter).unwrap_or_default() + 1);
        }
        assert_eq!(counters.len(), 6);
    });
}

#[test]
fn a_gateway_that_is_away_is_waited_for() {
    run(async {
        let away = Gateway::start(yes).await;
        let address = away.address;
        let options = options(&away);
        drop(away);
        // The port answers nobody until the listener below takes it.
        let sender = Sender::new(options);
        let mut events = sender.events().subscribe();
        let sending = tokio::spawn(sender.run(supplies(1, 3)));
        while !matches!(events.recv().await.unwrap(), Event::Unanswered { .. }) {}
        let listener = loop {
            if let Ok(listener) = tokio::net::TcpListener::bind(address).await {
                break listener;
            }
            tokio::task::yield_now().await;
        };
        let serving = tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            // A body ends with "]}]}", which stands nowhere else in it.
            for _ in 0..3 {
                while !seen.ends_with(b"]}]}") {
                    assert!(stream.read_buf(&mut seen).await.unwrap() > 0);
                }
                seen.clear();
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            }
        });
        let report = sending.await.unwrap();
        serving.await.unwrap();
        assert!(report.is_complete() && report.unreachable > 0, "{report:?}");
        assert_eq!((report.requests, report.broken, report.connections), (3, 0, 1));
    });
}

#[test]
fn a_stop_ends_an_endless_run_and_the_rate_is_kept() {
    run(async {
        let gateway = Gateway::start(yes).await;
        let paced = SenderOptions { pace: Pace::PerSecond(500.0), ..options(&gateway) };
        let sender = Sender::new(paced);
        let (stop, progress) = (sender.stopper(), sender.progress());
        let lanes = Payloads::lanes(&PayloadOptions::default(), 4);
        let sending =
            tokio::spawn(sender.run(lanes.into_iter().map(|lane| Supply::live(lane, secret())).collect()));
        while progress.counts().acked < 50 {
            tokio::task::yield_now().await;
        }
        stop.stop();
        let report = sending.await.unwrap();
        assert!(report.is_complete(), "{report:?}");
        // An open loop never runs ahead of its schedule.
        let scheduled = report.took.as_secs_f64() * 500.0 + 4.0;
        assert!(report.webhooks >= 50 && report.webhooks as f64 <= scheduled, "{report:?}");
    });
}

#[test]
fn any_certificate_will_do() {
    run(async {
        let gateway = Gateway::start_tls(yes).await;
        let target = Target::parse(&format!("https://{}/webhook", gateway.address)).unwrap();
        let report = Sender::new(SenderOptions::new(target)).run(supplies(2, 20)).await;
        assert_eq!((report.acked, report.connections), (40, 2));
    });
}

#[test]
fn the_handshake_tells_right_from_wrong() {
    run(async {
        let gateway = Gateway::start(|_, head, _| {
            let query = head.uri.query().unwrap_or_default();
            let part =
                |name: &str| query.split('&').find_map(|part| part.strip_prefix(name)).unwrap_or_default();
            assert_eq!(part("hub.mode="), "subscribe");
            let echo = Bytes::from(part("hub.challenge=").to_owned());
            match part("hub.verify_token=") {
                "right%20one" => Reaction::Answer(200, echo),
                "mute" => Reaction::Answer(200, Bytes::from_static(b"ok")),
                "chatty" => Reaction::Answer(200, [&echo[..], b"\n"].concat().into()),
                _ => Reaction::Answer(403, echo),
            }
        })
        .await;
        let url = gateway.url();
        assert!(handshake(&url, "right one", 1).await.is_ok());
        assert!(matches!(handshake(&url, "wrong", 1).await, Err(HandshakeError::Refused(403))));
        for token in ["mute", "chatty"] {
            assert!(matches!(handshake(&url, token, 1).await, Err(HandshakeError::NotEchoed)));
        }
        drop(gateway);
        assert!(matches!(handshake(&url, "right one", 1).await, Err(HandshakeError::Failure(_))));
        assert!(matches!(handshake("gopher://x", "right one", 1).await, Err(HandshakeError::Url(_))));
    });
}

async fn command(gateway: &Gateway, count: Option<u64>, run_for: Option<Duration>) -> (Report, Vec<Line>) {
    let options = WhatsappOptions {
        url: gateway.url(),
        app_secret: secret(),
        verify_token: None,
        pace: Pace::Saturate,
        count,
        run_for,
        connections: 4,
        drain: Duration::from_secs(1),
        payloads: PayloadOptions::default(),
        heard_by: None,
    };
    let mut lines = Vec::new();
    let report = run_whatsapp(options, std::future::pending(), |line| lines.push(line)).await.unwrap();
    (report, lines)
}

#[test]
fn the_command_sends_exactly_the_count_or_ends_in_time() {
    run(async {
        let gateway = Gateway::start(yes).await;
        let (report, lines) = command(&gateway, Some(103), None).await;
        assert_eq!((report.webhooks, report.acked), (103, 103));
        assert!(matches!(lines.last(), Some(Line::Progress(counts)) if counts.acked == 103));
        let (report, _) = command(&gateway, None, Some(Duration::from_millis(50))).await;
        assert!(report.is_complete() && report.webhooks > 0);
    });
}

#[test]
fn customers_follow_an_override_and_come_back_from_it() {
    run(async {
        let (home, standby) = (Gateway::start(yes).await, Gateway::start(yes).await);
        let redirects = Redirects::default();
        let number = PayloadOptions::default().phone_number_id;
        let send = async || {
            let sender = Sender::new(options(&home)).with_redirects(redirects.clone(), &number);
            assert!(sender.run(supplies(2, 20)).await.is_complete());
            let got = |gateway: &Gateway| gateway.received.lock().unwrap().len();
            (got(&home), got(&standby))
        };
        let to = || Some((standby.url(), Target::parse(&standby.url()).unwrap()));
        redirects.set_number("another", to());
        assert_eq!(send().await, (40, 0));
        redirects.set_number(&number, to());
        assert_eq!(send().await, (40, 40));
        redirects.set_number(&number, None);
        assert_eq!(send().await, (80, 40));
        redirects.set_account(to());
        assert_eq!(send().await, (80, 80));
    });
}

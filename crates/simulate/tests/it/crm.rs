//! The CRM takes what is right, notices what is wrong and misbehaves as told.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use model::signature::standard_webhooks::SigningSecret;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use wagate_simulate::Event;
use wagate_simulate::crm::{Behaviour, Crm, CrmOptions, Keep, Line, Observed, Wrong, run_crm};

use crate::run;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(crate) const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn signed_crm() -> Crm {
    let secret = SigningSecret::parse(SECRET).unwrap();
    Crm::start(CrmOptions {
        signing_secrets: vec![secret],
        tolerance: None,
        control: Some(ANY_PORT),
        ..CrmOptions::new(ANY_PORT)
    })
    .unwrap()
}

pub(crate) fn record(sequence: u64, contact: &str) -> Value {
    json!({
        "specversion": "1.0", "id": format!("wamid.{sequence}"), "source": "/wagate/1",
        "type": "wagate.message.received.v1", "time": "2026-11-20T22:43:15Z",
        "datacontenttype": "application/json", "sequence": format!("{sequence:020}"),
        "data": {
            "received_at": "2026-11-20T22:43:16.042Z",
            "contact": { "id": contact, "name": "<b>Chan</b>" },
            "message": { "id": "wamid", "type": "text", "text": "How much?" },
        }
    })
}

/// A delivery as the gateway makes it; a list becomes a batch.
fn delivery(records: &Value) -> Request<Full<Bytes>> {
    let body = records.to_string();
    let (form, id) = match records["id"].as_str() {
        Some(id) => ("application/cloudevents+json", id),
        None => ("application/cloudevents-batch+json", "a-hash"),
    };
    let signature = SigningSecret::parse(SECRET).unwrap().sign(id, 1_795_214_595, body.as_bytes());
    Request::post("/wagate")
        .header("host", "crm")
        .header("content-type", form)
        .header("webhook-id", id)
        .header("webhook-timestamp", "1795214595")
        .header("webhook-signature", signature)
        .header("idempotency-key", id)
        .body(Full::new(body.into()))
        .unwrap()
}

pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).header("host", "crm").body(Full::default()).unwrap()
}

/// One request over a connection of its own.
pub(crate) async fn ask(to: SocketAddr, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, String> {
    let stream = TcpStream::connect(to).await.map_err(|error| format!("connect: {error}"))?;
    let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let driver = tokio::spawn(connection);
    let answer = async {
        let (head, body) =
            requests.send_request(request).await.map_err(|e| format!("head: {e:?}"))?.into_parts();
        let body = body.collect().await.map_err(|error| format!("body: {error:?}"))?;
        Ok(Response::from_parts(head, body.to_bytes()))
    };
    let answer = answer.await;
    driver.abort();
    answer
}

fn complained(crm: &Crm, wrong: Wrong) -> u64 {
    crm.look(|observed| observed.count(wrong))
}

pub(crate) async fn status(crm: &Crm, records: &Value) -> u16 {
    ask(crm.address(), delivery(records)).await.unwrap().status().as_u16()
}

#[test]
fn single_records_and_batches_are_taken_once() {
    run(async {
        let crm = signed_crm();
        let mut events = crm.events().subscribe();
        assert_eq!(status(&crm, &record(1, "c-A")).await, 200);
        assert_eq!(status(&crm, &json!([record(1, "c-A"), record(2, "c-A"), record(3, "c-B")])).await, 200);
        let totals = crm.totals();
        assert_eq!((totals.deliveries, totals.taken, totals.records, totals.lanes), (2, 4, 3, 2));
        assert_eq!(crm.complaints(), []);
        let mut first = Vec::new();
        while let Ok(Event::Arrived { arrival, .. }) = events.try_recv() {
            assert_eq!(
                (arrival.name.as_deref(), arrival.text.as_deref()),
                (Some("<b>Chan</b>"), Some("How much?"))
            );
            first.push((arrival.sequence, arrival.first));
        }
        assert_eq!(first, [(1, true), (1, false), (2, true), (3, true)]);

        let page = ask(crm.address(), get("/")).await.unwrap();
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
        let page = String::from_utf8(page.body().to_vec()).unwrap();
        assert!(page.contains("&lt;b&gt;Chan") && !page.contains("<b>"), "{page}");
        let records = ask(crm.address(), get("/records")).await.unwrap();
        let records: Value = serde_json::from_slice(records.body()).unwrap();
        assert_eq!(records["records"], json!([record(1, "c-A"), record(2, "c-A"), record(3, "c-B")]));
    });
}

#[test]
fn every_kind_of_wrong_delivery_is_noticed() {
    run(async {
        for (wrong, status) in [
            (Wrong::ContentType, 415),
            (Wrong::Header, 400),
            (Wrong::Signature, 401),
            (Wrong::Malformed, 400),
        ] {
            let crm = signed_crm();
            let mut events = crm.events().subscribe();
            let mut request = delivery(&record(1, "c-A"));
            match wrong {
                Wrong::ContentType => drop(request.headers_mut().remove("content-type")),
                Wrong::Header => drop(request.headers_mut().remove("idempotency-key")),
                Wrong::Signature => *request.body_mut() = Full::new(record(2, "c-A").to_string().into()),
                Wrong::Malformed | Wrong::Timestamp | Wrong::Order | Wrong::Renumbered => {
                    request = delivery(&json!({ "id": "wamid.1" }));
                }
            }
            let answer = ask(crm.address(), request).await.unwrap();
            assert_eq!(answer.status().as_u16(), status);
            assert_eq!((complained(&crm, wrong), crm.totals().taken), (1, 0));
            assert!(!crm.look(Observed::is_clean));
            assert!(
                matches!(events.try_recv(), Ok(Event::Complained(complaint)) if complaint.wrong == wrong)
            );
        }
    });
}

#[test]
fn the_record_s_id_must_be_the_one_that_was_signed() {
    run(async {
        let crm = Crm::start(CrmOptions::new(ANY_PORT)).unwrap();
        let mut request = delivery(&record(1, "c-A"));
        *request.body_mut() = Full::new(record(2, "c-A").to_string().into());
        assert_eq!(ask(crm.address(), request).await.unwrap().status(), 400);
        assert_eq!(complained(&crm, Wrong::Header), 1);
    });
}

#[test]
fn an_old_timestamp_is_noticed_unless_told_otherwise() {
    run(async {
        let secret = SigningSecret::parse(SECRET).unwrap();
        let options = CrmOptions { signing_secrets: vec![secret], ..CrmOptions::new(ANY_PORT) };
        let crm = Crm::start(options).unwrap();
        let mut request = delivery(&record(1, "c-A"));
        let body = record(1, "c-A").to_string();
        let signature = SigningSecret::parse(SECRET).unwrap().sign("wamid.1", 1_000, body.as_bytes());
        request.headers_mut().insert("webhook-timestamp", "1000".parse().unwrap());
        request.headers_mut().insert("webhook-signature", signature.parse().unwrap());
        assert_eq!(ask(crm.address(), request.clone()).await.unwrap().status(), 401);
        assert_eq!(complained(&crm, Wrong::Timestamp), 1);
        assert_eq!(ask(signed_crm().address(), request).await.unwrap().status(), 200);
    });
}

#[test]
fn disorder_is_noticed_and_taken() {
    run(async {
        for keep in [Keep::Everything, Keep::Counters] {
            let options = CrmOptions { keep, ..CrmOptions::new(ANY_PORT) };
            let crm = Crm::start(options).unwrap();
            for sequence in [2, 1, 3] {
                assert_eq!(status(&crm, &record(sequence, "c-A")).await, 200);
            }
            assert_eq!((complained(&crm, Wrong::Order), crm.totals().records), (1, 3));
            let shown = ask(crm.address(), get("/records")).await.unwrap();
            let shown: Value = serde_json::from_slice(shown.body()).unwrap();
            let kept = shown["records"].as_array().unwrap().len();
            assert_eq!(kept, if keep == Keep::Everything { 3 } else { 0 });
        }
    });
}

#[test]
fn it_refuses_as_told() {
    run(async {
        let crm = signed_crm();
        crm.behave(Behaviour::Status { code: 429, retry_after_s: Some(7) }).await;
        let answer = ask(crm.address(), delivery(&record(1, "c-A"))).await.unwrap();
        assert_eq!(
            (answer.status(), &answer.headers()["retry-after"]),
            (StatusCode::TOO_MANY_REQUESTS, &"7".parse().unwrap())
        );
        assert_eq!(ask(crm.address(), get("/health")).await.unwrap().status(), 429);
        crm.behave(Behaviour::Matching { id: "wamid.2".into(), code: 400 }).await;
        assert_eq!(status(&crm, &json!([record(1, "c-A"), record(2, "c-A")])).await, 400);
        assert_eq!(status(&crm, &record(1, "c-A")).await, 200);
        crm.behave(Behaviour::Status { code: 409, retry_after_s: None }).await;
        assert_eq!(status(&crm, &record(3, "c-A")).await, 409);
        crm.behave(Behaviour::EveryNth { every: 1, code: 503 }).await;
        assert_eq!(status(&crm, &record(4, "c-A")).await, 503);
        let totals = crm.totals();
        assert_eq!((totals.deliveries, totals.refused, totals.records), (5, 3, 2));
        assert_eq!(
            crm.missing("/wagate/1", ["wamid.1", "wamid.2", "wamid.3", "wamid.4"]),
            ["wamid.2", "wamid.4"]
        );
    });
}

#[test]
fn it_hangs_resets_and_dawdles_as_told_and_has_the_record() {
    run(async {
        let crm = signed_crm();
        crm.behave(Behaviour::Reset).await;
        let broken = ask(crm.address(), delivery(&record(1, "c-A"))).await.unwrap_err();
        assert!(broken.contains("ConnectionReset"), "{broken}");

        crm.behave(Behaviour::Slow { ms: 1 }).await;
        assert_eq!(status(&crm, &record(2, "c-A")).await, 200);

        crm.behave(Behaviour::Hang).await;
        let mut events = crm.events().subscribe();
        let address = crm.address();
        let hanging = tokio::spawn(async move { ask(address, delivery(&record(3, "c-A"))).await });
        while !matches!(events.recv().await, Ok(Event::Arrived { .. })) {}
        assert!(!hanging.is_finished());
        assert_eq!(crm.totals().records, 3);
        // Only the door's closing ends it.
        crm.behave(Behaviour::Down).await;
        assert!(hanging.await.unwrap().is_err());
    });
}

#[test]
fn it_goes_down_and_comes_back_on_the_same_port() {
    run(async {
        let crm = signed_crm();
        let idle = TcpStream::connect(crm.address()).await.unwrap();
        for sequence in 1..=3 {
            crm.behave(Behaviour::Down).await;
            let refused = ask(crm.address(), delivery(&record(sequence, "c-A"))).await.unwrap_err();
            assert!(refused.starts_with("connect: "), "{refused}");
            crm.behave(Behaviour::Ok).await;
            assert_eq!(status(&crm, &record(sequence, "c-A")).await, 200);
        }
        assert_eq!(crm.totals().records, 3);
        drop(idle);
    });
}

#[test]
fn commands_come_in_on_a_port_of_their_own() {
    run(async {
        let crm = signed_crm();
        let control = crm.control_address().unwrap();
        let post = |path: &str, content_type: &str, body: &str| {
            let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
            Request::post(path).header("host", "crm").header("content-type", content_type).body(body).unwrap()
        };
        let told = |path, content_type, body| {
            let request = post(path, content_type, body);
            async move { ask(control, request).await.unwrap().status().as_u16() }
        };
        assert_eq!(told("/behave", "application/json", r#"{"kind":"status","code":500}"#).await, 200);
        assert_eq!(status(&crm, &record(1, "c-A")).await, 500);
        assert_eq!(told("/behave", "application/json", r#"{"kind":"down"}"#).await, 200);
        assert!(ask(crm.address(), get("/")).await.is_err());
        assert_eq!(told("/behave", "application/json", r#"{"kind":"ok"}"#).await, 200);
        assert_eq!(status(&crm, &record(1, "c-A")).await, 200);
        assert_eq!(told("/chaos", "application/json", r#"{"seed":1,"for_s":0}"#).await, 200);
        // What a strange page in a browser could send is refused, and so is nonsense.
        assert_eq!(told("/behave", "text/plain", r#"{"kind":"down"}"#).await, 415);
        assert_eq!(told("/behave", "application/json", r#"{"kind":"sulk"}"#).await, 400);
        assert_eq!(told("/elsewhere", "application/json", "{}").await, 404);
        assert_eq!(ask(control, get("/behave")).await.unwrap().status(), 405);
        let observed = ask(control, get("/observed")).await.unwrap();
        let observed: Value = serde_json::from_slice(observed.body()).unwrap();
        assert_eq!((&observed["totals"]["records"], &observed["clean"]), (&json!(1), &json!(true)));
        // Deliveries can't switch anything.
        assert_eq!(
            ask(crm.address(), post("/behave", "application/json", "{}")).await.unwrap().status(),
            415
        );
    });
}

#[test]
fn chaos_ends_calm() {
    run(async {
        let crm = signed_crm();
        let mut trouble = wagate_simulate::crm::chaos(3, Duration::from_secs(60));
        trouble.iter_mut().for_each(|(_, time)| *time = Duration::from_micros(100));
        let mut seen = 0;
        crm.misbehave(trouble);
        tokio::select! {
            () = crm.calm() => {}
            () = async {
                loop {
                    let patience = Duration::from_millis(5);
                    let answer = tokio::time::timeout(patience, ask(crm.address(), delivery(&record(1, "c-A")))).await;
                    seen += u32::from(!matches!(answer, Ok(Ok(answer)) if answer.status() == 200));
                }
            } => {}
        }
        assert!(seen > 0);
        assert_eq!(status(&crm, &record(1, "c-A")).await, 200);
    });
}

#[test]
fn the_command_tells_where_it_listens_and_what_it_saw() {
    run(async {
        let (listening, known) = tokio::sync::oneshot::channel();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let mut listening = Some(listening);
        let command = tokio::spawn(async move {
            let stop = async {
                let _ = ended.await;
            };
            run_crm(CrmOptions::new(ANY_PORT), stop, |line| {
                if let (Line::Listening { url, .. }, Some(listening)) = (line, listening.take()) {
                    listening.send(url).unwrap();
                }
            })
            .await
        });
        let url = known.await.unwrap();
        let address = url.trim_start_matches("http://").trim_end_matches("/wagate").parse().unwrap();
        assert_eq!(ask(address, delivery(&record(1, "c-A"))).await.unwrap().status(), 200);
        end.send(()).unwrap();
        let report = command.await.unwrap().unwrap();
        assert_eq!((report.totals.records, report.clean), (1, true));

        let crm = signed_crm();
        let taken = run_crm(CrmOptions::new(crm.address()), std::future::pending(), |_| {}).await;
        assert!(taken.unwrap_err().to_string().contains("is something else using that port?"));
    });
}

//! Attachments on their way from WhatsApp.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use egress::GraphEndpoint;
use hyper::service::Service as _;
use simulate::graph::Graph;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::failover::{graph, world};
use super::{SHOP, World, number};
use crate::app::sending::Ways;

const OURS: &str = "https://b.example/webhook";

async fn used(world: &World) -> u64 {
    world.get("/v1/quota").await.json["quotas"][1]["used"].as_u64().unwrap()
}

async fn ask(world: &World, path: &str) -> axum::response::Response {
    let request = Request::get(path).header("authorization", "Bearer right").body(Body::empty()).unwrap();
    world.service.call(request).await.unwrap()
}

#[tokio::test]
async fn a_file_comes_through_as_it_is_and_takes_two_calls() {
    let graph: Graph = graph();
    let world = world(&graph, OURS);
    let photo: Vec<u8> = (0..200_000_u32).map(|place| (place % 251) as u8).collect();
    let id = graph.put_file("image/jpeg", photo.clone());
    for path in [format!("/v1/media/{id}"), format!("/v1/media/{id}?number={SHOP}")] {
        let answer = ask(&world, &path).await;
        assert_eq!(answer.status(), StatusCode::OK);
        for (name, value) in [
            ("content-type", "image/jpeg"),
            ("content-length", "200000"),
            ("content-disposition", "attachment"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(answer.headers()[name], value, "{name}");
        }
        let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        assert!(bytes == photo, "{} bytes", bytes.len());
    }
    assert_eq!(used(&world).await, 4);
    // It is as documented, too.
    assert_eq!(world.get(&format!("/v1/media/{id}")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_isn_t_there_is_told_from_what_failed() {
    let graph = graph();
    let world = world(&graph, OURS);
    assert_eq!(world.get("/v1/media/987654321").await.status, StatusCode::NOT_FOUND);
    assert_eq!(used(&world).await, 1);
    for path in ["/v1/media/a.b", "/v1/media/..%2F..", "/v1/media/%00"] {
        assert_eq!(world.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let id = graph.put_file("image/jpeg", "photo");
    let path = format!("/v1/media/{id}");
    let answer = world.get(&format!("{path}?number=7")).await;
    assert_eq!((answer.status, answer.pointers()), (StatusCode::UNPROCESSABLE_ENTITY, vec!["/number"]));
    assert_eq!(world.get(&format!("{path}?nummer=7")).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(used(&world).await, 1, "nothing was asked");
    graph.behave(&["refuse,code=190".parse().unwrap()]);
    let answer = world.get(&path).await;
    assert_eq!((answer.status, answer.json["error"]["code"].as_i64()), (StatusCode::BAD_GATEWAY, Some(190)));
    graph.behave(&[]);
    assert_eq!(world.get(&path).await.status, StatusCode::OK);
}

/// Says of a file that it has another digest than it has.
async fn liar() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let base = url.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let count = stream.read(&mut head).await.unwrap();
            let body = if head[..count].starts_with(b"GET /file") {
                "photo".to_owned()
            } else {
                format!(r#"{{"url":"{base}/file","mime_type":"text/html","sha256":"{}"}}"#, "0".repeat(64))
            };
            let head = format!("content-length: {}\r\nconnection: close", body.len());
            let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    url
}

#[tokio::test]
async fn a_file_that_is_not_what_was_said_breaks_off_and_frees_its_place() {
    let url = liar().await;
    let endpoint =
        GraphEndpoint::new("meta", &url, None, Some("secret"), "/{phone_number_id}/messages").unwrap();
    let world = World::with(&[SHOP], Ways::single(SHOP, endpoint));
    // More often than there are places.
    for _ in 0..6 {
        let answer = ask(&world, "/v1/media/1").await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-length"], "5");
        assert!(axum::body::to_bytes(answer.into_body(), 100).await.is_err());
    }
    // Those who hold theirs keep the fifth waiting.
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(ask(&world, "/v1/media/1").await);
    }
    assert_eq!(world.get("/v1/media/1").await.status, StatusCode::SERVICE_UNAVAILABLE);
    drop(held);
    assert_eq!(ask(&world, "/v1/media/1").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn downloads_leave_half_of_the_calls_for_messages() {
    let url = liar().await;
    let endpoint =
        GraphEndpoint::new("meta", &url, None, Some("secret"), "/{phone_number_id}/messages").unwrap();
    let few = outbox::Number { calls_per_day: 12, ..number() };
    let world = World::of([(SHOP, few)], Ways::single(SHOP, endpoint));
    for _ in 0..3 {
        assert_eq!(ask(&world, "/v1/media/1").await.status(), StatusCode::OK);
    }
    let answer = world.get("/v1/media/1").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.json["resets_at"].is_string() && answer.headers.contains_key("retry-after"));
    let shown = world.get("/v1/failover").await;
    assert_eq!(shown.status, StatusCode::OK, "and says of the number that it can't be asked");
    assert_eq!(used(&world).await, 6);
}

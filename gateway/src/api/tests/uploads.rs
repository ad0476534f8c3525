//! Files on their way to WhatsApp.

use axum::body::Body;
use axum::http::{Method, StatusCode};
use egress::GraphEndpoint;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{CAFE, SHOP, World};
use crate::app::sending::Ways;

/// Takes one request to the end of its form, answers it, and gives back what came.
async fn graph(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v24.0", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut come, mut portion) = (Vec::new(), [0; 4096]);
        while !come.ends_with(b"--\r\n") {
            let count = stream.read(&mut portion).await.unwrap();
            assert!(count > 0, "the form breaks off");
            come.extend_from_slice(&portion[..count]);
        }
        let head = format!("HTTP/1.1 {answer}");
        stream.write_all(head.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&come).into_owned()
    });
    (url, task)
}

fn world(url: &str) -> World {
    let endpoint =
        GraphEndpoint::new("meta", url, None, Some("secret"), "/{phone_number_id}/messages").unwrap();
    World::with(&[SHOP], Ways::single(SHOP, endpoint))
}

const OK: &str = "200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{\"id\":\"12345\"}";
const BAD: &str = "400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 53\r\n\r\n\
                   {\"error\":{\"code\":100,\"message\":\"no image\",\"type\":\"\"}}";

async fn used(world: &World) -> serde_json::Value {
    world.get("/v1/quota").await.json["quotas"][1]["used"].clone()
}

#[tokio::test]
async fn a_file_goes_through_and_takes_a_call() {
    let (url, come) = graph(OK).await;
    let world = world(&url);
    let headers = [("content-type", "image/png"), ("content-length", "8")];
    let path = "/v1/media?filename=photo.png";
    let answer = world.ask(Method::POST, path, &headers, "01234567").await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.json);
    assert_eq!(answer.json, json!({ "id": "12345", "kind": "image" }));
    let come = come.await.unwrap();
    assert!(come.starts_with(&format!("POST /v24.0/{SHOP}/media ")), "{come}");
    assert!(come.contains("01234567") && come.contains("photo.png"), "{come}");
    assert_eq!(used(&world).await, 1);
}

/// The form has no room for all that a caller may say of a type.
#[tokio::test]
async fn of_a_type_its_parameters_stay_here() {
    let (url, come) = graph(OK).await;
    let world = world(&url);
    let long = format!("Image/PNG; name={}", "x".repeat(300));
    let headers = [("content-type", long.as_str()), ("content-length", "8")];
    let answer = world.ask(Method::POST, "/v1/media", &headers, "01234567").await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.json);
    let come = come.await.unwrap();
    assert!(come.contains("image/png") && !come.contains("xxx"), "{come}");
}

#[tokio::test]
async fn what_whatsapp_says_of_a_file_is_told() {
    let (url, _come) = graph(BAD).await;
    let world = world(&url);
    let headers = [("content-type", "image/png"), ("content-length", "8")];
    let answer = world.ask(Method::POST, "/v1/media", &headers, "01234567").await;
    assert!(answer.status.is_client_error() || answer.status == StatusCode::BAD_GATEWAY, "{}", answer.status);
    assert_eq!(answer.json["error"]["code"], 100, "{}", answer.json);
    assert_eq!(used(&world).await, 1);
}

#[tokio::test]
async fn what_was_never_sent_takes_no_call_and_gives_its_place_back() {
    // Nobody listens there.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let world = world(&url);
    let headers = [("content-type", "image/png"), ("content-length", "8")];
    for _ in 0..10 {
        let answer = world.ask(Method::POST, "/v1/media", &headers, "01234567").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.json);
        assert!(!answer.json["detail"].as_str().unwrap().contains("under way"), "{}", answer.json);
    }
    assert_eq!(used(&world).await, 0);
}

#[tokio::test]
async fn a_file_that_breaks_off_gives_its_place_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let world = world(&format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    let headers = [("content-type", "image/png"), ("content-length", "8")];
    // More often than there are places, and than calls may be in flight.
    for times in 1..=10 {
        let portions = [Ok("0123"), Err(std::io::Error::other("the caller hung up"))];
        let body = Body::from_stream(futures_util::stream::iter(portions));
        let answer = world.ask(Method::POST, "/v1/media", &headers, body).await;
        assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT, "{}", answer.json);
        // Something of it may have come there.
        assert_eq!(used(&world).await, times);
    }
}

#[tokio::test]
async fn what_whatsapp_doesnt_take_is_refused_before_it_is_read() {
    let world = world("http://127.0.0.1:9");
    let ask = |path: &'static str, mime: &'static str, length: Option<&'static str>| {
        let world = &world;
        async move {
            let mut headers = vec![("content-type", mime)];
            headers.extend(length.map(|length| ("content-length", length)));
            world.ask(Method::POST, path, &headers, Body::empty()).await.status
        }
    };
    assert_eq!(ask("/v1/media", "image/gif", Some("8")).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(ask("/v1/media", "image/png", None).await, StatusCode::LENGTH_REQUIRED);
    assert_eq!(ask("/v1/media", "image/png", Some("0")).await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(ask("/v1/media", "image/png", Some("5242881")).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        ask("/v1/media", "audio/ogg; codecs=opus", Some("16777217")).await,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert_eq!(ask("/v1/media?name=x", "image/png", Some("8")).await, StatusCode::BAD_REQUEST);
    let no_route = World::new(&[SHOP, CAFE]);
    let headers = [("content-type", "image/png"), ("content-length", "8")];
    for path in ["/v1/media", "/v1/media?from=106540352242923"] {
        let answer = no_route.ask(Method::POST, path, &headers, "01234567").await;
        assert_eq!((answer.status, answer.pointers()), (StatusCode::UNPROCESSABLE_ENTITY, vec!["/from"]));
    }
}

//! One world behind several doors: each with its own ways, all with one book; and files, which both know.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use wagate_simulate::graph::{
    Dialect, DoorSettings, Doorway, Graph, GraphSettings, HandClock, Identity, MAIN_DOOR, Member, UserIds,
};
use wagate_simulate::whatsapp::danger_accept_any_certificate;

use crate::crm::{ANY_PORT, ask, get};
use crate::graph_calls::{ANN, NUMBER, START_MS, TOKEN, alone, bearer, post, read, said, settings, template};
use crate::run;

const KEY: &str = "a-key";
const JSON: &str = "application/json";

fn meta_alone() -> Graph {
    let dialect = Dialect::Meta;
    Graph::start(GraphSettings { dialect, ..settings(&HandClock::new(START_MS)) }).unwrap()
}

fn three_sixty(graph: &Graph) -> Doorway {
    graph.open(DoorSettings::three_sixty(ANY_PORT, KEY)).unwrap()
}

fn with_key(path: &str, body: &Value) -> Request<Full<Bytes>> {
    post(path, &[("D360-API-KEY", KEY), ("content-type", JSON)], body.to_string())
}

fn keyed(request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    let (mut head, body) = request.into_parts();
    head.headers.insert("d360-api-key", KEY.parse().unwrap());
    Request::from_parts(head, body)
}

fn form(bytes: &[u8]) -> Bytes {
    let mut form = b"--x\r\nContent-Disposition: form-data; name=\"messaging_product\"\r\n\r\nwhatsapp\r\n\
        --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\
        Content-Type: image/png\r\n\r\n"
        .to_vec();
    form.extend_from_slice(bytes);
    form.extend_from_slice(b"\r\n--x--\r\n");
    form.into()
}

#[test]
fn what_two_doors_take_was_taken_twice() {
    run(async {
        let graph = meta_alone();
        let provider = three_sixty(&graph);
        let message = template(ANN, "m-1");
        assert_eq!(said(&graph, &message).await.0, 200);
        let (status, answer) = read(&ask(provider.address(), with_key("/messages", &message)).await.unwrap());
        assert_eq!((status, &answer["contacts"][0]["wa_id"]), (200, &json!("12125550100")));
        let observed = graph.observed();
        assert_eq!((observed.accepted, observed.taken_twice, observed.calls), (2, 1, 2));
        assert_eq!((observed.doors[MAIN_DOOR].accepted, observed.doors["360dialog"].accepted), (1, 1));
        assert_eq!(observed.numbers[NUMBER].most_to_one_recipient, 2);
        let letter = &graph.messages()[0];
        assert_eq!(letter.taken_by, [MAIN_DOOR, "360dialog"]);
        assert_eq!((letter.posted, letter.accepted, letter.wamids.len()), (2, 2, 2));
        assert_eq!(graph.door("360dialog").unwrap().address(), provider.address());
        assert!(graph.door("elsewhere").is_none());
    });
}

#[test]
fn each_door_has_its_own_ways() {
    run(async {
        let graph = meta_alone();
        let provider = three_sixty(&graph);
        assert_eq!(provider.url(), format!("http://{}", provider.address()));
        assert_eq!(graph.url(), format!("http://{}/v24.0", graph.address()));
        let message = template(ANN, "m-1");
        let at_provider = async |request| read(&ask(provider.address(), request).await.unwrap());
        // Meta's credential and Meta's paths are no good there, and the other way round.
        let path = format!("/v24.0/{NUMBER}/messages");
        let headers = [("authorization", format!("Bearer {KEY}"))];
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (status, error) = at_provider(post("/messages", &headers, message.to_string())).await;
        assert_eq!((status, &error["meta"]["http_code"]), (401, &json!(401)));
        assert_eq!(error["meta"]["developer_message"], "Invalid api_key");
        for path in [path.as_str(), "/v24.0/messages", "/debug_token", &format!("/{NUMBER}/settings")] {
            let (status, error) = at_provider(with_key(path, &message)).await;
            assert_eq!((status, &error["meta"]["success"]), (403, &json!(false)), "{path}");
        }
        let (status, error) = at_provider(keyed(get(&format!("/{NUMBER}")))).await;
        assert_eq!((status, &error["error"]["code"]), (400, &json!(100)));
        for (path, headers) in
            [("/messages", ("authorization", "Bearer a-token")), (&path, ("D360-API-KEY", TOKEN))]
        {
            let answer = ask(graph.address(), post(path, &[headers], message.to_string())).await.unwrap();
            assert!(matches!(answer.status().as_u16(), 400 | 401), "{path}");
        }
        // Meta's own refusals go through as they are.
        let mut lame = message.clone();
        lame["template"] = json!({});
        assert_eq!(at_provider(with_key("/messages", &lame)).await.1["error"]["code"], 131_008);
        assert_eq!(graph.observed().accepted, 0);
    });
}

#[test]
fn trouble_at_one_door_spares_the_others() {
    run(async {
        let graph = meta_alone();
        let provider = three_sixty(&graph);
        let refuse = ["refuse,code=503".parse().unwrap(), "health,says=blocked".parse().unwrap()];
        let health = async |graph: &Graph| {
            let path = format!("/{NUMBER}?fields=health_status");
            let about = read(&ask(graph.address(), bearer(get(&path))).await.unwrap()).1;
            about["health_status"]["can_send_message"].clone()
        };
        provider.behave(&refuse);
        assert_eq!(said(&graph, &template(ANN, "m-1")).await.0, 200);
        assert_eq!(health(&graph).await, "AVAILABLE");
        let answer = ask(provider.address(), with_key("/messages", &template(ANN, "m-2"))).await.unwrap();
        assert_eq!(answer.status(), 503);

        provider.behave(&[]);
        graph.behave(&refuse);
        assert_eq!(said(&graph, &template(ANN, "m-3")).await.0, 503);
        let control = graph.control_address().unwrap();
        let told = async |door: &str| {
            let json = [("content-type", JSON)];
            let request = post(&format!("/behave?door={door}"), &json, r#"{"kind":"refuse","code":190}"#);
            ask(control, request).await.unwrap().status().as_u16()
        };
        assert_eq!((told("360dialog").await, told("none").await), (200, 404));
        let (status, error) =
            read(&ask(provider.address(), with_key("/messages", &template(ANN, "m-4"))).await.unwrap());
        assert_eq!((status, &error["meta"]["http_code"]), (401, &json!(401)));
        let letters = graph.messages();
        assert_eq!((&letters[1].posted_by, letters[1].accepted), (&vec!["360dialog".to_owned()], 0));
    });
}

#[test]
fn user_ids_are_taken_in_the_member_that_the_door_wants() {
    run(async {
        let graph = meta_alone();
        let strict = DoorSettings { user_ids: UserIds::To, ..DoorSettings::three_sixty(ANY_PORT, KEY) };
        let provider = graph.open(strict).unwrap();
        let mut by_to = template("US.13491208655302741918", "m-1");
        let mut by_recipient = by_to.clone();
        by_recipient["recipient"] = by_recipient.as_object_mut().unwrap().remove("to").unwrap();
        assert_eq!(said(&graph, &by_to).await.1["error"]["code"], 131_009);
        assert_eq!(said(&graph, &by_recipient).await.0, 200);
        by_to["biz_opaque_callback_data"] = json!("m-2");
        let send = async |message: &Value| {
            read(&ask(provider.address(), with_key("/messages", message)).await.unwrap())
        };
        assert_eq!(send(&by_recipient).await.1["error"]["code"], 100);
        assert_eq!(send(&by_to).await.0, 200);
        assert_eq!(said(&graph, &template(ANN, "m-3")).await.0, 200);
        let letters = graph.messages();
        let members: Vec<Option<Member>> = letters.iter().map(|letter| letter.user_id_in).collect();
        // The first one was refused at the other door when it was last posted.
        assert_eq!(members, [None, Some(Member::To), None]);
        assert_eq!(letters[1].recipient, "US.13491208655302741918");
    });
}

#[test]
fn a_file_comes_back_byte_for_byte_at_every_door() {
    run(async {
        let (graph, clock) = alone();
        let provider = three_sixty(&graph);
        let bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
        let multipart = [("content-type", "multipart/form-data; boundary=x")];
        let upload = keyed(post("/media", &multipart, form(&bytes)));
        let (status, answer) = read(&ask(provider.address(), upload).await.unwrap());
        let id = answer["id"].as_str().unwrap().to_owned();
        assert_eq!((status, id.len()), (200, 16));

        let (status, at_meta) = read(
            &ask(graph.address(), bearer(get(&format!("/v24.0/{id}?phone_number_id={NUMBER}"))))
                .await
                .unwrap(),
        );
        assert_eq!(
            (status, &at_meta["mime_type"], &at_meta["file_size"]),
            (200, &json!("image/png"), &json!(70_000))
        );
        assert_eq!((&at_meta["id"], at_meta["sha256"].as_str().unwrap().len()), (&json!(id), 64));
        let own = format!("http://{}", graph.address());
        let path = at_meta["url"].as_str().unwrap().strip_prefix(&own).unwrap().to_owned();
        let file = ask(graph.address(), bearer(get(&path))).await.unwrap();
        assert_eq!((file.status().as_u16(), &file.body()[..]), (200, &bytes[..]));
        assert_eq!(file.headers()["content-type"], "image/png");

        // The provider names Meta's host, and its own has to be put there.
        let (_, about) = read(&ask(provider.address(), keyed(get(&format!("/{id}")))).await.unwrap());
        let url = about["url"].as_str().unwrap();
        let path = url.strip_prefix("https://lookaside.fbsbx.com").unwrap().to_owned();
        let fetch = async |request| ask(provider.address(), request).await.unwrap();
        assert_eq!(&fetch(keyed(get(&path))).await.body()[..], &bytes[..]);
        assert_eq!(fetch(get(&path)).await.status(), 401);
        assert_eq!(ask(graph.address(), get(&path)).await.unwrap().status(), 401);
        let unknown = path.replace(&id, "1000000000000999");
        assert_eq!(fetch(keyed(get(&unknown))).await.status(), 404);
        clock.turn_on(301_000);
        assert_eq!(fetch(keyed(get(&path))).await.status(), 404);
        let (status, error) = read(&ask(graph.address(), bearer(get("/1000000000000999"))).await.unwrap());
        assert_eq!((status, &error["error"]["code"]), (400, &json!(100)));

        let sent = graph.put_file("audio/ogg", &b"OggS"[..]);
        let (_, about) = read(&ask(provider.address(), keyed(get(&format!("/{sent}")))).await.unwrap());
        assert_eq!((&about["mime_type"], &about["file_size"]), (&json!("audio/ogg"), &json!(4)));
    });
}

async fn over_tls(door: &Doorway, config: Arc<rustls::ClientConfig>) -> Result<Response<Bytes>, String> {
    let stream = TcpStream::connect(door.address()).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("graph.example").unwrap();
    let stream = TlsConnector::from(config).connect(name, stream).await.map_err(|why| why.to_string())?;
    let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let driver = tokio::spawn(connection);
    let answer = requests.send_request(keyed(get("/health_status"))).await.unwrap();
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    driver.abort();
    Ok(Response::from_parts(head, body))
}

#[test]
fn a_door_may_serve_tls_by_a_certificate_that_nobody_believes() {
    run(async {
        let graph = meta_alone();
        let made = rcgen::generate_simple_self_signed(["graph.example".to_owned()]).unwrap();
        let identity =
            Identity { certificate_pem: made.cert.pem(), key_pem: made.signing_key.serialize_pem() };
        let door =
            DoorSettings { identity: Some(identity.clone()), ..DoorSettings::three_sixty(ANY_PORT, KEY) };
        let door = graph.open(door).unwrap();
        assert!(door.url().starts_with("https://"));
        let answer = over_tls(&door, danger_accept_any_certificate().unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let strict = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        assert!(over_tls(&door, Arc::new(strict)).await.unwrap_err().contains("UnknownIssuer"));

        let broken = Identity { key_pem: String::new(), ..identity };
        let broken = DoorSettings { identity: Some(broken), ..DoorSettings::new("broken", ANY_PORT) };
        let why = graph.open(broken).unwrap_err().to_string();
        assert!(why.contains("the key can't be read") && !why.contains("that port?"), "{why}");
    });
}

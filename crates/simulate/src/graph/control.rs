//! The control port: `POST /behave` with one [`Behaviour`] or a list of them (`/behave?door=NAME` for
//! another door than the first), `POST /heard` when a customer wrote, `GET /observed` and `GET /observed/messages`.

use std::sync::Arc;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Behaviour;
use super::shared::Shared;
use super::speech::{Answer, text};

/// The longest command.
const COMMAND_BYTES_MAX: usize = 64 * 1024;
const JSON: &str = "application/json";

#[derive(Deserialize)]
#[serde(untagged)]
enum Behaviours {
    Several(Vec<Behaviour>),
    One(Behaviour),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Heard {
    number: Option<String>,
    phone: Option<String>,
    user_id: Option<String>,
}

pub(crate) async fn command(shared: &Arc<Shared>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    match (request.method(), path.as_str()) {
        (&Method::GET, "/observed") => json_of(&shared.observed()),
        (&Method::GET, "/observed/messages") => {
            let letters = shared.world().book.letters().to_vec();
            json_of(&json!({ "messages": letters }))
        }
        (&Method::POST, "/behave") => {
            let query = request.uri().query().unwrap_or_default();
            let named = query.split('&').find_map(|pair| pair.strip_prefix("door="));
            let door = named.map_or(Some(0), |name| shared.world().door_called(name));
            match (door, read::<Behaviours>(request).await) {
                (None, _) => refuse(404, "there is no such door"),
                (Some(door), Ok(behaviours)) => {
                    let behaviours = match behaviours {
                        Behaviours::Several(several) => several,
                        Behaviours::One(one) => vec![one],
                    };
                    shared.behave(door, &behaviours);
                    done()
                }
                (Some(_), Err(refusal)) => refusal,
            }
        }
        (&Method::POST, "/heard") => match read::<Heard>(request).await {
            Ok(Heard { phone: None, user_id: None, .. }) => refuse(400, "phone or user_id is needed"),
            Ok(heard) => {
                let number = heard.number.unwrap_or_else(|| shared.first_number().to_owned());
                shared.heard(&number, heard.phone.as_deref(), heard.user_id.as_deref());
                done()
            }
            Err(refusal) => refusal,
        },
        (_, "/behave" | "/heard") => not_allowed("POST"),
        (_, "/observed" | "/observed/messages") => not_allowed("GET"),
        _ => refuse(404, "there are POST /behave, POST /heard, GET /observed and GET /observed/messages"),
    }
}

fn done() -> Answer {
    text(200, JSON, "{\"ok\":true}\n".to_owned())
}

/// Reads a command. A page in a browser can't send this content type elsewhere without being asked
/// first, and the question isn't answered.
async fn read<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Answer> {
    if request.headers().get(CONTENT_TYPE).is_none_or(|value| value != JSON) {
        return Err(refuse(415, "the content type must be application/json"));
    }
    let body = Limited::new(request.into_body(), COMMAND_BYTES_MAX).collect().await;
    let body = body.map_err(|_| refuse(413, "the command is too long or broke off"))?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| refuse(400, &error.to_string()))
}

fn json_of<T: serde::Serialize>(value: &T) -> Answer {
    match serde_json::to_string(value) {
        Ok(json) => text(200, JSON, json + "\n"),
        Err(error) => refuse(500, &error.to_string()),
    }
}

fn refuse(status: u16, why: &str) -> Answer {
    text(status, JSON, format!("{}\n", json!({ "error": why })))
}

fn not_allowed(methods: &'static str) -> Answer {
    let mut answer = refuse(405, "another method is needed here");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    answer
}

//! `POST /v1/messages`: queues a message, or says at once why it can never be sent.
//!
//! A message is checked here, and its recipient found, before the outbox is asked. What was answered once under an
//! `Idempotency-Key` stays the answer, even where the same body would be refused today: so the outbox is
//! asked about the key, too, before anything is refused.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use model::Address;
use outbox::{Draft, Enqueue, Fallback, Kind, Queued, TableError, Turn, Unqueued};
use records::outgoing::{self, Part, PartKind, Request, To, quick_reply};
use ring::rand::SecureRandom as _;
use serde_json::json;
use store::Store;

use super::message_view::{template_of, time};
use super::problem::Problem;
use super::{Side, body, people};

/// Characters of an `Idempotency-Key`.
const KEY_MAX: usize = 256;
/// Bytes of one message object with its fallback: with what is kept beside it, it fits a value of the store.
const MESSAGE_BYTES_MAX: usize = store::VALUE_MAX - 8 * 1024;
/// Seconds that a caller is told to wait when the outbox is full: some thousand messages have gone by then.
const FULL_RETRY_SECONDS: u64 = 60;

/// Hashes of a call by which the same one is known again.
#[derive(Debug, Clone, Copy)]
struct Mark {
    key: [u8; 16],
    body: [u8; 16],
}

/// A call that is right as far as can be said without the outbox.
struct Checked {
    from: Option<String>,
    to: Recipient,
    drafts: Vec<Draft>,
}

/// Whom it goes to.
enum Recipient {
    /// The contact's 128 bits.
    Contact(u128),
    /// Who is looked up where the message is queued.
    At(Address),
}

/// What the outbox makes of a call.
enum Taken {
    Queued(Queued),
    Not(Unqueued),
    /// Several numbers could send it.
    WhichNumber(Vec<String>),
    /// Nobody knows the recipient yet.
    Stranger(Box<Checked>, Address),
}

/// Queues a message.
pub(super) async fn queue(
    State(side): State<Side>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let key = key(&headers)?;
    let body = body::read(body, outgoing::BODY_MAX).await?;
    let mark = Mark { key: hash(key.as_bytes()), body: hash(&body) };
    let checked = match check(&side, &body).await {
        // What became of messages is noted all the same: it is new ones that there's no room for.
        Ok(_) if side.shown.store.is_over_budget() => Err(Problem::from(store::Refused::Full)),
        checked => checked,
    };
    let taken = match checked {
        Ok(checked) => {
            let store = Arc::clone(&side.shown.store);
            match side.sending.ask(move |turn| take(turn, mark, checked, &store)).await? {
                Taken::Stranger(mut checked, address) => {
                    let met = people::meet(&side, &address).await?;
                    checked.to = Recipient::Contact(met.to_bits().unwrap_or_default());
                    let store = Arc::clone(&side.shown.store);
                    side.sending.ask(move |turn| take(turn, mark, *checked, &store)).await?
                }
                taken @ (Taken::Queued(_) | Taken::Not(_) | Taken::WhichNumber(_)) => taken,
            }
        }
        Err(problem) => {
            let answered = side.sending.ask(move |turn| turn.answered(&mark.key, &mark.body)).await?;
            match answered {
                Some(Ok(queued)) => Taken::Queued(queued),
                Some(Err(unqueued)) => Taken::Not(unqueued),
                None => return Err(problem),
            }
        }
    };
    match taken {
        Taken::Queued(queued) => Ok(accepted(&queued)),
        Taken::Not(unqueued) => Err(refused(unqueued)),
        Taken::WhichNumber(numbers) => Err(which_number(&numbers)),
        // Whom the store has just met it knows.
        Taken::Stranger(..) => Err(Problem::later("the recipient can't be looked up just now")),
    }
}

fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let mut keys = headers.get_all("idempotency-key").iter();
    let key = match (keys.next(), keys.next()) {
        (Some(key), None) => Ok(key),
        (None, _) => {
            Err("the header Idempotency-Key is missing: choose one for each message, such as a UUID, \
                          and send it again with each repeat")
        }
        (Some(_), Some(_)) => Err("the header Idempotency-Key is there twice"),
    };
    let key = key.map_err(Problem::bad_request)?.as_bytes();
    let right = (1..=KEY_MAX).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
    right.then(|| String::from_utf8_lossy(key).into_owned()).ok_or_else(|| {
        Problem::bad_request(format!("Idempotency-Key must be 1 to {KEY_MAX} visible characters of ASCII"))
    })
}

/// The first half of the SHA-256.
fn hash(bytes: &[u8]) -> [u8; 16] {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let mut half = [0; 16];
    half.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    half
}

/// Checks a body, fills in its quick reply and finds its recipient.
async fn check(side: &Side, body: &Bytes) -> Result<Checked, Problem> {
    let refused = |faults| body::refused(body, faults);
    // Few messages are; a look at the bytes spares the others a second reading.
    let by_name = if body.windows(11).any(|word| word == b"quick_reply") {
        quick_reply::by_name(body).map_err(refused)?
    } else {
        None
    };
    let request = match by_name {
        None => outgoing::read(body, &side.numbers).map_err(refused)?,
        Some(by_name) => {
            let name = by_name.name.clone();
            let kept = side.sending.ask(move |turn| turn.quick_reply(&name)).await?;
            let kept = kept.ok_or_else(|| {
                Problem::fault("/quick_reply", "names no quick reply that is kept: see GET /v1/quick-replies")
            })?;
            let filled = quick_reply::fill_message(kept.as_bytes(), &by_name.fields).map_err(refused)?;
            let whole = quick_reply::expand(body, &filled).map_err(refused)?;
            outgoing::read(whole.as_bytes(), &side.numbers).map_err(refused)?
        }
    };
    let Request { from, to, priority, expires_at, fallback, parts } = request;
    let (to, recipient) = match to {
        Some(to) => recipient(side, to).await?,
        // Whom a mark as read is for isn't known here: each has a lane of its own.
        None => (None, Recipient::Contact(u128::from_be_bytes(hash(body)))),
    };
    let mut fallback = fallback.map(|part| Fallback {
        template: template_of(&part.payload).unwrap_or_default(),
        payload: part.payload,
    });
    let mut drafts = Vec::with_capacity(parts.len());
    for Part { kind, payload } in parts {
        let kind = match kind {
            PartKind::FreeForm { .. } | PartKind::Reaction => Kind::FreeForm,
            PartKind::Template => Kind::Template,
            PartKind::ReadMark => Kind::ReadMark,
        };
        drafts.push(Draft {
            number: String::new(),
            to: to.clone().filter(|_| kind != Kind::ReadMark),
            contact: 0,
            priority,
            kind,
            template: if kind == Kind::Template { template_of(&payload) } else { None },
            payload,
            // Once for all parts: the customer isn't to get the same template several times.
            fallback: fallback.take(),
            expires_ms: expires_at.map(|at| at.0),
            chance: chance()?,
        });
    }
    let bytes =
        |draft: &Draft| draft.payload.len() + draft.fallback.as_ref().map_or(0, |it| it.payload.len());
    if drafts.iter().any(|draft| bytes(draft) > MESSAGE_BYTES_MAX) {
        let detail = format!("holds a message of more than {} KiB", MESSAGE_BYTES_MAX / 1024);
        return Err(Problem::fault("", detail));
    }
    Ok(Checked { from, to: recipient, drafts })
}

/// The address and the contact.
async fn recipient(side: &Side, to: To) -> Result<(Option<Address>, Recipient), Problem> {
    match to {
        To::Address(address) => Ok((Some(address.clone()), Recipient::At(address))),
        To::Contact(id) => {
            let known = people::find(side, people::Name::Id(id)).await?;
            let unknown = || Problem::fault("/to", "is a contact that the box doesn't know");
            let known = known.ok_or_else(unknown)?;
            let address = known.address().ok_or_else(|| {
                Problem::fault(
                    "/to",
                    "is a contact of whom neither phone nor user id is kept: name one of them",
                )
            })?;
            Ok((Some(address), Recipient::Contact(known.id.to_bits().unwrap_or_default())))
        }
    }
}

fn chance() -> Result<u64, Problem> {
    let mut bytes = [0; 8];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the system has no random numbers"))?;
    Ok(u64::from_be_bytes(bytes))
}

/// Queues in a turn of the outbox.
fn take(turn: &mut Turn<'_>, mark: Mark, checked: Checked, store: &Store) -> Result<Taken, TableError> {
    let contact = match &checked.to {
        Recipient::Contact(contact) => *contact,
        Recipient::At(address) => {
            let known = store.contact(&records::aliases_of(address));
            match known.map_err(|error| TableError(Box::new(error)))?.and_then(|known| known.to_bits()) {
                Some(known) => known,
                None => {
                    let address = address.clone();
                    return Ok(Taken::Stranger(Box::new(checked), address));
                }
            }
        }
    };
    let Checked { from, mut drafts, .. } = checked;
    let from = match from {
        Some(from) => from,
        None => match sender(turn, contact)? {
            Ok(from) => from,
            Err(numbers) => {
                // It may have been one number only when the same call came before.
                return Ok(match turn.answered(&mark.key, &mark.body)? {
                    Some(Ok(queued)) => Taken::Queued(queued),
                    Some(Err(unqueued)) => Taken::Not(unqueued),
                    None => Taken::WhichNumber(numbers),
                });
            }
        },
    };
    for draft in &mut drafts {
        draft.number.clone_from(&from);
        draft.contact = contact;
    }
    let call = Enqueue { key: mark.key, body: mark.body, drafts };
    Ok(turn.enqueue(call)?.map_or_else(Taken::Not, Taken::Queued))
}

/// The only number, or the one that the contact last wrote to; else all that there are.
fn sender(turn: &Turn<'_>, contact: u128) -> Result<Result<String, Vec<String>>, TableError> {
    let mut numbers = turn.settings().numbers.keys();
    if let (Some(only), None) = (numbers.next(), numbers.next()) {
        return Ok(Ok(only.clone()));
    }
    let last = turn.known_of(contact)?.windows.into_iter().max_by_key(|written| written.last_ms);
    Ok(last.map(|written| written.number).ok_or_else(|| turn.settings().numbers.keys().cloned().collect()))
}

fn accepted(queued: &Queued) -> Response {
    let id = queued.id.to_string();
    let mut answer = json!({
        "id": id,
        "status": queued.standing.as_str(),
        "window_closes_at": time(queued.window_closes_ms),
        "not_before": time(queued.not_before_ms),
    });
    if queued.parts.len() > 1 {
        answer["parts"] = queued.parts.iter().map(ToString::to_string).collect();
    }
    let mut response = (StatusCode::ACCEPTED, axum::Json(answer)).into_response();
    if let Ok(place) = HeaderValue::try_from(format!("/v1/messages/{id}")) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

fn refused(unqueued: Unqueued) -> Problem {
    let pointer = match unqueued {
        Unqueued::KeyUsed | Unqueued::Unreadable => return Problem::conflict(unqueued.to_string()),
        Unqueued::Full => return Problem::later(unqueued.to_string()).retry_after(FULL_RETRY_SECONDS),
        Unqueued::NoNumber => "/from",
        Unqueued::OptedOut => "/to",
        Unqueued::Expired => "/expires_at",
    };
    let fault = json!({ "pointer": pointer, "detail": unqueued.to_string() });
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, unqueued.to_string()).with("errors", vec![fault])
}

/// `from` has to be named.
pub(super) fn which_number(numbers: &[String]) -> Problem {
    Problem::fault(
        "/from",
        match numbers {
            [] => "can't be chosen: no number is configured".to_owned(),
            _ => format!(
                "has to name the number that sends, since there are several and the contact has written to none of \
                 them: {}",
                numbers.join(", ")
            ),
        },
    )
}

//! People: who they are to the box, and what they agreed to.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use model::{Address, Contact, ContactId, Record, Sequence};
use outbox::{Consent, Known};
use serde_json::{Map, Value, json};
use store::{Query, ReadError, Store};
use tokio::sync::oneshot;

use super::Side;
use super::members::{Members, sort_of};
use super::message_view::time;
use super::problem::Problem;
use crate::app::sending::SendingError;
use crate::clock;

/// Newest records that are looked through for what a person is called: a store's traffic of weeks.
const LOOKED_THROUGH: u64 = 100_000;
/// Of these the newest so many first, since who is asked for has mostly just written; then twice as many, ...
const STRIDE: u64 = 512;
/// ... up to as many as one look at the journal goes through.
const STRIDE_MAX: u64 = 10_000;
/// A contact that was first seen at some time is in no record from before; the box's clock may have been set since.
const CLOCK_SET_MS: i64 = 24 * 3_600_000;
/// Characters of a user id, as of any id.
const USER_ID_MAX: usize = 256;
/// Characters of a proof.
const PROOF_MAX: usize = 2_000;
/// A caller's clock may be ahead of the box's by so much, in milliseconds.
const CLOCKS_APART_MS: i64 = 5 * 60_000;

/// One of the names that a person can be asked for by.
#[derive(Debug, Clone)]
pub(super) enum Name {
    Id(ContactId),
    Address(Address),
}

impl Name {
    /// Reads a name: a contact id, a phone with its country code, or a user id.
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.starts_with("c-") {
            let id = ContactId::from_stored(text.to_owned());
            return id.to_bits().filter(|bits| ContactId::from_bits(*bits) == id).map(|_| Self::Id(id));
        }
        if let Ok(phone) = records::phone::read(text, None) {
            return Some(Self::Address(Address::Phone(phone)));
        }
        if text.starts_with('+') {
            // Numbers of films and tests, which no plan has.
            return records::phone::digits(text).map(|_| Self::Address(Address::Phone(text.to_owned())));
        }
        let right = text.len() <= USER_ID_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
        // A number of nobody's is no id either.
        let right = right && text.contains('.') && text.bytes().any(|byte| byte.is_ascii_alphabetic());
        right.then(|| Self::Address(Address::UserId(text.to_owned())))
    }
}

/// A person as far as records tell.
#[derive(Debug)]
pub(super) struct Person {
    /// What stands for them.
    pub(super) id: ContactId,
    /// What was joined with it.
    joined: Vec<ContactId>,
    /// The newest of each name.
    names: Option<Contact>,
}

impl Person {
    /// Where a message reaches them.
    pub(super) fn address(&self) -> Option<Address> {
        let names = self.names.as_ref()?;
        let phone = names.phone.clone().map(Address::Phone);
        phone.or_else(|| names.user_id.clone().map(Address::UserId))
    }
}

/// The contact at an address, made if nobody knows it yet.
pub(super) async fn meet(side: &Side, address: &Address) -> Result<ContactId, Problem> {
    let aliases = records::aliases_of(address);
    let (store, asked) = (Arc::clone(&side.shown.store), aliases.clone());
    // Who is known costs no write.
    let known = tokio::task::spawn_blocking(move || store.contact(&asked)).await??;
    if let Some(known) = known {
        return Ok(known);
    }
    let (sender, met) = oneshot::channel();
    // Who hung up is told nothing.
    let answer = Box::new(move |met| _ = sender.send(met));
    side.shown.store.meet(vec![aliases], clock::now(), answer);
    let met = met.await.map_err(|_| SendingError::Gone)??;
    Ok(met.into_iter().next().ok_or(SendingError::Gone)?)
}

/// Who is known by a name; `None` for nobody.
pub(super) async fn find(side: &Side, name: Name) -> Result<Option<Person>, Problem> {
    let store = Arc::clone(&side.shown.store);
    let named = matches!(name, Name::Address(_));
    let found = tokio::task::spawn_blocking(move || {
        let (id, address) = match name {
            Name::Id(id) => (id, None),
            Name::Address(address) => match store.contact(&records::aliases_of(&address))? {
                Some(id) => (id, Some(address)),
                None => return Ok(None),
            },
        };
        let mut family = store.family(&id);
        let names = names(&store, &family)?.or(address.map(called));
        let id = if family.is_empty() { id } else { family.remove(0) };
        Ok::<_, ReadError>(Some(Person { id, joined: family, names }))
    });
    let Some(person) = found.await?? else { return Ok(None) };
    if named || person.names.is_some() {
        return Ok(Some(person));
    }
    // No record tells of them; the outbox may.
    let Known { opted_in, stopped_ms, pushed_ms, unread_ms, windows } = known(side, &person).await?;
    let is_known = opted_in.is_some()
        || !windows.is_empty()
        || [stopped_ms, pushed_ms, unread_ms].iter().any(Option::is_some);
    Ok(Some(person).filter(|_| is_known))
}

/// All that an address tells of a person.
fn called(address: Address) -> Contact {
    match address {
        Address::Phone(phone) => Contact { phone: Some(phone), ..Contact::default() },
        Address::UserId(id) => Contact { user_id: Some(id), ..Contact::default() },
    }
}

async fn known(side: &Side, person: &Person) -> Result<Known, Problem> {
    let contact = person.id.to_bits().unwrap_or_default();
    Ok(side.sending.ask(move |turn| turn.known_of(contact)).await?)
}

/// What a person is called by the newest records that say so. Blocks.
fn names(store: &Store, family: &[ContactId]) -> Result<Option<Contact>, ReadError> {
    let newest = store.newest().0;
    let first_seen = family.iter().filter_map(ContactId::to_bits).map(|bits| bits >> 80).min();
    let first_seen = first_seen.and_then(|ms| i64::try_from(ms).ok()).unwrap_or_default();
    let found: RefCell<Option<Contact>> = RefCell::default();
    let oldest_looked_at = Cell::new(i64::MAX);
    let see = |record: &Record| {
        oldest_looked_at.set(oldest_looked_at.get().min(record.received_at.0));
        if let (Some(id), Some(contact)) = (&record.contact_id, &record.item.contact)
            && family.contains(id)
        {
            let mut found = found.borrow_mut();
            *found = Some(newer(found.take(), contact));
        }
        false
    };
    let (mut end, stop) = (newest, newest.saturating_sub(LOOKED_THROUGH));
    let mut stride = STRIDE;
    let mut known: Option<Contact> = None;
    while end > stop {
        let start = end.saturating_sub(stride);
        let query = Query { after: Some(Sequence(start)), limit: 1, bytes: 1 };
        match store.page(&query, &see) {
            Ok(_) => {}
            // The oldest that are kept lie between.
            Err(ReadError::Gone { oldest, newest }) if oldest <= newest => {
                store.page(&Query { after: None, ..query }, &see)?;
                end = stop;
            }
            Err(ReadError::Gone { .. }) => end = stop,
            Err(error) => return Err(error),
        }
        known = match (found.take(), known) {
            (older, Some(known)) => Some(newer(older, &known)),
            (found, None) => found,
        };
        // A status names nobody, so a little further back there may be more.
        let is_whole = known.as_ref().is_some_and(|it| it.name.is_some() && it.phone.is_some());
        let far_enough = known.is_some() && newest.saturating_sub(start) >= STRIDE_MAX;
        if is_whole || far_enough || oldest_looked_at.get() < first_seen.saturating_sub(CLOCK_SET_MS) {
            break;
        }
        (end, stride) = (start.min(end), (2 * stride).min(STRIDE_MAX));
    }
    Ok(known)
}

/// What a newer record says counts; of what it doesn't say, what an older one said.
fn newer(older: Option<Contact>, contact: &Contact) -> Contact {
    let mut contact = contact.clone();
    if let Some(older) = older {
        contact.phone = contact.phone.or(older.phone);
        contact.wa_id = contact.wa_id.or(older.wa_id);
        contact.user_id = contact.user_id.or(older.user_id);
        contact.parent_user_id = contact.parent_user_id.or(older.parent_user_id);
        contact.username = contact.username.or(older.username);
        contact.name = contact.name.or(older.name);
    }
    contact
}

/// `GET /v1/contacts/{id, phone or user id}`.
pub(super) async fn show(State(side): State<Side>, Path(name): Path<String>) -> Result<Response, Problem> {
    let name = Name::read(&name).ok_or_else(missing)?;
    let person = find(&side, name).await?.ok_or_else(missing)?;
    Ok(axum::Json(render(&side, &person).await?).into_response())
}

async fn render(side: &Side, person: &Person) -> Result<Value, Problem> {
    let known = known(side, person).await?;
    let windows: Vec<Value> = known
        .windows
        .iter()
        .map(|window| {
            json!({
                "number": window.number,
                "last_message_at": time(Some(window.last_ms)),
                "closes_at": time(window.closes_ms),
            })
        })
        .collect();
    let of = |part: fn(&Contact) -> &Option<String>| person.names.as_ref().and_then(|it| part(it).as_ref());
    Ok(json!({
        "id": person.id.as_str(),
        "phone": of(|names| &names.phone),
        "wa_id": of(|names| &names.wa_id),
        "user_id": of(|names| &names.user_id),
        "username": of(|names| &names.username),
        "name": of(|names| &names.name),
        "joined": person.joined.iter().map(ContactId::as_str).collect::<Vec<_>>(),
        "windows": windows,
        "opt_in": known.opted_in.as_ref().map(|consent| json!({
            "at": time(Some(consent.at_ms)),
            "proof": consent.proof,
        })),
        "marketing_stopped_at": time(known.stopped_ms),
        "last_push_at": time(known.pushed_ms),
        "unread_since": time(known.unread_ms),
    }))
}

/// What a body says of a consent.
#[derive(Debug)]
struct OptIn {
    opted_in: bool,
    proof: Option<String>,
    at: Option<String>,
}

impl OptIn {
    async fn read(body: Body) -> Result<Self, Problem> {
        let mut members = Members::of(body, &["opted_in", "proof", "at"]).await?;
        let said = Self {
            opted_in: members.truth("opted_in").unwrap_or(true),
            proof: proof(&mut members),
            at: members.text("at"),
        };
        members.end()?;
        Ok(said)
    }

    fn consent(self, now_ms: i64) -> Result<Option<Consent>, Problem> {
        if !self.opted_in {
            return match self.proof.or(self.at) {
                None => Ok(None),
                Some(_) => Err(Problem::fault("/opted_in", "is false: then there is no proof and no time")),
            };
        }
        let proof = self.proof.as_deref().map(str::trim).unwrap_or_default();
        if !(1..=PROOF_MAX).contains(&proof.chars().count()) {
            let detail = "must say how the consent can be shown (where, when and with which words it was given), in 1 \
                          to 2,000 characters";
            return Err(Problem::fault("/proof", detail));
        }
        let at_ms = match self.at {
            None => now_ms,
            Some(text) => {
                let at = text.parse::<Timestamp>().map_err(|_| {
                    Problem::fault("/at", "is no time with its zone, such as \"2026-11-20T22:43:15Z\"")
                })?;
                at.as_millisecond()
            }
        };
        if at_ms > now_ms.saturating_add(CLOCKS_APART_MS) {
            return Err(Problem::fault("/at", "is in the future"));
        }
        Ok(Some(Consent { at_ms, proof: proof.to_owned() }))
    }
}

/// A text, or an object as its JSON text.
fn proof(members: &mut Members) -> Option<String> {
    let value = members.raw("proof")?;
    let said = if value.get().starts_with('{') {
        // An empty one shows nothing.
        let is_empty = serde_json::from_str::<Map<String, Value>>(value.get()).is_ok_and(|it| it.is_empty());
        Some(if is_empty { String::new() } else { value.get().to_owned() })
    } else {
        serde_json::from_str(value.get()).ok()
    };
    if said.is_none() {
        members.fault("proof", format!("must be a text or an object, not {}", sort_of(&value)));
    }
    said
}

/// `PUT /v1/contacts/{id, phone or user id}/opt-in`: notes a consent with its proof, or that it was taken back.
pub(super) async fn opt_in(
    State(side): State<Side>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let name = Name::read(&name).ok_or_else(missing)?;
    let said = OptIn::read(body).await?;
    let now_ms = side.sending.ask(|turn| Ok(turn.date_ms())).await?;
    let consent = said.consent(now_ms)?;
    // Consent may well come before the first message. Thousands of them may come at once, so that the journal
    // isn't looked through for each.
    let person = match name {
        Name::Id(id) => find(&side, Name::Id(id)).await?.ok_or_else(missing)?,
        Name::Address(address) => {
            let id = meet(&side, &address).await?;
            Person { id, joined: Vec::new(), names: Some(called(address)) }
        }
    };
    let contact = person.id.to_bits().unwrap_or_default();
    side.sending.ask(move |turn| turn.consent(contact, consent.as_ref())).await?;
    Ok(axum::Json(render(&side, &person).await?).into_response())
}

fn missing() -> Problem {
    Problem::not_found("the box knows no such contact: name one by id, phone with country code, or user id")
}

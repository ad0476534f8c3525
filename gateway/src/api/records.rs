//! `GET /v1/records`: the log, for a CRM that pulls.

use std::time::Duration;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use egress::Journal as _;
use model::{Kind, Record, WallTime};
use serde_json::json;
use store::{Page, Query};
use tokio::time::Instant;

use super::problem::Problem;
use super::query::Parameters;
use super::{Side, page};
use crate::config::units;

/// Records in an answer, without a word about it and at most.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;
/// Raw payload in an answer, about; one record may be larger.
const PAGE_BYTES: usize = 4 << 20;
/// Longest wait for a record.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Which records are asked for.
#[derive(Debug, Default)]
struct Wanted {
    contact: Option<ContactName>,
    kind: Option<Kind>,
    since: Option<WallTime>,
}

/// One of the names by which a contact can be asked for.
#[derive(Debug)]
enum ContactName {
    Id(String),
    Phone(String),
    UserId(String),
}

impl ContactName {
    fn read(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        if text.starts_with("c-") {
            return Some(Self::Id(text.to_owned()));
        }
        // In a query an unescaped plus is a space.
        match records::phone::digits(text.trim_start_matches([' ', '+'])) {
            Some(digits) => Some(Self::Phone(records::phone::match_key(digits))),
            None => Some(Self::UserId(text.to_owned())),
        }
    }

    fn is(&self, record: &Record) -> bool {
        let contact = record.item.contact.as_ref();
        match self {
            Self::Id(id) => record.contact_id.as_ref().is_some_and(|known| known.as_str() == id),
            Self::Phone(key) => contact.is_some_and(|contact| {
                let names = [&contact.phone, &contact.wa_id].into_iter().flatten();
                names
                    .filter_map(|name| records::phone::digits(name.trim_start_matches('+')))
                    .any(|digits| records::phone::match_key(digits) == *key)
            }),
            Self::UserId(id) => contact.is_some_and(|contact| contact.user_id.as_ref() == Some(id)),
        }
    }
}

impl Wanted {
    fn takes(&self, record: &Record) -> bool {
        self.kind.is_none_or(|kind| kind == record.item.kind)
            && self.since.is_none_or(|since| record.received_at >= since)
            && self.contact.as_ref().is_none_or(|contact| contact.is(record))
    }
}

/// Answers with a page; with `wait`, as soon as there is something to put on it.
pub(super) async fn list(State(side): State<Side>, uri: Uri) -> Result<Response, Problem> {
    let parameters = Parameters::of(&uri, &["after", "limit", "wait", "contact", "type", "since"])?;
    let limit = parameters.limit(LIMIT, LIMIT_MAX)?;
    let after = parameters.after()?;
    let wait = parameters.get("wait", "a time of up to 60s, such as 30s", |text| {
        units::duration(text).ok().filter(|wait| *wait <= WAIT_MAX)
    })?;
    let wanted = Wanted {
        contact: parameters.get("contact", "a contact's id, phone or user id", ContactName::read)?,
        kind: parameters.get("type", "a type of the schema", Kind::from_event_type)?,
        since: parameters.get("since", "a time such as 2026-11-20T22:43:15Z", read_time)?,
    };
    let wanted = std::sync::Arc::new(wanted);
    let deadline = Instant::now() + wait.unwrap_or_default();
    let mut tail = side.shown.journal.watch();
    let mut stopped = side.stopped.clone();
    let mut after = after;
    loop {
        tail.borrow_and_update();
        let (shown, asked) = (side.clone(), std::sync::Arc::clone(&wanted));
        let query = Query { after, limit, bytes: PAGE_BYTES };
        let read = move || shown.shown.store.page(&query, &|record| asked.takes(record));
        let page = tokio::task::spawn_blocking(read).await??;
        if !page.records.is_empty() || wait.is_none() || Instant::now() >= deadline {
            return Ok(answer(&side, &page));
        }
        let looked_through = page.next < page.newest;
        after = Some(page.next);
        if looked_through {
            continue;
        }
        let more = tokio::select! {
            more = tokio::time::timeout_at(deadline, tail.changed()) => more.is_ok(),
            // A restart isn't kept waiting by who waits.
            _ = stopped.wait_for(|stopped| *stopped) => false,
        };
        if !more {
            return Ok(answer(&side, &page));
        }
    }
}

fn answer(side: &Side, page: &Page) -> Response {
    let parts: Vec<Vec<u8>> =
        page.records.iter().map(|record| records::render(record, &side.numbers)).collect();
    let rest = json!({
        "next": page.next.to_string(),
        "oldest": page.oldest.to_string(),
        "store": side.shown.store.id(),
    });
    page::answer("records", &parts, &rest)
}

fn read_time(text: &str) -> Option<WallTime> {
    // In a query an unescaped plus is a space.
    text.replace(' ', "+").parse::<jiff::Timestamp>().ok().map(|time| WallTime(time.as_millisecond()))
}

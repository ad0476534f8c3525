//! `/v1/costs` and `/v1/balance`: what messages cost, as their statuses and the rate card say.

use axum::body::Body;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Response};
use jiff::civil::Date;
use jiff::{Span, Timestamp, tz::TimeZone};
use outbox::{Balance, Charges};
use policy::sending::Micros;
use serde_json::{Value, json};

use super::Side;
use super::members::Members;
use super::problem::Problem;
use super::query::Parameters;

/// Days in one answer, at most.
const DAYS_MAX: i32 = 400;
/// Days in an answer that wasn't asked for others.
const DAYS: i32 = 31;

/// `GET /v1/costs?from=DATE&to=DATE`: by local day, number and category; both days included.
pub(super) async fn list(State(side): State<Side>, uri: Uri) -> Result<Response, Problem> {
    let parameters = Parameters::of(&uri, &["from", "to"])?;
    let day = |name| parameters.get(name, "a date such as 2026-11-20", |text| day_of(text.parse().ok()?));
    let (from, to) = (day("from")?, day("to")?);
    let found = side.sending.ask(move |turn| {
        // No zone is further ahead: the newest local day is shown, wherever the number is.
        let to = to.unwrap_or_else(|| today(turn.date_ms()) + 1);
        let from = from.unwrap_or(to - DAYS + 1);
        let currency = turn.settings().rates.as_ref().map(|rates| rates.currency.clone());
        let right = (0..DAYS_MAX).contains(&(to - from));
        let rows = if right { turn.charges(from, to)? } else { Vec::new() };
        Ok((from, to, right, currency, rows))
    });
    let (from, to, right, currency, rows) = found.await?;
    if !right {
        let detail = format!("`from` and `to` must be in their order and at most {DAYS_MAX} days apart");
        return Err(Problem::bad_request(detail).with("parameter", "from"));
    }
    let mut sum = Charges::default();
    // Without a rate card no price is known, and 0 would be one.
    let amount = |micros| currency.as_ref().map(|_| Micros(micros).to_string());
    let rows: Vec<Value> = rows
        .iter()
        .map(|(day, number, category, charges)| {
            sum.messages += charges.messages;
            sum.billed += charges.billed;
            sum.micros = sum.micros.saturating_add(charges.micros);
            json!({
                "date": date_of(*day).to_string(),
                "number": number,
                "category": category,
                "messages": charges.messages,
                "billed": charges.billed,
                "amount": amount(charges.micros),
            })
        })
        .collect();
    let answer = json!({
        "from": date_of(from).to_string(),
        "to": date_of(to).to_string(),
        "currency": currency,
        "messages": sum.messages,
        "billed": sum.billed,
        "amount": amount(sum.micros),
        "costs": rows,
    });
    Ok(axum::Json(answer).into_response())
}

fn day_of(date: Date) -> Option<i32> {
    let hours = date.duration_since(Date::constant(1970, 1, 1)).as_hours();
    i32::try_from(hours.div_euclid(24)).ok()
}

fn date_of(day: i32) -> Date {
    // Days come from dates, of which the calendar has fewer than a span may have days.
    let span = Span::new().try_days(day).unwrap_or_default();
    Date::constant(1970, 1, 1).saturating_add(span)
}

fn today(now_ms: i64) -> i32 {
    let now = Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    day_of(now.to_zoned(TimeZone::UTC).date()).unwrap_or_default()
}

/// `GET /v1/balance`: what is left of prepaid credit, by the box's own reckoning.
pub(super) async fn balance(State(side): State<Side>) -> Result<Response, Problem> {
    let known = side.sending.ask(|turn| Ok((turn.balance()?, currency(turn)))).await?;
    Ok(axum::Json(render(known.0, known.1.as_deref())).into_response())
}

/// `PUT /v1/balance`: enters what is left.
pub(super) async fn enter(State(side): State<Side>, body: Body) -> Result<Response, Problem> {
    let mut members = Members::of(body, &["amount", "low_water"]).await?;
    let amount = members.required_text("amount", "what is left, such as \"50.00\"");
    let low_water = members.text("low_water");
    let mut read = |name: &str, text: Option<String>| {
        let amount = Micros::parse(text.as_deref()?);
        if amount.is_none() {
            members.fault(name, "is no amount: write it with up to six decimals, such as \"50.00\"");
        }
        amount
    };
    let (amount, low_water) = (read("amount", amount), read("low_water", low_water));
    members.end()?;
    // Without an amount there is a fault.
    let amount = amount.unwrap_or(Micros(0));
    let Micros(configured) = side.low_water;
    let known = side.sending.ask(move |turn| {
        let before = turn.balance()?.map_or(configured, |balance| balance.low_water_micros);
        let low_water_micros = low_water.map_or(before, |Micros(micros)| micros);
        let balance = Balance { micros: amount.0, low_water_micros };
        turn.set_balance(balance);
        Ok((Some(balance), currency(turn)))
    });
    let known = known.await?;
    Ok(axum::Json(render(known.0, known.1.as_deref())).into_response())
}

fn currency(turn: &outbox::Turn<'_>) -> Option<String> {
    turn.settings().rates.as_ref().map(|rates| rates.currency.clone())
}

fn render(balance: Option<Balance>, currency: Option<&str>) -> Value {
    let amount = |micros: fn(&Balance) -> i64| balance.as_ref().map(|it| Micros(micros(it)).to_string());
    json!({
        "amount": amount(|balance| balance.micros),
        "low_water": amount(|balance| balance.low_water_micros),
        "is_low": balance.is_some_and(|balance| balance.micros <= balance.low_water_micros),
        "currency": currency,
    })
}

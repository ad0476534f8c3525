//! `POST /v1/forecast`: what a campaign would use of each limit, when it would be through, and what it would
//! cost.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use outbox::{Number, Quota, Turn};
use policy::sending::forecast::{INTERACTIONS, Limit, Prices, Terms};
use policy::sending::{Campaign, Category, Counts, Forecast, RateCard, forecast};
use serde_json::{Value, json};

use super::Side;
use super::members::Members;
use super::message_view::time;
use super::messages::which_number;
use super::problem::Problem;

/// Customers of one campaign, at most: as many as there are people.
const CUSTOMERS_MAX: u64 = 10_000_000_000;
/// Messages to each, at most.
const INTERACTIONS_MAX: u64 = 1_000;
/// Calling codes that recipients are counted by, at most.
const CODES_MAX: usize = 500;

/// What is planned, as the body says.
#[derive(Debug)]
struct Planned {
    customers: u64,
    interactions: u64,
    open_windows: u64,
    from: Option<String>,
    category: Category,
    /// How many of the customers have numbers that begin so.
    recipients: BTreeMap<String, u64>,
}

/// The members of the body.
const MEMBERS: [&str; 6] = ["customers", "interactions", "open_windows", "from", "category", "recipients"];

impl Planned {
    async fn read(body: Body) -> Result<Self, Problem> {
        let mut members = Members::of(body, &MEMBERS).await?;
        let people = 0..=CUSTOMERS_MAX;
        let what = "how many customers the campaign has";
        let customers = members.required_count("customers", what, people.clone());
        let interactions = members.count("interactions", 1..=INTERACTIONS_MAX);
        let open_windows = members.count("open_windows", people.clone());
        let from = members.text("from");
        let category = members.text("category");
        let category = category.as_deref().map_or(Some(Category::Marketing), Category::parse);
        if category.is_none() {
            members.fault("category", "must be marketing, utility, authentication or service");
        }
        let recipients = members.counts("recipients", &people);
        let digits = |code: &String| {
            let code = code.trim_start_matches('+');
            !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_digit())
        };
        if recipients.len() > CODES_MAX || !recipients.keys().all(digits) {
            members.fault("recipients", "must have calling codes, such as \"852\", and how many");
        }
        members.end()?;
        Ok(Self {
            // Without them there is a fault.
            customers: customers.unwrap_or_default(),
            interactions: interactions.unwrap_or(INTERACTIONS),
            open_windows: open_windows.unwrap_or_default(),
            from,
            category: category.unwrap_or(Category::Marketing),
            recipients,
        })
    }
}

/// What holds for the number, as the outbox knows it.
struct Known {
    name: String,
    number: Number,
    quotas: Vec<Quota>,
    waiting: u64,
    rates: Option<RateCard>,
    service_this_month: u64,
    now_ms: i64,
}

/// Forecasts a campaign.
pub(super) async fn show(State(side): State<Side>, body: Body) -> Result<Response, Problem> {
    let planned = Planned::read(body).await?;
    let from = planned.from.clone();
    let known = side.sending.ask(move |turn| look(turn, from.as_deref())).await?;
    let known = known.map_err(|numbers| match &planned.from {
        Some(_) => {
            Problem::fault("/from", format!("is none of the configured numbers: {}", numbers.join(", ")))
        }
        None => which_number(&numbers),
    })?;
    // A year of days is played through: not on a thread that answers others.
    let answer = tokio::task::spawn_blocking(move || {
        let played = play(&planned, &known);
        render(&played, &known)
    });
    Ok(axum::Json(answer.await?).into_response())
}

/// What is known of the number; else those that there are.
fn look(turn: &Turn<'_>, from: Option<&str>) -> Result<Result<Known, Vec<String>>, outbox::TableError> {
    let numbers = &turn.settings().numbers;
    let chosen = match from {
        Some(from) => numbers.get_key_value(from),
        None => numbers.iter().next().filter(|_| numbers.len() == 1),
    };
    let Some((name, number)) = chosen else { return Ok(Err(numbers.keys().cloned().collect())) };
    let mine = turn.ways()?.into_iter().find(|way| way.number == *name);
    let today = number.zone.day(turn.date_ms());
    let month = today.month();
    let this_month =
        turn.charges(today.0.saturating_sub(31), today.0)?.into_iter().filter(|(day, of, category, _)| {
            policy::sending::LocalDay(*day).month() == month
                && of == name
                && Category::parse(category) == Some(Category::Service)
        });
    Ok(Ok(Known {
        name: name.clone(),
        quotas: turn.quotas()?.into_iter().filter(|quota| quota.number == *name).collect(),
        waiting: mine.map_or(0, |way| way.counts.queued + way.counts.held),
        rates: turn.settings().rates.clone(),
        service_this_month: this_month.map(|(_, _, _, charges)| charges.messages).sum(),
        now_ms: turn.date_ms(),
        number: number.clone(),
    }))
}

fn play(planned: &Planned, known: &Known) -> Forecast {
    let limits: Vec<Limit> = known
        .quotas
        .iter()
        .filter_map(|quota| {
            let counts = [Counts::Messages, Counts::Calls, Counts::Recipients];
            Some(Limit {
                counts: counts.into_iter().find(|counts| counts.name() == quota.name)?,
                limit: Some(quota.limit),
                used: quota.used,
                resets_at_ms: quota.resets_ms.unwrap_or(known.now_ms),
            })
        })
        .collect();
    let terms = Terms {
        now_ms: known.now_ms,
        zone: &known.number.zone,
        per_second: known.number.per_second,
        batch_above: known.number.batch_above,
    };
    let recipients: Vec<(String, u64)> = planned
        .recipients
        .iter()
        .map(|(code, count)| (code.trim_start_matches('+').to_owned(), *count))
        .collect();
    let prices = known.rates.as_ref().map(|card| Prices::Card {
        card,
        category: planned.category,
        recipients: &recipients,
        service_this_month: known.service_this_month,
    });
    let campaign = Campaign {
        customers: planned.customers,
        interactions: planned.interactions,
        open_windows: planned.open_windows.min(planned.customers),
    };
    forecast(&campaign, &limits, &terms, prices.as_ref())
}

fn render(played: &Forecast, known: &Known) -> Value {
    let limits: Vec<Value> = played
        .limits
        .iter()
        .map(|limit| {
            json!({
                "name": limit.counts.name(),
                "would_use": limit.would_use,
                "left_now": limit.left_now,
                "days": limit.days,
                "through_at": time(limit.through_at_ms),
            })
        })
        .collect();
    let cost = played
        .cost
        .as_ref()
        .map(|cost| json!({ "amount": cost.amount.to_string(), "currency": cost.currency }));
    json!({
        "from": known.name,
        "messages": played.messages,
        "waiting": known.waiting,
        "limits": limits,
        "days": played.days,
        "through_at": time(played.through_at_ms),
        "cost": cost,
        "rate_card_valid_from": known.rates.as_ref().map(|card| card.valid_from.as_str()),
    })
}

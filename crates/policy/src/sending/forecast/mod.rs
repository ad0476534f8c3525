//! What a campaign would use, when it would be through, and what it would cost, before it begins.
//!
//! A campaign is `customers` x `interactions` messages: one that opens the conversation, a *push* where no
//! window is open, and the ones that follow from it. The forecast plays that through against the limits as
//! they stand: all at once where they allow it, on after each reset where they don't, in batches until the end
//! of the day where a limit comes near. It knows nothing of other traffic, of customers who don't answer, and of when
//! the interactions happen, so it is what the limits make of the campaign, and no promise.

mod cost;
mod play;

pub use cost::{Cost, Prices};

use super::day::Zone;
use play::Ledger;

/// Messages to each customer of a campaign, if nobody says otherwise.
pub const INTERACTIONS: u64 = 3;
/// What isn't through in a year has no date.
pub const HORIZON_MS: i64 = 366 * DAY_MS;

const DAY_MS: i64 = 24 * 3_600_000;

/// What is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Campaign {
    /// How many customers.
    pub customers: u64,
    /// How many messages to each, 1 or more; [`INTERACTIONS`] by default.
    pub interactions: u64,
    /// How many of the customers have an open window now, as far as is known; they count as no push.
    pub open_windows: u64,
}

impl Campaign {
    /// All messages.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.customers.saturating_mul(self.interactions.max(1))
    }

    /// Messages outside of an open window.
    #[must_use]
    pub const fn pushes(&self) -> u64 {
        self.customers.saturating_sub(self.open_windows)
    }
}

/// What a limit counts. The names are those of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counts {
    /// `messages_per_day`: messages by the local day.
    Messages,
    /// `api_calls_per_day`: calls by the local day.
    Calls,
    /// `unique_recipients_per_24h`: customers who get a push, in a moving 24 h.
    Recipients,
}

impl Counts {
    /// The name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages_per_day",
            Self::Calls => "api_calls_per_day",
            Self::Recipients => "unique_recipients_per_24h",
        }
    }
}

/// A limit as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// What it counts.
    pub counts: Counts,
    /// How much; `None` for no limit.
    pub limit: Option<u64>,
    /// How much of it is used.
    pub used: u64,
    /// When what is used is free again; of a moving limit, all of it. Limits a day are reset at the end of the
    /// local day whatever stands here.
    pub resets_at_ms: i64,
}

/// What holds for the number.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Now.
    pub now_ms: i64,
    /// The zone of its days.
    pub zone: &'a Zone,
    /// Messages a second.
    pub per_second: u32,
    /// Share of a limit (0 to 1) above which the campaign goes in batches.
    pub batch_above: f64,
}

/// What one limit makes of the campaign, as if it were the only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitForecast {
    /// Which.
    pub counts: Counts,
    /// What the campaign would use of it.
    pub would_use: u64,
    /// What is left of it now; `None` for no limit.
    pub left_now: Option<u64>,
    /// On how many local days messages would go, today included; `None` past [`HORIZON_MS`].
    pub days: Option<u32>,
    /// When the last message would have gone.
    pub through_at_ms: Option<i64>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// Messages in all.
    pub messages: u64,
    /// One for each limit that was given, in their order.
    pub limits: Vec<LimitForecast>,
    /// On how many local days messages would go, with all limits together.
    pub days: Option<u32>,
    /// When the last message would have gone; `None` past [`HORIZON_MS`].
    pub through_at_ms: Option<i64>,
    /// What it would cost; `None` where the prices aren't known.
    pub cost: Option<Cost>,
}

/// Plays a campaign through.
#[must_use]
pub fn forecast(
    campaign: &Campaign,
    limits: &[Limit],
    terms: &Terms<'_>,
    prices: Option<&Prices<'_>>,
) -> Forecast {
    let through = |limits: &[Limit]| {
        let last = Ledger::new(limits, terms).play(campaign);
        (last.map(|(_, gone)| gone), last.and_then(|(began, _)| days(terms, began)))
    };
    let each = limits.iter().map(|limit| {
        let (through_at_ms, days) = through(std::slice::from_ref(limit));
        let would_use = match limit.counts {
            Counts::Messages | Counts::Calls => campaign.messages(),
            Counts::Recipients => campaign.pushes(),
        };
        let left_now = limit.limit.map(|most| most.saturating_sub(limit.used));
        LimitForecast { counts: limit.counts, would_use, left_now, days, through_at_ms }
    });
    let (through_at_ms, days) = through(limits);
    Forecast {
        messages: campaign.messages(),
        limits: each.collect(),
        days,
        through_at_ms,
        cost: prices.and_then(|prices| prices.cost(campaign)),
    }
}

/// Local days from now to `last_ms`, both included.
fn days(terms: &Terms<'_>, last_ms: i64) -> Option<u32> {
    u32::try_from(terms.zone.day(last_ms).0 - terms.zone.day(terms.now_ms).0 + 1).ok()
}

#[cfg(test)]
mod tests;

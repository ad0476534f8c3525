//! How sending is doing: for `/v1/status`, the metrics and the alarms.

use model::{Refusal, WallTime};
use outbox::{Balance, Quota, Way, Why};
use serde::Serialize;

/// Why nothing goes out from a number, and until when if that is known.
///
/// The day's messages are no matter of the way itself: marks as read, and what has its unit already, still go.
pub(crate) fn blocked(way: &Way, quotas: &[Quota]) -> Option<(Why, Option<i64>)> {
    let used_up = quotas.iter().find(|quota| {
        quota.number == way.number && quota.name == MESSAGES_PER_DAY && quota.used >= quota.limit
    });
    way.blocked.or_else(|| used_up.map(|quota| (Why::MessagesPerDay, quota.resets_ms)))
}

/// As the configuration calls it.
const MESSAGES_PER_DAY: &str = "messages_per_day";

/// One look at the outbox.
#[derive(Debug, Clone, Default)]
pub(crate) struct Status {
    /// Every number's way to WhatsApp.
    pub(crate) ways: Vec<Way>,
    /// Every limit.
    pub(crate) quotas: Vec<Quota>,
    /// The prepaid balance, if one was entered.
    pub(crate) balance: Option<Balance>,
    /// The clock is believed.
    pub(crate) clock_trusted: bool,
    /// Now is no earlier, by what Meta has signed or an endpoint has told since the start.
    pub(crate) proved_ms: Option<i64>,
    /// The outbox's own time.
    pub(crate) now_ms: i64,
    /// What is known of the endpoints' tokens.
    pub(crate) tokens: Vec<Token>,
    /// Why the outbox can't work, if it can't.
    pub(crate) trouble: Option<String>,
}

/// The age of an endpoint's token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Token {
    /// The endpoint.
    pub(crate) endpoint: String,
    /// When it was issued, by Meta's word.
    pub(crate) since: Option<String>,
    /// When it ends; `None` where it doesn't, or nobody says.
    pub(crate) expires: Option<String>,
    /// Whole days since `since`.
    pub(crate) age_days: i64,
    /// Meta says that it is valid.
    pub(crate) valid: bool,
    #[serde(skip)]
    pub(crate) expires_ms: Option<i64>,
}

/// A token is to be replaced after so long, since one that never changes is worth more to a thief each month; and
/// in time before it ends.
pub(crate) const TOKEN_REMINDER_DAYS: i64 = 30;

/// What `/v1/status` shows.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    queued: u64,
    held: u64,
    sending: u64,
    uncertain: u64,
    stopped: Vec<Stopped>,
    blocked: Vec<Blocked>,
    clock_trusted: bool,
    now: String,
    tokens: Vec<Token>,
    reminders: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
struct Stopped {
    number: String,
    code: Option<i64>,
    reason: String,
    since: String,
}

#[derive(Debug, Clone, Serialize)]
struct Blocked {
    number: String,
    reason: &'static str,
    until: Option<String>,
}

impl Status {
    /// What is known of the time, for judging certificates.
    pub(crate) fn known(&self) -> ingress::Known {
        let Self { now_ms, clock_trusted: trusted, proved_ms, .. } = *self;
        ingress::Known { now_ms, trusted, proved_ms }
    }

    pub(crate) fn shown(&self) -> Shown {
        let sum = |count: fn(&Way) -> u64| self.ways.iter().map(count).sum();
        let stopped = self.ways.iter().filter_map(|way| {
            let stop = way.stopped.as_ref()?;
            Some(Stopped {
                number: way.number.clone(),
                code: stop.code,
                reason: stop.reason.clone(),
                since: WallTime(stop.since_ms).rfc3339_seconds(),
            })
        });
        let blocked = self.ways.iter().filter_map(|way| {
            let (why, until) = blocked(way, &self.quotas)?;
            let until = until.map(|at| WallTime(at).rfc3339_seconds());
            Some(Blocked { number: way.number.clone(), reason: why.as_str(), until })
        });
        Shown {
            queued: sum(|way| way.counts.queued),
            held: sum(|way| way.counts.held),
            sending: sum(|way| way.counts.sending),
            uncertain: sum(|way| way.counts.uncertain),
            stopped: stopped.collect(),
            blocked: blocked.collect(),
            clock_trusted: self.clock_trusted,
            now: WallTime(self.now_ms).rfc3339_millis(),
            tokens: self.tokens.clone(),
            reminders: self.reminders(),
        }
    }

    /// What a person should see to, the gravest first.
    pub(crate) fn alarms(&self) -> Vec<String> {
        let mut alarms = Vec::new();
        if let Some(trouble) = &self.trouble {
            alarms.push(format!("messages can't be sent: {trouble}"));
        }
        for way in &self.ways {
            let number = &way.number;
            if let Some(stop) = &way.stopped {
                let code = stop.code.map_or_else(String::new, |code| format!(" (code {code})"));
                let refusal = Refusal { code: stop.code, ..Refusal::default() };
                let advice = policy::sending::advice(&refusal);
                // What nothing tries again by itself waits for a person.
                let go_on = match way.blocked {
                    Some((Why::Stopped, None)) => format!(" `wagate queue resume {number}` lets it go on."),
                    _ => String::new(),
                };
                // Meta's own words may name a customer, and alarms are logged: the API has them.
                alarms.push(format!(
                    "WhatsApp lets number {number} send nothing{code}. {advice} The queue is kept.{go_on}"
                ));
            }
        }
        let uncertain: u64 = self.ways.iter().map(|way| way.counts.uncertain).sum();
        if uncertain > 0 {
            alarms.push(
                "messages were posted and nobody knows what came of them: see `wagate queue --uncertain`"
                    .to_owned(),
            );
        }
        if self.balance.is_some_and(|balance| balance.micros <= balance.low_water_micros) {
            alarms.push("the prepaid balance has come down to its low-water mark".to_owned());
        }
        for token in &self.tokens {
            if !token.valid {
                alarms
                    .push(format!("WhatsApp says that the token of endpoint {} isn't valid", token.endpoint));
            }
        }
        alarms
    }

    /// What will need a person some day.
    pub(crate) fn reminders(&self) -> Vec<String> {
        let day_ms = 24 * 3_600_000;
        let soon = self.now_ms.saturating_add(TOKEN_REMINDER_DAYS * day_ms);
        let mut reminders = Vec::new();
        for token in &self.tokens {
            if let Some(expires) =
                token.expires.as_ref().filter(|_| token.expires_ms.is_some_and(|at| at <= soon))
            {
                reminders
                    .push(format!("the token of endpoint {} ends at {expires}: replace it", token.endpoint));
            } else if token.age_days >= TOKEN_REMINDER_DAYS {
                let days = token.age_days;
                reminders
                    .push(format!("the token of endpoint {} is {days} days old: rotate it", token.endpoint));
            }
        }
        reminders
    }
}

//! How Graph misbehaves, as it is told.

use std::str::FromStr;

use serde::Deserialize;
use serde_json::{Map, Value};

/// One trait of the simulated Graph; several hold at a time. As JSON
/// `{"kind": "refuse", "code": 131056, "next": 5}`, on a command line `refuse,code=131056,next=5`.
///
/// Where there are `share` and `next`: `share` is how many of 100 calls it befalls (chance, from the
/// seed), `next` that it befalls messages alone, and ends after so many. Without them it befalls every call. The first one that
/// befalls a call decides about it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Behaviour {
    /// Nothing out of the ordinary.
    Ok,
    /// Takes nothing and answers with this error. 190, 500 (the one with code 131000) and 501 to 599
    /// (a page without a Graph error) befall every call, other codes only messages.
    Refuse {
        /// Meta's code, or an HTTP status from 500 to 599.
        code: i64,
        /// Seconds for `Retry-After`.
        #[serde(default)]
        retry_after_s: Option<u32>,
        /// It says so after a while, in milliseconds.
        #[serde(default)]
        ms: u32,
        /// Of 100.
        #[serde(default)]
        share: Option<u32>,
        /// Ends after so many.
        #[serde(default)]
        next: Option<u32>,
    },
    /// Takes messages, and the status that follows says `failed` with this code.
    Fail {
        /// Meta's code.
        code: i64,
        /// Of 100.
        #[serde(default)]
        share: Option<u32>,
        /// Ends after so many.
        #[serde(default)]
        next: Option<u32>,
    },
    /// Gives no answer and closes the connection after a while.
    NoAnswer {
        /// Whether the message was taken all the same; then its statuses come.
        taken: bool,
        /// The while, in milliseconds: 0 closes at once.
        #[serde(default)]
        ms: u32,
        /// Of 100.
        #[serde(default)]
        share: Option<u32>,
        /// Ends after so many.
        #[serde(default)]
        next: Option<u32>,
    },
    /// Takes it, and the connection breaks in the middle of the answer.
    HalfAnswer {
        /// Of 100.
        #[serde(default)]
        share: Option<u32>,
        /// Ends after so many.
        #[serde(default)]
        next: Option<u32>,
    },
    /// Answers after a while; what is taken is taken at once.
    Slow {
        /// The while, in milliseconds.
        ms: u32,
        /// Of 100.
        #[serde(default)]
        share: Option<u32>,
        /// Ends after so many.
        #[serde(default)]
        next: Option<u32>,
    },
    /// What becomes of a free-form message outside the service window.
    Window {
        /// How it is told.
        tells: Tells,
    },
    /// Users have taken usernames: answers and statuses name them by user id alone.
    BusinessScoped,
    /// Every answer says how much of Meta's call limits is used.
    Throttle {
        /// Percent used.
        #[serde(default = "nearly_all")]
        percent: u32,
        /// `estimated_time_to_regain_access`, in minutes.
        #[serde(default)]
        regain_minutes: u32,
    },
    /// How statuses come; what isn't named stays as the settings have it.
    Statuses(Changed),
    /// What `health_status` says. Messages are taken all the same. All that befall a question hold
    /// together, the worst for each entity.
    Health {
        /// Whether messages can be sent.
        says: Says,
        /// Of what it is said.
        #[serde(default)]
        entity: Entity,
        /// Of 100.
        #[serde(default)]
        share: Option<u32>,
        /// Ends after so many.
        #[serde(default)]
        next: Option<u32>,
    },
}

/// See [`Behaviour::Health`]; the later is the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// Nothing is wrong.
    #[default]
    Available,
    /// Only so many.
    Limited,
    /// None.
    Blocked,
}

impl Says {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Available => "AVAILABLE",
            Self::Limited => "LIMITED",
            Self::Blocked => "BLOCKED",
        }
    }
}

/// What `health_status` has an opinion of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entity {
    /// The number itself.
    #[default]
    PhoneNumber,
    /// Its account.
    Waba,
    /// The portfolio.
    Business,
    /// The app.
    App,
}

impl Entity {
    pub(crate) const ALL: [Self; 4] = [Self::PhoneNumber, Self::Waba, Self::Business, Self::App];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::PhoneNumber => "PHONE_NUMBER",
            Self::Waba => "WABA",
            Self::Business => "BUSINESS",
            Self::App => "APP",
        }
    }
}

/// Where it hurts.
const fn nearly_all() -> u32 {
    95
}

/// See [`Behaviour::Window`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tells {
    /// 200 first, and then a status that says `failed` with 131047.
    #[default]
    Later,
    /// The call is refused with 131047.
    AtOnce,
    /// Nobody looks at windows.
    Never,
}

/// See [`Behaviour::Statuses`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Changed {
    /// See [`Statuses::sent_ms`].
    pub sent_ms: Option<u32>,
    /// See [`Statuses::delivered_ms`].
    pub delivered_ms: Option<u32>,
    /// See [`Statuses::read_ms`].
    pub read_ms: Option<u32>,
    /// See [`Statuses::unread`].
    pub unread: Option<u32>,
    /// See [`Statuses::lost`].
    pub lost: Option<u32>,
    /// See [`Statuses::early`].
    pub early: Option<u32>,
    /// See [`Statuses::duplicate`].
    pub duplicate: Option<u32>,
    /// See [`Statuses::disorder`].
    pub disorder: Option<u32>,
    /// See [`Statuses::batch`].
    pub batch: Option<u32>,
    /// See [`Statuses::batch_ms`].
    pub batch_ms: Option<u32>,
}

/// How the statuses of messages come. Delays vary by half, by the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statuses {
    /// From a message's acceptance to `sent`, or to `failed`, in milliseconds.
    pub sent_ms: u32,
    /// From `sent` to `delivered`.
    pub delivered_ms: u32,
    /// From `delivered` to `read`.
    pub read_ms: u32,
    /// Of 100 messages, those that are never read.
    pub unread: u32,
    /// Of 100 messages, those that no status ever comes of.
    pub lost: u32,
    /// Of 100 messages, those whose first status comes before the answer to the call.
    pub early: u32,
    /// Of 100 statuses, those that come twice.
    pub duplicate: u32,
    /// Of 100 messages, those whose statuses come in another order than they happened.
    pub disorder: u32,
    /// How many statuses go into one webhook at most, up to 1,000.
    pub batch: u32,
    /// How long statuses are collected for a webhook of several, in milliseconds.
    pub batch_ms: u32,
}

impl Default for Statuses {
    /// Lively, with every trouble of the real one now and then.
    fn default() -> Self {
        Self {
            sent_ms: 100,
            delivered_ms: 300,
            read_ms: 2_000,
            unread: 20,
            lost: 0,
            early: 5,
            duplicate: 5,
            disorder: 5,
            batch: 1,
            batch_ms: 250,
        }
    }
}

impl Statuses {
    /// No chance in it: all of them at once, in order, each once, one a webhook.
    pub const PLAIN: Self = Self {
        sent_ms: 0,
        delivered_ms: 0,
        read_ms: 0,
        unread: 0,
        lost: 0,
        early: 0,
        duplicate: 0,
        disorder: 0,
        batch: 1,
        batch_ms: 0,
    };

    pub(crate) fn changed(self, by: &Changed) -> Self {
        Self {
            sent_ms: by.sent_ms.unwrap_or(self.sent_ms),
            delivered_ms: by.delivered_ms.unwrap_or(self.delivered_ms),
            read_ms: by.read_ms.unwrap_or(self.read_ms),
            unread: by.unread.unwrap_or(self.unread),
            lost: by.lost.unwrap_or(self.lost),
            early: by.early.unwrap_or(self.early),
            duplicate: by.duplicate.unwrap_or(self.duplicate),
            disorder: by.disorder.unwrap_or(self.disorder),
            batch: by.batch.unwrap_or(self.batch),
            batch_ms: by.batch_ms.unwrap_or(self.batch_ms),
        }
    }
}

/// A text that names no [`Behaviour`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no behaviour is called {text:?}: {why}; such as refuse,code=131056,next=5")]
pub struct BadBehaviour {
    text: String,
    why: String,
}

impl FromStr for Behaviour {
    type Err = BadBehaviour;

    /// `kind,key=value,…`, or the JSON form.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |why: String| BadBehaviour { text: text.to_owned(), why };
        if text.trim_start().starts_with('{') {
            return serde_json::from_str(text).map_err(|why| bad(why.to_string()));
        }
        let mut parts = text.split(',');
        let mut object = Map::new();
        object.insert("kind".to_owned(), Value::from(parts.next().unwrap_or_default()));
        for part in parts {
            let (key, value) =
                part.split_once('=').ok_or_else(|| bad(format!("{part:?} is not key=value")))?;
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
            object.insert(key.to_owned(), value);
        }
        serde_json::from_value(Value::Object(object)).map_err(|why| bad(why.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_behaviour_is_written_in_both_ways() {
        for (short, json, behaviour) in [
            ("ok", r#"{"kind":"ok"}"#, Behaviour::Ok),
            (
                "refuse,code=131056,next=5",
                r#"{"kind":"refuse","code":131056,"next":5}"#,
                Behaviour::Refuse { code: 131_056, retry_after_s: None, ms: 0, share: None, next: Some(5) },
            ),
            (
                "fail,code=131026,share=10",
                r#"{"kind":"fail","code":131026,"share":10}"#,
                Behaviour::Fail { code: 131_026, share: Some(10), next: None },
            ),
            (
                "no_answer,taken=true,ms=7",
                r#"{"kind":"no_answer","taken":true,"ms":7}"#,
                Behaviour::NoAnswer { taken: true, ms: 7, share: None, next: None },
            ),
            ("half_answer", r#"{"kind":"half_answer"}"#, Behaviour::HalfAnswer { share: None, next: None }),
            ("slow,ms=5", r#"{"kind":"slow","ms":5}"#, Behaviour::Slow { ms: 5, share: None, next: None }),
            (
                "window,tells=at_once",
                r#"{"kind":"window","tells":"at_once"}"#,
                Behaviour::Window { tells: Tells::AtOnce },
            ),
            ("business_scoped", r#"{"kind":"business_scoped"}"#, Behaviour::BusinessScoped),
            (
                "throttle,regain_minutes=3",
                r#"{"kind":"throttle","regain_minutes":3}"#,
                Behaviour::Throttle { percent: 95, regain_minutes: 3 },
            ),
            (
                "health,says=blocked,entity=waba,next=3",
                r#"{"kind":"health","says":"blocked","entity":"waba","next":3}"#,
                Behaviour::Health { says: Says::Blocked, entity: Entity::Waba, share: None, next: Some(3) },
            ),
            (
                "statuses,batch=1000",
                r#"{"kind":"statuses","batch":1000}"#,
                Behaviour::Statuses(Changed { batch: Some(1_000), ..Changed::default() }),
            ),
        ] {
            assert_eq!(short.parse::<Behaviour>().as_ref(), Ok(&behaviour), "{short}");
            assert_eq!(json.parse::<Behaviour>().as_ref(), Ok(&behaviour), "{json}");
            assert_eq!(serde_json::from_str::<Behaviour>(json).unwrap(), behaviour);
        }
        for text in [
            "",
            "sulk",
            "slow",
            "slow,ms",
            "slow,ms=x",
            "refuse,code=1,often=2",
            "statuses,ms=1",
            "health,says=ill",
            "{}",
        ] {
            assert!(text.parse::<Behaviour>().is_err(), "{text}");
        }
    }
}

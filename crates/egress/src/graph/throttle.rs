//! How near the limits of calls are, as Graph says in headers. Pure.

use serde_json::Value;

/// What an answer says of the limits of calls, the tightest of all that it names.
///
/// From `X-App-Usage` (`{"call_count": 28, "total_time": 25, "total_cputime": 25}`, percentages) and
/// `X-Business-Use-Case-Usage` (a list of the same by business, with
/// `estimated_time_to_regain_access` in minutes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Throttle {
    /// Of a limit, in percent, rounded up; above 100 calls are refused.
    pub percent: u32,
    /// Minutes until calls are let in again; 0 while they are.
    pub regain_minutes: u64,
}

/// A percentage above this is nonsense and says no more than this does.
const PERCENT_MAX: u32 = 1_000_000;

impl Throttle {
    /// Reads the two headers; `None` where neither says anything.
    pub(super) fn read(app: Option<&[u8]>, business: Option<&[u8]>) -> Option<Self> {
        let parse = |header: Option<&[u8]>| serde_json::from_slice::<Value>(header?).ok();
        let (app, business) = (parse(app), parse(business));
        let lists = business.iter().filter_map(Value::as_object).flat_map(serde_json::Map::values);
        let entries = lists.filter_map(Value::as_array).flatten();
        entries.chain(app.iter()).filter_map(Self::of).reduce(|one, other| Self {
            percent: one.percent.max(other.percent),
            regain_minutes: one.regain_minutes.max(other.regain_minutes),
        })
    }

    fn of(usage: &Value) -> Option<Self> {
        let usage = usage.as_object()?;
        let percents = ["call_count", "total_time", "total_cputime"];
        let percent = percents.iter().filter_map(|key| percent(usage.get(*key)?)).max();
        let regain = usage.get("estimated_time_to_regain_access").and_then(Value::as_u64);
        if percent.is_none() && regain.is_none() {
            return None;
        }
        Some(Self { percent: percent.unwrap_or(0), regain_minutes: regain.unwrap_or(0) })
    }

    /// How long Graph asks to be left alone, in milliseconds.
    pub(super) fn regain_ms(self) -> Option<u64> {
        (self.regain_minutes > 0).then(|| self.regain_minutes.saturating_mul(60_000))
    }
}

fn percent(value: &Value) -> Option<u32> {
    if let Some(whole) = value.as_u64() {
        return Some(u32::try_from(whole).map_or(PERCENT_MAX, |whole| whole.min(PERCENT_MAX)));
    }
    let bounded = value.as_f64()?.clamp(0.0, f64::from(PERCENT_MAX)).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is within 0 and a million"
    )]
    let whole = bounded as u32;
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_counts() {
        let some = |percent, regain_minutes| Some(Throttle { percent, regain_minutes });
        let business = r#"{"1089":[{"call_count":96,"total_cputime":20,"total_time":20,"type":"whatsapp",
            "estimated_time_to_regain_access":0},{"call_count":1,"estimated_time_to_regain_access":19}],
            "77":[{"total_time":97.2}],"78":"nonsense","79":[7]}"#;
        for (app, business, expected) in [
            (None, None, None),
            (Some(r#"{"call_count":28,"total_time":25,"total_cputime":30}"#), None, some(30, 0)),
            (None, Some(business), some(98, 19)),
            (Some(r#"{"call_count":130}"#), Some(business), some(130, 19)),
            (Some("{}"), Some("{}"), None),
            (Some("nonsense"), Some("[1]"), None),
            (Some(r#"{"call_count":"many"}"#), Some(r#"{"1":[{}]}"#), None),
            (Some(r#"{"call_count":-3}"#), None, some(0, 0)),
            (Some(r#"{"call_count":99999999999}"#), None, some(PERCENT_MAX, 0)),
            (Some(r#"{"call_count":1e300}"#), None, some(PERCENT_MAX, 0)),
        ] {
            let read = Throttle::read(app.map(str::as_bytes), business.map(str::as_bytes));
            assert_eq!(read, expected, "{app:?} {business:?}");
        }
        assert_eq!(Throttle { percent: 9, regain_minutes: 2 }.regain_ms(), Some(120_000));
        assert_eq!(Throttle { percent: 9, regain_minutes: 0 }.regain_ms(), None);
    }
}

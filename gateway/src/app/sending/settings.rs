//! What the outbox needs to know of the configuration.

use std::time::Duration;

use anyhow::Context as _;
use model::{Priority, WallTime};

use crate::clock;
use crate::config::{Config, Number};

impl Config {
    /// The configuration as the outbox goes by it, with the rate card of today.
    ///
    /// # Errors
    /// When a time is longer than can be counted in milliseconds; no time that the configuration allows is.
    pub fn sending(&self) -> anyhow::Result<outbox::Settings> {
        self.sending_at(clock::now())
    }

    /// The same with the rate card of another day.
    ///
    /// # Errors
    /// As [`Self::sending`].
    pub fn sending_at(&self, now: WallTime) -> anyhow::Result<outbox::Settings> {
        let uncertain = self.whatsapp.uncertain;
        let again = Priority::ALL.map(|priority| match priority {
            Priority::Reply => uncertain.reply,
            Priority::Service => uncertain.service,
            Priority::Campaign => uncertain.campaign,
        });
        let mut send_again_after_ms = [None; Priority::ALL.len()];
        for (priority, after) in Priority::ALL.into_iter().zip(again) {
            send_again_after_ms[priority as usize] = after.map(millis).transpose()?;
        }
        let named = |number: &Number| Ok((number.phone_number_id.clone(), self.number(number)?));
        Ok(outbox::Settings {
            numbers: self.numbers.iter().map(named).collect::<anyhow::Result<_>>()?,
            send_again_after_ms,
            history_ms: millis(self.store.history)?,
            rates: self.rates(now),
        })
    }

    fn number(&self, number: &Number) -> anyhow::Result<outbox::Number> {
        let limits = number.limits;
        Ok(outbox::Number {
            zone: number.timezone.clone().into(),
            portfolio: number.portfolio.clone(),
            messages_per_day: limits.messages_per_day,
            calls_per_day: limits.api_calls_per_day,
            recipients_per_day: limits.unique_recipients_per_24h,
            per_second: limits.messages_per_second,
            batch_above: limits.batch_above,
            batch_every_ms: millis(limits.batch_every)?,
            endpoints: self.whatsapp.serving(&number.phone_number_id).count(),
        })
    }
}

fn millis(time: Duration) -> anyhow::Result<i64> {
    i64::try_from(time.as_millis()).with_context(|| format!("{time:?} is too long to be counted"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{self, Source};

    const HEAD: &str =
        "[webhook]\nverify_token = \"x\"\napp_secret = \"x\"\ntls.self_signed = true\n[api]\ntoken = \"x\"\n";

    fn config(text: &str, folder: &Path) -> Config {
        let source = Source::new(&folder.join("wagate.toml"), format!("{HEAD}{text}"));
        let loaded = config::parse(source, &|_| None).unwrap();
        assert_eq!(loaded.rate_card, None);
        loaded.config
    }

    #[test]
    fn every_value_reaches_its_place() {
        let text = r#"
[store]
history = "9d"
[[numbers]]
phone_number_id = "1"
timezone = "America/St_Johns"
portfolio = "north"
[numbers.limits]
messages_per_day = 11
api_calls_per_day = 12
unique_recipients_per_24h = 13
messages_per_second = 14
batch_above = 0.15
batch_every = "16s"
[[numbers]]
phone_number_id = "2"
[[whatsapp.endpoints]]
url = "https://bsp.example.com"
numbers = ["1"]
token = "t"
[whatsapp.uncertain]
service = "6h"
campaign = "30d"
"#;
        let settings = config(text, Path::new("")).sending().unwrap();
        assert_eq!(settings.send_again_after_ms, [None, Some(6 * 3_600_000), Some(30 * 86_400_000)]);
        assert_eq!((settings.history_ms, settings.rates), (9 * 86_400_000, None));
        let one = &settings.numbers["1"];
        assert_eq!(one.zone, policy::sending::Zone::new("America/St_Johns").unwrap());
        assert_eq!((one.portfolio.as_str(), one.endpoints), ("north", 1));
        assert_eq!((one.messages_per_day, one.calls_per_day, one.recipients_per_day), (11, 12, 13));
        assert_eq!((one.per_second, one.batch_above, one.batch_every_ms), (14, 0.15, 16_000));
        assert!(!settings.numbers["2"].has_route(), "no endpoint serves it");
        assert_eq!(settings.numbers.len(), 2);
    }

    #[test]
    fn without_endpoints_there_is_no_route_and_without_a_list_there_is_one() {
        let number = "[[numbers]]\nphone_number_id = \"1\"\n";
        let settings = config(number, Path::new("")).sending().unwrap();
        assert!(!settings.numbers["1"].has_route());
        let endpoint = "[[whatsapp.endpoints]]\nurl = \"https://graph.example.com\"\ntoken = \"t\"\n";
        let settings = config(&format!("{number}{endpoint}"), Path::new("")).sending().unwrap();
        assert!(settings.numbers["1"].has_route());
    }

    #[test]
    fn the_card_of_the_numbers_own_day_holds() {
        let folder = tempfile::tempdir().unwrap();
        let card = |from: &str, price: &str| {
            format!(
                "[[cards]]\nvalid_from = \"{from}\"\ncurrency = \"USD\"\n[cards.other]\nmarketing = \"{price}\"\nutility = \"0\"\nauthentication = \"0\"\n"
            )
        };
        let text = card("2026-10-01", "0.01") + &card("2027-01-01", "0.02");
        std::fs::write(folder.path().join("card.toml"), text).unwrap();
        let text = "[[numbers]]\nphone_number_id = \"1\"\n[costs]\nrate_card = \"card.toml\"\nlow_water = \"50.00\"\n";
        let config = config(text, folder.path());
        assert_eq!(config.costs.low_water, policy::sending::Micros::parse("50"));
        // 2026-12-31T15:59:59Z is the last second of the year in Hong Kong.
        let new_year = 1_798_732_800_000;
        for (now, from) in [
            (1_790_784_000_000 - 1, None),
            (1_790_784_000_000, Some("2026-10-01")),
            (new_year - 1, Some("2026-10-01")),
            (new_year, Some("2027-01-01")),
            (i64::MAX, None),
        ] {
            let rates = config.sending_at(WallTime(now)).unwrap().rates;
            assert_eq!(rates.map(|card| card.valid_from).as_deref(), from, "{now}");
        }
    }
}

//! Local days, by which the store's own limits are counted.
//!
//! A limit a day is meant by the calendar that hangs in the shop: the local date of the number's zone.
//! Zones come from the database in the program, not from the machine's, so that every box counts
//! alike (<https://www.iana.org/time-zones>). A local day may have 23 or 25 hours, may begin at 01:00,
//! and may not exist at all (Samoa had no 2011-12-30): nothing here adds 24 hours.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// Days since 1970-01-01 of a local date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LocalDay(pub i32);

impl LocalDay {
    /// Months since January 1970 of the month that the day lies in: what is free by the month is
    /// counted by it.
    #[must_use]
    pub fn month(self) -> i32 {
        let date = EPOCH.saturating_add(jiff::Span::new().days(self.0.clamp(DAYS_MIN, DAYS_MAX)));
        (i32::from(date.year()) - 1970) * 12 + i32::from(date.month()) - 1
    }
}

const EPOCH: Date = Date::constant(1970, 1, 1);
/// The year -9999, and the year 9999: as far as the calendar of the library goes.
const DAYS_MIN: i32 = -4_371_587;
const DAYS_MAX: i32 = 2_932_896;

/// There is no time zone of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownZone {
    /// The name that was asked for.
    pub name: String,
}

impl fmt::Display for UnknownZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "there is no time zone {:?}; name one of the IANA database, such as \"Asia/Hong_Kong\"",
            self.name
        )
    }
}

impl std::error::Error for UnknownZone {}

/// The zone that a number's days are counted in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl From<TimeZone> for Zone {
    fn from(zone: TimeZone) -> Self {
        Self(zone)
    }
}

impl Zone {
    /// The zone of an IANA name, such as `Asia/Hong_Kong`.
    ///
    /// # Errors
    /// When the database in the program has no such zone.
    pub fn new(name: &str) -> Result<Self, UnknownZone> {
        TimeZoneDatabase::bundled().get(name).map(Self).map_err(|_| UnknownZone { name: name.to_owned() })
    }

    /// The local date at `now_ms`; outside the years -9999 to 9999 the nearest inside.
    ///
    /// It doesn't go back while time goes on, but where a zone sets its clock back *past* a midnight
    /// that it has just seen. Newfoundland did, at 00:01, until 2011; no zone of the database does today. A
    /// ledger that is kept by day counts right even then.
    #[must_use]
    pub fn day(&self, now_ms: i64) -> LocalDay {
        day_of(self.date(instant(now_ms)))
    }

    /// The first instant after `now_ms` that has a later local date, in milliseconds since 1970;
    /// `i64::MAX` where the calendar ends first (the end of the year 9999).
    #[must_use]
    pub fn ends_at(&self, now_ms: i64) -> i64 {
        let mut from = instant(now_ms);
        let today = self.date(from);
        let Ok(tomorrow) = today.tomorrow() else { return i64::MAX };
        let midnight = tomorrow.to_datetime(jiff::civil::Time::midnight());
        // Up to the next change of the offset, midnight is where plain arithmetic puts it.
        loop {
            let Ok(end) = self.0.to_offset(from).to_timestamp(midnight) else { return i64::MAX };
            match self.0.following(from).next().map(|change| change.timestamp()) {
                Some(change) if change <= end => {
                    if self.date(change) > today {
                        return change.as_millisecond();
                    }
                    from = change;
                }
                Some(_) | None => return end.as_millisecond(),
            }
        }
    }

    fn date(&self, at: Timestamp) -> Date {
        self.0.to_datetime(at).date()
    }
}

fn day_of(date: Date) -> LocalDay {
    let hours = date.duration_since(EPOCH).as_hours();
    // Whole days, and within some three million of them.
    LocalDay(i32::try_from(hours.div_euclid(24)).unwrap_or_default())
}

fn instant(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000;

    fn zone(name: &str) -> Zone {
        Zone::new(name).unwrap()
    }

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn day(year: i16, month: i8, day: i8) -> LocalDay {
        day_of(Date::constant(year, month, day))
    }

    #[test]
    fn a_day_is_the_shops_and_not_greenwichs() {
        let zone = zone("Asia/Hong_Kong");
        assert_eq!(zone.day(ms("2026-11-20T15:59:59.999Z")), day(2026, 11, 20));
        assert_eq!(zone.day(ms("2026-11-20T16:00:00Z")), day(2026, 11, 21));
        assert_eq!(zone.ends_at(ms("2026-11-20T03:00:00Z")), ms("2026-11-20T16:00:00Z"));
        assert_eq!(zone.ends_at(ms("2026-11-20T16:00:00Z")), ms("2026-11-21T16:00:00Z"));
        assert_eq!(Zone::new("UTC").unwrap().day(-1), LocalDay(-1));
        assert!(Zone::new("Asia/Kowloon").unwrap_err().to_string().contains("\"Asia/Kowloon\""));
    }

    #[test]
    fn summer_time_makes_days_of_23_and_25_hours() {
        let zone = zone("Europe/Berlin");
        let length = |start: &str| zone.ends_at(ms(start)) - ms(start);
        assert_eq!(length("2026-03-28T23:00:00Z"), 23 * HOUR);
        assert_eq!(length("2026-10-24T22:00:00Z"), 25 * HOUR);
        assert_eq!(length("2026-10-25T23:00:00Z"), 24 * HOUR);
    }

    #[test]
    fn days_begin_late_end_twice_or_are_left_out() {
        // Summer time begins at midnight: 23:59:59 is followed by 01:00.
        let sao_paulo = zone("America/Sao_Paulo");
        let start = ms("2018-11-04T03:00:00Z");
        assert_eq!(sao_paulo.ends_at(start - 1), start);
        assert_eq!((sao_paulo.day(start - 1), sao_paulo.day(start)), (day(2018, 11, 3), day(2018, 11, 4)));
        assert_eq!(sao_paulo.ends_at(start), start + 23 * HOUR);
        // It ends at midnight, which becomes 23:00: the last hour of the day is there twice.
        let (cairo, last) = (zone("Africa/Cairo"), ms("2026-10-29T20:30:00Z"));
        assert_eq!(cairo.day(last), day(2026, 10, 29));
        assert_eq!(cairo.day(last + HOUR), day(2026, 10, 29));
        assert_eq!(cairo.ends_at(last), ms("2026-10-29T22:00:00Z"));
        let begins_at_one = ms("2026-04-23T22:00:00Z");
        assert_eq!(cairo.ends_at(begins_at_one - 1), begins_at_one);
        // The day on which Samoa changed sides.
        let (apia, end) = (zone("Pacific/Apia"), ms("2011-12-30T10:00:00Z"));
        assert_eq!(apia.ends_at(end - HOUR), end);
        assert_eq!((apia.day(end - 1), apia.day(end)), (day(2011, 12, 29), day(2011, 12, 31)));
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        assert_eq!(day(1970, 1, 31).month(), 0);
        assert_eq!(day(1969, 12, 31).month(), -1);
        assert_eq!(day(2026, 9, 30).month() + 1, day(2026, 10, 1).month());
        assert_eq!(day(2024, 2, 29).month(), day(2024, 2, 1).month());
        assert_eq!(LocalDay(i32::MAX).month(), (9999 - 1970) * 12 + 11);
        assert_eq!(LocalDay(i32::MIN).month(), (-9999 - 1970) * 12);
    }

    #[test]
    fn no_zone_of_today_sets_its_date_back() {
        let (first, last) = (ms("2012-01-01T00:00:00Z"), ms("2040-01-01T00:00:00Z"));
        let mut changes = 0;
        for name in TimeZoneDatabase::bundled().available() {
            let zone = zone(name.as_str());
            for change in
                zone.0.following(instant(first)).take_while(|change| change.timestamp() < instant(last))
            {
                let at = change.timestamp().as_millisecond();
                assert!(zone.day(at - 1) <= zone.day(at), "{name} at {at}");
                changes += 1;
            }
        }
        assert!(changes > 5_000, "the database isn't read as it should be: {changes}");
    }

    #[test]
    fn the_ends_of_the_calendar_are_days_like_others() {
        let zone = zone("Pacific/Kiritimati");
        assert_eq!(zone.day(i64::MIN), zone.day(Timestamp::MIN.as_millisecond()));
        assert!(zone.ends_at(i64::MAX) > ms("9999-12-29T00:00:00Z"));
        assert!(zone.ends_at(i64::MIN) > i64::MIN);
    }

    proptest! {
        #[test]
        fn a_day_ends_where_the_next_begins(
            place in any::<prop::sample::Index>(),
            now in prop_oneof![
                ms("1880-01-01T00:00:00Z")..ms("2100-01-01T00:00:00Z"),
                ms("2020-01-01T00:00:00Z")..ms("2040-01-01T00:00:00Z"),
                ms("-005000-01-01T00:00:00Z")..ms("9998-01-01T00:00:00Z"),
            ],
            near in prop::option::of(-2_000_i64..2_000),
        ) {
            let zones = TimeZoneDatabase::bundled();
            let names: Vec<_> = zones.available().collect();
            let zone = zone(place.get(&names).as_str());
            // Close to a change of the offset, where there is one.
            let change = zone.0.following(instant(now)).next().map(|change| change.timestamp().as_millisecond());
            let now = near.zip(change).map_or(now, |(near, change)| change + near);
            let end = zone.ends_at(now);
            prop_assert!(end > now);
            prop_assert!(zone.day(now) < zone.day(end));
            prop_assert_eq!(zone.day(end - 1), zone.day(now));
            prop_assert!(end - now <= 50 * HOUR);
        }
    }
}

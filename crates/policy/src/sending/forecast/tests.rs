use proptest::prelude::*;

use super::super::rates::{Category, Micros, RateCard};
use super::*;

/// 2026-11-20T00:00:00Z.
const T: i64 = 1_795_132_800_000;
const HOUR: i64 = 3_600_000;

fn utc() -> Zone {
    Zone::new("UTC").unwrap()
}

fn terms(zone: &Zone, now_ms: i64) -> Terms<'_> {
    Terms { now_ms, zone, per_second: 80, batch_above: 1.0 }
}

fn limit(counts: Counts, limit: u64, used: u64) -> Limit {
    Limit { counts, limit: Some(limit), used, resets_at_ms: T + 24 * HOUR }
}

fn campaign(customers: u64, interactions: u64) -> Campaign {
    Campaign { customers, interactions, open_windows: 0 }
}

#[test]
fn a_thousand_customers_take_three_days_of_a_thousand_messages() {
    let zone = utc();
    let limits = [
        limit(Counts::Messages, 1_000, 0),
        limit(Counts::Calls, 10_000, 500),
        limit(Counts::Recipients, 2_000, 0),
    ];
    let answer = forecast(&campaign(1_000, INTERACTIONS), &limits, &terms(&zone, T + HOUR), None);
    assert_eq!(answer.messages, 3_000);
    // Two nights later, at 80 a second.
    assert_eq!((answer.days, answer.through_at_ms), (Some(3), Some(T + 48 * HOUR + 12_500)));
    let [messages, calls, recipients] = &answer.limits[..] else { panic!("one for each limit") };
    assert_eq!((messages.would_use, messages.left_now, messages.days), (3_000, Some(1_000), Some(3)));
    assert_eq!((calls.would_use, calls.left_now, calls.days), (3_000, Some(9_500), Some(1)));
    assert_eq!((recipients.would_use, recipients.left_now, recipients.days), (1_000, Some(2_000), Some(1)));
    assert_eq!(recipients.through_at_ms, Some(T + HOUR + 37_500));
    assert_eq!(recipients.counts.name(), "unique_recipients_per_24h");
}

#[test]
fn near_a_limit_it_lasts_until_the_end_of_the_day() {
    let zone = utc();
    let terms = Terms { batch_above: 0.8, ..terms(&zone, T) };
    let through = |customers| {
        let limits = [limit(Counts::Messages, 1_000, 100)];
        forecast(&campaign(customers, 1), &limits, &terms, None).through_at_ms
    };
    assert_eq!(through(700), Some(T + 8_750));
    assert_eq!(through(701), Some(T + 24 * HOUR));
}

#[test]
fn limits_work_together_and_not_one_after_another() {
    let zone = utc();
    // Each alone is through today or tomorrow.
    let limits = [limit(Counts::Messages, 1_000, 1_000), limit(Counts::Calls, 100, 0)];
    let answer = forecast(&campaign(100, 3), &limits, &terms(&zone, T), None);
    assert_eq!(answer.limits[0].days, Some(2));
    assert_eq!(answer.limits[1].days, Some(3));
    assert_eq!(answer.days, Some(4));
}

#[test]
fn what_never_ends_has_no_date_and_nothing_is_through_at_once() {
    let zone = utc();
    let none = [limit(Counts::Messages, 0, 0)];
    let answer = forecast(&campaign(1, 1), &none, &terms(&zone, T), None);
    assert_eq!((answer.through_at_ms, answer.days), (None, None));
    let slow = [limit(Counts::Messages, 1, 0)];
    assert_eq!(forecast(&campaign(400, 1), &slow, &terms(&zone, T), None).through_at_ms, None);
    assert_eq!(forecast(&campaign(300, 1), &slow, &terms(&zone, T), None).days, Some(300));
    let idle = forecast(&campaign(0, 3), &none, &terms(&zone, T), None);
    assert_eq!((idle.through_at_ms, idle.days), (Some(T), Some(1)));
    let mute = Terms { per_second: 0, ..terms(&zone, T) };
    assert_eq!(forecast(&campaign(1, 1), &[], &mute, None).through_at_ms, None);
    let huge = Campaign { customers: u64::MAX, interactions: u64::MAX, open_windows: u64::MAX };
    assert_eq!(forecast(&huge, &[], &terms(&zone, T), None).through_at_ms, None);
    let free = Limit { limit: None, ..none[0] };
    assert_eq!(forecast(&campaign(1, 1), &[free], &terms(&zone, T), None).limits[0].left_now, None);
}

#[test]
fn customers_with_an_open_window_are_no_unique_recipients() {
    let zone = utc();
    let limits = [limit(Counts::Recipients, 250, 240)];
    let with = |open_windows| {
        let campaign = Campaign { open_windows, ..campaign(200, 3) };
        forecast(&campaign, &limits, &terms(&zone, T), None)
    };
    assert_eq!((with(0).limits[0].would_use, with(0).days), (200, Some(2)));
    assert_eq!((with(190).limits[0].would_use, with(190).days), (10, Some(1)));
}

#[test]
fn a_campaign_has_a_price() {
    let card: RateCard = serde_json::from_str(
        r#"{ "valid_from": "2026-10-01", "currency": "USD", "free_service_per_month": 1000,
             "markets": [ { "calling_codes": ["852"], "marketing": "0.07", "utility": "0.01",
                            "authentication": "0.01", "service": "0.001" } ],
             "other": { "marketing": "0.06", "utility": "0.02", "authentication": "0.03", "service": "0.002" } }"#,
    )
    .unwrap();
    let zone = utc();
    let cost = |campaign: Campaign, prices: &Prices<'_>| {
        forecast(&campaign, &[], &terms(&zone, T), Some(prices)).cost.map(|cost| cost.amount.0)
    };
    let recipients = [("852".to_owned(), 900)];
    let by = |category, service_this_month| Prices::Card {
        card: &card,
        category,
        recipients: &recipients,
        service_this_month,
    };
    // 900 x 0.07 + 100 x 0.06; 2,000 follow, of which 1,000 are free and 9 in 10 go to Hong Kong.
    assert_eq!(cost(campaign(1_000, 3), &by(Category::Marketing, 0)), Some(69_000_000 + 1_100_000));
    assert_eq!(cost(campaign(1_000, 3), &by(Category::Marketing, 5_000)), Some(69_000_000 + 2_200_000));
    let half_open = Campaign { open_windows: 500, ..campaign(1_000, 1) };
    assert_eq!(cost(half_open, &by(Category::Utility, 0)), Some(5_500_000));
    // Two thirds of 0.01 + 2 x 0.02 are not a whole number.
    let (two_of_three, one_known) = (Campaign { open_windows: 1, ..campaign(3, 1) }, [("852".to_owned(), 1)]);
    let rounded = Prices::Card {
        card: &card,
        category: Category::Utility,
        recipients: &one_known,
        service_this_month: 0,
    };
    assert_eq!(cost(two_of_three, &rounded), Some(33_334));
    let one = Prices::One { currency: "EUR", template: Micros(50_000), service: Micros(1) };
    assert_eq!(cost(campaign(10, 3), &one), Some(500_020));
    let narrow = RateCard { other: None, ..card.clone() };
    let unknown = Prices::Card {
        card: &narrow,
        category: Category::Marketing,
        recipients: &recipients,
        service_this_month: 0,
    };
    assert_eq!(cost(campaign(1_000, 3), &unknown), None);
    assert_eq!(cost(campaign(900, 1), &unknown), Some(63_000_000));
    assert!(cost(Campaign { customers: u64::MAX, ..campaign(0, 1) }, &by(Category::Marketing, 0)).is_some());
}

#[test]
fn what_goes_before_the_batches_makes_room_a_day_later() {
    let zone = utc();
    let now = T + 12 * HOUR;
    let terms = Terms { batch_above: 0.8, ..terms(&zone, now) };
    let through = |customers| {
        let limits = [limit(Counts::Recipients, 250, 0)];
        forecast(&campaign(customers, 1), &limits, &terms, None).through_at_ms
    };
    // 200 at noon, the rest by midnight; at the next noon 150, since 50 are left of the night.
    assert_eq!(through(200), Some(now + 2_500));
    assert_eq!(through(250), Some(T + 24 * HOUR));
    assert_eq!(through(400), Some(now + 3_125 + 24 * HOUR + 1_875));
    // 250 customers a day.
    assert_eq!(through(2_500), Some(T + 10 * 24 * HOUR));
}

/// One message after another, hour by hour, with plain lists for ledgers: the day of the last one, and its time. Past
/// the share of a limit that goes before the batches, a message counts as gone at the end of its day, and its
/// recipient an hour before that.
fn simulated(
    plan: &Campaign,
    messages: u64,
    calls: u64,
    recipients: (u64, u64),
    start: i64,
    share: u64,
) -> (i64, i64) {
    let before_batches = |limit: u64| limit * share / 10;
    let (mut today, mut day, mut last) = (0, start / (24 * HOUR), start);
    let mut pushes: Vec<i64> = vec![T; usize::try_from(recipients.1).unwrap()];
    let (mut pushed, mut sent, mut hour) = (0, 0, start);
    loop {
        if hour / (24 * HOUR) != day {
            (today, day) = (0, hour / (24 * HOUR));
        }
        loop {
            if sent == plan.messages() {
                return (day - start / (24 * HOUR) + 1, last);
            }
            if today == messages.min(calls) {
                break;
            }
            let recent = pushes.iter().filter(|at| hour - **at < 24 * HOUR).count();
            let recent = u64::try_from(recent).unwrap();
            let mut near = today >= before_batches(messages) || today >= before_batches(calls);
            let midnight = (day + 1) * 24 * HOUR;
            if pushed < plan.pushes() && recent < recipients.0 {
                near |= recent >= before_batches(recipients.0);
                pushes.push(if near { hour.max(midnight - HOUR) } else { hour });
                pushed += 1;
            } else if sent >= (pushed + plan.open_windows.min(plan.customers)) * plan.interactions {
                break;
            }
            (sent, today) = (sent + 1, today + 1);
            last = last.max(if near { midnight } else { hour });
        }
        hour += HOUR;
    }
}

proptest! {
    #[test]
    fn it_ends_when_a_simulation_day_by_day_ends(
        customers in 1..60_u64,
        interactions in 1..5_u64,
        open in 0..70_u64,
        messages in 5..80_u64,
        calls in 5..80_u64,
        recipients in 5..40_u64,
        used in 0..40_u64,
        hour in 0..24_i64,
        share in 0..=10_u64,
    ) {
        let zone = utc();
        let start = T + hour * HOUR;
        let plan = Campaign { customers, interactions, open_windows: open };
        let used = used.min(recipients);
        let limits = [
            limit(Counts::Messages, messages, 0),
            limit(Counts::Calls, calls, 0),
            limit(Counts::Recipients, recipients, used),
        ];
        // So fast that a burst ends within the hour in which it begins.
        #[expect(clippy::cast_precision_loss, reason = "0 to 10")]
        let batch_above = share as f64 / 10.0;
        let terms = Terms { per_second: 1_000_000, batch_above, ..terms(&zone, start) };
        let answer = forecast(&plan, &limits, &terms, None);
        let (days, at) = simulated(&plan, messages, calls, (recipients, used), start, share);
        prop_assert_eq!(answer.days.map(i64::from), Some(days));
        let through = answer.through_at_ms.unwrap();
        prop_assert!((at..at + HOUR).contains(&through), "{} is not in the hour from {}", through, at);
        // No limit alone takes longer than all together.
        for limit in &answer.limits {
            prop_assert!(limit.through_at_ms.unwrap() <= through);
        }
    }

    #[test]
    fn more_customers_and_batches_never_end_earlier(
        customers in 0..3_000_u64,
        more in 1..500_u64,
        messages in 100..2_000_u64,
        recipients in 50..500_u64,
        batch_above in 0.0..1.0_f64,
    ) {
        let zone = Zone::new("America/Sao_Paulo").unwrap();
        let limits = [limit(Counts::Messages, messages, 50), limit(Counts::Recipients, recipients, 20)];
        let through = |customers, batch_above| {
            let terms = Terms { batch_above, ..terms(&zone, T) };
            forecast(&campaign(customers, INTERACTIONS), &limits, &terms, None).through_at_ms.unwrap_or(i64::MAX)
        };
        prop_assert!(through(customers, 1.0) <= through(customers + more, 1.0));
        // Bursts that are cut begin and end some seconds earlier, and what they take is free again so much earlier.
        let (at_once, in_batches) = (through(customers, 1.0), through(customers, batch_above));
        prop_assert!(at_once <= in_batches.saturating_add(60_000), "{}", at_once - in_batches);
    }
}

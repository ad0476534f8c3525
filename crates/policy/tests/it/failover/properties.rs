//! Whatever the weather: one is active, never a sick one beside a healthy one, left in time, and not too often.

use std::time::Duration;

use proptest::prelude::*;
use wagate_policy::failover::{LONG_RECHECKS, Settings, Why};

use super::sim::{Forecast, Sim, Weather};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

fn weather() -> impl Strategy<Value = Weather> {
    prop_oneof![
        4 => (1..700_u64).prop_map(Weather::Answers),
        1 => (700..6_000_u64).prop_map(Weather::Answers),
        2 => Just(Weather::Refuses),
        2 => Just(Weather::Hole),
        1 => Just(Weather::Turns),
        1 => Just(Weather::Blocked),
    ]
}

/// Changes of the weather, seconds to half an hour apart.
fn forecast() -> impl Strategy<Value = Forecast> {
    let gap = prop_oneof![1_000..60_000_u64, MINUTE..30 * MINUTE];
    proptest::collection::vec((gap, weather()), 0..60).prop_map(|changes| {
        let mut at = 0;
        let dated = changes.into_iter().map(|(gap, weather)| {
            at += gap;
            (at, weather)
        });
        dated.collect()
    })
}

fn traffic() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![Just(None), (50..2_000_u64).prop_map(Some), (2_000..120_000_u64).prop_map(Some)]
}

fn settings() -> impl Strategy<Value = Settings> {
    let every = prop_oneof![1..60_u64, 60..7_200_u64];
    (1..5_u32, 1..5_u32, 200..30_000_u64, every).prop_map(|(strikes, recover, recheck_ms, every_s)| {
        Settings {
            strikes,
            recover,
            recheck: Duration::from_millis(recheck_ms),
            every: Duration::from_secs(every_s),
            ..Settings::default()
        }
    })
}

/// How often a breaker may open in so long: one that opens soon after it had closed is asked for twice as much the next
/// time, seven times, and once more for each long time that it stayed closed. From then on each takes the
/// longest patience.
fn openings(settings: &Settings, ms_in_all: u64) -> u64 {
    let patience = settings.recheck * settings.recover * 128;
    let long = settings.every.max(settings.recheck * LONG_RECHECKS);
    9 + 2 * (ms_in_all / ms(long)) + ms_in_all / ms(patience)
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// What `Sim` checks after every step: exactly one active, none out of use beside one in use.
    #[test]
    fn exactly_one_is_active_and_none_is_idle_while_healthy(
        forecasts in proptest::collection::vec(forecast(), 1..4),
        traffic in traffic(),
        settings in settings(),
    ) {
        let mut sim = Sim::new(settings, forecasts);
        sim.run(6 * HOUR, traffic);
    }

    /// A preferred endpoint that stays down is left in bounded time, for one that stays well.
    #[test]
    fn what_stays_down_is_left_in_time(
        before in forecast(),
        traffic in traffic(),
        sick in prop_oneof![Just(Weather::Refuses), Just(Weather::Hole), Just(Weather::Answers(2_500))],
    ) {
        let settings = Settings::default();
        let fault = before.last().map_or(0, |(at, _)| *at) + 1;
        let mut primary = before;
        primary.push((fault, sick));
        let mut sim = Sim::new(settings, vec![primary, Vec::new()]);
        sim.run(fault + HOUR + 40_000, traffic);
        prop_assert_eq!(sim.group.active(), 1);
        let end = sim.switches.last().unwrap().at;
        // It may have been left before, and stays so.
        sim.run(fault + 3 * HOUR, traffic);
        prop_assert_eq!(sim.switches.last().unwrap().at, end);
    }

    /// However the weather plays: from one endpoint to another and back no more often than the bound says.
    #[test]
    fn it_cannot_flap(
        good_s in 1..600_u64,
        bad_s in 1..600_u64,
        traffic in 100..5_000_u64,
        settings in settings(),
    ) {
        let mut primary = Vec::new();
        let mut at = 0;
        while at < 24 * HOUR {
            primary.push((at, Weather::FINE));
            primary.push((at + good_s * 1_000, Weather::Refuses));
            at += (good_s + bad_s) * 1_000;
        }
        let mut sim = Sim::new(settings, vec![primary, Vec::new()]);
        sim.run(24 * HOUR, Some(traffic));
        let returns = sim.switches.iter().filter(|switch| switch.why == Why::Recovered).count();
        prop_assert!(u64::try_from(returns).unwrap() <= openings(&settings, 24 * HOUR), "{returns} returns");
    }

    /// The same whoever finds it out: probes that are good lead to endpoints whose calls fail, and chance to all.
    #[test]
    fn it_cannot_flap_whoever_finds_it_out(
        weathers in proptest::collection::vec(
            prop_oneof![Just(Weather::OnlyProbes), (1..60_u64).prop_map(Weather::Lossy), Just(Weather::FINE)],
            1..4,
        ),
        traffic in 300..5_000_u64,
        settings in settings(),
    ) {
        let endpoints = u64::try_from(weathers.len()).unwrap();
        let mut sim = Sim::new(settings, weathers.iter().map(|weather| vec![(0, *weather)]).collect());
        sim.run(12 * HOUR, Some(traffic));
        let most = openings(&settings, 12 * HOUR);
        // Away from each when it opens, back to each when it closes, and to the least bad now and then.
        prop_assert!(u64::try_from(sim.switches.len()).unwrap() <= 3 * endpoints * most);
    }

    /// A sick endpoint isn't hammered: probes keep their distance.
    #[test]
    fn probes_keep_their_distance(forecasts in proptest::collection::vec(forecast(), 1..4), traffic in traffic()) {
        let mut sim = Sim::new(Settings::default(), forecasts);
        sim.run(6 * HOUR, traffic);
        for probes in &sim.probed {
            for pair in probes.windows(2) {
                prop_assert!(pair[1] - pair[0] >= 900, "{pair:?}");
            }
            prop_assert!(probes.len() <= 6 * 3_600);
        }
    }
}

//! Histories at random.

use proptest::prelude::*;

use super::*;

fn manner() -> impl Strategy<Value = Manner> {
    prop_oneof![
        (1..100u64).prop_map(Manner::Good),
        (1..100u64).prop_map(Manner::Deaf),
        (1..100u64, 0..400u64).prop_map(|(ready, beats)| Manner::Stuck(ready, beats)),
        Just(Manner::Mute),
        (1..500u64, any::<bool>()).prop_map(|(opens, ready)| Manner::Opens(opens, ready)),
        (1..100u64, prop_oneof![Just(0), Just(1), Just(2), Just(101)], any::<bool>())
            .prop_map(|(after, status, ready)| Manner::Leaves(after, status, ready)),
    ]
}

fn found() -> impl Strategy<Value = Found> {
    prop_oneof![3 => Just(Found::Configuration), 1 => Just(Found::Nothing), 1 => Just(Found::NoData)]
}

/// Seconds that a version on trial may take more than it has: those in which it opens its store.
fn more(manner: &Manner) -> u64 {
    if matches!(manner, Manner::Opens(..)) { OPEN_WITHIN.as_secs() } else { 0 }
}

/// What happens beside the gateway, and for how many seconds the world then goes on.
fn history() -> impl Strategy<Value = Vec<(Manner, Option<Found>, u64)>> {
    prop::collection::vec((manner(), prop::option::weighted(0.3, found()), 1..200u64), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn without_a_hang_a_committed_machine_is_never_starved_nor_started_anew(history in history()) {
        let mut world = World::new(Manner::Good(1), None);
        world.event(Event::Found(Found::Configuration));
        for (manner, found, seconds) in history {
            // Whoever runs behaves as it began to; the next one is another.
            world.manner = match manner {
                Manner::Deaf(_) | Manner::Stuck(..) | Manner::Mute => Manner::Good(7),
                Manner::Good(_) | Manner::Leaves(..) | Manner::Opens(..) => manner,
            };
            if let Some(found) = found {
                world.event(Event::Found(found));
            }
            // Each of them in its own life, so that no beat is lost by a change of manners.
            world.event(Event::Found(Found::Configuration));
            world.run(seconds);
        }
        prop_assert_eq!((world.kills.len(), world.starved, world.gone), (0, None, None));
    }

    #[test]
    fn on_trial_every_history_without_a_commit_ends_in_giving_up_in_time(
        history in history(),
        within in 60..400u64,
        stubborn in any::<bool>(),
        immortal in any::<bool>(),
    ) {
        let mut world = World::new(Manner::Good(1), Some(within));
        (world.stubborn, world.immortal) = (stubborn, immortal);
        let within_all = within + history.iter().map(|(manner, ..)| more(manner)).max().unwrap_or(0);
        for (manner, found, seconds) in history {
            world.manner = manner;
            if let Some(found) = found {
                world.event(Event::Found(found));
            }
            world.run(seconds);
        }
        world.run(within_all + 60);
        prop_assert!(world.gone.is_some());
        // A machine that went down for a hang just before has spent an attempt; going takes a while.
        let by = within_all + (STOP_WITHIN + GONE_WITHIN).as_secs() + 1;
        let rebooted_before = world.gone.is_some_and(|(_, at)| at <= by) && world.given_up.is_none();
        prop_assert!(world.given_up.is_some_and(|at| at <= within_all) || rebooted_before, "{:?}", world.given_up);
    }

    #[test]
    fn on_trial_a_reboot_for_a_hang_comes_only_after_it_would_be_given_up_by_default(manner in manner()) {
        let mut world = World::configured(manner, Some(COMMIT_WITHIN.as_secs()));
        world.run(COMMIT_WITHIN.as_secs() + more(&manner) + 60);
        prop_assert!(world.given_up.is_some(), "an attempt would be spent on a version that can't be good");
    }

    #[test]
    fn whatever_hangs_is_killed_within_a_minute_of_its_last_beat(ready in 1..100u64, beats in 0..400u64) {
        let mut world = World::configured(Manner::Stuck(ready, beats), None);
        world.run(ready + beats + 61);
        let last = ready + beats / 20 * 20;
        prop_assert_eq!(world.kills.first(), Some(&(last + BEAT_WITHIN.as_secs())));
    }
}

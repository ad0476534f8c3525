//! A standby against a peer that comes and goes, and against people.

use std::time::Duration;

use proptest::prelude::*;
use wagate_policy::Moment;
use wagate_policy::standby::{MISSES, RETRY, Settings, Standby, State};

fn at(ms: u64) -> Moment {
    Moment::after_start(Duration::from_millis(ms))
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap()
}

fn settings() -> impl Strategy<Value = Settings> {
    (1_000..120_000_u64, 2..30_u64, any::<bool>()).prop_map(|(every, times, odd)| Settings {
        every: Duration::from_millis(every),
        silent_for: Duration::from_millis(every * times + u64::from(odd) * every / 2),
        take: true,
    })
}

/// What a person, or Meta, does at a question.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Nothing,
    GiveBack,
    Take,
    /// Meta confirms none of the takings over from here on, or all of them again.
    Meta(bool),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        20 => Just(Deed::Nothing),
        1 => Just(Deed::GiveBack),
        1 => Just(Deed::Take),
        2 => any::<bool>().prop_map(Deed::Meta),
    ]
}

/// Runs of answers and of misses.
fn peer() -> impl Strategy<Value = Vec<bool>> {
    let run = prop_oneof![(1..4_usize, any::<bool>()), (1..60_usize, any::<bool>())];
    proptest::collection::vec(run, 1..20)
        .prop_map(|runs| runs.into_iter().flat_map(|(long, answers)| vec![answers; long]).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// Whatever peer, people and Meta do: it takes over in no silence that is shorter than `silent_for` or of fewer
    /// than three misses, only of a peer that was heard, and confirmed once in each silence.
    #[test]
    fn it_takes_over_only_in_a_silence_and_once(
        settings in settings(),
        peer in peer(),
        deeds in proptest::collection::vec(deed(), 1..200),
        known: bool,
    ) {
        let mut standby = Standby::new(settings, known, false, Moment::START);
        let (mut now, mut heard, mut misses, mut ever) = (0, 0, 0, known);
        let (mut holds, mut meta, mut confirmed_in_this_silence) = (false, true, false);
        let mut given_back_unheard = false;
        for (answers, deed) in peer.into_iter().zip(deeds.into_iter().cycle()) {
            now += ms(standby.ask_every());
            match deed {
                Deed::Nothing => {}
                Deed::Meta(up) => meta = up,
                Deed::Take => {
                    holds = true;
                    standby.holds(true, true);
                }
                Deed::GiveBack if holds => {
                    holds = false;
                    given_back_unheard = true;
                    standby.holds(false, false);
                }
                Deed::GiveBack => {}
            }
            standby.probed(answers, at(now));
            if answers {
                (heard, misses, ever) = (now, 0, true);
                (confirmed_in_this_silence, given_back_unheard) = (false, false);
            } else {
                misses += 1;
            }
            let due = standby.is_due(at(now));
            if due {
                prop_assert!(now - heard >= ms(settings.silent_for) && misses >= MISSES && ever);
                prop_assert!(!holds && !confirmed_in_this_silence && !given_back_unheard);
                if meta {
                    holds = true;
                    confirmed_in_this_silence = true;
                    standby.holds(true, true);
                }
            }
            prop_assert!(!standby.is_due(at(now)), "asked twice it answers once");
            prop_assert_eq!(standby.state(at(now)) == State::Taken, holds, "it never gives back by itself");
        }
    }

    /// A peer that was heard and falls silent is taken over within `silent_for` and two questions of the beginning
    /// of its silence, whatever was before.
    #[test]
    fn a_silence_is_noticed_in_time(settings in settings(), before in peer(), late in 0..1_000_u64) {
        let mut standby = Standby::new(settings, false, false, Moment::START);
        let mut now = 0;
        for answers in before {
            now += ms(settings.every);
            standby.probed(answers, at(now));
            if standby.is_due(at(now)) {
                standby.holds(true, true);
                standby.holds(false, false);
            }
        }
        now += ms(settings.every);
        standby.probed(true, at(now));
        // It falls silent at any time before it is asked again.
        let silent_from = now + ms(settings.every) * late / 1_000;
        let mut due_at = None;
        while due_at.is_none() {
            now += ms(standby.ask_every());
            prop_assert!(now <= silent_from + ms(settings.silent_for) + 2 * ms(settings.every));
            standby.probed(false, at(now));
            due_at = standby.is_due(at(now)).then_some(now);
        }
    }

    /// One that comes and goes, and is never away for long, is left alone.
    #[test]
    fn a_peer_that_flaps_is_left_alone(
        settings in settings(),
        flaps in proptest::collection::vec((1..40_u32, 0..1_000_u64), 1..50),
    ) {
        let mut standby = Standby::new(settings, true, false, Moment::START);
        let (mut now, every, longest) = (0, ms(settings.every), ms(settings.silent_for));
        for (misses, part) in flaps {
            let from = now;
            for _ in 0..misses {
                if now + every >= from + longest {
                    break;
                }
                now += every;
                standby.probed(false, at(now));
                prop_assert!(!standby.is_due(at(now)));
            }
            now = (now + 1 + every * part / 1_000).min(from + longest - 1).max(now);
            standby.probed(true, at(now));
            prop_assert_eq!(standby.state(at(now)), State::Watching);
        }
    }
}

const SETTINGS: Settings =
    Settings { every: Duration::from_secs(10), silent_for: Duration::from_secs(60), take: true };

/// Misses every 10 s up to a time in seconds; gives the seconds at which it was due.
fn misses(standby: &mut Standby, from: u64, to: u64) -> Vec<u64> {
    let mut due = Vec::new();
    for s in (from..=to).step_by(10) {
        standby.probed(false, at(s * 1_000));
        if standby.is_due(at(s * 1_000)) {
            due.push(s);
        }
    }
    due
}

#[test]
fn what_meta_did_not_confirm_is_tried_again_until_it_is_or_the_peer_is_heard() {
    let mut standby = Standby::new(SETTINGS, true, false, Moment::START);
    assert_eq!(misses(&mut standby, 10, 150), [60, 90, 120, 150]);
    assert_eq!(RETRY, Duration::from_secs(30));
    standby.probed(true, at(160_000));
    assert_eq!(misses(&mut standby, 170, 210), [] as [u64; 0], "it was this box that was offline");
    assert_eq!(misses(&mut standby, 220, 260), [220, 250]);
    standby.holds(true, true);
    assert_eq!(misses(&mut standby, 270, 600), [] as [u64; 0]);
    assert_eq!(standby.silent_since(at(600_000)), Some(at(160_000)), "it is still told");
}

#[test]
fn numbers_that_are_left_over_are_tried_again() {
    let mut standby = Standby::new(SETTINGS, true, false, Moment::START);
    assert_eq!(misses(&mut standby, 10, 60), [60]);
    // One of two numbers.
    standby.holds(true, false);
    assert_eq!(misses(&mut standby, 70, 120), [90, 120]);
    standby.holds(true, true);
    assert_eq!(misses(&mut standby, 130, 300), [] as [u64; 0]);
}

#[test]
fn what_a_person_gives_back_stays_so_until_the_peer_was_heard() {
    // Also over a restart in between.
    let mut standby = Standby::new(SETTINGS, true, true, Moment::START);
    assert_eq!(misses(&mut standby, 10, 200), [] as [u64; 0]);
    standby.holds(false, false);
    assert_eq!(misses(&mut standby, 210, 400), [] as [u64; 0]);
    assert_eq!(standby.state(at(400_000)), State::Silent { since: Moment::START });
    standby.probed(true, at(410_000));
    assert_eq!(misses(&mut standby, 420, 470), [470]);
}

#[test]
fn a_peer_that_nobody_ever_heard_and_one_that_is_only_watched_are_not_taken_over() {
    let mut unknown = Standby::new(SETTINGS, false, false, Moment::START);
    assert_eq!(misses(&mut unknown, 10, 400), [] as [u64; 0]);
    assert!(matches!(unknown.state(at(400_000)), State::Silent { .. }) && !unknown.is_known());
    let settings = Settings { take: false, ..SETTINGS };
    let mut watched = Standby::new(settings, true, false, Moment::START);
    assert_eq!(misses(&mut watched, 10, 400), [] as [u64; 0]);
    assert_eq!(watched.state(at(400_000)).word(), "silent");
}

#[test]
fn a_box_that_slept_does_not_take_its_own_pause_for_silence() {
    let mut standby = Standby::new(SETTINGS, true, false, Moment::START);
    standby.probed(true, at(10_000));
    // An hour in which nobody was asked.
    assert_eq!(misses(&mut standby, 3_600, 3_610), [] as [u64; 0]);
    standby.probed(true, at(3_615_000));
    assert_eq!(standby.state(at(3_615_000)), State::Watching);
}

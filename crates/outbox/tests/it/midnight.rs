//! Calls that post no message, on their way when a day ends: WhatsApp may count them for either.

use wagate_outbox::Other;

use crate::history::{Op, What};
use crate::random::history;
use crate::script::{HOUR, SECOND, Script, settings, template};
use crate::world::{NUMBERS, World};

const OTHERS: [Other; 3] = [Other::Probe, Other::Errand, Other::Look];

fn take(script: &mut Script, other: Other) {
    script.turn(|turn| turn.take_call("1", other).unwrap().unwrap());
}

fn end(script: &mut Script, other: Other, unsent: bool) {
    script.turn(|turn| turn.end_call("1", other, unsent).unwrap());
    script.pass(SECOND);
}

fn calls_used(script: &mut Script) -> u64 {
    script.turn(|turn| turn.quotas().unwrap())[1].used
}

/// Half a second before midnight. Of the calls of a day 103 are for messages.
fn script() -> Script {
    let mut script = Script::new(settings(|number| number.calls_per_day = 104));
    script.now += 6 * HOUR - 2 * SECOND - 500;
    script
}

#[test]
fn a_call_over_midnight_keeps_its_place_in_the_new_day() {
    for other in OTHERS {
        for unsent in [false, true] {
            let mut script = script();
            take(&mut script, other);
            script.now += SECOND;
            for contact in 1..=110 {
                script.queue(template(contact));
            }
            assert_eq!(script.drain().len(), 102, "it may be the last of today");
            end(&mut script, other, unsent);
            assert_eq!(script.drain().len(), usize::from(unsent), "{other:?} {unsent}");
            assert_eq!(calls_used(&mut script), 103);
        }
    }
}

#[test]
fn whichever_of_two_ends_first_the_new_day_is_charged_the_same() {
    for other in OTHERS {
        // Of yesterday's and today's; what is unsent gives back no more than surely was today's.
        for (first, second, used) in [(false, false, 2), (true, false, 1), (false, true, 1), (true, true, 0)]
        {
            let mut script = script();
            take(&mut script, other);
            script.now += SECOND;
            take(&mut script, other);
            end(&mut script, other, first);
            end(&mut script, other, second);
            assert_eq!(calls_used(&mut script), used, "{other:?} {first} {second}");
        }
    }
}

/// More calls than the day has, around a midnight that a probe or an errand is on its way over.
#[test]
fn the_limit_of_calls_holds_in_the_simulated_world() {
    for seed in 1..=12 {
        let mut world = World::new(seed);
        let now = world.now();
        let left = world.outbox.settings().numbers[NUMBERS[0]].zone.ends_at(now) - now;
        let mark = |contact| Op::Enqueue {
            number: 0,
            contact,
            priority: 0,
            kind: What::Mark,
            expires: None,
            parts: 1,
        };
        for (is_probe, unsent) in [(true, false), (false, false), (true, true), (false, true)] {
            let mut ops = vec![Op::Pass { ms: left - 500 }, Op::Probe { number: 0, unsent: is_probe }];
            ops.push(Op::Pass { ms: SECOND });
            for contact in 0..70 {
                ops.extend([mark(contact), Op::Pass { ms: 2 * SECOND }]);
            }
            ops.push(Op::Probe { number: 0, unsent });
            for contact in 70..80 {
                ops.extend([mark(contact), Op::Pass { ms: 2 * SECOND }]);
            }
            assert_eq!(history(seed, &ops), Ok(()), "seed {seed}, {is_probe}, {unsent}");
        }
    }
}

//! What happens when: sending, and the CRM being unplugged now and then.

use std::time::Duration;

/// Something that the demo does at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// The CRM goes away, for so long.
    Unplug(Duration),
    /// And is back.
    PlugIn,
    /// The simulated WhatsApp sends nothing new any more.
    StopSending,
}

/// When the CRM is unplugged for the first time, and how often after that.
const FIRST_OUTAGE: Duration = Duration::from_secs(8);
const OUTAGE_EVERY: Duration = Duration::from_secs(40);
const OUTAGE: Duration = Duration::from_secs(5);
/// Before the end customers fall silent: a reply takes so long from their message until it is read.
const LAST_WORDS: Duration = Duration::from_millis(2_500);
/// A shorter run has no outage: there would be nothing else to see.
const SHORTEST_WITH_OUTAGE: Duration = Duration::from_secs(10);

/// The acts by the time since the start, in order; for ever where `run_for` is `None`.
pub(super) fn script(run_for: Option<Duration>) -> Box<dyn Iterator<Item = (Duration, Act)> + Send> {
    let outages = |first: Duration, lasts: Duration| {
        (0_u32..).flat_map(move |number| {
            let at = first + OUTAGE_EVERY.saturating_mul(number);
            [(at, Act::Unplug(lasts)), (at.saturating_add(lasts), Act::PlugIn)]
        })
    };
    let Some(run_for) = run_for else { return Box::new(outages(FIRST_OUTAGE, OUTAGE)) };
    // What was sent last has to be answered, and the answer read, before the time is over.
    let last = run_for - (run_for / 3).min(LAST_WORDS);
    let end = [(last, Act::StopSending)];
    if run_for < SHORTEST_WITH_OUTAGE {
        return Box::new(end.into_iter());
    }
    let (first, lasts) = (FIRST_OUTAGE.min(run_for * 3 / 10), OUTAGE.min(run_for / 5));
    // The gateway tries again after at most so long a time as the outage lasted, so the backlog
    // drains before the end.
    let whole = move |at: Duration| at + 2 * lasts <= last;
    let fitting = outages(first, lasts).step_by(2).map(|(at, _)| at).take_while(move |at| whole(*at));
    let acts = fitting.flat_map(move |at| [(at, Act::Unplug(lasts)), (at + lasts, Act::PlugIn)]);
    Box::new(acts.chain(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn a_short_run_only_ends() {
        assert_eq!(script(Some(3 * S)).collect::<Vec<_>>(), [(2 * S, Act::StopSending)]);
        assert_eq!(script(Some(Duration::ZERO)).collect::<Vec<_>>(), [(Duration::ZERO, Act::StopSending)]);
    }

    #[test]
    fn every_longer_run_has_an_outage_that_ends_well_before_it() {
        for seconds in 10..300 {
            let acts: Vec<_> = script(Some(seconds * S)).collect();
            assert!(acts.is_sorted_by_key(|(at, _)| *at), "{acts:?}");
            assert!(acts.len() >= 3 && acts.len() % 2 == 1, "{acts:?}");
            let (end, act) = acts[acts.len() - 1];
            assert_eq!((end, act), (seconds * S - LAST_WORDS, Act::StopSending));
            for outage in acts[..acts.len() - 1].chunks(2) {
                let [(from, Act::Unplug(lasts)), (to, Act::PlugIn)] = *outage else { panic!("{acts:?}") };
                assert!(from + lasts == to && to + lasts <= end, "{acts:?}");
            }
        }
    }

    #[test]
    fn without_an_end_outages_go_on() {
        let acts: Vec<_> = script(None).take(4).collect();
        let lasts = Act::Unplug(5 * S);
        assert_eq!(acts, [(8 * S, lasts), (13 * S, Act::PlugIn), (48 * S, lasts), (53 * S, Act::PlugIn)]);
    }
}

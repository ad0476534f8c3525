//! The one `now` of the way out, which never goes back.
//!
//! The box has no battery behind its clock, and time is hostile: a clock that jumps must free no unit and open
//! no window (contract, section 7, promise 9). So `now` is not what the wall clock says, but what may be
//! believed of it. The rules:
//!
//! 1. **A start.** Without a last known time the wall clock is taken. Else `now` is the later of the two,
//!    unless the wall clock is further ahead than a box is usually off; then it goes on from the last
//!    known time.
//! 2. **While it runs**, `now` goes on by the monotonic clock. The wall clock is *plausible* when it is where
//!    that leads, up to [`STEP_MS`] behind, or ahead by what it has credit for. Credit starts full at
//!    [`STEP_MS`], is spent by following a wall clock ahead, and comes back at 1 % of the time that
//!    passes: small corrections are followed, and all of them together never gain more than a minute and 1 %.
//! 3. A plausible wall clock is followed **forwards**. One that is a little behind is waited for: `now` goes on at half
//!    speed until they meet. One that isn't plausible is left alone: `now` goes on by the monotonic
//!    clock alone, untrusted, until the wall clock is plausible again or rule 5 helps it.
//! 4. **A time that Meta signed is a floor**: what has happened lies in the past. One that is more than
//!    [`FLOOR_MS`] ahead of all that is known isn't believed (signed are the bytes, not the sense of a field),
//!    unless the box has no idea of the time ([`BEGINNING_MS`]); none is believed past [`LATEST_MS`].
//! 5. A wall clock within [`CONFIRMS_MS`] of such a time is **confirmed**: `now` jumps to it if that is
//!    forwards. If it is backwards by up to [`LEAD_MS`], `now` waits for it at half speed. Further back
//!    there is no way: `now` stays ahead, untrusted.
//! 6. **Time servers** (SNTP) sign nothing, so their word weighs no more than that of a wall clock at a start: one that they
//!    say is right confirms it as in 5, unless it contradicts rule 4, but `now` gains by it only what is left of what
//!    the start would have believed, once a run. A box that had no last known time believes them until somebody
//!    has confirmed its clock: nothing was used up that a jump could free.

/// The largest step of the wall clock that is followed without anybody's word: what NTP corrects after
/// a start, generously.
pub const STEP_MS: i64 = 60_000;
/// How near a wall clock has to be to a signed time: webhooks come within seconds, and a first retry of Meta's
/// within minutes.
pub const CONFIRMS_MS: i64 = 10 * 60_000;
/// How far `now` may be ahead of a confirmed wall clock and still be waited with.
pub const LEAD_MS: i64 = 24 * 3_600_000;
/// How far a signed time moves `now` at once: a box that lay on a shelf for a year.
pub const FLOOR_MS: i64 = 400 * 24 * 3_600_000;
/// How far ahead of the last known time a wall clock is believed at a start, if nobody says otherwise.
pub const BELIEVED_AHEAD_MS: i64 = 7 * 24 * 3_600_000;
/// 2025-01-01T00:00:00Z. This program is younger: a clock that says less was never set.
pub const BEGINNING_MS: i64 = 1_735_689_600_000;
/// 2100-01-01T00:00:00Z: no clock and no field is believed beyond.
pub const LATEST_MS: i64 = 4_102_444_800_000;

/// Credit is counted in hundredths of a millisecond, so that 1 % of a millisecond isn't lost.
const CREDIT_MAX: i64 = STEP_MS * 100;

/// Both clocks, read in the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Milliseconds since 1970, as the machine has them.
    pub wall_ms: i64,
    /// Milliseconds since the process started.
    pub mono_ms: u64,
}

/// See the top of this file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock {
    now_ms: i64,
    mono_ms: u64,
    /// What may yet be gained over the monotonic clock, in hundredths of a millisecond.
    credit: i64,
    /// By how much `now` was ahead of the wall clock when that was confirmed; only ever shrinks.
    lead_ms: i64,
    trusted: bool,
    /// What time servers may still make `now` gain; `None` while all that they say may be believed.
    gain_left_ms: Option<i64>,
    /// The newest time that is proved, and the monotonic clock then.
    proved: Option<(i64, u64)>,
}

impl Clock {
    /// Starts from the last `now` of the run before, as it was written down, and both clocks.
    ///
    /// `believed_ahead_ms` is how far ahead of that the wall clock may be: [`BELIEVED_AHEAD_MS`].
    #[must_use]
    pub fn start(last_known_ms: Option<i64>, reading: Reading, believed_ahead_ms: i64) -> Self {
        let wall_ms = reading.wall_ms.clamp(0, LATEST_MS);
        let now_ms = match last_known_ms.map(|known| known.clamp(0, LATEST_MS)) {
            None => wall_ms,
            Some(known) if wall_ms.saturating_sub(known) <= believed_ahead_ms => wall_ms.max(known),
            Some(known) => known,
        };
        let gain_left_ms = last_known_ms
            .map(|known| believed_ahead_ms.saturating_sub(now_ms.saturating_sub(known.clamp(0, LATEST_MS))));
        let mut clock = Self {
            now_ms,
            mono_ms: reading.mono_ms,
            credit: CREDIT_MAX,
            lead_ms: 0,
            trusted: false,
            gain_left_ms,
            proved: None,
        };
        clock.now_ms(reading);
        clock
    }

    /// Now, in milliseconds since 1970: never less than the last time.
    pub fn now_ms(&mut self, reading: Reading) -> i64 {
        let elapsed = reading.mono_ms.saturating_sub(self.mono_ms);
        // The halves of all steps add up to half of the whole, however small the steps are.
        let half = reading.mono_ms.max(self.mono_ms) / 2 - self.mono_ms / 2;
        let [elapsed, half] = [elapsed, half].map(|ms| i64::try_from(ms).unwrap_or(i64::MAX));
        self.mono_ms = reading.mono_ms.max(self.mono_ms);
        self.credit = self.credit.saturating_add(elapsed);

        let expected = self.now_ms.saturating_add(elapsed);
        let ahead = reading.wall_ms.saturating_sub(expected);
        if self.is_plausible(ahead) {
            self.now_ms = reading.wall_ms.max(expected.saturating_sub(half)).max(self.now_ms);
            self.credit -= ahead.max(0).saturating_mul(100);
            self.lead_ms = self.lead_ms.min(self.now_ms.saturating_sub(reading.wall_ms).max(0));
            self.trusted = reading.wall_ms >= BEGINNING_MS;
        } else {
            self.now_ms = expected;
            self.trusted = false;
        }
        self.credit = self.credit.min(CREDIT_MAX);
        self.now_ms
    }

    /// Takes in the newest time that Meta has signed: `now` is at least that.
    ///
    /// To be called for each new one: it is also what brings trust back to a wall clock that jumped.
    pub fn heard(&mut self, signed_ms: i64, reading: Reading) {
        let known = self.now_ms(reading);
        let absurd =
            signed_ms > LATEST_MS || known >= BEGINNING_MS && signed_ms.saturating_sub(known) > FLOOR_MS;
        if absurd {
            return;
        }
        self.now_ms = known.max(signed_ms);
        if self.proved_ms(reading).is_none_or(|proved| proved < signed_ms) {
            self.proved = Some((signed_ms, reading.mono_ms));
        }
        let confirmed = is_near(signed_ms, reading);
        if confirmed {
            self.gain_left_ms.get_or_insert(0);
            self.now_ms = self.now_ms.max(reading.wall_ms);
            let lead = self.now_ms.saturating_sub(reading.wall_ms);
            if lead <= LEAD_MS {
                (self.lead_ms, self.credit) = (lead, CREDIT_MAX);
            }
        }
        self.judge(reading);
    }

    /// Takes in that time servers say `told_ms`. Nobody has signed that: see rule 6.
    pub fn agreed(&mut self, told_ms: i64, reading: Reading) {
        let known = self.now_ms(reading);
        let contradicted =
            self.proved_ms(reading).is_some_and(|proved| told_ms < proved.saturating_sub(CONFIRMS_MS));
        if contradicted || !is_near(told_ms, reading) {
            return;
        }
        let gain = reading.wall_ms.saturating_sub(known).max(0);
        if known >= BEGINNING_MS && self.gain_left_ms.is_some_and(|left| gain > left) {
            return;
        }
        self.gain_left_ms = Some(self.gain_left_ms.map_or(0, |left| left.saturating_sub(gain).max(0)));
        self.now_ms = known.max(reading.wall_ms);
        let lead = self.now_ms.saturating_sub(reading.wall_ms);
        if lead <= LEAD_MS {
            // The credit isn't theirs to give: corrections would add up to more than a start believes.
            self.lead_ms = lead;
        }
        self.judge(reading);
    }

    /// The newest time since the start that Meta has signed or an endpoint's certificate stands for, gone on by the
    /// monotonic clock: now is no earlier. `None` where nobody has said anything yet.
    #[must_use]
    pub fn proved_ms(&self, reading: Reading) -> Option<i64> {
        let (proved_ms, mono_ms) = self.proved?;
        let passed = i64::try_from(reading.mono_ms.saturating_sub(mono_ms)).unwrap_or(i64::MAX);
        Some(proved_ms.saturating_add(passed))
    }

    fn judge(&mut self, reading: Reading) {
        self.trusted =
            self.is_plausible(reading.wall_ms.saturating_sub(self.now_ms)) && reading.wall_ms >= BEGINNING_MS;
    }

    /// Whether `now` is what the wall clock says, up to what corrections need.
    ///
    /// False is no reason to stop sending; it is one to tell people that the box's clock is wrong.
    #[must_use]
    pub const fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// Whether a wall clock that is ahead by `ahead` (behind: less than 0) of where it should be can be right.
    fn is_plausible(&self, ahead: i64) -> bool {
        ahead >= -(self.lead_ms + STEP_MS) && ahead.saturating_mul(100) <= self.credit
    }
}

/// Whether the wall clock says about the same as somebody who knows.
const fn is_near(told_ms: i64, reading: Reading) -> bool {
    reading.wall_ms >= BEGINNING_MS
        && reading.wall_ms <= LATEST_MS
        && told_ms.saturating_sub(reading.wall_ms).saturating_abs() <= CONFIRMS_MS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-20T00:00:00Z.
    const T: i64 = 1_795_132_800_000;
    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;

    fn at(wall_ms: i64, mono_ms: i64) -> Reading {
        Reading { wall_ms, mono_ms: u64::try_from(mono_ms).unwrap() }
    }

    fn started(last_known: Option<i64>, wall: i64) -> Clock {
        Clock::start(last_known, at(wall, 0), BELIEVED_AHEAD_MS)
    }

    #[test]
    fn a_start_believes_a_wall_clock_that_can_be_right() {
        for (last_known, wall, now, trusted) in [
            (None, T, T, true),
            (None, 5_000, 5_000, false),
            (None, i64::MAX, LATEST_MS, false),
            (Some(T), T + 7 * DAY, T + 7 * DAY, true),
            (Some(T), T + 7 * DAY + 1, T, false),
            (Some(T), T - 30_000, T, true),
            (Some(T), T - HOUR, T, false),
            (Some(T), 0, T, false),
        ] {
            let mut clock = started(last_known, wall);
            assert_eq!(clock.now_ms(at(wall, 0)), now, "{last_known:?} {wall}");
            assert_eq!(clock.is_trusted(), trusted, "{last_known:?} {wall}");
        }
    }

    #[test]
    fn a_jump_ahead_waits_for_a_signed_time() {
        let mut clock = started(None, T);
        assert_eq!(clock.now_ms(at(T + 30 * DAY, 1_000)), T + 1_000);
        assert!(!clock.is_trusted());
        // An event of the old days doesn't speak for the new ones.
        clock.heard(T + 1_500, at(T + 30 * DAY + 1_000, 2_000));
        assert_eq!(clock.now_ms(at(T + 30 * DAY + 1_000, 2_000)), T + 2_000);
        clock.heard(T + 30 * DAY - 60_000, at(T + 30 * DAY + 2_000, 3_000));
        assert_eq!(clock.now_ms(at(T + 30 * DAY + 2_000, 3_000)), T + 30 * DAY + 2_000);
        assert!(clock.is_trusted());
    }

    #[test]
    fn a_jump_back_goes_on_by_the_monotonic_clock_until_the_wall_clock_is_back() {
        let mut clock = started(None, T);
        assert_eq!(clock.now_ms(at(T - DAY, HOUR)), T + HOUR);
        assert!(!clock.is_trusted());
        assert_eq!(clock.now_ms(at(T - DAY + HOUR, 2 * HOUR)), T + 2 * HOUR);
        assert_eq!(clock.now_ms(at(T + 3 * HOUR, 3 * HOUR)), T + 3 * HOUR);
        assert!(clock.is_trusted());
    }

    #[test]
    fn a_wall_clock_a_little_behind_is_waited_for_at_half_speed() {
        let mut clock = started(None, T);
        // Read a thousand times a second: no half is lost.
        for ms in 1..=50_000 {
            clock.now_ms(at(T - 20_000 + ms, ms));
            assert!(clock.is_trusted());
            if ms == 20_000 {
                assert_eq!(clock.now_ms(at(T, ms)), T + 10_000);
            }
        }
        assert_eq!(clock.now_ms(at(T + 30_000, 50_000)), T + 30_000);
    }

    #[test]
    fn a_now_that_ran_ahead_comes_back_together_with_a_confirmed_wall_clock() {
        let mut clock = started(None, T);
        // The wall clock is 5 minutes late, as Meta's webhook shows.
        clock.heard(T + 300_000, at(T, 0));
        assert!(clock.is_trusted());
        for minute in 1..=20 {
            clock.now_ms(at(T + minute * 60_000, minute * 60_000));
            assert!(clock.is_trusted(), "{minute}");
        }
        assert_eq!(clock.now_ms(at(T + 20 * 60_000, 20 * 60_000)), T + 20 * 60_000);
    }

    #[test]
    fn a_box_without_an_idea_of_the_time_takes_it_from_meta() {
        let mut clock = started(None, 0);
        clock.heard(T, at(1_000, 1_000));
        assert_eq!(clock.now_ms(at(2_000, 2_000)), T + 1_000);
        assert!(!clock.is_trusted(), "its own clock is still in 1970");
        clock.heard(T + 4_000, at(T + 5_000, 5_000));
        assert!(clock.is_trusted());
    }

    #[test]
    fn time_servers_give_a_new_box_its_time_and_an_old_one_a_week_once() {
        let told = |last_known: Option<i64>, wall: i64, ahead: &[i64]| {
            let mut clock = started(last_known, wall);
            let mut wall = wall;
            for ahead in ahead {
                wall += ahead;
                clock.agreed(wall, at(wall, 0));
            }
            (clock.now_ms(at(wall, 0)) - last_known.unwrap_or(T), clock.is_trusted())
        };
        // Flashed a year after it was built, and never set: whatever they say, but only once.
        assert_eq!(told(None, T, &[365 * DAY]), (365 * DAY, true));
        assert_eq!(told(None, T, &[365 * DAY, DAY]), (365 * DAY, false));
        assert_eq!(told(None, 0, &[T]), (0, true));
        // Off for so long, without a battery: the wall clock is the last known time.
        assert_eq!(told(Some(T), T, &[7 * DAY]), (7 * DAY, true));
        assert_eq!(told(Some(T), T, &[7 * DAY + 1]), (0, false));
        assert_eq!(told(Some(T), T, &[4 * DAY, 4 * DAY]), (4 * DAY, false));
        // What the start has believed already isn't believed once more.
        assert_eq!(told(Some(T), T + 5 * DAY, &[2 * DAY]), (7 * DAY, true));
        assert_eq!(told(Some(T), T + 5 * DAY, &[3 * DAY]), (5 * DAY, false));
        // Back by less than a day it is waited for.
        assert_eq!(told(Some(T), T, &[-23 * HOUR]), (0, true));
        assert_eq!(told(Some(T), T, &[-25 * HOUR]), (0, false));
    }

    #[test]
    fn time_servers_do_not_stand_against_what_is_proved() {
        let mut clock = started(Some(T), T);
        clock.heard(T + HOUR, at(T, 0));
        assert_eq!(clock.proved_ms(at(T, 60_000)), Some(T + HOUR + 60_000));
        clock.agreed(T, at(T, 0));
        assert!(!clock.is_trusted(), "they are an hour late");
        clock.agreed(T + HOUR, at(T + HOUR, 0));
        assert!(clock.is_trusted());
        assert_eq!(clock.now_ms(at(T + HOUR, 0)), T + HOUR);
        // A word about another time than the wall clock's is none about the wall clock.
        let mut clock = started(Some(T), T + 30 * DAY);
        clock.agreed(T, at(T + 30 * DAY, 0));
        assert!(!clock.is_trusted());
    }

    #[test]
    fn an_absurd_signed_time_moves_nothing() {
        for signed in [i64::MAX, LATEST_MS + 1, T + FLOOR_MS + 1, i64::MIN, 0] {
            let mut clock = started(None, T);
            clock.heard(signed, at(T, 0));
            assert_eq!(clock.now_ms(at(T, 0)), T, "{signed}");
            let mut unset = started(None, 0);
            unset.heard(signed, at(0, 0));
            assert!(unset.now_ms(at(0, 0)) <= LATEST_MS, "{signed}");
        }
    }

    #[test]
    fn many_small_steps_gain_no_more_than_one_large_one() {
        let mut clock = started(None, T);
        let mut wall = T;
        for second in 1..=3_600 {
            wall += 1_000 + 500;
            clock.now_ms(at(wall, second * 1_000));
        }
        let gained = clock.now_ms(at(wall, HOUR)) - (T + HOUR);
        assert!(gained <= STEP_MS + HOUR / 100, "{gained}");
    }

    #[test]
    fn a_wall_clock_that_stands_still_is_soon_left_behind() {
        let mut clock = started(None, T);
        let mut waited = 0;
        for second in 1..=3_600 {
            clock.now_ms(at(T, second * 1_000));
            waited += i64::from(clock.is_trusted());
        }
        // Half a second is lost in each second of trust, up to the step that is believed.
        assert!((60..=121).contains(&waited), "{waited}");
        assert!(clock.now_ms(at(T, HOUR)) >= T + HOUR - STEP_MS - 1_000);
    }

    #[test]
    fn what_was_written_down_wrongly_is_not_taken_on() {
        for known in [i64::MIN, i64::MAX] {
            let mut clock = Clock::start(Some(known), at(T, 0), BELIEVED_AHEAD_MS);
            let first = clock.now_ms(at(T, 0));
            assert!((0..=LATEST_MS).contains(&first), "{known}");
            for wall in [i64::MIN, 0, i64::MAX] {
                assert!(clock.now_ms(Reading { wall_ms: wall, mono_ms: u64::MAX }) >= first);
            }
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Pass { ms: i64 },
        Jump { ms: i64 },
        Set { wall: i64 },
        Heard { off: i64 },
        Agreed { off: i64 },
        MonoBack,
    }

    fn step() -> impl Strategy<Value = Step> {
        let span = prop_oneof![-100..100_i64, -100_000..100_000_i64, -1_000 * DAY..1_000 * DAY];
        prop_oneof![
            6 => prop_oneof![0..5_i64, 0..100_000_i64, 0..DAY].prop_map(|ms| Step::Pass { ms }),
            3 => span.clone().prop_map(|ms| Step::Jump { ms }),
            1 => prop_oneof![any::<i64>(), Just(0)].prop_map(|wall| Step::Set { wall }),
            2 => span.clone().prop_map(|off| Step::Heard { off }),
            2 => span.prop_map(|off| Step::Agreed { off }),
            1 => Just(Step::MonoBack),
        ]
    }

    proptest! {
        #[test]
        fn now_never_goes_back_and_no_wall_clock_hurries_it(
            known in prop::option::of(0..LATEST_MS),
            wall in prop_oneof![any::<i64>(), T - DAY..T + DAY],
            steps in prop::collection::vec(step(), 1..60),
        ) {
            let (mut wall, mut mono) = (wall, 1_000_000_i64);
            let mut clock = Clock::start(known, at(wall, mono), BELIEVED_AHEAD_MS);
            let mut last = clock.now_ms(at(wall, mono));
            let mut gained = 0;
            // Where nobody's word has moved it since.
            let (mut from, mut from_mono) = (last, mono);
            for step in steps {
                let mut word = false;
                match step {
                    Step::Pass { ms } => {
                        mono += ms;
                        wall = wall.saturating_add(ms);
                    }
                    Step::Jump { ms } => wall = wall.saturating_add(ms),
                    Step::Set { wall: set } => wall = set,
                    Step::Heard { off } => {
                        let before = clock.now_ms(at(wall, mono));
                        let signed = wall.saturating_add(off);
                        clock.heard(signed, at(wall, mono));
                        let after = clock.now_ms(at(wall, mono));
                        prop_assert!(after <= before.max(signed.saturating_add(CONFIRMS_MS)));
                        prop_assert!(after <= LATEST_MS.max(before));
                        prop_assert!(before < BEGINNING_MS || after - before <= FLOOR_MS + CONFIRMS_MS);
                        word = true;
                    }
                    Step::Agreed { off } => {
                        let before = clock.now_ms(at(wall, mono));
                        clock.agreed(wall.saturating_add(off), at(wall, mono));
                        let after = clock.now_ms(at(wall, mono));
                        prop_assert!(after <= before.max(wall.min(LATEST_MS)));
                        gained += if known.is_some() && before >= BEGINNING_MS { after - before } else { 0 };
                        prop_assert!(gained <= BELIEVED_AHEAD_MS, "{}", gained);
                        word = true;
                    }
                    Step::MonoBack => {
                        let earlier = clock.now_ms(at(wall, mono - 500_000));
                        prop_assert!(earlier >= last);
                    }
                }
                let now = clock.now_ms(at(wall, mono));
                prop_assert!(now >= last, "{} after {}", now, last);
                last = now;
                if word {
                    (from, from_mono) = (now, mono);
                }
                let passed = mono - from_mono;
                prop_assert!(now - from <= passed + passed / 100 + STEP_MS + 1);
                if !clock.is_trusted() {
                    continue;
                }
                prop_assert!(now - wall <= LEAD_MS + STEP_MS && now >= wall);
            }
        }

        #[test]
        fn an_honest_clock_is_followed(
            steps in prop::collection::vec((0..3_000_000_i64, -200..200_i64), 1..200),
        ) {
            let mut clock = started(Some(T - 3 * DAY), T);
            let mut mono = 0;
            for (ms, jitter) in steps {
                mono += ms;
                let wall = T + mono + jitter;
                let now = clock.now_ms(at(wall, mono));
                prop_assert!(clock.is_trusted());
                prop_assert!((0..=500).contains(&(now - wall)), "{}", now - wall);
            }
        }
    }
}

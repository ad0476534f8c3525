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
#[path = "clock_tests.rs"]
mod tests;

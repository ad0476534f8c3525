//! Who may set the box up: whoever has read the code beside it. `now` is handed in.

use std::io;
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom as _, SystemRandom};
use subtle::ConstantTimeEq as _;

use crate::supervisor::first_boot::claim;

/// Wrong codes after which one has to wait; nobody mistypes eight letters more often.
const FREE_TRIES: u32 = 5;
/// The wait after each further one, for all together: 10^11 codes take 10^5 years.
pub(super) const WAIT: Duration = Duration::from_secs(30);
/// Browsers that are let in at once; one more takes the place of the one that was quiet the longest.
pub(super) const SESSIONS: usize = 8;
/// A browser that was quiet for so long has to show the code again.
const QUIET: Duration = Duration::from_secs(60 * 60);

/// What came of a code.
#[derive(Debug)]
pub(super) enum Claim {
    /// It's the right one; the session's name.
    Right(String),
    /// It's another.
    Wrong,
    /// It wasn't even looked at: so long is to be waited.
    Wait(Duration),
}

/// A browser that has shown the code.
#[derive(Clone)]
pub(super) struct Session {
    name: String,
    seen: Instant,
    /// Stands in its forms, so that no other page can send them.
    pub(super) form: String,
    /// Secrets that the box makes for this setup.
    pub(super) made: Made,
}

/// Secrets that the box makes itself.
#[derive(Clone)]
pub(super) struct Made {
    /// What the CRM shows to the box.
    pub(super) api_token: String,
    /// What the box signs deliveries with.
    pub(super) crm_secret: String,
    /// A suggestion for what Meta shows in the handshake.
    pub(super) verify_token: String,
}

/// The code, and who has shown it.
pub(super) struct Guard {
    code: String,
    wrong: u32,
    last_wrong: Option<Instant>,
    sessions: Vec<Session>,
}

impl Guard {
    pub(super) fn new(code: &str) -> Self {
        Self { code: claim::typed(code), wrong: 0, last_wrong: None, sessions: Vec::new() }
    }

    /// Judges the code that somebody `typed`.
    ///
    /// # Errors
    /// When the system has no randomness to name a session with.
    pub(super) fn claim(&mut self, typed: &str, now: Instant) -> io::Result<Claim> {
        if self.wrong >= FREE_TRIES
            && let Some(last) = self.last_wrong
            && let Some(left) = WAIT.checked_sub(now.saturating_duration_since(last))
            && !left.is_zero()
        {
            return Ok(Claim::Wait(left));
        }
        let typed = claim::typed(typed);
        if !bool::from(typed.as_bytes().ct_eq(self.code.as_bytes())) {
            self.wrong = self.wrong.saturating_add(1);
            self.last_wrong = Some(now);
            return Ok(Claim::Wrong);
        }
        self.wrong = 0;
        self.sessions.retain(|session| session.is_fresh(now));
        if self.sessions.len() >= SESSIONS
            && let Some(quietest) = (0..SESSIONS).min_by_key(|place| self.sessions[*place].seen)
        {
            self.sessions.remove(quietest);
        }
        let session = Session::new(now)?;
        let name = session.name.clone();
        self.sessions.push(session);
        Ok(Claim::Right(name))
    }

    /// The session of this name, if there is one.
    pub(super) fn session(&mut self, name: &str, now: Instant) -> Option<Session> {
        let same = |session: &&mut Session| bool::from(session.name.as_bytes().ct_eq(name.as_bytes()));
        let session = self.sessions.iter_mut().find(same).filter(|session| session.is_fresh(now))?;
        session.seen = now;
        Some(session.clone())
    }
}

impl Session {
    fn new(now: Instant) -> io::Result<Self> {
        let made = Made {
            api_token: random_hex::<32>()?,
            crm_secret: random_hex::<32>()?,
            verify_token: random_hex::<12>()?,
        };
        Ok(Self { name: random_hex::<32>()?, seen: now, form: random_hex::<32>()?, made })
    }

    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.seen) < QUIET
    }

    /// Whether a form comes from a page that was made for this session.
    pub(super) fn sent(&self, form: &str) -> bool {
        bool::from(self.form.as_bytes().ct_eq(form.as_bytes()))
    }
}

fn random_hex<const BYTES: usize>() -> io::Result<String> {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("the system has no randomness"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "ACDEFGHJ";

    fn right(guard: &mut Guard, now: Instant) -> Option<String> {
        match guard.claim("acde-fghj", now).unwrap() {
            Claim::Right(name) => Some(name),
            Claim::Wrong | Claim::Wait(_) => None,
        }
    }

    #[test]
    fn after_five_wrong_codes_there_is_one_try_each_half_a_minute_for_all() {
        let (mut guard, start) = (Guard::new(CODE), Instant::now());
        for _ in 0..5 {
            assert!(matches!(guard.claim("ACDEFGHK", start).unwrap(), Claim::Wrong));
        }
        assert!(matches!(guard.claim(CODE, start).unwrap(), Claim::Wait(left) if left == WAIT));
        let almost = start + WAIT - Duration::from_millis(1);
        assert!(right(&mut guard, almost).is_none(), "the right one has to wait, too");
        assert!(matches!(guard.claim("", start + WAIT).unwrap(), Claim::Wrong), "one try");
        assert!(right(&mut guard, start + WAIT).is_none());
        assert!(right(&mut guard, start + 2 * WAIT).is_some());
        assert!(
            matches!(guard.claim("x", start + 2 * WAIT).unwrap(), Claim::Wrong),
            "the right one clears it"
        );
        assert!(right(&mut guard, start + 2 * WAIT).is_some());
    }

    #[test]
    fn eight_browsers_are_let_in_and_the_quietest_makes_room() {
        let (mut guard, start) = (Guard::new(CODE), Instant::now());
        let second = Duration::from_secs(1);
        let names: Vec<String> = (0..8).map(|at| right(&mut guard, start + at * second).unwrap()).collect();
        assert!(guard.session(&names[0], start + 9 * second).is_some(), "it isn't quiet any more");
        right(&mut guard, start + 10 * second).unwrap();
        assert!(guard.session(&names[1], start + 11 * second).is_none());
        assert!(guard.session(&names[0], start + 11 * second).is_some());
        assert!(guard.session(&names[0], start + 11 * second + QUIET).is_none(), "an hour of quiet ends it");
        assert!(guard.session("", start).is_none());
    }

    #[test]
    fn a_form_of_another_session_is_known() {
        let (mut guard, start) = (Guard::new(CODE), Instant::now());
        let [one, two] = [(); 2].map(|()| right(&mut guard, start).unwrap());
        let [one, two] = [one, two].map(|name| guard.session(&name, start).unwrap());
        assert!(one.sent(&one.form) && !one.sent(&two.form) && !one.sent(""));
        assert_ne!(one.made.api_token, two.made.api_token);
    }
}

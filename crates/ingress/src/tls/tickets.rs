//! What sessions are resumed by: tickets that the client keeps, under keys that only this process has.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::Error;
use rustls::crypto::ring::Ticketer;
use rustls::server::ProducesTickets;
use tokio::time::Instant;

/// How long a key makes tickets; what it made is taken for as long again.
pub(super) const KEY_TIME: Duration = Duration::from_secs(6 * 3600);

/// The keys of now and of before. The library's own go by the wall clock, and with one that is set back by years
/// would stay for years; these go by time that passes.
#[derive(Debug)]
pub(super) struct Tickets(Mutex<Keys>);

#[derive(Debug)]
struct Keys {
    current: Arc<dyn ProducesTickets>,
    previous: Option<Arc<dyn ProducesTickets>>,
    since: Instant,
}

impl Tickets {
    /// Makes the first key.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self(Mutex::new(Keys { current: Ticketer::new()?, previous: None, since: Instant::now() })))
    }

    /// Takes no ticket any more that was given out before. What can't be made anew stays, which the check after each
    /// handshake makes up for.
    pub(super) fn renew(&self) {
        if let Ok(current) = Ticketer::new() {
            *self.lock() = Keys { current, previous: None, since: Instant::now() };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Keys> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys as they are to be used now.
    fn keys(&self) -> MutexGuard<'_, Keys> {
        let mut keys = self.lock();
        let age = keys.since.elapsed();
        if age >= KEY_TIME
            && let Ok(new) = Ticketer::new()
        {
            let old = std::mem::replace(&mut keys.current, new);
            // After a long silence the key before is too old as well.
            keys.previous = (age < KEY_TIME * 2).then_some(old);
            keys.since = Instant::now();
        }
        keys
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(KEY_TIME.as_secs() * 2).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.keys().current.encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let keys = self.keys();
        keys.current.decrypt(cipher).or_else(|| keys.previous.as_ref()?.decrypt(cipher))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_ticket_is_taken_for_six_to_twelve_hours_and_not_after_a_renewal() {
        let tickets = Tickets::new().unwrap();
        let first = tickets.encrypt(b"session").unwrap();
        tokio::time::advance(KEY_TIME).await;
        assert_eq!(tickets.decrypt(&first).as_deref(), Some(&b"session"[..]));
        let second = tickets.encrypt(b"session").unwrap();
        tokio::time::advance(KEY_TIME).await;
        assert_eq!(tickets.decrypt(&first), None, "its key is gone");
        assert!(tickets.decrypt(&second).is_some());
        tokio::time::advance(KEY_TIME * 2).await;
        assert_eq!(tickets.decrypt(&second), None, "nobody came for a day");
        let third = tickets.encrypt(b"session").unwrap();
        tickets.renew();
        assert_eq!(tickets.decrypt(&third), None);
        assert_eq!(tickets.lifetime(), 12 * 3600);
    }
}

//! A time server, and whether it wants to be left alone.

use std::time::Duration;

use rsntp::KissCode;
use tokio::time::Instant;

use super::ServerStatus;
use super::ask::Heard;
use crate::config::TimeServer;

/// Who is asked when nobody names one. Each name is several servers of volunteers.
pub(crate) const FALLBACK: [&str; 4] =
    ["0.pool.ntp.org", "1.pool.ntp.org", "2.pool.ntp.org", "3.pool.ntp.org"];
/// A server that says that it is asked too often (`RATE`) rests for so long; each time more twice that.
const REST_FIRST: Duration = Duration::from_secs(3_600);
/// The longest rest, and that of a server that wants no questions (`DENY`, `RSTR` and the others): by then its name may
/// lead to another one.
const REST_MAX: Duration = Duration::from_secs(24 * 3_600);

/// A server and its mood.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) place: TimeServer,
    rest_until: Option<Instant>,
    /// How often it was too often, since it last answered.
    kisses: u32,
    state: &'static str,
    offset_ms: Option<i64>,
}

impl Server {
    pub(super) const fn new(place: TimeServer) -> Self {
        Self { place, rest_until: None, kisses: 0, state: "silent", offset_ms: None }
    }

    /// Whether it is to be left alone.
    pub(super) fn rests(&self, now: Instant) -> bool {
        self.rest_until.is_some_and(|until| now < until)
    }

    /// Takes in what it said.
    pub(super) fn heard(&mut self, heard: &Heard, now: Instant) {
        self.rest_until = None;
        self.offset_ms = None;
        self.state = heard.label();
        match heard {
            Heard::Time(answer) => (self.kisses, self.offset_ms) = (0, Some(answer.offset_ms)),
            Heard::Kiss(KissCode::RateExceeded) => {
                let rest = REST_FIRST.saturating_mul(1 << self.kisses.min(10)).min(REST_MAX);
                self.kisses = self.kisses.saturating_add(1);
                self.rest_until = Some(now + rest);
            }
            Heard::Kiss(_) => self.rest_until = Some(now + REST_MAX),
            Heard::Unsent(_) | Heard::Silent | Heard::Strange(_) => {}
        }
    }

    pub(super) fn status(&self, now: Instant) -> ServerStatus {
        let state = if self.rests(now) { "resting" } else { self.state };
        ServerStatus { name: self.place.host.clone(), state, offset_ms: self.offset_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_can_be_asked() {
        assert!(FALLBACK.iter().all(|name| TimeServer::read(name).is_some()));
    }

    #[test]
    fn a_server_that_is_asked_too_often_rests_longer_each_time() {
        let mut server = Server::new(TimeServer::read("time.example").unwrap());
        let now = Instant::now();
        for hours in [1, 2, 4, 8, 16, 24, 24] {
            server.heard(&Heard::Kiss(KissCode::RateExceeded), now);
            let rest = Duration::from_secs(hours * 3_600);
            assert!(
                server.rests(now + rest - Duration::from_secs(1)) && !server.rests(now + rest),
                "{hours}"
            );
        }
        server.heard(&Heard::Kiss(KissCode::AccessDenied), now);
        assert!(server.rests(now + REST_MAX - Duration::from_secs(1)));
        server.heard(&Heard::Silent, now);
        assert!(!server.rests(now));
    }
}

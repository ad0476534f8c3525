//! Those who ask the store side without a right token.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ingress::{FailureBudget, Peer, Quiet};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

/// Wrong tokens that an address may show at once: enough for every honest mistake.
const AT_ONCE: NonZeroU32 = NonZeroU32::new(10).expect("not zero");
/// How many come back in a minute: a program with yesterday's token that asks every few seconds is over it, and heard of.
const PER_MINUTE: NonZeroU32 = NonZeroU32::new(10).expect("not zero");
/// Addresses that are remembered, at some 50 bytes each: the store side's network is a shop's.
const ADDRESSES: usize = 1024;
/// The alarm stays for so long after the last wrong token over the rate.
const ALARM_FOR: Duration = Duration::from_secs(15 * 60);

/// Counts them, slows them down and says so. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Strangers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    budget: FailureBudget,
    rejected: Family<[(&'static str, &'static str); 1], Counter>,
    addresses: Gauge,
    line: Quiet,
    last_over: Mutex<Option<Instant>>,
}

/// Why a request of the store side goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// It shows no token. No guess, so that it costs no budget: a browser or a scanner learns nothing by it.
    NoToken,
    /// It shows a wrong one.
    WrongToken,
    /// It shows a wrong one, and its address has shown too many.
    OverRate,
    /// Its token is right, and not for this.
    Scope,
    /// It couldn't be written into the audit log.
    Unwritten,
    /// Its client has had the box do too much, as the audit log sees it.
    TooOften,
}

impl Rejected {
    const fn label(self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::WrongToken => "wrong_token",
            Self::OverRate => "over_rate",
            Self::Scope => "scope",
            Self::Unwritten => "unwritten",
            Self::TooOften => "too_often",
        }
    }
}

impl Default for Strangers {
    fn default() -> Self {
        Self(Arc::new(Inner {
            budget: FailureBudget::new(PER_MINUTE, AT_ONCE, ADDRESSES),
            rejected: Family::default(),
            addresses: Gauge::default(),
            line: Quiet::default(),
            last_over: Mutex::default(),
        }))
    }
}

impl Strangers {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "wagate_api_requests_rejected",
            "Requests to the store side that went no further, by reason",
            self.0.rejected.clone(),
        );
        registry.register(
            "wagate_api_failed_addresses",
            "Addresses remembered for wrong tokens",
            self.0.addresses.clone(),
        );
    }

    /// Counts a request that goes no further.
    pub(crate) fn count(&self, why: Rejected) {
        self.0.rejected.get_or_create(&[("reason", why.label())]).inc();
    }

    /// Notes a wrong token.
    ///
    /// # Errors
    /// When the address has shown too many: the time until it may show another.
    pub(crate) fn wrong_token(&self, peer: Option<&Peer>) -> Result<(), Duration> {
        // Without an address, as tests ask, everybody is one.
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let (address, network) =
            peer.map_or((unknown, unknown.ip().into()), |peer| (peer.address, peer.network()));
        let charged = self.0.budget.charge(&network);
        self.0.addresses.set(i64::try_from(self.0.budget.remembered()).unwrap_or(i64::MAX));
        self.count(if charged.is_ok() { Rejected::WrongToken } else { Rejected::OverRate });
        let now = Instant::now();
        if charged.is_err() {
            *self.0.last_over.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        }
        if let Some(unsaid) = self.0.line.speak(now) {
            let over_rate = charged.is_err();
            tracing::warn!(address = %address.ip(), over_rate, unsaid, "a wrong token was shown to the API");
        }
        charged
    }

    /// What a person should see to.
    pub(crate) fn alarm(&self) -> Option<&'static str> {
        let last = *self.0.last_over.lock().unwrap_or_else(PoisonError::into_inner);
        last.filter(|last| last.elapsed() < ALARM_FOR).map(|_| {
            "somebody keeps showing wrong tokens to the API: a program with an old one, or a guess; the log has the address"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_handful_is_forgiven_and_more_raise_an_alarm_that_passes() {
        let strangers = Strangers::default();
        let peer = |last: u8| Peer::new(SocketAddr::from(([192, 168, 1, last], 5_000)));
        for _ in 0..AT_ONCE.get() {
            assert_eq!(strangers.wrong_token(Some(&peer(7))), Ok(()));
        }
        assert_eq!(strangers.alarm(), None);
        let wait = strangers.wrong_token(Some(&peer(7))).unwrap_err();
        assert!(wait > Duration::from_secs(5) && wait <= Duration::from_secs(6), "{wait:?}");
        assert_eq!(strangers.wrong_token(Some(&peer(8))), Ok(()), "another address has its own");
        assert!(strangers.alarm().is_some());
        tokio::time::advance(ALARM_FOR - Duration::from_secs(1)).await;
        assert!(strangers.alarm().is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(strangers.alarm(), None);
        assert_eq!(strangers.wrong_token(Some(&peer(7))), Ok(()), "and time gives the budget back");
        let mut registry = Registry::default();
        strangers.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "wagate_api_requests_rejected_total{reason=\"wrong_token\"} 12",
            "wagate_api_requests_rejected_total{reason=\"over_rate\"} 1",
            "wagate_api_failed_addresses 2",
        ] {
            assert!(text.contains(line), "{line:?} isn't in\n{text}");
        }
    }
}

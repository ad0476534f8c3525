//! The certificates of both sides, from the start to the end.

use std::time::Duration;

use ingress::{Tls, Transport};
use model::WallTime;
use policy::renewal::{Life, Urgency};
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::opening::{open_api_tls, open_tls};
use super::{sending, when_true};
use crate::clock;
use crate::config::Config;

/// Whose certificate it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The public listener's, from files.
    Public,
    /// The store side's.
    Store,
}

/// What a person should see to of a certificate that is valid from `begins` to `ends`, if it ends soon or has ended.
pub(super) fn ending([begins, ends]: [WallTime; 2], side: Side, now: WallTime) -> Option<String> {
    let age = u64::try_from(now.0.saturating_sub(begins.0)).unwrap_or_default();
    let is_over = match (Life { begins, ends }).urgency(Duration::from_millis(age)) {
        Urgency::Calm => return None,
        Urgency::Near => false,
        Urgency::Over => true,
    };
    let (whose, refused) = match side {
        Side::Public => ("the certificate", "Meta refuses this box: "),
        Side::Store => ("the API's certificate", "programs refuse it: "),
    };
    let (when, told) = if is_over { ("has ended", refused) } else { ("ends", "") };
    Some(format!("{whose} {when} at {}: {told}renew it", ends.rfc3339_seconds()))
}

/// What each side shows, where it speaks TLS.
pub(super) struct Certificates {
    pub(super) public: Option<Tls>,
    pub(super) api: Option<Tls>,
}

impl Certificates {
    /// Reads or makes them.
    ///
    /// # Errors
    /// When one that is configured can't be used; the message says which.
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        Ok(Self { public: open_tls(config)?, api: open_api_tls(config)? })
    }

    /// Shows them in the metrics, and looks after their files until the end.
    pub(super) fn watch(
        &self,
        registry: &mut Registry,
        stopped: &watch::Receiver<bool>,
    ) -> Vec<JoinHandle<()>> {
        self.public.iter().for_each(|tls| tls.register(registry));
        self.api.iter().for_each(|tls| tls.register_api(registry));
        let watched = self.each().cloned().map(|tls| {
            tls.show(clock::now());
            let told = stopped.clone();
            tokio::spawn(async move { tls.watch(clock::now, when_true(told)).await })
        });
        watched.collect()
    }

    /// Judges the clients' certificates by what is known of now.
    pub(super) fn judge_clients_by(&self, status: &watch::Receiver<sending::Status>) {
        for tls in self.each() {
            let status = status.clone();
            tls.judge_clients_by(move || status.borrow().known());
        }
    }

    /// How the public side and the store side speak.
    pub(super) fn transports(&self) -> (Transport, Transport) {
        let speaks = |tls: &Option<Tls>| tls.clone().map_or(Transport::Plain, Transport::Tls);
        (speaks(&self.public), speaks(&self.api))
    }

    fn each(&self) -> impl Iterator<Item = &Tls> {
        self.public.iter().chain(&self.api)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22T00:00:00Z.
    const BEGINS: WallTime = WallTime(1_795_305_600_000);
    const DAY: i64 = 24 * 3_600_000;

    fn after(days: i64) -> WallTime {
        WallTime(BEGINS.0 + days * DAY)
    }

    #[test]
    fn fourteen_days_before_its_end_an_alarm_is_up_for_either_side() {
        let said = |side, now| ending([BEGINS, after(90)], side, after(now));
        for side in [Side::Public, Side::Store] {
            assert_eq!([0, 75, 76].map(|now| said(side, now)), [None, None, None], "{side:?}");
        }
        assert_eq!(said(Side::Public, 77).unwrap(), "the certificate ends at 2027-02-20T00:00:00Z: renew it");
        assert!(said(Side::Store, 89).unwrap().starts_with("the API's certificate ends at"));
        let over = said(Side::Public, 91).unwrap();
        assert_eq!(
            over,
            "the certificate has ended at 2027-02-20T00:00:00Z: Meta refuses this box: renew it"
        );
        assert_eq!(ending([BEGINS, after(90)], Side::Public, WallTime(0)), None, "a clock in 1970");
    }
}

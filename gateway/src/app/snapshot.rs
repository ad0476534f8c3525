//! How the gateway is doing: one value that `/readyz`, `/v1/status`, the metrics and the alarms
//! all read.

use std::sync::Arc;

use egress::{Status, Why};
use ingress::Tls;
use model::WallTime;
use serde::Serialize;
use store::{Health, ReadError, Store};
use tokio::sync::watch;
use tokio::time::Instant;

use super::age_seconds;
use super::failover::{Group, Groups};
use super::inbound::Inbound;
use super::journal::StoreJournal;
use crate::clock;
use crate::config::CrmMode;

/// What a snapshot is taken of.
pub struct Shown {
    /// The store.
    pub store: Arc<Store>,
    /// The same as a journal, for retries.
    pub journal: Arc<StoreJournal>,
    /// How delivery stands; `None` where the CRM pulls.
    pub delivery: Option<watch::Receiver<Status>>,
    /// How records go to the CRM.
    pub mode: CrmMode,
    /// Which endpoints are in use.
    pub(crate) groups: Groups,
    /// Whose webhooks come here.
    pub(crate) inbound: Option<Inbound>,
    /// What is wrong with the configuration file, where an older one is in force.
    pub refused: Option<String>,
    /// The public listener's certificate.
    pub tls: Option<Tls>,
    /// How sending stands.
    pub(crate) sending: watch::Receiver<super::sending::Status>,
}

/// One look at everything.
#[derive(Debug, Clone, Serialize)]
pub struct Snapshot {
    /// The store takes records.
    pub ready: bool,
    /// The program's version.
    pub version: &'static str,
    /// The store's id.
    pub store: String,
    /// The box's clock.
    pub now: String,
    /// What waits for the CRM.
    pub backlog: Backlog,
    /// What the store holds.
    pub records: Records,
    /// How the disk is doing.
    pub disk: Disk,
    /// How delivery is doing; `None` where the CRM pulls.
    pub delivery: Option<Delivery>,
    /// How sending is doing.
    pub sending: super::sending::Shown,
    /// When the public certificate ends, where there is one.
    pub certificate_expires: Option<String>,
    /// What a person should see to; empty when all is well.
    pub alarms: Vec<String>,
}

/// What waits for the CRM.
#[derive(Debug, Clone, Serialize)]
pub struct Backlog {
    /// How many records.
    pub records: u64,
    /// When the oldest was received.
    pub oldest_received_at: Option<String>,
    /// How long ago that is.
    pub oldest_age_seconds: Option<f64>,
    /// What the CRM has refused.
    pub dead_letters: u64,
}

/// What the store holds.
#[derive(Debug, Clone, Serialize)]
pub struct Records {
    /// The newest record.
    pub newest: String,
    /// How many are kept.
    pub kept: u64,
    /// Taken since the start.
    pub received: u64,
    /// Recognised as seen before, since the start.
    pub duplicates: u64,
}

/// How the disk is doing.
#[derive(Debug, Clone, Serialize)]
pub struct Disk {
    /// Bytes that count against `store.max_size`.
    pub live_bytes: u64,
    /// Bytes on the disk: index and log.
    pub file_bytes: u64,
    /// Bytes written since the start.
    pub written_bytes: u64,
    /// Places where something may be missing, and records that can't be read.
    pub damage: u64,
}

/// How delivery is doing.
#[derive(Debug, Clone, Serialize)]
pub struct Delivery {
    /// The endpoint.
    pub endpoint: String,
    /// `realtime` or `batch`.
    pub mode: &'static str,
    /// Why only one trial at a time goes out; `None` when records flow.
    pub paused: Option<String>,
    /// Nothing was accepted for a minute, and failures come: `paused` or not.
    pub failing: bool,
    /// Failures since the last success.
    pub consecutive_failures: u64,
    /// The last failure in words.
    pub last_error: Option<String>,
}

impl Shown {
    /// Takes a look. Blocks on the disk for the oldest undelivered record.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let health = self.store.health();
        let backlog = self.backlog();
        let delivery = self.delivery.as_ref().map(|status| self.delivery(&status.borrow()));
        Snapshot {
            ready: ready(&health),
            version: env!("CARGO_PKG_VERSION"),
            store: self.store.id().to_owned(),
            now: clock::now().rfc3339_millis(),
            alarms: self.alarms(&health, delivery.as_ref(), backlog.dead_letters),
            backlog,
            records: Records {
                newest: self.store.newest().to_string(),
                kept: health.records,
                received: health.counters.records.iter().sum(),
                duplicates: health.counters.duplicates,
            },
            disk: Disk {
                live_bytes: health.live_bytes,
                file_bytes: health.index_bytes + health.log_bytes,
                written_bytes: health.index_bytes_written + health.counters.log_bytes_written,
                damage: health.counters.holes + health.counters.damaged,
            },
            delivery,
            sending: self.sending.borrow().shown(),
            certificate_expires: self.tls.as_ref().map(|tls| tls.expires().rfc3339_seconds()),
        }
    }

    fn backlog(&self) -> Backlog {
        let known = self.oldest_undelivered();
        Backlog {
            records: self.store.pending(),
            oldest_received_at: known.map(WallTime::rfc3339_millis),
            oldest_age_seconds: known.map(|received_at| age_seconds(received_at, clock::now())),
            dead_letters: self.store.dead_letter_count().unwrap_or(0),
        }
    }

    /// When the oldest undelivered record was received; `None` without one, or while the index is
    /// being reopened.
    pub(crate) fn oldest_undelivered(&self) -> Option<WallTime> {
        match self.store.backlog() {
            Ok(backlog) => backlog.oldest_received_at,
            Err(ReadError::Reopening) => None,
            Err(error) => {
                tracing::debug!(%error, "the oldest undelivered record can't be read");
                None
            }
        }
    }

    fn delivery(&self, status: &Status) -> Delivery {
        Delivery {
            endpoint: self.groups.crm().map(Group::in_use).unwrap_or_default(),
            mode: match self.mode {
                CrmMode::Realtime => "realtime",
                CrmMode::Batch => "batch",
            },
            paused: status.paused.map(|why| why_label(why).to_owned()),
            failing: status.in_trouble(Instant::now()),
            consecutive_failures: status.consecutive_failures,
            last_error: status.last_error.clone(),
        }
    }

    /// What a person should see to, in words, the gravest first.
    fn alarms(&self, health: &Health, delivery: Option<&Delivery>, dead_letters: u64) -> Vec<String> {
        let mut alarms = Vec::new();
        let mut raise = |when: bool, what: &str| {
            if when {
                alarms.push(what.to_owned());
            }
        };
        raise(health.broken, "the disk has refused too often: the program is restarting");
        raise(
            health.disk_full,
            "the disk is full: webhooks are refused once the intake log is full, and Meta sends them again",
        );
        raise(
            health.over_budget,
            "`store.max_size` is used up by what isn't delivered: webhooks are refused, and Meta sends them again",
        );
        raise(health.fold_failing, "the intake log can't be folded into the index: see the log");
        raise(
            health.counters.holes + health.counters.damaged > 0,
            "damage was found in the store: see the folder `damaged` in it",
        );
        raise(dead_letters > 0, "the CRM has refused records for good: see `wagate deadletters`");
        raise(health.counters.dropped_early > 0, "history went before its time for want of room");
        let unauthorized = self.delivery.as_ref().is_some_and(|status| status.borrow().paused_by_auth());
        raise(unauthorized, "the CRM answers 401 or 403: see to its credentials; one trial a minute goes on");
        let failing = |delivery: &Delivery| delivery.paused.is_some() || delivery.failing;
        let failing = delivery.is_some_and(failing) && !unauthorized;
        raise(failing, "the CRM can't be reached or answers with errors: records wait on disk");
        if let Some(refused) = &self.refused {
            alarms.push(format!(
                "the configuration file is refused ({refused}): the last one that worked is in force"
            ));
        }
        if let Some(fault) = self.tls.as_ref().and_then(Tls::fault) {
            alarms.push(format!("the new certificate can't be used, the old one stays: {fault}"));
        }
        alarms.extend(self.groups.alarms());
        alarms.extend(self.inbound.iter().flat_map(Inbound::alarms));
        alarms.extend(self.sending.borrow().alarms());
        alarms
    }
}

const fn why_label(why: Why) -> &'static str {
    match why {
        Why::Unreachable => "unreachable",
        Why::Throttled => "throttled",
        Why::Unauthorized => "unauthorized",
    }
}

/// Whether the store works: the outside world doesn't count, nor does a full disk, which is an
/// answer that Meta understands.
pub(crate) const fn ready(health: &Health) -> bool {
    !health.broken
}

//! How the gateway is doing: one value that `/readyz`, `/v1/status`, the metrics and the alarms
//! all read.

use std::sync::Arc;

use board::About;
use board::about::{SlotName, SlotState};
use egress::{Status, Why};
use ingress::Tls;
use model::WallTime;
use serde::Serialize;
use store::{Health, ReadError, Store};
use tokio::sync::watch;
use tokio::time::Instant;

use super::certificates::{self, Side};
use super::failover::{Group, Groups};
use super::inbound::Inbound;
use super::journal::StoreJournal;
use super::strangers::Strangers;
use super::update::{Job, Updates};
use super::wear::{Wear, WearView, WearWatch};
use super::{acme, age_seconds};
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
    /// Who gets that by ACME, where somebody does.
    pub(crate) acme: Option<acme::Handle>,
    /// The store side's certificate.
    pub api_tls: Option<Tls>,
    /// Those who ask the store side without a right token.
    pub(crate) strangers: Strangers,
    /// How sending stands.
    pub(crate) sending: watch::Receiver<super::sending::Status>,
    /// The machine below, and its updates.
    pub(crate) updates: Updates,
    /// What time servers say; nothing where none is asked.
    pub(crate) time: watch::Receiver<super::time::Status>,
    /// How worn the drive is.
    pub(crate) wear: WearWatch,
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
    /// The box below; `None` on a machine without a board.
    pub(crate) machine: Option<MachineView>,
    /// The update that is on its way, or the last one since the start.
    pub(crate) update: Option<Job>,
    /// What time servers say; `None` on a machine without a board.
    pub(crate) time: Option<super::time::Status>,
    /// How worn the drive is, where it can be found.
    pub(crate) wear: Option<WearView>,
    /// When the public certificate ends, where there is one.
    pub certificate_expires: Option<String>,
    /// How getting it by ACME stands; `None` where it comes from elsewhere.
    pub(crate) acme: Option<acme::Status>,
    /// The same of the store side's.
    pub api_certificate_expires: Option<String>,
    /// What a person should see to; empty when all is well.
    pub alarms: Vec<String>,
}

/// The box at a glance; `GET /v1/box` has all of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct MachineView {
    id: String,
    board: String,
    version: String,
    /// The slot that runs.
    slot: Option<SlotName>,
    /// How far that is trusted.
    state: Option<SlotState>,
    /// What of the last start a person has to see to.
    note: Option<String>,
    /// What is wrong with a configuration on the card or a stick that wasn't taken.
    configuration_refused: Option<String>,
}

impl MachineView {
    fn of(about: About) -> Self {
        let (slot, state) = about.running().map(|slot| (slot.name, slot.state)).unzip();
        Self {
            note: about.boot_alarm().map(str::to_owned),
            id: about.box_id,
            board: about.board,
            version: about.version,
            slot,
            state,
            configuration_refused: about.configuration_refused,
        }
    }
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
        let (machine, wear) = (self.updates.machine(), self.wear.now());
        let below = machine.known().map(MachineView::of);
        Snapshot {
            ready: ready(&health),
            version: env!("CARGO_PKG_VERSION"),
            store: self.store.id().to_owned(),
            now: clock::now().rfc3339_millis(),
            alarms: self.alarms(
                &health,
                delivery.as_ref(),
                backlog.dead_letters,
                below.as_ref(),
                wear.as_ref(),
            ),
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
            machine: below,
            update: self.updates.job(),
            time: machine.is_there().then(|| self.time.borrow().clone()),
            wear: wear.as_ref().map(Wear::view),
            certificate_expires: self.tls.as_ref().and_then(Tls::expires).map(WallTime::rfc3339_seconds),
            acme: self.acme.as_ref().map(acme::Handle::status),
            api_certificate_expires: self
                .api_tls
                .as_ref()
                .and_then(Tls::expires)
                .map(WallTime::rfc3339_seconds),
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
    fn alarms(
        &self,
        health: &Health,
        delivery: Option<&Delivery>,
        dead_letters: u64,
        machine: Option<&MachineView>,
        wear: Option<&Wear>,
    ) -> Vec<String> {
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
        if let Some(words) = machine.and_then(|machine| machine.configuration_refused.as_deref()) {
            // All of it is many lines, which `machine` has beside the alarms.
            let first =
                words.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no reason was given");
            alarms.push(format!(
                "the configuration on the card or the stick is refused ({first}): the one before it stays in force; \
                 `wagate-errors.txt` beside it says what to mend"
            ));
        }
        if let Some(fault) = self.tls.as_ref().and_then(Tls::fault) {
            alarms.push(format!("the new certificate can't be used, the old one stays: {fault}"));
        }
        alarms.extend(self.certificate_alarms());
        alarms.extend(self.tls.iter().chain(&self.api_tls).flat_map(Tls::alarms));
        if let Some(fault) = self.api_tls.as_ref().and_then(Tls::fault) {
            alarms.push(format!("the API's new certificate can't be used, the old one stays: {fault}"));
        }
        alarms.extend(self.strangers.alarm().map(str::to_owned));
        alarms.extend(wear.and_then(Wear::alarm));
        alarms.extend(
            machine.and_then(|machine| Some(format!("of the last start: {}", machine.note.as_ref()?))),
        );
        alarms.extend_from_slice(super::board::unconfined());
        alarms.extend(self.groups.alarms());
        alarms.extend(self.inbound.iter().flat_map(Inbound::alarms));
        alarms.extend(self.sending.borrow().alarms());
        alarms
    }
}

impl Shown {
    /// Of certificates that end soon, or aren't there.
    fn certificate_alarms(&self) -> Vec<String> {
        let ending = |tls: &Tls, side| certificates::ending(tls.life()?, side, clock::now());
        let public = match &self.acme {
            Some(acme) => acme.alarms(),
            None => self.tls.iter().filter_map(|tls| ending(tls, Side::Public)).collect(),
        };
        let api = self.api_tls.iter().filter_map(|tls| ending(tls, Side::Store));
        public.into_iter().chain(api).collect()
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

#[cfg(test)]
mod tests {
    use super::super::fake::shown;
    use super::super::fake_board::FakeBoard;
    use super::super::machine::Machine;
    use super::super::metrics;
    use super::*;

    /// The alarms over a machine that says this of itself, and the value of a metric.
    async fn seen(change: impl FnOnce(&mut About), metric: &str) -> (Vec<String>, u8) {
        let (folder, board) = (tempfile::tempdir().unwrap(), FakeBoard::new());
        change(&mut board.state().about);
        let machine = Machine::new(Some(Arc::new(board)));
        machine.about().await.unwrap();
        let shown = shown(folder.path(), machine);
        let mut registry = prometheus_client::registry::Registry::default();
        metrics::register(&mut registry, Arc::clone(&shown));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(metric)?.trim().parse().ok());
        (shown.snapshot().alarms, value.unwrap())
    }

    #[tokio::test]
    async fn a_configuration_that_the_box_refused_is_said_loudly() {
        let metric = "wagate_configuration_refused";
        let (alarms, value) = seen(|_| (), metric).await;
        assert!(alarms.is_empty() && value == 0, "{alarms:?}");
        let words = "\nunknown key `verify_tokn`\n  --> wagate.toml:2:1\n";
        let (alarms, value) =
            seen(|about| about.configuration_refused = Some(words.to_owned()), metric).await;
        assert_eq!((alarms.len(), value), (1, 1), "{alarms:?}");
        assert!(alarms[0].contains("is refused (unknown key `verify_tokn`)") && !alarms[0].contains('\n'));
    }

    #[tokio::test]
    async fn what_a_person_asked_for_is_no_alarm() {
        let metric = "wagate_boot_note";
        let note = |about: &mut About| about.boot_note = Some("it was given up".to_owned());
        let (alarms, value) = seen(note, metric).await;
        assert_eq!((alarms, value), (vec!["of the last start: it was given up".to_owned()], 1));
        let expected = |about: &mut About| {
            (about.boot_note_expected, about.boot_note) = (true, Some("asked".to_owned()));
        };
        assert_eq!(seen(expected, metric).await, (vec![], 0));
    }
}

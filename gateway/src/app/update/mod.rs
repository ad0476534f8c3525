//! Updates of the firmware: a bundle that comes in, from a request or from an address, and goes on to the board.
//!
//! The board verifies, writes and activates (it may, and it is the one that must not be fooled); this side only
//! carries bytes, within bounds, and tells how far it is. Nothing is kept here: not a portion more than the disk
//! takes. One update at a time.

mod download;
mod job;
mod pipe;
mod resume;
mod running;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use board::BoardError;
use bytes::Bytes;
use futures_util::Stream;
use reqwest::Url;
use tokio::sync::watch;
use tokio::time::Instant;

pub(crate) use self::job::{BUNDLE_MAX, Job, Source, Stage};

use self::running::{Running, Upload};
use super::events::Events;
use super::machine::Machine;
use crate::clock;

/// A download that isn't whole by then is given up.
const DOWNLOAD_MAX: Duration = Duration::from_secs(24 * 3_600);
/// An upload that isn't whole by then.
const UPLOAD_MAX: Duration = Duration::from_secs(30 * 60);
/// A file that changed, or can't be gone on with, is begun anew so often.
const ANEW_MAX: usize = 8;
/// Before the machine goes down, whoever asked for it is to have the answer.
const REBOOT_AFTER: Duration = Duration::from_secs(1);
/// Bytes that came are told no more often.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// How long is waited for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// The head of an answer.
    head: Duration,
    /// Any byte more.
    stall: Duration,
    /// The longest wait between two connections.
    wait_max: Duration,
    /// A whole download.
    download: Duration,
    /// See [`REBOOT_AFTER`].
    reboot: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(30),
            stall: Duration::from_secs(60),
            wait_max: Duration::MAX,
            download: DOWNLOAD_MAX,
            reboot: REBOOT_AFTER,
        }
    }
}

/// Why something isn't done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// Another update is on its way.
    #[error("an update is on its way already: see `wagate update`")]
    Busy,
    /// There is none that could be ended.
    #[error("no update is on its way")]
    Nothing,
    /// It is written, and will be activated.
    #[error(
        "the update is being verified and can't be ended any more; `wagate update roll-back` goes back behind it"
    )]
    TooLate,
    /// A person has ended it.
    #[error("the update was cancelled")]
    Cancelled,
    /// The bundle couldn't be had whole.
    #[error("{0}")]
    Broken(String),
    /// The board, or this side, refuses.
    #[error(transparent)]
    Board(#[from] BoardError),
}

/// The updates of this machine; clones share them.
#[derive(Clone)]
pub(crate) struct Updates(Arc<Inner>);

struct Inner {
    machine: Machine,
    events: Events,
    pace: Pace,
    job: watch::Sender<Option<Job>>,
    /// Ends the one that is on its way.
    cancel: Mutex<watch::Sender<bool>>,
    told_at: Mutex<Option<Instant>>,
    stopped: watch::Receiver<bool>,
}

impl Updates {
    pub(crate) fn new(machine: Machine, events: Events, stopped: watch::Receiver<bool>) -> Self {
        Self::paced(machine, events, stopped, Pace::default())
    }

    fn paced(machine: Machine, events: Events, stopped: watch::Receiver<bool>, pace: Pace) -> Self {
        let (job, cancel) = (watch::Sender::new(None), Mutex::new(watch::Sender::new(false)));
        Self(Arc::new(Inner { machine, events, pace, job, cancel, told_at: Mutex::default(), stopped }))
    }

    /// The machine that they are for.
    pub(crate) fn machine(&self) -> &Machine {
        &self.0.machine
    }

    /// The update that is on its way, or the last one since the start.
    pub(crate) fn job(&self) -> Option<Job> {
        self.0.job.borrow().clone()
    }

    /// Whether one is on its way.
    pub(crate) fn is_busy(&self) -> bool {
        self.0.job.borrow().as_ref().is_some_and(|job| !job.stage.is_over())
    }

    /// Begins to fetch a bundle; what comes of it is told by [`Self::job`].
    ///
    /// # Errors
    /// When another one is on its way, or there is no board.
    pub(crate) fn fetch(&self, url: Url, reboot: bool) -> Result<Job, Refused> {
        let running = self.begin(Source::Url, reboot)?;
        if url.scheme() == "http" {
            tracing::warn!("the update comes over plain http: only its signature says whose it is");
        }
        tokio::spawn(async move { running.fetch(&url).await });
        self.job().ok_or(Refused::Nothing)
    }

    /// Takes a bundle from `body`, whose length may be known, and waits until it is activated.
    ///
    /// # Errors
    /// When another one is on its way, the board refuses, or the body breaks off.
    pub(crate) async fn upload<B, E>(
        &self,
        length: Option<u64>,
        body: &mut B,
        reboot: bool,
    ) -> Result<Job, Refused>
    where
        B: Stream<Item = Result<Bytes, E>> + Unpin + Send,
        E: Send,
    {
        let running = self.begin(Source::Upload, reboot)?;
        running.change(|job| job.tries = 1);
        if let Some(length) = length
            && let Err(error) = running.total(length)
        {
            return Err(running.failed(error.into()));
        }
        let (fed, installed) = running.carry(&mut Upload(body), Instant::now() + UPLOAD_MAX).await;
        running.end(fed, installed).await
    }

    /// Ends the update that is on its way.
    ///
    /// # Errors
    /// When there is none, or it is too late.
    pub(crate) fn cancel(&self) -> Result<Job, Refused> {
        let job = self.job().filter(|job| !job.stage.is_over()).ok_or(Refused::Nothing)?;
        if job.stage == Stage::Verifying {
            return Err(Refused::TooLate);
        }
        self.0.cancel.lock().unwrap_or_else(PoisonError::into_inner).send_replace(true);
        Ok(job)
    }

    /// Starts the machine anew in a moment.
    pub(crate) fn reboot(&self, why: String) {
        let (machine, after) = (self.0.machine.clone(), self.0.pace.reboot);
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            if let Err(error) = machine.ask(move |board| board.reboot(&why)).await {
                tracing::error!(%error, "the machine couldn't be started anew; do it by hand");
            }
        });
    }

    fn begin(&self, source: Source, reboot: bool) -> Result<Running, Refused> {
        self.0.machine.board()?;
        let mut begun = false;
        self.0.job.send_if_modified(|job| {
            begun = job.as_ref().is_none_or(|job| job.stage.is_over());
            if begun {
                let id = job.as_ref().map_or(1, |job| job.id + 1);
                *job = Some(Job::new(id, source, reboot, clock::now().rfc3339_millis()));
            }
            begun
        });
        if !begun {
            return Err(Refused::Busy);
        }
        let cancel = watch::Sender::new(false);
        let cancelled = cancel.subscribe();
        *self.0.cancel.lock().unwrap_or_else(PoisonError::into_inner) = cancel;
        self.tell(true);
        Ok(Running { updates: self.clone(), cancelled })
    }

    /// Changes what is shown of the update, and says so: at once where its stage is another, else now and then.
    fn change(&self, change: impl FnOnce(&mut Job)) {
        let mut stage_changed = false;
        self.0.job.send_modify(|job| {
            if let Some(job) = job {
                let before = (job.stage, job.version.is_some());
                change(job);
                stage_changed = before != (job.stage, job.version.is_some());
            }
        });
        self.tell(stage_changed);
    }

    fn tell(&self, at_once: bool) {
        let mut told_at = self.0.told_at.lock().unwrap_or_else(PoisonError::into_inner);
        if !at_once && told_at.is_some_and(|at| at.elapsed() < TELL_EVERY) {
            return;
        }
        *told_at = Some(Instant::now());
        drop(told_at);
        if let Some(job) = self.job() {
            self.0.events.update(|| serde_json::to_value(&job).unwrap_or_default());
        }
    }
}

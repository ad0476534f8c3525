//! The update that is on its way: bytes from where they come to the board, and what comes of them.

use board::{BoardError, Code};
use bytes::Bytes;
use egress::{ClientSettings, Clients};
use futures_util::{Stream, StreamExt as _};
use reqwest::Url;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::download::Download;
use super::job::{Job, Stage};
use super::pipe::{Inlet, Outlet, pipe};
use super::{ANEW_MAX, DOWNLOAD_MAX, Refused, Updates};
use crate::app::{product, when_true};
use crate::clock;

/// What came of carrying the bytes of a bundle.
pub(super) enum Fed {
    /// All of them are there.
    All,
    /// Nobody reads them any more.
    Gone,
    /// It has to be begun anew.
    Anew,
    /// It can't be had, or isn't wanted any more.
    Ended(Refused),
}

/// Where the bytes of a bundle come from.
pub(super) trait Feed {
    /// Carries them into `inlet` until there are no more, or nobody reads them.
    fn feed(&mut self, inlet: &Inlet, running: &Running) -> impl Future<Output = Fed> + Send;
}

/// The update that is on its way: it is over when this is dropped, whatever happened.
pub(super) struct Running {
    pub(super) updates: Updates,
    pub(super) cancelled: watch::Receiver<bool>,
}

impl Running {
    pub(super) fn change(&self, change: impl FnOnce(&mut Job)) {
        self.updates.change(change);
    }

    /// Notes the length of the bundle.
    pub(super) fn total(&self, total: u64) -> Result<(), BoardError> {
        let mut fits = Ok(());
        self.change(|job| {
            job.total = Some(total);
            fits = job.fits(total);
        });
        fits
    }

    /// Notes that so many bytes more have come.
    pub(super) fn received(&self, bytes: u64) -> Result<(), BoardError> {
        let mut fits = Ok(());
        self.change(|job| fits = job.received(bytes));
        fits
    }

    /// Has the board read from `outlet`, on a thread that may wait.
    fn install(&self, mut outlet: Outlet) -> Result<JoinHandle<Result<(), BoardError>>, BoardError> {
        let (board, updates) = (self.updates.0.machine.board()?, self.updates.clone());
        Ok(tokio::task::spawn_blocking(move || {
            let mut told = |progress| updates.change(|job| job.told(progress));
            board.install(&mut outlet, &mut told)
        }))
    }

    /// Carries bytes to the board until they are all there, or until something ends it; then hears what the board made
    /// of them.
    pub(super) async fn carry(
        &self,
        from: &mut impl Feed,
        deadline: Instant,
    ) -> (Fed, Result<(), BoardError>) {
        let (inlet, outlet) = pipe();
        let installing = match self.install(outlet) {
            Ok(installing) => installing,
            Err(error) => return (Fed::Gone, Err(error)),
        };
        let broken = |text: &str| Fed::Ended(Refused::Broken(text.to_owned()));
        let fed = tokio::select! {
            fed = from.feed(&inlet, self) => fed,
            () = when_true(self.cancelled.clone()) => Fed::Ended(Refused::Cancelled),
            () = when_true(self.updates.0.stopped.clone()) => broken("the gateway is being stopped: begin again"),
            () = tokio::time::sleep_until(deadline) => broken("the whole of it didn't come in time: begin again"),
        };
        match &fed {
            // From here on nobody can call it off: the board may have all of it already.
            Fed::All => self.change(|job| job.stage = Stage::Verifying),
            Fed::Gone => {}
            Fed::Anew => inlet.break_off("it is begun anew").await,
            Fed::Ended(why) => inlet.break_off(&why.to_string()).await,
        }
        drop(inlet);
        let panicked =
            |error| Err(BoardError::new(Code::Protocol, format!("the installation has panicked: {error}")));
        (fed, installing.await.unwrap_or_else(panicked))
    }

    pub(super) async fn fetch(self, url: &Url) {
        let pace = self.updates.0.pace;
        let http = match client() {
            Ok(http) => http,
            Err(error) => {
                self.failed(Refused::Broken(format!("no client for downloads: {error}")));
                return;
            }
        };
        let deadline = Instant::now() + pace.download;
        let mut left = ANEW_MAX;
        loop {
            let (fed, installed) = self.carry(&mut Download::new(&http, url, pace), deadline).await;
            let again = match (&fed, &installed) {
                (Fed::Anew, Err(_)) => true,
                // Supervisor and gateway lost each other, as over a long wait for the network.
                (Fed::All | Fed::Gone, Err(error)) => error.code == Code::Protocol,
                _ => false,
            };
            if !again {
                // What came of it stands in the job.
                let _ = self.end(fed, installed).await;
                return;
            }
            if left == 0 {
                const WHY: &str = "the file had to be begun anew again and again: look at the server";
                self.failed(Refused::Broken(WHY.to_owned()));
                return;
            }
            left -= 1;
            tracing::info!("the update is begun anew");
            self.change(Job::anew);
        }
    }

    /// Notes what came of it; reboots where that was asked for.
    pub(super) async fn end(&self, fed: Fed, installed: Result<(), BoardError>) -> Result<Job, Refused> {
        match (fed, installed) {
            (_, Ok(())) => {
                self.over(Stage::Activated, None, None);
                let job = self.updates.job().ok_or(Refused::Nothing)?;
                let version = job.version.clone().unwrap_or_default();
                tracing::info!(
                    version,
                    reboot = job.reboot,
                    "the update is in its slot, which is started next"
                );
                if job.reboot {
                    self.updates.reboot(format!("update to {version}"));
                }
                // So that what is shown of the slots is true at once.
                let _ = self.updates.0.machine.about().await;
                Ok(job)
            }
            (Fed::Ended(why), Err(_)) => Err(self.failed(why)),
            (_, Err(error)) => Err(self.failed(error.into())),
        }
    }

    /// Notes that it came to nothing, and why.
    pub(super) fn failed(&self, why: Refused) -> Refused {
        let (stage, code) = match &why {
            Refused::Cancelled => (Stage::Cancelled, None),
            Refused::Board(error) => (Stage::Failed, Some(error.code)),
            Refused::Busy | Refused::Nothing | Refused::TooLate | Refused::Broken(_) => (Stage::Failed, None),
        };
        let aftermath = self.updates.job().map_or("what runs stays", |job| job.aftermath());
        tracing::warn!(?code, %why, "the update came to nothing: {aftermath}");
        self.over(stage, code, Some(why.to_string()));
        why
    }

    fn over(&self, stage: Stage, code: Option<Code>, detail: Option<String>) {
        self.change(|job| {
            (job.stage, job.code, job.detail) = (stage, code, detail);
            job.ended_at = Some(clock::now().rfc3339_millis());
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.updates.is_busy() {
            self.failed(Refused::Broken("it was left alone; see the log".to_owned()));
        }
    }
}

/// One for each update: they are rare, and what they trust costs memory.
fn client() -> Result<reqwest::Client, egress::EgressError> {
    let settings = ClientSettings { request_timeout: DOWNLOAD_MAX, ..ClientSettings::new(product(), 1) };
    Clients::new(settings)?.client()
}

/// The body of a request.
pub(super) struct Upload<'b, B>(pub(super) &'b mut B);

impl<B, E> Feed for Upload<'_, B>
where
    B: Stream<Item = Result<Bytes, E>> + Unpin + Send,
    E: Send,
{
    async fn feed(&mut self, inlet: &Inlet, running: &Running) -> Fed {
        let broken = |text: &str| Fed::Ended(Refused::Broken(text.to_owned()));
        let stall = running.updates.0.pace.stall;
        loop {
            let portion = tokio::select! {
                portion = timeout(stall, self.0.next()) => portion,
                () = inlet.gone() => return Fed::Gone,
            };
            let portion = match portion {
                Ok(Some(Ok(portion))) => portion,
                Ok(None) => return Fed::All,
                Ok(Some(Err(_))) => return broken("the upload broke off: begin again"),
                Err(_) => return broken("nothing came for too long: begin again"),
            };
            if let Err(error) = running.received(portion.len() as u64) {
                return Fed::Ended(error.into());
            }
            if inlet.give(portion).await.is_err() {
                return Fed::Gone;
            }
        }
    }
}

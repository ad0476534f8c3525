//! What WhatsApp does: signed webhooks over TLS, each repeated until it has its 200.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::signature::hub::AppSecret;
use simulate::whatsapp::{
    Backoff, Pace, PayloadOptions, Payloads, Progress, Report, Retry, Sender, SenderOptions, Stop, Supply,
    Target,
};
use tokio::task::JoinHandle;

use super::shop::APP_SECRET;
use super::{LONG, Machine, within};

/// Repetitions come soon, since the box is back soon.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(2) };
/// What is unanswered then is sent again; a machine that was killed says nothing.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A stream of webhooks in the background.
pub(crate) struct Load {
    progress: Arc<Progress>,
    stop: Stop,
    run: JoinHandle<Report>,
}

/// What is sent: different ids for each seed.
pub(crate) fn payloads(seed: u64) -> PayloadOptions {
    PayloadOptions { seed, contacts: 50, ..PayloadOptions::default() }
}

impl Load {
    /// Begins: so many a second over `connections`, `count` over each or until it is stopped.
    pub(crate) fn start(
        machine: &Machine,
        seed: u64,
        connections: u32,
        per_second: f64,
        count: Option<usize>,
    ) -> Self {
        let mut sender = SenderOptions::new(Target::parse(&machine.webhook_url()).unwrap());
        sender.pace = Pace::PerSecond(per_second);
        sender.retry = Retry::InOrder(BACKOFF);
        sender.answer_timeout = ANSWER_MAX;
        sender.keep_acknowledged = true;
        let sender = Sender::new(sender);
        let (progress, stop) = (sender.progress(), sender.stopper());
        let secret = AppSecret::new(APP_SECRET.as_bytes());
        let supplies = Payloads::lanes(&payloads(seed), connections).into_iter().map(|lane| match count {
            Some(count) => Supply::limited(lane, secret.clone(), count),
            None => Supply::live(lane, secret.clone()),
        });
        let run = tokio::spawn(sender.run(supplies.collect()));
        Self { progress, stop, run }
    }

    /// A few webhooks, to their end: gives the ids that were acknowledged, all of them.
    pub(crate) async fn few(machine: &Machine, seed: u64) -> BTreeSet<String> {
        let report = Self::start(machine, seed, 2, 20.0, Some(5)).finish().await;
        assert!(report.is_complete(), "{} of {} acknowledged", report.acked, report.webhooks);
        acknowledged(&report)
    }

    /// Webhooks acknowledged so far.
    pub(crate) fn acked(&self) -> u64 {
        self.progress.counts().acked
    }

    /// Waits until so many more are acknowledged.
    pub(crate) async fn goes_on(&self, more: u64) {
        let wanted = self.acked() + more;
        within(LONG, "webhooks are acknowledged", async || (self.acked() >= wanted).then_some(())).await;
    }

    /// Ends the stream, what is open included.
    pub(crate) async fn stop(self) -> Report {
        self.stop.stop();
        self.run.await.unwrap()
    }

    /// Waits for a limited stream to end by itself.
    pub(crate) async fn finish(self) -> Report {
        self.run.await.unwrap()
    }
}

/// The record ids that were acknowledged.
pub(crate) fn acknowledged(report: &Report) -> BTreeSet<String> {
    report.acknowledged_ids().map(str::to_owned).collect()
}

/// The same with the time at which each had its 200.
pub(crate) fn acknowledged_at(report: &Report) -> Vec<(Instant, String)> {
    let webhooks = report.acknowledged.iter();
    webhooks.flat_map(|webhook| webhook.items.iter().map(|item| (webhook.at, item.id.to_string()))).collect()
}

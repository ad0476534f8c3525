//! The stand-in as a command: `wagate simulate whatsapp`.

use std::future::Future;
use std::time::Duration;

use model::signature::hub::AppSecret;
use tokio::sync::broadcast::error::RecvError;

use super::connection::{BadUrl, Target};
use super::handshake::{Handshake, HandshakeError, handshake};
use super::payload::{PayloadOptions, Payloads};
use super::report::{Counts, Report};
use super::schedule::{Backoff, Pace, Retry};
use super::sender::{Sender, SenderOptions};
use super::supply::Supply;
use crate::Event;
use crate::graph::Ears;

/// How often [`Line::Progress`] comes.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// Up to this rate every webhook is told; above it only the progress is.
const TOLD_PER_SECOND_MAX: f64 = 20.0;

/// What the command is asked to do.
#[derive(Debug, Clone)]
pub struct WhatsappOptions {
    /// The gateway's webhook URL; any certificate is accepted.
    pub url: String,
    /// What webhooks are signed with.
    pub app_secret: AppSecret,
    /// Set: the handshake is done first, and nothing is sent if it fails.
    pub verify_token: Option<String>,
    /// How fast.
    pub pace: Pace,
    /// How many webhooks in all; `None` for as many as go out until it is stopped.
    pub count: Option<u64>,
    /// When to stop by itself.
    pub run_for: Option<Duration>,
    /// Over how many connections.
    pub connections: u32,
    /// How long repetitions go on after the last new webhook.
    pub drain: Duration,
    /// What is in the webhooks.
    pub payloads: PayloadOptions,
    /// The simulated Graph, which opens service windows for those who write.
    pub heard_by: Option<Ears>,
}

/// Something for the command to print.
#[derive(Debug)]
pub enum Line {
    /// The handshake went well.
    Handshake(Handshake),
    /// A webhook was sent or answered; only at rates that can be read.
    Event(Event),
    /// How far the run is, about once a second, where single webhooks aren't told; and at the end.
    Progress(Counts),
}

/// Why the command couldn't do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WhatsappError {
    /// The operator's URL is wrong.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// Meta would refuse the gateway.
    #[error("the handshake failed: {0}")]
    Handshake(#[from] HandshakeError),
}

/// Sends webhooks until the count or the time is reached or `stop` comes, telling `out`.
///
/// # Errors
/// When the URL is wrong or the handshake fails; failures after that stand in the [`Report`].
pub async fn run_whatsapp(
    options: WhatsappOptions,
    stop: impl Future<Output = ()>,
    mut out: impl FnMut(Line),
) -> Result<Report, WhatsappError> {
    let target = Target::parse(&options.url)?;
    if let Some(verify_token) = &options.verify_token {
        let done = handshake(&options.url, verify_token, options.payloads.seed).await?;
        out(Line::Handshake(done));
    }
    let sender = Sender::new(SenderOptions {
        pace: options.pace,
        retry: Retry::Later(Backoff::default()),
        drain: options.drain,
        ..SenderOptions::new(target)
    });
    let sender = match &options.heard_by {
        Some(graph) => sender.with_redirects(graph.redirects(), &options.payloads.phone_number_id),
        None => sender,
    };
    let (progress, stopper) = (sender.progress(), sender.stopper());
    let readable = matches!(options.pace, Pace::PerSecond(rate) if rate <= TOLD_PER_SECOND_MAX);
    let mut events = readable.then(|| sender.events().subscribe());

    let run = sender.run(supplies(&options));
    let ending = async {
        match options.run_for {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(run, ending, stop);
    let mut ticks = tokio::time::interval(PROGRESS_EVERY);
    let mut stopped = false;
    loop {
        tokio::select! {
            report = &mut run => {
                while let Some(Ok(event)) = events.as_mut().map(tokio::sync::broadcast::Receiver::try_recv) {
                    out(Line::Event(event));
                }
                out(Line::Progress(progress.counts()));
                return Ok(report);
            }
            () = &mut stop, if !stopped => stopped = true,
            () = &mut ending, if !stopped => stopped = true,
            _ = ticks.tick(), if !readable => out(Line::Progress(progress.counts())),
            event = next(&mut events) => match event {
                Ok(event) => out(Line::Event(event)),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => events = None,
            },
        }
        if stopped {
            stopper.stop();
        }
    }
}

async fn next(events: &mut Option<tokio::sync::broadcast::Receiver<Event>>) -> Result<Event, RecvError> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}

/// The webhooks dealt out to the connections; the count is met exactly.
fn supplies(options: &WhatsappOptions) -> Vec<Supply> {
    let mut lanes = Payloads::lanes(&options.payloads, options.connections);
    if let Some(graph) = &options.heard_by {
        lanes = lanes.into_iter().map(|lane| lane.heard_by(graph.clone())).collect();
    }
    let of = lanes.len() as u64;
    (0..)
        .zip(lanes)
        .map(|(number, lane): (u64, _)| match options.count {
            Some(count) => {
                let share = count / of + u64::from(number < count % of);
                Supply::limited(
                    lane,
                    options.app_secret.clone(),
                    usize::try_from(share).unwrap_or(usize::MAX),
                )
            }
            None => Supply::live(lane, options.app_secret.clone()),
        })
        .collect()
}

//! `wagate demo`: the whole product on one machine, with nothing installed.
//!
//! The gateway is the one of `wagate run`, with a configuration file, a store and TLS; only what
//! is around it is simulated ([`stage`]). [`script`] says what happens when, [`ledger`] follows
//! each message through it and each reply back, [`show`] brings that before a person, and [`verdict`]
//! compares the books of all ends when it's over.

mod folder;
mod ledger;
mod plain;
mod rows;
mod screen;
mod script;
mod show;
mod stage;
mod style;
mod terminal;
pub mod text;
mod verdict;
mod way_back;

use std::time::{Duration, Instant};

use simulate::crm::Behaviour;
use simulate::event::Events;
use simulate::graph::Ended;
use simulate::whatsapp::Report;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::MissedTickBehavior;

use self::ledger::Weather;
use self::screen::Phase;
use self::script::{Act, script};
use self::show::Show;
use self::stage::Stage;
use self::verdict::Books;
use self::way_back::WayBack;
use crate::cli::Stops;
use crate::out;

/// Between two looks at the screen.
const FRAME: Duration = Duration::from_millis(100);
/// How long what is under way is waited for at the end: as long as the gateway waits at most
/// before it tries again, and some more.
const ENDING: Duration = Duration::from_secs(45);
/// The same when somebody has asked for the end.
const ENDING_ASKED: Duration = Duration::from_secs(20);
/// Messages under way beyond which the demo ends: nothing gets through any more.
const WAITING_MAX: usize = 10_000;

/// Shows everything until `run_for` is over or a stop comes (a second one ends at once); true if
/// all that was sent was acknowledged and received in order, and every reply went out once.
///
/// # Errors
/// When it can't be started, or stdout can't be written.
pub async fn run(run_for: Option<Duration>, live: bool, stops: &mut Stops) -> anyhow::Result<bool> {
    let stage = Stage::set().await?;
    let mut show = Show::begin(stage.places.clone(), live)?;
    let played = play(&stage, &mut show, script(run_for), stops).await;
    let Stage { app, crm, graph, journeys, .. } = stage;
    let letters = graph.messages();
    let ending = async {
        let Ended { webhooks, .. } = graph.stop().await;
        (webhooks, app.stop().await.err().map(|error| format!("{error:#}")))
    };
    let (statuses, stop) = tokio::select! {
        ended = ending => ended,
        () = stops.next() => (None, Some("it was cut short".to_owned())),
    };
    let taken = crm.totals();
    let written = crm.written();
    let back = crm.look(|seen| WayBack::of(&written, &letters, |id| seen.followed(id)));
    let books = Books {
        report: played?,
        statuses,
        never_arrived: journeys.under_way(),
        never_sent: taken.records.saturating_sub(journeys.summary().count + back.recorded()),
        back,
        taken,
        complaints: crm.complaints(),
        stop,
        lasted: show.start.elapsed(),
    };
    let ledger = show.end()?;
    out::answer(&verdict::summary(&books, &ledger, live))?;
    Ok(verdict::faults(&books, ledger.totals()).is_empty())
}

/// Lets everything happen; gives WhatsApp's report if it came to its end.
async fn play(
    stage: &Stage,
    show: &mut Show,
    mut script: impl Iterator<Item = (Duration, Act)>,
    stops: &mut Stops,
) -> anyhow::Result<Option<Report>> {
    let (sender, supplies) = stage.whatsapp();
    let stopper = sender.stopper();
    let mut from_whatsapp = Some(sender.events().subscribe());
    let mut from_api = Some(stage.graph.postings());
    let mut with_statuses = stage.graph.webhooks().map(Events::subscribe);
    let mut from_crm = Some(stage.crm.events().subscribe());
    let sending = sender.run(supplies);
    tokio::pin!(sending);
    let mut report = None;
    let mut deadline = None;
    let mut next = script.next();
    let mut frames = tokio::time::interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let at = next.map(|(at, _)| show.start + at).or(deadline);
        let mut act = None;
        tokio::select! {
            () = stops.next() => {
                if deadline.is_some() {
                    break;
                }
                deadline = Some(Instant::now() + ENDING_ASKED);
                show.note("Ending, once everything has arrived; Ctrl-C once more leaves at once.")?;
                act = Some(Act::StopSending);
            }
            event = event(&mut from_whatsapp) => show.take(event)?,
            posting = event(&mut from_api) => show.posted(posting)?,
            event = event(&mut with_statuses) => show.take(event)?,
            event = event(&mut from_crm) => {
                // What WhatsApp did before that comes first.
                while let Some(event) = waiting(&mut from_whatsapp) {
                    show.take(event)?;
                }
                while let Some(posting) = waiting(&mut from_api) {
                    show.posted(posting)?;
                }
                while let Some(event) = waiting(&mut with_statuses) {
                    show.take(event)?;
                }
                show.take(event)?;
            }
            () = stage.app.broken(), if deadline.is_none() => act = Some(Act::StopSending),
            done = &mut sending, if report.is_none() => report = Some(done),
            () = until(at), if at.is_some() => {
                let Some((_, due)) = next else { break };
                act = Some(due);
                next = script.next();
            }
            _ = frames.tick() => show.draw()?,
        }
        if show.ledger.waiting() > WAITING_MAX && deadline.is_none() {
            act = Some(Act::StopSending);
        }
        match act {
            Some(Act::Unplug(lasts)) => {
                stage.crm.behave(Behaviour::Down).await;
                show.unplugged(lasts)?;
            }
            Some(Act::PlugIn) => plug_in(stage, show).await?,
            Some(Act::StopSending) => {
                stopper.stop();
                next = None;
                deadline = deadline.or_else(|| Some(Instant::now() + ENDING));
                show.phase = Phase::Ending;
                plug_in(stage, show).await?;
            }
            None => {}
        }
        if report.is_some() && show.ledger.waiting() == 0 && stage.is_quiet() {
            break;
        }
    }
    show.draw()?;
    Ok(report)
}

async fn plug_in(stage: &Stage, show: &mut Show) -> anyhow::Result<()> {
    if let Weather::Unplugged { .. } = show.ledger.weather() {
        stage.crm.behave(Behaviour::Ok).await;
        show.plugged_in()?;
    }
    Ok(())
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// The next event; waits for ever once there are no more.
async fn event<T: Clone>(events: &mut Option<Receiver<T>>) -> Result<T, u64> {
    if let Some(open) = events {
        match open.recv().await {
            Ok(event) => return Ok(event),
            Err(RecvError::Lagged(missed)) => return Err(missed),
            Err(RecvError::Closed) => *events = None,
        }
    }
    std::future::pending().await
}

/// The next event if it's there already.
fn waiting<T: Clone>(events: &mut Option<Receiver<T>>) -> Option<Result<T, u64>> {
    match events.as_mut()?.try_recv() {
        Ok(event) => Some(Ok(event)),
        Err(TryRecvError::Lagged(missed)) => Some(Err(missed)),
        Err(TryRecvError::Empty | TryRecvError::Closed) => None,
    }
}

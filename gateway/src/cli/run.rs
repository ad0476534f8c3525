//! `wagate run`

use board::Notify;
use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigArgs, Exit};
use crate::app::{App, Opening};
use crate::config::accepted;
use crate::{config, out, telemetry};

/// Threads for what blocks on the disk (readings for the API, start and stop); more than that waits.
const BLOCKING_THREADS: usize = 16;

pub(super) fn run(args: &ConfigArgs) -> anyhow::Result<Exit> {
    let start = match accepted::start_to_run(&args.config, &config::system_env) {
        Ok(start) => start,
        Err(problems) => {
            out::talk(&problems.render(out::talk_colour()));
            return Ok(Exit::Refused);
        }
    };
    telemetry::install(start.loaded.config.log);
    super::confined::confine_if_asked(&start.loaded)?;
    for warning in &start.loaded.warnings.list {
        tracing::warn!("{}", start.loaded.warnings.line(warning));
    }
    if let Some(problems) = &start.loaded.rate_card {
        tracing::error!("the rate card can't be used, so nobody knows what messages cost: {problems}");
    }
    // Of the API, calls of WhatsApp, alarms and signals; webhooks and deliveries have threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()?;
    let exit = runtime.block_on(serve(start));
    runtime.shutdown_background();
    exit
}

async fn serve(start: accepted::Start) -> anyhow::Result<Exit> {
    // Before anything else: a signal that comes while starting isn't lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let keeper = Notify::from_env().unwrap_or_else(|error| {
        tracing::error!(%error, "nobody is told how this process is doing");
        Notify::nobody()
    });
    let opening = Opening::begin(keeper.watchdog_of_the_start());
    let mut app = App::start(start, board::Remote::from_env()).await?;
    drop(opening);
    app.keep(keeper);
    let exit = loop {
        tokio::select! {
            _ = terminate.recv() => break Exit::Done,
            _ = interrupt.recv() => break Exit::Done,
            _ = hangup.recv() => app.reload(),
            () = app.broken() => {
                tracing::error!("the disk has refused too often: leaving, so that a restart can mend it");
                break Exit::Failed;
            }
        }
    };
    tokio::select! {
        stopped = app.stop() => stopped?,
        _ = terminate.recv() => tracing::warn!("told twice: leaving at once"),
        _ = interrupt.recv() => tracing::warn!("told twice: leaving at once"),
    }
    Ok(exit)
}

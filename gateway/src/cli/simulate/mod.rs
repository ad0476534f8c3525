//! `wagate simulate`: the stand-ins on their own.

mod crm;
mod graph;
mod whatsapp;

pub(super) use crm::crm;
pub(super) use whatsapp::whatsapp;

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Notify;

use super::{Exit, Stops};
use crate::config::{self, Secret};
use crate::{clock, out};

/// Reads a secret that stands on the command line as it would in a configuration.
fn secret(option: &str, text: &str) -> Result<Secret, String> {
    Secret::find(text, Path::new(""), &config::system_env).map_err(|why| format!("{option}: {why}"))
}

/// Tells what is wrong with the command line.
fn refused(why: &str) -> Exit {
    out::talk(&format!("wagate: {why}"));
    Exit::Refused
}

/// Runs `run` until it ends by itself. A first stop wakes the [`Notify`] that it's given, and is
/// answered with `ending`; a second one ends it at once: then there is nothing.
fn run_stoppable<T>(ending: &str, run: impl AsyncFnOnce(Arc<Notify>) -> T) -> anyhow::Result<Option<T>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let mut stops = Stops::listen()?;
        let stop = Arc::new(Notify::new());
        let told_twice = async {
            stops.next().await;
            stop.notify_one();
            out::talk(ending);
            stops.next().await;
        };
        io::Result::Ok(tokio::select! {
            done = run(Arc::clone(&stop)) => Some(done),
            () = told_twice => None,
        })
    });
    runtime.shutdown_background();
    Ok(ended?)
}

/// Prints lines with the time of day before them; where that can't be done it stops the run.
struct Printer {
    stop: Arc<Notify>,
    outcome: io::Result<()>,
}

impl Printer {
    const fn new(stop: Arc<Notify>) -> Self {
        Self { stop, outcome: Ok(()) }
    }

    fn line(&mut self, line: &str) {
        let time = clock::now().rfc3339_seconds();
        // The time of day of 2026-11-20T22:43:15Z.
        self.answer(&format!("{} {line}\n", time.get(11..).unwrap_or(&time)));
    }

    fn answer(&mut self, text: &str) {
        if self.outcome.is_ok() {
            self.outcome = out::answer(text);
            if self.outcome.is_err() {
                self.stop.notify_one();
            }
        }
    }
}

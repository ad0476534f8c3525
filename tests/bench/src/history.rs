//! A million delivered records lie in the store: the same loads with them and without, interleaved.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use crate::disk::{Image, USUAL};
use crate::judge::{Promise, judge};
use crate::load::{Generator, Until};
use crate::path::{Load, Plan};
use crate::phase::{Bench, Phase, drained};
use crate::results::Results;
use crate::server::{Kind, Server};
use crate::sink::Sink;
use crate::table::say;
use crate::wear::Wear;
use crate::work::{LANES, Work};

/// How many lie there.
pub(crate) const FULL: usize = 1_000_000;
pub(crate) const SMOKE: usize = 3_000;

/// Measures the gateway.
pub(crate) fn measure(
    bench: &Bench,
    plan: &Plan,
    records: usize,
    wear: &Wear,
    results: &mut Results,
) -> anyhow::Result<()> {
    let history = TempDir::new_in(&bench.folder)?;
    say("history: filling");
    fill(bench, records, history.path())?;
    // On a device of its own where there can be one, so that bytes are measured as well.
    let image = Image::new(&bench.folder, wear.image, USUAL)
        .map_err(|error| say(&format!("no device of its own: {error:#}")))
        .ok();
    let work = plan.work(8)?;
    for round in 1..=plan.rounds {
        for load in &plan.loads {
            let mut states = [("with", Some(history.path())), ("without", None)];
            if round.is_multiple_of(2) {
                states.reverse();
            }
            // Two folds at the low rate are in the bytes of the first round.
            let until = match load {
                Load::Busy if round == 1 => Until::webhooks(wear.busy),
                Load::Busy | Load::Fast | Load::Saturated => Until::time(load.time(plan.paced)),
            };
            for (state, history) in states {
                say(&format!("history, round {round} of {}: {} {state}", plan.rounds, load.word()));
                let mut phase = Phase::new(load.pace(), until);
                phase.image = image.as_ref();
                phase.history = history;
                let figures = bench.run(Kind::Wagate, &work, &phase)?;
                results.add(&format!("history/{}/{state}", load.word()), Kind::Wagate, round, figures);
            }
        }
    }
    Ok(())
}

fn fill(bench: &Bench, records: usize, folder: &Path) -> anyhow::Result<()> {
    let work = Arc::new(Work::batched(7, records)?);
    let sink = Sink::start(Arc::clone(&work), None)?;
    let server = Server::start(&bench.programs, Kind::Wagate, folder, &sink.url(), None)?;
    let mut generator = Generator::open(Arc::clone(&work), server.address(), true)?;
    let outcome = generator.run(Load::Saturated.pace(), Until::all_but(&work, 0))?;
    drained(&sink, outcome.acked_items)?;
    server.stop()?;
    let seen = sink.stop()?;
    judge(&work, generator.sent(), &[0; LANES], &seen, Promise::Once, true)?;
    Ok(())
}

//! A million delivered records lie in the store: the same loads with them and without, interleaved.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use crate::disk::{Image, USUAL};
use crate::judge::{Promise, judge};
use crate::load::{Generator, Until};
use crate::path::{Load, Plan};
use crate::phase::{Bench, History, Phase, drained};
use crate::results::Results;
use crate::server::{Kind, Server};
use crate::sink::Sink;
use crate::table::say;
use crate::wear::Wear;
use crate::work::{LANES, Work};

/// How many lie there.
pub(crate) const FULL: usize = 1_000_000;
pub(crate) const SMOKE: usize = 3_000;
/// Phases that keep a schedule are so many times as long as elsewhere: a p99 is to be compared.
const LONGER: u32 = 2;

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
    let work = plan.work_for_longer(8, LONGER)?;
    let states = |round: u32| {
        let mut states = [("with", History::Known), ("without", History::Beside)];
        if round.is_multiple_of(2) {
            states.reverse();
        }
        states
    };
    for round in 1..=plan.rounds {
        for load in &plan.loads {
            for (state, place) in states(round) {
                say(&format!("history, round {round} of {}: {} {state}", plan.rounds, load.word()));
                let times = if *load == Load::Saturated { 1 } else { LONGER };
                let mut phase = Phase::new(load.pace(), Until::time(load.time(plan.paced) * times));
                phase.history = Some((history.path(), place));
                let figures = bench.run(Kind::Wagate, &work, &phase)?;
                results.add(&format!("history/{}/{state}", load.word()), Kind::Wagate, round, figures);
            }
        }
    }
    // The bytes by themselves: an image's flushes have journal commits of their own behind them, which show
    // in every latency.
    let image = match Image::new(&bench.folder, wear.image, USUAL) {
        Ok(image) => image,
        Err(error) => {
            say(&format!("no device of its own: {error:#}"));
            return Ok(());
        }
    };
    for round in 1..=plan.rounds {
        for load in &plan.loads {
            let until = match load {
                // Two folds are in it, and it comes out the same each time.
                Load::Busy if round == 1 => Until::webhooks(wear.busy),
                Load::Busy | Load::Fast => continue,
                Load::Saturated => Until::time(load.time(plan.paced)),
            };
            for (state, place) in states(round) {
                say(&format!("history, bytes, round {round} of {}: {} {state}", plan.rounds, load.word()));
                let mut phase = Phase::new(load.pace(), until);
                phase.image = Some(&image);
                phase.history = Some((history.path(), place));
                let figures = bench.run(Kind::Wagate, &work, &phase)?;
                results.add(&format!("history-bytes/{}/{state}", load.word()), Kind::Wagate, round, figures);
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

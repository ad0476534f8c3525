//! Flash bytes per webhook, by the counter of a device of its own: at 1/s, at 200/s, saturated.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::disk::{ADVISED, IMAGE_BYTES, Image, USUAL};
use crate::judge::{Promise, judge};
use crate::load::{Generator, Pace, Until};
use crate::path::{Load, Plan};
use crate::phase::{Bench, Phase, drained};
use crate::results::{Figures, Results};
use crate::server::{Kind, Server};
use crate::sink::Sink;
use crate::table::say;
use crate::work::Work;

/// What else is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wear {
    /// At 200/s: two segments of the intake log (4,096 blocks each) and a little more, so that two
    /// folds are in the bytes.
    pub(crate) busy: usize,
    /// Seconds of each of the two windows at 1/s.
    pub(crate) window: usize,
    /// Webhooks between two looks for a fold.
    pub(crate) step: usize,
    /// Two folds come within so many webhooks, or aren't waited for.
    pub(crate) patience: usize,
    /// Bytes of the device.
    pub(crate) image: usize,
}

impl Wear {
    pub(crate) const FULL: Self =
        Self { busy: 8_300, window: 150, step: 32, patience: 40_000, image: IMAGE_BYTES };
    pub(crate) const SMOKE: Self = Self { busy: 100, window: 1, step: 32, patience: 64, image: 192 << 20 };
}

/// Measures. Without root there is no device of its own, and only the gateway is measured, by its own
/// counter.
pub(crate) fn measure(bench: &Bench, plan: &Plan, wear: &Wear, results: &mut Results) -> anyhow::Result<()> {
    let images = match images(bench, wear) {
        Ok(images) => images,
        Err(error) => {
            say(&format!("no device of its own, so bytes aren't counted: {error:#}"));
            return Ok(());
        }
    };
    let work = plan.work(3)?;
    for round in 1..=plan.rounds {
        for load in plan.loads.iter().filter(|load| **load != Load::Fast) {
            let until = match load {
                Load::Busy => Until::webhooks(wear.busy),
                Load::Fast | Load::Saturated => Until::time(load.time(plan.paced)),
            };
            for kind in bench.kinds(round) {
                say(&format!("bytes, round {round} of {}: {kind:?}, {}", plan.rounds, load.word()));
                let mut phase = Phase::new(load.pace(), until);
                phase.image = Some(&images[0].2);
                let figures = bench.run(kind, &work, &phase)?;
                results.add(&format!("wear/{}", load.word()), kind, round, figures);
            }
        }
    }
    say(&format!("bytes at 1/s, twice {} s", wear.window));
    let work = Arc::new(Work::single(4, wear.patience + 4_000)?);
    // At this rate nobody disturbs another, so all run at the same time.
    let figures = std::thread::scope(|scope| {
        let threads: Vec<_> = images
            .iter()
            .map(|(kind, place, image)| {
                let work = &work;
                (*kind, *place, scope.spawn(move || slowly(bench, *kind, image, work, wear)))
            })
            .collect();
        threads
            .into_iter()
            .map(|(kind, place, thread)| {
                let figures = thread.join().map_err(|_| anyhow::anyhow!("a phase at 1/s panicked"))??;
                anyhow::Ok((kind, place, figures))
            })
            .collect::<anyhow::Result<Vec<_>>>()
    })?;
    for (kind, place, figures) in figures {
        results.add(place, kind, 1, figures);
    }
    Ok(())
}

/// One for each server and each way to mount it, since all run at once at 1/s. The usual ones come first.
fn images(bench: &Bench, wear: &Wear) -> anyhow::Result<Vec<(Kind, &'static str, Image)>> {
    let mut images = Vec::new();
    for (place, options) in [("wear/1", USUAL), ("wear/1-advised", ADVISED)] {
        for kind in bench.kinds(1) {
            images.push((kind, place, Image::new(&bench.folder, wear.image, options)?));
        }
    }
    Ok(images)
}

/// Two windows at 1/s. The first has no fold of the gateway's log, the second has one, since the log is
/// brought near its fold before: the difference is what a fold costs, and is shared by all webhooks
/// between two folds.
fn slowly(
    bench: &Bench,
    kind: Kind,
    image: &Image,
    work: &Arc<Work>,
    wear: &Wear,
) -> anyhow::Result<Figures> {
    let folder = TempDir::new_in(image.root())?;
    let sink = Sink::start(Arc::clone(work), None)?;
    let server = Server::start(&bench.programs, kind, folder.path(), &sink.url(), None)?;
    let mut generator = Generator::open(Arc::clone(work), server.address(), true)?;
    let folds = || server.counter("wagate_store_folds");
    let mut sent = 0_u64;
    let mut send = |pace, webhooks: usize| {
        sent += generator.run(pace, Until::webhooks(webhooks))?.acked_items;
        drained(&sink, sent)
    };

    let mut between = 0;
    if kind == Kind::Wagate {
        let mut seen = Vec::new();
        let mut done = 0;
        while seen.len() < 2 && done < wear.patience {
            let before = folds()?;
            send(Pace::Closed(1), wear.step)?;
            done += wear.step;
            if folds()? > before {
                seen.push(done);
            }
        }
        if let [first, second] = seen[..] {
            between = second - first;
            let ahead = wear.window + wear.window / 2;
            send(Pace::Closed(1), between.saturating_sub(ahead).max(1))?;
        }
    }
    let mut window = || {
        let (folds_before, bytes_before) = (folds()?, image.written()?);
        send(Pace::PerSecond(1.0), wear.window)?;
        anyhow::Ok((image.written()? - bytes_before, folds()? - folds_before))
    };
    let (quiet, folds_in_quiet) = window()?;
    let (folding, folds_in_folding) = window()?;
    server.stop()?;
    let seen = sink.stop()?;
    judge(work, generator.sent(), &[0; crate::work::LANES], &seen, Promise::Once, kind == Kind::Wagate)?;

    let each = quiet as f64 / wear.window as f64;
    let mut figures = Figures::new();
    if folds_in_quiet == 0 && folds_in_folding == 1 && between > 0 {
        let fold = folding.saturating_sub(quiet) as f64;
        figures.insert("webhooks_between_folds".to_owned(), between as f64);
        figures.insert("bytes_of_a_fold".to_owned(), fold);
        figures.insert("bytes_between_folds".to_owned(), each);
        figures.insert("bytes_per_webhook".to_owned(), each + fold / between as f64);
    } else {
        let both = (quiet + folding) as f64 / (2 * wear.window) as f64;
        figures.insert("folds".to_owned(), (folds_in_quiet + folds_in_folding) as f64);
        figures.insert("bytes_per_webhook".to_owned(), both);
    }
    figures.insert("seconds".to_owned(), Duration::from_secs(2 * wear.window as u64).as_secs_f64());
    Ok(figures)
}

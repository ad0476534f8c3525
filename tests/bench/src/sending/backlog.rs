//! A hundred queued messages and a hundred thousand: memory, and the start after SIGKILL.

use std::sync::Arc;
use std::time::Instant;

use tempfile::TempDir;

use super::customers::{CUSTOMERS_MAX, messages, queue, shown, write};
use super::{Extent, figures};
use crate::load::Generator;
use crate::phase::Bench;
use crate::results::{Figures, Results};
use crate::server::{Kind, Server, Setup, free_address};
use crate::sink::Sink;
use crate::table::say;

/// Measures.
pub(super) fn measure(bench: &Bench, extent: &Extent, results: &mut Results) -> anyhow::Result<()> {
    for (count, word) in [(extent.few, "few"), (extent.many, "many")] {
        say(&format!("sending, a backlog of {count}"));
        let (filled, starts) = backlog(bench, extent, count)?;
        results.add(&format!("sending/backlog/{word}"), Kind::Wagate, 1, filled);
        for (start, measured) in (1..).zip(starts) {
            results.add(&format!("sending/start/{word}"), Kind::Wagate, start, measured);
        }
    }
    // Beside one another, start by start, as the target has it.
    for start in 1..=extent.starts {
        let of = |word: &str| {
            let rounds = results.rounds(&format!("sending/start/{word}"), Kind::Wagate, "rss_mib");
            rounds.get(&start).copied().unwrap_or(f64::NAN)
        };
        let more = of("many") - of("few");
        results.add("sending/start/more", Kind::Wagate, start, figures([("rss_mib", more)]));
    }
    Ok(())
}

fn backlog(bench: &Bench, extent: &Extent, count: usize) -> anyhow::Result<(Figures, Vec<Figures>)> {
    let folder = TempDir::new_in(&bench.folder)?;
    let sink = Sink::start(Arc::default(), None)?;
    let setup = Setup { graph: Some(free_address()?), messages_per_day: 0, ..Setup::INTAKE };
    let start = || Server::start_as(&bench.programs, folder.path(), &sink.url(), &setup, None);
    let server = start()?;
    write(CUSTOMERS_MAX, &server, true, &sink)?;
    let work = messages(count, CUSTOMERS_MAX);
    let mut generator = Generator::open(Arc::clone(&work), server.api(), false)?;
    let began = Instant::now();
    queue(&mut generator, &work)?;
    let took = began.elapsed();
    drop(generator);
    shown(&server, &work, count as u64)?;
    std::thread::sleep(bench.rest);
    let memory = server.memory()?;
    let mut last = server;
    let mut starts = Vec::new();
    for _ in 0..extent.starts {
        last.kill()?;
        let began = Instant::now();
        let server = start()?;
        let ready = began.elapsed();
        shown(&server, &work, count as u64)?;
        std::thread::sleep(bench.rest);
        let memory = server.memory()?;
        starts.push(figures([("ready_ms", ready.as_secs_f64() * 1e3), ("rss_mib", memory.resident)]));
        last = server;
    }
    last.stop()?;
    let filled = figures([
        ("messages_per_second", count as f64 / took.as_secs_f64()),
        ("rss_mib", memory.resident),
        ("rss_peak_mib", memory.peak),
    ]);
    Ok((filled, starts))
}

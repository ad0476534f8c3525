//! The drain at the pace of one number: what it takes of the processor and of the disk.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tempfile::TempDir;

use super::customers::{arrived, messages, queue, write};
use super::graph::{Graph, Observed};
use super::{Extent, figures};
use crate::disk::{Image, USUAL};
use crate::load::Generator;
use crate::path::Plan;
use crate::phase::Bench;
use crate::results::{Figures, Results};
use crate::server::{Kind, NUMBER, Server, Setup, cpu_seconds, free_address};
use crate::sink::Sink;
use crate::table::say;

/// What may go in a day: more than goes.
const A_DAY: u64 = 100_000;
/// Statuses of each message, when they come.
const STATUSES: u64 = 3;
/// How often Graph is asked what it has; it is another process's time.
const GLANCE: Duration = Duration::from_millis(100);
/// A drain is at the pace of 80/s, or something is wrong.
const DRAINED_WITHIN: Duration = Duration::from_secs(120);

/// Measures.
pub(super) fn measure(
    bench: &Bench,
    plan: &Plan,
    extent: &Extent,
    results: &mut Results,
) -> anyhow::Result<()> {
    for round in 1..=plan.rounds {
        for (phase, statuses) in [("sending/drain", true), ("sending/drain-calls", false)] {
            say(&format!("{phase}, round {round} of {}", plan.rounds));
            results.add(phase, Kind::Wagate, round, drain(bench, extent, &bench.folder, statuses, None)?);
        }
    }
    match Image::new(&bench.folder, extent.image, USUAL) {
        Ok(image) => {
            say("sending/drain-bytes");
            let measured = drain(bench, extent, &image.root(), true, Some(&image))?;
            results.add("sending/drain-bytes", Kind::Wagate, 1, measured);
        }
        Err(error) => say(&format!("no device of its own, so bytes aren't counted: {error:#}")),
    }
    Ok(())
}

fn drain(
    bench: &Bench,
    extent: &Extent,
    root: &Path,
    statuses: bool,
    image: Option<&Image>,
) -> anyhow::Result<Figures> {
    let folder = TempDir::new_in(root)?;
    let sink = Sink::start(Arc::default(), None)?;
    let address = free_address()?;
    let setup = Setup { graph: Some(address), messages_per_day: A_DAY, ..Setup::INTAKE };
    let server = Server::start_as(&bench.programs, folder.path(), &sink.url(), &setup, None)?;
    let graph = Graph::start(&bench.programs, address, server.address(), statuses)?;
    write(extent.recipients, &server, true, &sink)?;
    graph.heard(extent.recipients)?;
    std::thread::sleep(bench.rest);

    let work = messages(extent.drained, extent.recipients);
    let mut generator = Generator::open(Arc::clone(&work), server.api(), false)?;
    queue(&mut generator, &work)?;
    let all = extent.drained as u64;
    let counters = || {
        anyhow::Ok((server.counter("wagate_outbox_transactions")?, server.counter("wagate_store_groups")?))
    };
    let bytes = || image.map_or(Ok(0), Image::written);
    let (before, before_accepted, before_bytes) = (counters()?, graph.observed()?.accepted, bytes()?);
    let (cpu_before, own_before) = (server.cpu_seconds()?, cpu_seconds("self")?);
    let start = Instant::now();
    while graph.observed()?.accepted < all {
        let observed = graph.observed()?;
        anyhow::ensure!(start.elapsed() < DRAINED_WITHIN, "the drain doesn't end: {observed:?}");
        std::thread::sleep(GLANCE);
    }
    let records = 1 + if statuses { STATUSES } else { 0 };
    arrived(&sink, extent.recipients as u64 + all * records)?;
    let (cpu, own) = (server.cpu_seconds()? - cpu_before, cpu_seconds("self")? - own_before);
    let (after, written) = (counters()?, bytes()? - before_bytes);
    let observed = graph.observed()?;
    right(&observed, all)?;
    let per_second = per_second(&graph.times()?).context("too few messages for a rate")?;
    server.stop()?;

    // The last statuses come when the last message has gone: that time is no part of the drain's.
    let drained = (all - before_accepted) as f64;
    let each = |total: f64| total / drained;
    let mut measured = figures([
        ("messages_per_second", per_second),
        ("core_percent", each(cpu) * per_second * 1e2),
        ("cpu_ms_per_message", each(cpu) * 1e3),
        ("bench_core_percent", each(own) * per_second * 1e2),
        ("turns_per_message", each((after.0 - before.0) as f64)),
        ("groups_per_message", each((after.1 - before.1) as f64)),
        ("calls_at_once", observed.most_at_once as f64),
    ]);
    if let Some(of_number) = observed.numbers.get(NUMBER) {
        measured.insert("most_in_a_second".to_owned(), of_number.most_in_a_second as f64);
    }
    if image.is_some() {
        measured.insert("bytes_per_message".to_owned(), each(written as f64));
    }
    Ok(measured)
}

/// Everything once, nothing refused, nothing that wasn't to go.
fn right(observed: &Observed, messages: u64) -> anyhow::Result<()> {
    let outside: u64 = observed.numbers.values().map(|number| number.free_form_outside_window).sum();
    let right = observed.accepted == messages
        && observed.taken_twice == 0
        && observed.calls >= messages
        && observed.refused.is_empty()
        && outside == 0;
    anyhow::ensure!(right, "Graph didn't get {messages} messages, each once and rightly: {observed:?}");
    Ok(())
}

/// The rate that Graph saw, by its own clock.
fn per_second(times: &[i64]) -> Option<f64> {
    let (first, last) = times.iter().min().zip(times.iter().max())?;
    let took = (last > first).then(|| (last - first) as f64 / 1e3)?;
    Some((times.len() - 1) as f64 / took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_counts_what_lies_between_the_first_and_the_last() {
        assert_eq!(per_second(&[3_000, 1_000, 2_000]), Some(1.0));
        assert_eq!((per_second(&[1_000]), per_second(&[])), (None, None));
    }

    #[test]
    fn what_graph_got_twice_or_refused_spoils_a_run() {
        let observed = |twice, refused: &[(&str, u64)]| Observed {
            calls: 5,
            accepted: 5,
            taken_twice: twice,
            most_at_once: 1,
            refused: refused.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect(),
            numbers: std::collections::BTreeMap::new(),
        };
        assert!(right(&observed(0, &[]), 5).is_ok());
        assert!(right(&observed(0, &[]), 6).is_err());
        assert!(right(&observed(1, &[]), 5).is_err());
        assert!(right(&observed(0, &[("130429", 1)]), 5).is_err());
    }
}

//! A million records that the CRM hasn't taken: memory, the start after SIGKILL, the drain.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use tempfile::TempDir;

use crate::judge::{Promise, judge};
use crate::load::{Generator, Sent, Until};
use crate::path::Load;
use crate::phase::{Bench, drained};
use crate::results::{Figures, Results};
use crate::server::{Kind, Server, free_address};
use crate::sink::Sink;
use crate::table::say;
use crate::work::{LANES, Work, now};

/// How large, and how often it is started again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backlog {
    pub(crate) records: usize,
    /// At most [`LANES`] less one.
    pub(crate) starts: u32,
}

impl Backlog {
    pub(crate) const FULL: Self = Self { records: 1_000_000, starts: 5 };
    pub(crate) const SMOKE: Self = Self { records: 3_000, starts: 1 };
}

/// Measures.
pub(crate) fn measure(bench: &Bench, backlog: &Backlog, results: &mut Results) -> anyhow::Result<()> {
    for kind in bench.kinds(1) {
        one(bench, kind, backlog, results).with_context(|| format!("a backlog of {kind:?}"))?;
    }
    Ok(())
}

fn one(bench: &Bench, kind: Kind, backlog: &Backlog, results: &mut Results) -> anyhow::Result<()> {
    say(&format!("backlog: {kind:?}, filling"));
    let work = Arc::new(Work::batched(6, backlog.records)?);
    let folder = TempDir::new_in(&bench.folder)?;
    // Nobody listens there, until the drain.
    let crm = free_address()?;
    let url = format!("http://{crm}/records");
    let server = Server::start(&bench.programs, kind, folder.path(), &url, None)?;
    let mut generator = Generator::open(Arc::clone(&work), server.address(), true)?;
    let start = Instant::now();
    // The last webhook of each lane is for the restarts.
    let filled = generator.run(Load::Saturated.pace(), Until::all_but(&work, 1))?;
    let took = start.elapsed();
    let memory = server.memory()?;
    let mut sent: Vec<Vec<Sent>> = generator.sent().map(<[_]>::to_vec).collect();
    drop(generator);
    server.kill()?;
    let mut records = filled.acked_items;
    results.add(
        "backlog/fill",
        kind,
        1,
        figures([
            ("records", records as f64),
            ("records_per_second", records as f64 / took.as_secs_f64()),
            ("rss_mib", memory.resident),
            ("rss_peak_mib", memory.peak),
        ]),
    );

    let mut last = None;
    for start in 1..=backlog.starts {
        say(&format!("backlog: {kind:?}, start {start} of {}", backlog.starts));
        // Taking the last one away has killed it.
        drop(last.take());
        let lane = start as usize % LANES;
        let webhook = &work.lanes[lane].webhooks[sent[lane].len()];
        let request = work.lanes[lane].request(sent[lane].len()).context("a webhook that was left")?;
        records += webhook.items.len() as u64;
        let (server, ready) = Server::start_for(&bench.programs, kind, folder.path(), &url, request)?;
        sent[lane].push(Sent { due: now(), acked: now() });
        std::thread::sleep(bench.rest);
        let memory = server.memory()?;
        let ready = ready.as_secs_f64() * 1e3;
        results.add(
            "backlog/start",
            kind,
            start,
            figures([("ready_ms", ready), ("rss_mib", memory.resident)]),
        );
        last = Some(server);
    }

    say(&format!("backlog: {kind:?}, draining"));
    let server = last.context("not one start")?;
    let sink = Sink::start(Arc::clone(&work), Some(crm))?;
    drained(&sink, 1)?;
    let start = Instant::now();
    let memory = || server.memory().map(|memory| memory.resident);
    drained(&sink, records / 2)?;
    let half = memory()?;
    drained(&sink, records)?;
    let took = start.elapsed();
    let peak = server.memory()?.peak;
    server.stop()?;
    let seen = sink.stop()?;
    let sent = sent.iter().map(Vec::as_slice);
    let verdict = judge(&work, sent, &[0; LANES], &seen, Promise::AtLeastOnce, kind == Kind::Wagate)?;
    results.add(
        "backlog/drain",
        kind,
        1,
        figures([
            ("records_per_second", records as f64 / took.as_secs_f64()),
            ("rss_half_mib", half),
            ("rss_peak_mib", peak),
            ("repeats", verdict.repeats as f64),
        ]),
    );

    for start in 1..=backlog.starts {
        let folder = TempDir::new_in(&bench.folder)?;
        let request = work.lanes[0].request(0).context("a webhook")?;
        // The first start makes the store, the second one finds it as a kill has left it.
        drop(Server::start(&bench.programs, kind, folder.path(), &url, None)?);
        let (server, ready) = Server::start_for(&bench.programs, kind, folder.path(), &url, request)?;
        drop(server);
        results.add("backlog/empty", kind, start, figures([("ready_ms", ready.as_secs_f64() * 1e3)]));
    }
    Ok(())
}

fn figures<const N: usize>(named: [(&str, f64); N]) -> Figures {
    named.map(|(name, value)| (name.to_owned(), value)).into()
}

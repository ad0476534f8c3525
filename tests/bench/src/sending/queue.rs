//! Queueing beside taking webhooks in: the same program, the same loads, in the same round.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::customers::{CUSTOMERS_MAX, messages, shown, write};
use super::{Extent, figures};
use crate::load::{Generator, Pace, Until};
use crate::path::{Load, Plan};
use crate::phase::{Bench, Phase};
use crate::results::{Figures, Results};
use crate::server::{Kind, Server, Setup, free_address};
use crate::sink::Sink;
use crate::slow_disk;
use crate::table::{ms, say};
use crate::work::Work;

const WARM_UP_RATE: f64 = 500.0;

/// What is measured beside one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Messages,
    /// Webhooks, over TLS and over plain HTTP.
    Tls,
    Plain,
    /// The same two behind a flush of 10 ms, as on a card.
    MessagesSlow,
    TlsSlow,
}

impl What {
    const fn word(self) -> &'static str {
        match self {
            Self::Messages => "queue",
            Self::Tls => "webhooks",
            Self::Plain => "webhooks-plain",
            Self::MessagesSlow => "queue-slow",
            Self::TlsSlow => "webhooks-slow",
        }
    }

    const fn is_slow(self) -> bool {
        matches!(self, Self::MessagesSlow | Self::TlsSlow)
    }
}

/// Measures.
pub(super) fn measure(
    bench: &Bench,
    plan: &Plan,
    extent: &Extent,
    results: &mut Results,
) -> anyhow::Result<()> {
    let shim = slow_disk::build(&bench.folder)?;
    let webhooks = plan.work(11)?;
    let queued = messages(extent.queued + 1_000, CUSTOMERS_MAX);
    for round in 1..=plan.rounds {
        for load in plan.loads.iter().filter(|load| **load != Load::Fast) {
            let mut order = [What::Tls, What::Messages, What::Plain, What::MessagesSlow, What::TlsSlow];
            if round % 2 == 0 {
                order.reverse();
            }
            for what in order {
                say(&format!("sending, round {round} of {}: {}, {}", plan.rounds, what.word(), load.word()));
                let mut until = Until::time(load.time(plan.paced));
                let preload = what.is_slow().then_some(&*shim);
                let measured = match what {
                    What::Messages | What::MessagesSlow => {
                        until.webhooks = extent.queued;
                        queue(bench, &queued, load.pace(), until, preload)?
                    }
                    What::Tls | What::Plain | What::TlsSlow => {
                        let mut phase = Phase::new(load.pace(), until);
                        phase.preload = preload;
                        phase.setup.tls = what != What::Plain;
                        bench.run(Kind::Wagate, &webhooks, &phase)?
                    }
                };
                results.add(
                    &format!("sending/{}/{}", what.word(), load.word()),
                    Kind::Wagate,
                    round,
                    measured,
                );
            }
            let ratios = ratios(results, *load, round);
            results.add(&format!("sending/ratio/{}", load.word()), Kind::Wagate, round, ratios);
        }
    }
    Ok(())
}

/// What queueing reaches in parts of the kinds of intake.
fn ratios(results: &Results, load: Load, round: u32) -> Figures {
    let of = |what: What, figure| {
        let phase = format!("sending/{}/{}", what.word(), load.word());
        results.rounds(&phase, Kind::Wagate, figure).get(&round).copied().unwrap_or(f64::NAN)
    };
    let mut ratios = Figures::new();
    for figure in ["acked_per_second", "cpu_s_per_10k", "ack_p50_ms", "ack_p99_ms"] {
        for (messages, webhooks, word) in [
            (What::Messages, What::Tls, "tls"),
            (What::Messages, What::Plain, "plain"),
            (What::MessagesSlow, What::TlsSlow, "slow"),
        ] {
            let ratio = of(messages, figure) / of(webhooks, figure);
            if ratio.is_finite() {
                ratios.insert(format!("{figure}_of_{word}"), ratio);
            }
        }
    }
    ratios
}

fn queue(
    bench: &Bench,
    work: &Arc<Work>,
    pace: Pace,
    until: Until,
    preload: Option<&Path>,
) -> anyhow::Result<Figures> {
    let folder = TempDir::new_in(&bench.folder)?;
    let sink = Sink::start(Arc::default(), None)?;
    // The day's messages are used up, so everything stays; nobody listens there.
    let setup = Setup { graph: Some(free_address()?), messages_per_day: 0, ..Setup::INTAKE };
    let server = Server::start_as(&bench.programs, folder.path(), &sink.url(), &setup, preload)?;
    std::thread::sleep(bench.rest);
    let idle = server.memory()?;
    write(CUSTOMERS_MAX, &server, true, &sink)?;
    let mut generator = Generator::open(Arc::clone(work), server.api(), false)?;
    let warm_up = generator.run(Pace::PerSecond(WARM_UP_RATE), Until::time(bench.warm_up))?;
    let turns = || server.counter("wagate_outbox_transactions");
    let (turns_before, cpu_before) = (turns()?, server.cpu_seconds()?);
    let outcome = generator.run(pace, until)?;
    let cpu = server.cpu_seconds()? - cpu_before;
    let turns = turns()? - turns_before;
    let memory = server.memory()?;
    anyhow::ensure!(outcome.acked > 0, "nothing was acknowledged");
    shown(&server, work, warm_up.acked + outcome.acked)?;
    server.stop()?;
    let (acked, ack) = (outcome.acked as f64, outcome.ack.summary());
    Ok(figures([
        ("acked_per_second", acked / outcome.took.as_secs_f64()),
        ("cpu_s_per_10k", cpu / acked * 1e4),
        ("ack_p50_ms", ms(ack.p50)),
        ("ack_p99_ms", ms(ack.p99)),
        ("messages_per_turn", acked / turns.max(1) as f64),
        ("rss_idle_mib", idle.resident),
        ("rss_loaded_mib", memory.resident),
        ("rss_peak_mib", memory.peak),
    ]))
}

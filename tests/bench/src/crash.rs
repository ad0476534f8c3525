//! Killed with SIGKILL while saturated: what is lost (nothing, or there is no figure), what the CRM
//! gets a second time, and when the server answers again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::judge::{Promise, judge};
use crate::load::{Generator, Until};
use crate::path::{Load, Plan};
use crate::phase::{Bench, drained};
use crate::results::{Figures, Results};
use crate::server::{Kind, Server};
use crate::sink::Sink;
use crate::table::say;
use crate::work::{LANES, Work};

/// When nothing has come for so long, nothing more comes: deliveries after a restart follow at once.
const QUIET: Duration = Duration::from_secs(1);

/// Measures.
pub(crate) fn measure(bench: &Bench, plan: &Plan, results: &mut Results) -> anyhow::Result<()> {
    let work = plan.work(5)?;
    for round in 1..=plan.rounds {
        for kind in bench.kinds(round) {
            say(&format!("crash, round {round} of {}: {kind:?}", plan.rounds));
            results.add("crash", kind, round, crash(bench, kind, &work, plan.paced / 4)?);
        }
    }
    Ok(())
}

fn crash(bench: &Bench, kind: Kind, work: &Arc<Work>, alive: Duration) -> anyhow::Result<Figures> {
    let folder = TempDir::new_in(&bench.folder)?;
    let sink = Sink::start(Arc::clone(work), None)?;
    let server = Server::start(&bench.programs, kind, folder.path(), &sink.url(), None)?;
    let mut generator = Generator::open(Arc::clone(work), server.address(), true)?;
    let (outcome, in_flight) = std::thread::scope(|scope| {
        let killer = scope.spawn(|| {
            std::thread::sleep(alive);
            // A connection carries one delivery at a time.
            let in_flight = sink.connections();
            server.kill().map(|()| in_flight)
        });
        let until = Until { breaks: true, ..Until::time(Duration::from_secs(60)) };
        let outcome = generator.run(Load::Saturated.pace(), until)?;
        let in_flight = killer.join().map_err(|_| anyhow::anyhow!("the killer panicked"))??;
        anyhow::Ok((outcome, in_flight))
    })?;
    let before = sink.arrived();

    let start = Instant::now();
    let server = Server::start(&bench.programs, kind, folder.path(), &sink.url(), None)?;
    let ready = start.elapsed();
    drained(&sink, outcome.acked_items)?;
    let mut arrived = sink.arrived();
    loop {
        std::thread::sleep(QUIET);
        if std::mem::replace(&mut arrived, sink.arrived()) == arrived {
            break;
        }
    }
    server.stop()?;
    let seen = sink.stop()?;
    let verdict =
        judge(work, generator.sent(), &[0; LANES], &seen, Promise::AtLeastOnce, kind == Kind::Wagate)?;
    Ok([
        ("acked", outcome.acked as f64),
        ("delivered_before", before as f64),
        ("repeats", verdict.repeats as f64),
        ("in_flight", in_flight as f64),
        ("ready_ms", ready.as_secs_f64() * 1e3),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into())
}

//! The way out: how fast messages are queued beside webhooks, what draining them costs, and what a backlog of
//! them takes.

mod backlog;
mod customers;
mod drain;
mod graph;
mod lines;
mod queue;

use anyhow::Context as _;

pub(crate) use lines::SECTIONS;

use crate::path::Plan;
use crate::phase::Bench;
use crate::results::{Figures, Results};
use crate::server::Server;
use crate::wear::Wear;

/// How much is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// Messages of a closed loop that queues them: fewer than the outbox takes, with the warm-up.
    queued: usize,
    /// Messages that are drained, and to how many recipients: below the burst that each may get.
    drained: usize,
    recipients: usize,
    /// Messages of the two backlogs.
    few: usize,
    many: usize,
    /// How often the program is started with each of them.
    starts: u32,
    /// Bytes of the device that the drain's are counted on.
    image: usize,
}

impl Extent {
    pub(crate) const FULL: Self = Self {
        queued: 150_000,
        drained: 1_600,
        recipients: 200,
        few: 100,
        many: 100_000,
        starts: 5,
        image: Wear::FULL.image,
    };
    pub(crate) const SMOKE: Self = Self {
        queued: 2_000,
        drained: 64,
        recipients: 10,
        few: 40,
        many: 320,
        starts: 1,
        image: Wear::SMOKE.image,
    };
}

/// Measures; there is no peer, since no server that is at hand does the same.
pub(crate) fn measure(
    bench: &Bench,
    plan: &Plan,
    extent: &Extent,
    results: &mut Results,
) -> anyhow::Result<()> {
    queue::measure(bench, plan, extent, results).context("queueing")?;
    drain::measure(bench, plan, extent, results).context("draining")?;
    backlog::measure(bench, extent, results).context("a backlog of messages")
}

/// Messages that the gateway says are queued or held.
fn waiting(server: &Server) -> anyhow::Result<u64> {
    let answer = server.get("/v1/status")?;
    let (_, body) = answer.split_once("\r\n\r\n").context("an answer without an end of its head")?;
    let status: serde_json::Value = serde_json::from_str(body)?;
    let count = |name: &str| status["sending"][name].as_u64();
    count("queued").zip(count("held")).map(|(queued, held)| queued + held).context("/v1/status")
}

fn figures<const N: usize>(named: [(&str, f64); N]) -> Figures {
    named.map(|(name, value)| (name.to_owned(), value)).into()
}

//! The whole path: webhook over TLS, disk, 200, record to the CRM; the peer beside it.

use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;

use crate::load::{Pace, Until};
use crate::phase::{Bench, Phase};
use crate::results::Results;
use crate::table::say;
use crate::work::{LANES, Work};

/// Webhooks are made and signed beforehand, so many for each second of a closed loop: more than any
/// server here answers. One that were faster would end the phase earlier.
const PREPARED_PER_SECOND: f64 = 60_000.0;

/// One way of loading a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Load {
    /// 200 webhooks a second: a busy store.
    Busy,
    /// 1,000 a second.
    Fast,
    /// As many as are answered, over 32 connections.
    Saturated,
}

impl Load {
    pub(crate) const ALL: [Self; 3] = [Self::Busy, Self::Fast, Self::Saturated];

    pub(crate) const fn pace(self) -> Pace {
        match self {
            Self::Busy => Pace::PerSecond(200.0),
            Self::Fast => Pace::PerSecond(1_000.0),
            Self::Saturated => Pace::Closed(LANES),
        }
    }

    /// As it stands in the names of phases.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Busy => "200",
            Self::Fast => "1000",
            Self::Saturated => "saturated",
        }
    }

    /// A closed loop needs half the time for as good a figure.
    pub(crate) fn time(self, paced: Duration) -> Duration {
        if self == Self::Saturated { paced / 2 } else { paced }
    }
}

/// How much is measured.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    pub(crate) paced: Duration,
    pub(crate) loads: Vec<Load>,
}

impl Plan {
    /// Webhooks for the longest phase and its warm-up, made once for all phases.
    pub(crate) fn work(&self, seed: u64) -> anyhow::Result<Arc<Work>> {
        self.work_for_longer(seed, 1)
    }

    /// The same where schedules are kept for `longer` times as long.
    pub(crate) fn work_for_longer(&self, seed: u64, longer: u32) -> anyhow::Result<Arc<Work>> {
        let seconds = |load: &Load| load.time(self.paced).as_secs_f64();
        let most = self.loads.iter().map(|load| match load.pace() {
            Pace::PerSecond(rate) => rate * seconds(load) * f64::from(longer),
            Pace::Closed(_) => PREPARED_PER_SECOND * seconds(load),
        });
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some hundred thousand")]
        let webhooks = most.fold(0.0, f64::max) as usize + 1_000;
        Ok(Arc::new(Work::single(seed, webhooks)?))
    }
}

/// Measures.
pub(crate) fn measure(bench: &Bench, plan: &Plan, results: &mut Results) -> anyhow::Result<()> {
    let work = plan.work(1)?;
    for round in 1..=plan.rounds {
        for load in &plan.loads {
            for kind in bench.kinds(round) {
                say(&format!("path, round {round} of {}: {kind:?}, {}", plan.rounds, load.word()));
                let phase = Phase::new(load.pace(), Until::time(load.time(plan.paced)));
                let figures = bench.run(kind, &work, &phase)?;
                results.add(&format!("path/{}", load.word()), kind, round, figures);
            }
        }
    }
    Ok(())
}

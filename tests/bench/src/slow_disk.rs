//! A slow card: every flush takes 10 ms longer, for both servers.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::load::Until;
use crate::path::{Load, Plan};
use crate::phase::{Bench, Phase};
use crate::results::Results;
use crate::table::say;

/// Loaded into the server before the C library; sleeps behind each flush.
const SHIM: &str = include_str!("../slow_flush.c");
/// What it adds (`slow_flush.c`).
const ADDED_MS: f64 = 10.0;

/// Measures.
pub(crate) fn measure(bench: &Bench, plan: &Plan, results: &mut Results) -> anyhow::Result<()> {
    let shim = build(&bench.folder)?;
    let work = plan.work(2)?;
    for round in 1..=plan.rounds {
        for load in plan.loads.iter().filter(|load| **load != Load::Fast) {
            for kind in bench.kinds(round) {
                say(&format!("slow disk, round {round} of {}: {kind:?}, {}", plan.rounds, load.word()));
                let mut phase = Phase::new(load.pace(), Until::time(load.time(plan.paced)));
                phase.preload = Some(&shim);
                let figures = bench.run(kind, &work, &phase)?;
                let p50 = figures.get("ack_p50_ms").copied().unwrap_or_default();
                anyhow::ensure!(
                    p50 >= ADDED_MS,
                    "{kind:?} doesn't feel the slow flush: a 200 within {p50} ms"
                );
                results.add(&format!("slow-disk/{}", load.word()), kind, round, figures);
            }
        }
    }
    Ok(())
}

/// Builds the library that a server is started with.
pub(crate) fn build(folder: &Path) -> anyhow::Result<PathBuf> {
    let (source, library) = (folder.join("slow_flush.c"), folder.join("slow_flush.so"));
    std::fs::write(&source, SHIM)?;
    let output = Command::new("cc")
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl")
        .output()
        .context("the slow disk needs a C compiler")?;
    anyhow::ensure!(output.status.success(), "cc: {}", String::from_utf8_lossy(&output.stderr));
    Ok(library)
}

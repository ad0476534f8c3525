//! What was measured, as it is kept: samples of named figures.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::plot::decimals;
use crate::server::Kind;
use crate::table::{Table, spread};

/// Named figures of one phase; the unit is in the name.
pub(crate) type Figures = BTreeMap<String, f64>;

/// One phase of one server in one round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Part of the benchmark and phase, as `path/saturated`.
    pub(crate) phase: String,
    pub(crate) server: Kind,
    pub(crate) round: u32,
    pub(crate) figures: Figures,
}

/// One run of the benchmark.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    /// How it was called.
    pub(crate) command: String,
    /// When it began, in seconds since 1970.
    pub(crate) began: u64,
    /// The revision of the repository.
    pub(crate) revision: String,
    /// The processor, the kernel.
    pub(crate) machine: String,
    /// What else was going on: the load average of the minute before.
    #[serde(default)]
    pub(crate) load_before: f64,
    pub(crate) samples: Vec<Sample>,
}

impl Results {
    pub(crate) fn begin() -> Self {
        let began = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        let command = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default();
        Self {
            command,
            began,
            revision: revision(),
            machine: machine(),
            load_before: load,
            samples: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, phase: &str, server: Kind, round: u32, figures: Figures) {
        self.samples.push(Sample { phase: phase.to_owned(), server, round, figures });
    }

    /// A figure of every round in which it was measured.
    pub(crate) fn rounds(&self, phase: &str, server: Kind, figure: &str) -> BTreeMap<u32, f64> {
        let samples = self.samples.iter().filter(|sample| sample.phase == phase && sample.server == server);
        samples.filter_map(|sample| Some((sample.round, *sample.figures.get(figure)?))).collect()
    }

    /// What one server reaches in parts of the other, round by round.
    pub(crate) fn ratios(&self, phase: &str, figure: &str) -> Vec<f64> {
        let (ours, theirs) =
            (self.rounds(phase, Kind::Wagate, figure), self.rounds(phase, Kind::Peer, figure));
        let pairs = ours.iter().filter_map(|(round, ours)| Some(ours / theirs.get(round)?));
        pairs.filter(|ratio| ratio.is_finite()).collect()
    }

    /// Prints every figure of every phase: a table for each.
    pub(crate) fn tables(&self) -> anyhow::Result<()> {
        let phases: BTreeSet<&str> = self.samples.iter().map(|sample| sample.phase.as_str()).collect();
        for phase in phases {
            let samples = self.samples.iter().filter(|sample| sample.phase == phase);
            let figures: BTreeSet<&String> = samples.flat_map(|sample| sample.figures.keys()).collect();
            let mut table = Table::new(&[phase, "wagate", "peer", "wagate / peer"]);
            for figure in figures {
                let of = |server| self.rounds(phase, server, figure).into_values();
                let cell = |server| spread(of(server), decimals(of(server).fold(0.0, f64::max)));
                let ratios = spread(self.ratios(phase, figure), 2);
                table.row(&[figure.clone(), cell(Kind::Wagate), cell(Kind::Peer), ratios]);
            }
            table.print()?;
        }
        Ok(())
    }

    /// Writes one file into `folder`, named after the time.
    pub(crate) fn save(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("bench-{}.json", self.began));
        fs::write(&path, serde_json::to_string_pretty(self)?)?;
        Ok(path)
    }

    /// Reads files together: what a later one has measured stands in place of what an earlier one
    /// has.
    pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut all = Self::default();
        for path in paths {
            let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let read: Self = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
            all.samples.retain(|old| {
                !read.samples.iter().any(|new| new.phase == old.phase && new.server == old.server)
            });
            all.samples.extend(read.samples.iter().cloned());
            let load_before = read.load_before.max(all.load_before);
            all = Self { load_before, samples: all.samples, ..read };
        }
        Ok(all)
    }
}

fn revision() -> String {
    let output = std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    let text = output.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    text.trim().to_owned()
}

fn machine() -> String {
    let first = |path: &str, start: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
        line.rsplit(": ").next().unwrap_or_default().to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let linux = first("/proc/version", "Linux");
    let linux = linux.split_whitespace().nth(2).unwrap_or_default().to_owned();
    format!("{cores} virtual cores ({}), Linux {linux}", first("/proc/cpuinfo", "model name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_rounds_that_both_took_part_in() {
        let mut results = Results::default();
        for (server, round, value) in [
            (Kind::Wagate, 1, 30.0),
            (Kind::Peer, 1, 10.0),
            (Kind::Wagate, 2, 8.0),
            (Kind::Peer, 2, 4.0),
            (Kind::Wagate, 3, 5.0),
        ] {
            results.add("path/x", server, round, [("rate".to_owned(), value)].into());
        }
        assert_eq!(results.ratios("path/x", "rate"), [3.0, 2.0]);
        assert_eq!(results.rounds("path/x", Kind::Wagate, "rate").len(), 3);
        assert!(results.ratios("path/x", "other").is_empty());
    }
}

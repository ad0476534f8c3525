//! Medians with their spread, and tables.

use std::io::Write as _;
use std::time::Duration;

/// A table in Markdown.
#[derive(Debug)]
pub(crate) struct Table {
    lines: Vec<String>,
}

impl Table {
    pub(crate) fn new(heads: &[&str]) -> Self {
        let rule = heads.iter().map(|_| "---").collect::<Vec<_>>().join("|");
        Self { lines: vec![format!("| {} |", heads.join(" | ")), format!("|{rule}|")] }
    }

    pub(crate) fn row(&mut self, cells: &[String]) {
        self.lines.push(format!("| {} |", cells.join(" | ")));
    }

    pub(crate) fn print(&self) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        for line in &self.lines {
            writeln!(out, "{line}")?;
        }
        writeln!(out)
    }
}

/// The median of some rounds and their extremes, each with so many decimals.
pub(crate) fn spread(values: impl IntoIterator<Item = f64>, decimals: usize) -> String {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (values.first(), values.last()) else { return "-".to_owned() };
    let upper = values[values.len() / 2];
    let median = f64::midpoint(values[(values.len() - 1) / 2], upper);
    if values.len() == 1 {
        return format!("{median:.decimals$}");
    }
    format!("{median:.decimals$} ({least:.decimals$}..{most:.decimals$})")
}

pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Says how far the benchmark is; on stderr, so that stdout is the tables alone.
pub(crate) fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "bench: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_between_its_extremes() {
        assert_eq!(spread([], 1), "-");
        assert_eq!(spread([2.0], 1), "2.0");
        assert_eq!(spread([9.0, 1.0, 2.0], 0), "2 (1..9)");
        assert_eq!(spread([1.0, 4.0, 2.0, 9.0], 1), "3.0 (1.0..9.0)");
    }
}

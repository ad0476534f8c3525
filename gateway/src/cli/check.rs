//! `wagate check`: what is wrong with a configuration.

use super::Exit;
use super::args::Check;
use crate::config::{self, Problem, Severity};
use crate::out;

/// Reads the configuration and prints what is wrong with it. Touches nothing.
pub(super) fn run(args: &Check) -> anyhow::Result<Exit> {
    let (exit, problems) = match config::load(&args.config.config, &config::system_env) {
        Ok(loaded) => {
            let not_yet = loaded.not_yet().into_iter().map(as_warning);
            let mut problems = loaded.warnings.clone();
            problems.list.extend(not_yet);
            (Exit::Done, problems)
        }
        Err(problems) => (Exit::Refused, problems),
    };
    if args.json {
        out::json(&problems.json())?;
    } else {
        out::answer(&problems.render(out::colour()))?;
    }
    Ok(exit)
}

/// The configuration is right, it's this program that is behind.
fn as_warning(problem: Problem) -> Problem {
    Problem { severity: Severity::Warning, help: Some("`run` refuses it".to_owned()), ..problem }
}

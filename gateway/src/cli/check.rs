//! `wagate check`: what is wrong with a configuration.

use super::Exit;
use super::args::Check;
use crate::config::{self, Problem, Severity};
use crate::out;

/// Reads the configuration, and the rate card that it names, and prints what is wrong with them. Touches
/// nothing.
pub(super) fn run(args: &Check) -> anyhow::Result<Exit> {
    let (exit, problems, card) = match config::load(&args.config.config, &config::system_env) {
        Ok(loaded) => {
            let not_yet = loaded.not_yet().into_iter().map(as_warning);
            let unusable = loaded.unusable();
            let wrong = loaded.rate_card.is_some() || !unusable.is_empty();
            let mut problems = loaded.warnings.clone();
            problems.list.extend(not_yet.chain(unusable));
            problems.list.sort_by_key(|one| one.span.as_ref().map_or(usize::MAX, |span| span.start));
            let exit = if wrong { Exit::Refused } else { Exit::Done };
            (exit, problems, loaded.rate_card)
        }
        Err(problems) => (Exit::Refused, problems, None),
    };
    if args.json {
        let mut answer = problems.json();
        if let Some(card) = &card {
            answer["ok"] = false.into();
            answer["rate_card"] = card.json();
        }
        out::json(&answer)?;
    } else {
        out::answer(&problems.render(out::colour()))?;
        if let Some(card) = &card {
            out::answer(&format!("\n{}", card.render(out::colour())))?;
        }
    }
    Ok(exit)
}

/// The configuration is right, it's this program that is behind.
fn as_warning(problem: Problem) -> Problem {
    Problem { severity: Severity::Warning, help: Some("`run` refuses it".to_owned()), ..problem }
}

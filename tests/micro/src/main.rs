//! Counts the instructions of the parts and compares them with those that are stored.
//!
//! Exit status: 0 as stored (or skipped with a word about why), 1 otherwise.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail, ensure};
use wagate_micro::profile::{self, Counts};
use wagate_micro::stored::{BLESS, PERCENT, Stored};
use wagate_micro::work::Part;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt");
/// How often each length is run; a run takes a second or two.
const RUNS: u32 = 3;

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => compare(),
        ["--bless"] => bless(),
        // What runs under valgrind.
        ["work", part, webhooks, folder] => {
            let part = Part::named(part).context("no such part")?;
            part.run(webhooks.parse()?, Path::new(folder))?;
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("usage: wagate-instructions [--bless]"),
    }
}

fn compare() -> anyhow::Result<ExitCode> {
    let stored =
        fs::read_to_string(FILE).with_context(|| format!("{FILE} can't be read; to make it: {BLESS}"))?;
    let stored = Stored::read(&stored);
    let here = made_with()?;
    if stored.made_with != here {
        let text = format!("the stored counts are of {}, and this is {here}", stored.made_with);
        // Nobody would notice if the check slept in CI.
        ensure!(
            std::env::var_os("CI").is_none_or(|ci| ci.is_empty()),
            "{text}: pin that compiler, or move to this one and count anew with `{BLESS}`"
        );
        say(&format!("SKIPPED, nothing was compared: {text}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let new = count_all()?;
    let wrong = stored.compare(&new);
    for line in &wrong {
        say(line)?;
    }
    if wrong.is_empty() {
        say(&format!("all within {PERCENT} % of what is stored"))?;
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!(
        "more than {PERCENT} % away from tests/micro/instructions.txt: if it is meant so, `{BLESS}`"
    ))?;
    Ok(ExitCode::FAILURE)
}

fn bless() -> anyhow::Result<ExitCode> {
    let stored = Stored { made_with: made_with()?, counts: count_all()? };
    fs::write(FILE, stored.write())?;
    Ok(ExitCode::SUCCESS)
}

/// The compiler of this folder, which is the one that has built this program, and the processor.
fn made_with() -> anyhow::Result<String> {
    let output =
        Command::new("rustc").arg("--version").output().context("rustc can't be asked for its version")?;
    let text = String::from_utf8(output.stdout)?;
    let version: Vec<&str> = text.split(' ').take(2).collect();
    Ok(format!("{} {}", version.join(" "), std::env::consts::ARCH))
}

fn count_all() -> anyhow::Result<Vec<(String, Counts)>> {
    let mut all = Vec::new();
    for part in Part::ALL {
        let (short, long) = part.lengths();
        let (before, after) = (least(part, short)?, least(part, long)?);
        let each = |before: u64, after: u64| after.saturating_sub(before).div_ceil((long - short) as u64);
        let counts = Counts {
            instructions: each(before.instructions, after.instructions),
            allocations: each(before.allocations, after.allocations),
        };
        ensure!(counts.instructions > 0, "{}: nothing was counted", part.name());
        say(&format!(
            "{}: {} instructions, {} allocations",
            part.name(),
            counts.instructions,
            counts.allocations
        ))?;
        all.push((part.name().to_owned(), counts));
    }
    Ok(all)
}

/// The least of [`RUNS`] runs: waiting only adds.
fn least(part: Part, webhooks: usize) -> anyhow::Result<Counts> {
    let mut least = count(part, webhooks)?;
    for _ in 1..RUNS {
        let again = count(part, webhooks)?;
        least.instructions = least.instructions.min(again.instructions);
        least.allocations = least.allocations.min(again.allocations);
    }
    Ok(least)
}

/// What a whole process takes that does the part for `webhooks` webhooks.
fn count(part: Part, webhooks: usize) -> anyhow::Result<Counts> {
    let program = std::env::current_exe()?;
    let folder = tempfile::tempdir()?;
    let profile = folder.path().join("profile");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(&program)
        .args(["work", part.name(), &webhooks.to_string()])
        .arg(folder.path().join("store"))
        .output()
        .context("valgrind can't be started; on Debian: apt-get install valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the work failed under valgrind ({}):\n{said}", output.status);
    let profile =
        fs::read_to_string(profile).with_context(|| format!("valgrind has written no profile:\n{said}"))?;
    Ok(profile::read(&profile, &program.display().to_string()))
}

fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}")?;
    Ok(())
}

//! Findings as lines for people, and as JSON for programs.

use serde_json::{Map, Value, json};

use super::finding::{Finding, State};
use crate::demo::text::{cells, count, harmless};

const BOLD: &str = "\u{1b}[1m";
const RED: &str = "\u{1b}[1;31m";
const YELLOW: &str = "\u{1b}[1;33m";
const GREEN: &str = "\u{1b}[32m";
const DIM: &str = "\u{1b}[2m";
const RESET: &str = "\u{1b}[0m";

/// Cells of the longest state, and of the longest name of a check.
const STATE: usize = 4;
const NAME: usize = 12;
/// What lies between columns.
const GAP: usize = 2;
/// Where the words begin.
const MARGIN: usize = STATE + NAME + 2 * GAP;
/// Before what to do.
const ARROW: &str = "→ ";
/// A terminal with less room for words wraps by itself.
const WORDS_MIN: usize = 20;

/// The cells of a line of the terminal; `None` where stdout isn't one: then nothing is wrapped.
pub(super) fn width() -> Option<usize> {
    let told = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(told.ws_col)).filter(|width| *width > MARGIN + WORDS_MIN)
}

/// The line of one finding; below it what it means and what to do, where there is something. A line that is
/// wider than `width` goes on below itself.
pub(super) fn lines(finding: &Finding, colour: bool, width: Option<usize>) -> String {
    let style = match finding.state {
        State::Ok => GREEN,
        State::Warn => YELLOW,
        State::Fail => RED,
        State::Skip => DIM,
    };
    let state = painted(style, &format!("{:<STATE$}", finding.state.word()), colour);
    let name = painted(BOLD, &format!("{:<NAME$}", finding.check.name()), colour);
    let about = finding.about.as_ref().map_or(String::new(), |about| format!("{}: ", harmless(about)));
    let gap = " ".repeat(GAP);
    let summary = wrapped(&format!("{about}{}", harmless(&finding.summary)), width);
    let mut words: Vec<String> = summary;
    if let Some(detail) = &finding.detail {
        words.extend(wrapped(&harmless(detail), width));
    }
    if let Some(next) = &finding.next {
        let next = wrapped(&harmless(next), width.map(|width| width.saturating_sub(cells(ARROW))));
        words.extend(next.iter().enumerate().map(|(place, line)| {
            let before = if place == 0 { ARROW.to_owned() } else { " ".repeat(cells(ARROW)) };
            format!("{before}{}", painted(BOLD, line, colour))
        }));
    }
    format!("{state}{gap}{name}{gap}{}\n", words.join(&format!("\n{}", " ".repeat(MARGIN))))
}

/// `text` in lines that fit between the margin and `width`, broken at spaces; what is to be typed isn't broken.
fn wrapped(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(room) = width.map(|width| width.saturating_sub(MARGIN)) else { return vec![text.to_owned()] };
    let mut lines = vec![String::new()];
    let mut typed = false;
    let is_gap = |letter: char| {
        typed ^= letter == '`';
        letter == ' ' && !typed
    };
    for word in text.split(is_gap) {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if cells(line) + 1 + cells(word) <= room {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

fn painted(style: &str, text: &str, colour: bool) -> String {
    if colour { format!("{style}{text}{RESET}") } else { text.to_owned() }
}

/// The last line: how many of which.
pub(super) fn summary(findings: &[Finding]) -> String {
    let of = |state| findings.iter().filter(|finding| finding.state == state).count() as u64;
    let (fails, warns, skips) = (of(State::Fail), of(State::Warn), of(State::Skip));
    let mut parts = Vec::new();
    if fails > 0 {
        parts.push(format!("{fails} failed"));
    }
    if warns > 0 {
        parts.push(count(warns, "warning"));
    }
    let mut text = if parts.is_empty() { "Nothing is wrong".to_owned() } else { parts.join(", ") };
    if skips > 0 {
        text.push_str(&format!("; {skips} left out"));
    }
    let hint = if fails + warns > 0 { ". What to do stands behind each →" } else { "" };
    format!("\n{text}{hint}\n")
}

/// Whether nothing failed.
pub(super) fn is_ok(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.state != State::Fail)
}

/// Everything in one object.
pub(super) fn json(findings: &[Finding]) -> Value {
    let checks: Vec<Value> = findings.iter().map(object).collect();
    json!({ "checks": checks, "ok": is_ok(findings) })
}

fn object(finding: &Finding) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            object.insert(name.to_owned(), value);
        }
    };
    let text = |text: &Option<String>| text.as_ref().map(|text| harmless(text).into());
    put("check", Some(finding.check.name().into()));
    put("about", text(&finding.about));
    put("state", Some(finding.state.word().into()));
    put("summary", Some(harmless(&finding.summary).into()));
    put("detail", text(&finding.detail));
    put("next", text(&finding.next));
    let ms = finding.latency.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    put("latency_ms", ms.map(Value::from));
    for (name, value) in &finding.facts {
        put(name, Some(value.clone()));
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::finding::Check;
    use super::*;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::ok(Check::Reach, "answers in 85 ms").about("meta").latency(Duration::from_millis(85)),
            Finding::fail(Check::Clock, "\u{1b}[2J2 minutes behind").detail("why").next("do").fact("x", 1),
            Finding::skip(Check::Token, "no endpoint"),
        ]
    }

    #[test]
    fn a_line_each_and_below_it_what_to_do() {
        let text: String = findings().iter().map(|finding| lines(finding, false, None)).collect();
        assert_eq!(
            text,
            "ok    reach         meta: answers in 85 ms\n\
             fail  clock         [2J2 minutes behind\n\
             \u{20}                   why\n\
             \u{20}                   → do\n\
             skip  token         no endpoint\n"
        );
        assert!(lines(&findings()[1], true, None).contains("\u{1b}[1;31mfail\u{1b}[0m"));
        assert_eq!(summary(&findings()), "\n1 failed; 1 left out. What to do stands behind each →\n");
        assert_eq!(summary(&findings()[..1]), "\nNothing is wrong\n");
    }

    #[test]
    fn on_a_terminal_words_go_on_below_themselves() {
        let finding =
            Finding::fail(Check::Disk, "the disk is full to the very brim").next("make room, or buy another");
        assert_eq!(
            lines(&finding, false, Some(42)),
            "fail  disk          the disk is full to\n\
             \u{20}                   the very brim\n\
             \u{20}                   → make room, or buy\n\
             \u{20}                     another\n"
        );
        let command = Finding::ok(Check::Disk, "see what the command `smartctl -A` says");
        assert_eq!(
            lines(&command, false, Some(50)),
            "ok    disk          see what the command\n\
             \u{20}                   `smartctl -A` says\n"
        );
        let long = Finding::ok(Check::Disk, "x".repeat(100));
        assert_eq!(lines(&long, false, Some(42)), lines(&long, false, None), "a word is never broken");
    }

    #[test]
    fn the_object_has_what_there_is_and_no_more() {
        let answer = json(&findings());
        assert_eq!(answer["ok"], false);
        assert_eq!(
            answer["checks"][0],
            json!({ "check": "reach", "about": "meta", "state": "ok", "summary": "answers in 85 ms", "latency_ms": 85 })
        );
        assert_eq!(answer["checks"][1]["x"], 1);
        assert_eq!(answer["checks"][2].as_object().unwrap().len(), 3);
        assert!(is_ok(&findings()[2..]), "what is left out doesn't fail");
    }
}

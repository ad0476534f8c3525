//! The live view: what a screen of a given size shows, as lines with colours.

use std::time::Duration;

use simulate::Histogram;

use super::ledger::{Ledger, Weather};
use super::rows;
use super::style::{BOLD, CYAN, DIM, GREEN, RED, RESET, YELLOW};
use super::text::{cells, cut, fit, stopwatch, time};

/// Below this there is no sense in columns; the rest is cut off.
const WIDTH_MIN: usize = 50;
/// Above this lines are hard to follow with the eye.
const WIDTH_MAX: usize = 132;
/// What is just passing through is no backlog.
const BACKLOG_MIN: usize = 4;
/// The longest bar for a backlog.
const BAR_MAX: usize = 40;

/// What runs where, as it is shown.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) webhook: String,
    pub(super) config: String,
    pub(super) api: String,
    pub(super) crm_page: String,
}

/// A size in cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// How far the demo is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// Nothing new is sent; what is under way is waited for.
    Ending,
}

/// The screen `now` after the start: at most `size.rows` lines.
pub(super) fn screen(
    places: &Places,
    ledger: &Ledger,
    phase: Phase,
    now: Duration,
    size: Size,
) -> Vec<String> {
    // Clearing the rest of a line that fills the last column would take that away again.
    let width = size.columns.saturating_sub(1).clamp(WIDTH_MIN, WIDTH_MAX);
    let mut lines = header(places, ledger.weather(), phase, now, width);
    let footer = [
        format!("{DIM}{}{RESET}", "─".repeat(width)),
        sums(ledger, width),
        replies(ledger, width),
        latencies(ledger, width),
    ];
    let room = size.rows.saturating_sub(lines.len() + footer.len());
    let newest: Vec<_> = ledger.newest().take(room).collect();
    lines.extend(newest.iter().rev().map(|line| rows::line(line, now, width)));
    lines.extend(std::iter::repeat_n(String::new(), room - newest.len()));
    lines.extend(footer);
    lines.truncate(size.rows);
    lines
}

fn header(places: &Places, weather: Weather, phase: Phase, now: Duration, width: usize) -> Vec<String> {
    let Places { webhook, config, api, crm_page } = places;
    let hint = match phase {
        Phase::Running => "Ctrl-C ends it",
        Phase::Ending => "ending",
    };
    let (title, clock) = ("wagate demo", stopwatch(now));
    let gap = width.saturating_sub(cells(title) + cells(hint) + cells(&clock) + 5);
    let (sign, crm) = match weather {
        Weather::Fine => (format!("{GREEN}●"), format!("simulated, open {crm_page} in a browser")),
        Weather::CatchingUp { .. } => {
            (format!("{YELLOW}●"), "plugged in again, the gateway catches up".to_owned())
        }
        Weather::Unplugged { at, lasts } => {
            let left = (at + lasts).saturating_sub(now).as_secs_f64().ceil();
            (format!("{RED}○"), format!("unplugged, back in {left:.0} s"))
        }
    };
    let running = format!("{GREEN}●");
    let place = |sign: &str, name: &str, what: &str| {
        let (name, what) = (fit(name, 9), cut(what, width.saturating_sub(13)));
        format!(" {sign}{RESET} {BOLD}{name}{RESET} {what}")
    };
    let look_around = format!("wagate records --follow --config {config}");
    vec![
        format!(" {BOLD}{CYAN}{title}{RESET}{:gap$} {DIM}{hint}{RESET}   {clock}", ""),
        String::new(),
        place(&running, "WhatsApp", &format!("simulated, signed webhooks to {webhook}")),
        place(&running, "wagate", &format!("the real one, API and /metrics on {api}")),
        place(&sign, "CRM", &crm),
        format!(" {DIM}› {}{RESET}", cut(&look_around, width.saturating_sub(3))),
        String::new(),
        rows::titles(width),
    ]
}

fn sums(ledger: &Ledger, width: usize) -> String {
    let totals = ledger.totals();
    let sums = format!("sent {} → on disk {} → in CRM {}", totals.sent, totals.on_disk, totals.in_crm);
    let (colour, verdict) = match (totals.missing, totals.late, totals.altered) {
        (0, 0, 0) => (GREEN, "lost 0".to_owned()),
        (lost, late, altered) => (RED, format!("lost {lost}, out of order {late}, altered {altered}")),
    };
    let mut line = format!(" {BOLD}{sums}{RESET}   {colour}{verdict}{RESET}");
    let waiting = ledger.waiting();
    let title = format!("   waiting {waiting} ");
    let room = width.saturating_sub(1 + cells(&sums) + 3 + cells(&verdict) + cells(&title));
    if waiting >= BACKLOG_MIN && room > 0 {
        let bar = "▮".repeat(waiting.min(room).min(BAR_MAX));
        line.push_str(&format!("{YELLOW}{title}{bar}{RESET}"));
    }
    line
}

fn replies(ledger: &Ledger, width: usize) -> String {
    let totals = ledger.totals();
    let sums = format!(
        "replies {} → on disk {} → at WhatsApp {} → delivered {} → read {}",
        totals.replies, totals.queued, totals.accepted, totals.delivered, totals.read
    );
    let failed = match totals.failed {
        0 => String::new(),
        failed => format!("   {RED}failed {failed}{RESET}"),
    };
    format!(" {BOLD}{}{RESET}{failed}", cut(&sums, width.saturating_sub(1)))
}

fn latencies(ledger: &Ledger, width: usize) -> String {
    let quantiles = |histogram: &Histogram| match histogram.summary() {
        summary if summary.count == 0 => "–".to_owned(),
        summary => format!("p50 {}, p99 {}", time(summary.p50), time(summary.p99)),
    };
    let (on_disk, in_crm) = (quantiles(ledger.acknowledged()), quantiles(ledger.arrived()));
    let mut line = cut(&format!(" on disk: {on_disk}   in CRM: {in_crm}"), width);
    let (sent, longest) = (ledger.accepted(), ledger.longest_held_up());
    for further in [
        (sent.count() > 0).then(|| format!("   reply at WhatsApp: {}", quantiles(sent))),
        (longest > Duration::ZERO).then(|| format!("   through an outage: {} at most", time(longest))),
    ] {
        // What has no room is left out whole.
        let further = further.filter(|further| cells(&line) + cells(further) <= width);
        line.push_str(&further.unwrap_or_default());
    }
    format!("{DIM}{line}{RESET}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use simulate::Event;
    use simulate::graph::Outcome;

    use super::*;
    use crate::demo::ledger::tests::{answered, arrived, item, posting, queued, reply, sent, told};

    fn places() -> Places {
        Places {
            webhook: "https://127.0.0.1:38953/webhook".into(),
            config: "/var/tmp/wagate-demo-9f953366/wagate.toml".into(),
            api: "http://127.0.0.1:36467".into(),
            crm_page: "http://127.0.0.1:41391/".into(),
        }
    }

    /// What stays when a terminal has followed the commands; going to a column only ever goes on.
    fn plain(line: &str) -> String {
        let mut plain = String::new();
        let mut rest = line;
        while let Some(at) = rest.find("\x1b[") {
            plain.push_str(&rest[..at]);
            let end = at + 2 + rest[at + 2..].find(|c: char| c.is_ascii_alphabetic()).unwrap();
            if rest[..=end].ends_with('G') {
                let column: usize = rest[at + 2..end].parse().unwrap();
                assert!(cells(&plain) < column, "{column} lies back: {plain:?}");
                plain = fit(&plain, column - 1);
            }
            rest = &rest[end + 1..];
        }
        plain + rest
    }

    fn shown(ledger: &Ledger, now: Duration, columns: usize, rows: usize) -> Vec<String> {
        let screen = screen(&places(), ledger, Phase::Running, now, Size { columns, rows });
        screen.iter().map(|line| plain(line)).collect()
    }

    #[test]
    fn a_message_is_followed_from_the_disk_to_the_crm() {
        let ms = Duration::from_millis;
        let mut ledger = Ledger::new();
        let items = sent(&mut ledger, vec![item("a", 1, 1)], ms(0));
        let asked = shown(&ledger, ms(10), 110, 30);
        assert!(
            asked[8]
                .trim_end()
                .ends_with("How much?                                                 …           …"),
            "{asked:?}"
        );
        answered(&mut ledger, &items, 200, ms(2));
        let waiting = shown(&ledger, ms(3_000), 110, 30);
        assert!(waiting[8].contains("✓   2.0 ms       3.0 s"), "{waiting:?}");
        arrived(&mut ledger, "a", "How much? #1", true, ms(3));
        let done = shown(&ledger, ms(3_000), 110, 30);
        assert!(done[8].contains("Ada") && done[8].contains("How much?"), "{done:?}");
        assert!(done[8].contains("✓   2.0 ms  ✓   3.0 ms"), "{done:?}");
        assert_eq!(done[27], " sent 1 → on disk 1 → in CRM 1   lost 0");
        // The titles end where their columns do.
        let end = |line: &str, part: &str| cells(&line[..line.find(part).unwrap() + part.len()]);
        assert_eq!(end(&done[7], "on disk"), end(&done[8], "2.0 ms"));
        assert_eq!(end(&done[7], "in CRM"), end(&done[8], "3.0 ms"));
    }

    #[test]
    fn a_reply_is_followed_from_the_disk_to_the_customer_s_eyes() {
        let ms = Duration::from_millis;
        let mut ledger = Ledger::new();
        let reply = reply(0);
        ledger.take(&Event::Replying { reply: Arc::clone(&reply) }, ms(0));
        let line = |ledger: &Ledger| shown(ledger, ms(3_000), 110, 30)[8].trim_end().to_owned();
        assert!(line(&ledger).ends_with('…'), "{}", line(&ledger));
        queued(&mut ledger, &reply, "o-1", ms(2));
        assert!(line(&ledger).ends_with("✓   2.0 ms  queued"), "{}", line(&ledger));
        ledger.posting(&posting("o-1", Outcome::Accepted), ms(7));
        assert!(line(&ledger).ends_with("✓   2.0 ms  accepted"), "{}", line(&ledger));
        for (word, shown) in [("sent", "✓ sent"), ("delivered", "✓✓ delivered"), ("read", "✓✓ read")]
        {
            told(&mut ledger, "o-1", word, ms(90));
            assert!(line(&ledger).ends_with(&format!("✓   2.0 ms  {shown}")), "{}", line(&ledger));
        }
        assert!(line(&ledger).contains("Ada") && line(&ledger).contains("reply At 9."), "{}", line(&ledger));
        let screen = shown(&ledger, ms(3_000), 110, 30);
        assert_eq!(screen[28], " replies 1 → on disk 1 → at WhatsApp 1 → delivered 1 → read 1");
        assert!(screen[29].contains("reply at WhatsApp: p50 7.0 ms"), "{}", screen[29]);
    }

    #[test]
    fn an_outage_and_its_backlog_are_shown() {
        let s = Duration::from_secs;
        let mut ledger = Ledger::new();
        ledger.unplugged(s(5), s(1));
        for number in 1..=12 {
            let items = sent(&mut ledger, vec![item(&format!("{number}"), 1, number)], s(2));
            answered(&mut ledger, &items, 200, Duration::from_millis(2));
        }
        let screen = shown(&ledger, s(3), 110, 30).join("\n");
        for part in [
            "CRM       unplugged, back in 3 s",
            "▸ CRM unplugged for 5.0 s: messages get their 200 and wait on disk.",
            "waiting 12 ▮▮▮▮▮▮▮▮▮▮▮▮",
            "1.0 s",
        ] {
            assert!(screen.contains(part), "{part:?} isn't in\n{screen}");
        }
        ledger.plugged_in(s(6));
        let screen = shown(&ledger, s(6), 110, 30).join("\n");
        assert!(screen.contains("▸ CRM plugged in again: 12 records wait on disk for it."), "{screen}");
    }

    proptest! {
        #[test]
        fn no_screen_is_too_large(columns in 0_usize..300, rows in 0_usize..60, lines in 0_u32..80) {
            let mut ledger = Ledger::new();
            for number in 1..=lines {
                sent(&mut ledger, vec![item(&number.to_string(), number % 7, number / 7 + 1)], Duration::from_secs(9));
                if number % 3 == 0 {
                    let reply = reply(number as usize);
                    ledger.take(&Event::Replying { reply }, Duration::from_secs(9));
                }
            }
            let shown = shown(&ledger, Duration::from_secs(4_000), columns, rows);
            prop_assert_eq!(shown.len(), rows);
            let width = columns.saturating_sub(1).max(WIDTH_MIN);
            for line in &shown {
                prop_assert!(cells(line.trim_end()) <= width, "{columns} × {rows}: {line:?}");
            }
        }
    }
}

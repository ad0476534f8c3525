//! The live view: what a screen of a given size shows, as lines with colours.

use std::time::Duration;

use simulate::{Histogram, What};

use super::ledger::{InCrm, Ledger, Line, Mood, Note, OnDisk, Row, Weather};
use super::text::{cells, cut, fit, harmless, stopwatch, time};

/// Below this there is no sense in columns.
const WIDTH_MIN: usize = 40;
/// Above this lines are hard to follow with the eye.
const WIDTH_MAX: usize = 132;
/// Of "when", "on disk" and "in the CRM".
const WHEN: usize = 6;
const LATENCY: usize = 11;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const CYAN: &str = "\x1b[36m";
const RESET: &str = "\x1b[0m";

/// What runs where, as it is shown.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) webhook: String,
    pub(super) folder: String,
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

/// The screen `now` after the start: at most `size.rows` lines, none wider than `size.columns`.
pub(super) fn screen(
    places: &Places,
    ledger: &Ledger,
    phase: Phase,
    now: Duration,
    size: Size,
) -> Vec<String> {
    // Clearing the rest of a line that fills the last column would take that away again.
    let width = size.columns.saturating_sub(1).clamp(WIDTH_MIN, WIDTH_MAX);
    let mut lines = header(places, ledger, phase, now, width);
    let footer = footer(ledger, width);
    let room = size.rows.saturating_sub(lines.len() + footer.len());
    let mut list: Vec<String> = ledger.newest().take(room).map(|line| list_line(line, now, width)).collect();
    list.resize(room, String::new());
    list.reverse();
    // The list begins at the top while it is short.
    let empty = list.iter().take_while(|line| line.is_empty()).count();
    list.rotate_left(empty);
    lines.extend(list);
    lines.extend(footer);
    lines.truncate(size.rows);
    lines
}

fn header(places: &Places, ledger: &Ledger, phase: Phase, now: Duration, width: usize) -> Vec<String> {
    let hint = match phase {
        Phase::Running => "Ctrl-C ends it",
        Phase::Ending => "ending: waiting for what is under way",
    };
    let right = format!("{hint}   {}", stopwatch(now));
    let title = "wagate demo";
    let gap = width.saturating_sub(cells(title) + cells(&right) + 2);
    let (crm_colour, crm_sign, crm) = match ledger.weather() {
        Weather::Fine => (GREEN, '●', format!("simulated, open {} in a browser", places.crm_page)),
        Weather::CatchingUp { .. } => (YELLOW, '●', format!("back, catching up: {}", places.crm_page)),
        Weather::Unplugged { at, lasts } => {
            let left = (at + lasts).saturating_sub(now).as_secs_f64().ceil();
            (RED, '○', format!("unplugged, back in {left:.0} s"))
        }
    };
    let place = |colour: &str, sign: char, name: &str, what: &str| {
        let (name, what) = (fit(name, 9), cut(what, width.saturating_sub(14)));
        format!(" {colour}{sign}{RESET} {BOLD}{name}{RESET} {what}")
    };
    let Places { webhook, folder, config, api, .. } = places;
    let crm_line = place(crm_colour, crm_sign, "CRM", &crm);
    let mut lines = vec![
        format!(" {BOLD}{CYAN}{title}{RESET}{:gap$} {DIM}{right}{RESET}", ""),
        String::new(),
        place(GREEN, '●', "WhatsApp", &format!("simulated, sends signed webhooks over TLS to {webhook}")),
        place(GREEN, '●', "wagate", &format!("API and /metrics on {api}, store in {folder}")),
        if crm_colour == RED {
            crm_line.replace("unplugged", &format!("{RED}unplugged{RESET}"))
        } else {
            crm_line
        },
        format!(
            "   {DIM}{}{RESET}",
            cut(&format!("look around:  wagate records --follow --config {config}"), width - 4)
        ),
        String::new(),
    ];
    let columns = Columns::of(width);
    let titles = format!(
        " {} {} {}  {} {}",
        fit("sent", WHEN),
        fit("customer", columns.name),
        fit("message", columns.text),
        fit("   on disk", LATENCY),
        fit("    in CRM", LATENCY),
    );
    lines.push(format!("{DIM}{}{RESET}", cut(&titles, width)));
    lines
}

/// How wide names and texts are.
struct Columns {
    name: usize,
    text: usize,
}

impl Columns {
    fn of(width: usize) -> Self {
        let rest = width.saturating_sub(WHEN + 2 * LATENCY + 7);
        let name = (rest / 4).min(18);
        Self { name, text: rest - name }
    }

    /// The column, counted from 1, in which the latencies begin.
    fn latencies(&self) -> usize {
        WHEN + self.name + self.text + 6
    }
}

fn list_line(line: &Line, now: Duration, width: usize) -> String {
    match line {
        Line::Row(row) => row_line(row, now, width),
        Line::Note(note) => note_line(note, width),
    }
}

fn row_line(row: &Row, now: Duration, width: usize) -> String {
    let columns = Columns::of(width);
    let mut line = format!(
        " {DIM}{}{RESET} {} {}",
        fit(&stopwatch(row.sent_at), WHEN),
        fit(&harmless(&row.item.name), columns.name),
        what(row, columns.text),
    );
    // Told to go there, since terminals don't agree on how wide some writings are.
    line.push_str(&format!("  \x1b[{}G", columns.latencies()));
    let on_disk = match &row.on_disk {
        OnDisk::Asked => (DIM, "…".to_owned()),
        OnDisk::Acknowledged(after) => (GREEN, format!("✓ {:>8}", time(*after))),
        OnDisk::Failed(why) => (RED, why.clone()),
    };
    let in_crm = match row.in_crm {
        InCrm::Arrived(after) => (GREEN, format!("✓ {:>8}", time(after))),
        InCrm::NotYet => (YELLOW, format!("  {:>8}", time(now.saturating_sub(row.sent_at)))),
        InCrm::Known => (DIM, "  has it".to_owned()),
        InCrm::Unseen => (DIM, "  ?".to_owned()),
    };
    // A moment ago isn't worth a colour: only what stays is shown as waiting.
    let in_crm = if in_crm.0 == YELLOW && now.saturating_sub(row.sent_at) < Duration::from_millis(250) {
        (DIM, "  …".to_owned())
    } else {
        in_crm
    };
    for (colour, text) in [on_disk, in_crm] {
        line.push_str(&format!("{colour}{}{RESET} ", fit(&text, LATENCY)));
    }
    line
}

/// What the customer did, in so many cells.
fn what(row: &Row, width: usize) -> String {
    let item = &row.item;
    let text = harmless(item.text);
    let (kind, text) = match item.what {
        _ if item.repeat => ("", "↻ the same webhook once more".to_owned()),
        What::Message("text") => ("", text),
        What::Message("image") => ("photo ", text),
        What::Message("location") => ("place ", text),
        What::Message("interactive") => ("chose ", text),
        What::Message(other) => (other, text),
        What::Status("sent") => ("", "✓ your message was sent".to_owned()),
        What::Status("delivered") => ("", "✓✓ your message was delivered".to_owned()),
        What::Status("read") => ("", "✓✓ your message was read".to_owned()),
        What::Status(other) => ("your message: ", other.to_owned()),
    };
    let text = fit(&text, width.saturating_sub(cells(kind)));
    if item.repeat || matches!(item.what, What::Status(_)) {
        format!("{DIM}{kind}{text}{RESET}")
    } else {
        format!("{CYAN}{kind}{RESET}{text}")
    }
}

fn note_line(note: &Note, width: usize) -> String {
    let (colour, sign) = match note.mood {
        Mood::Good => (GREEN, '✓'),
        Mood::Trouble => (YELLOW, '▸'),
        Mood::Bad => (RED, '✗'),
    };
    let when = fit(&stopwatch(note.at), WHEN);
    format!(
        " {DIM}{when}{RESET} {colour}{BOLD}{sign} {}{RESET}",
        cut(&note.text, width.saturating_sub(WHEN + 4))
    )
}

fn footer(ledger: &Ledger, width: usize) -> Vec<String> {
    let totals = ledger.totals();
    let waiting = ledger.waiting();
    let arrow = format!("{DIM}→{RESET}");
    let mut sums = format!(
        " sent {BOLD}{}{RESET} {arrow} on disk {BOLD}{}{RESET} {arrow} in CRM {BOLD}{}{RESET}",
        totals.sent, totals.on_disk, totals.in_crm
    );
    let plain = 30
        + [totals.sent, totals.on_disk, totals.in_crm].map(|sum| sum.to_string().len()).iter().sum::<usize>();
    let faults = totals.missing + totals.late + totals.altered;
    let verdict = if faults == 0 {
        format!("{GREEN}lost 0{RESET}")
    } else {
        format!(
            "{RED}{BOLD}lost {}, out of order {}, altered {}{RESET}",
            totals.missing, totals.late, totals.altered
        )
    };
    sums.push_str(&format!("   {verdict}"));
    let figure = waiting.to_string();
    let room = width.saturating_sub(plain + 9 + 12 + figure.len());
    // What is just passing through is no backlog.
    if waiting > 3 && faults == 0 && room > 0 {
        let bar = "▮".repeat(waiting.min(room).min(40));
        sums.push_str(&format!("   {YELLOW}waiting {figure} {bar}{RESET}"));
    }
    let quantiles = |title: &str, histogram: &Histogram| {
        let summary = histogram.summary();
        if summary.count == 0 {
            return format!("{title}  {DIM}p50 –  p99 –{RESET}");
        }
        format!("{title}  {DIM}p50{RESET} {}  {DIM}p99{RESET} {}", time(summary.p50), time(summary.p99))
    };
    let mut latencies = format!(
        " {}     {}",
        quantiles("on disk", ledger.acknowledged()),
        quantiles("in CRM", ledger.arrived())
    );
    if ledger.longest_held_up() > Duration::ZERO && width >= 100 {
        let longest = time(ledger.longest_held_up());
        latencies.push_str(&format!("     through an outage  {DIM}longest{RESET} {longest}"));
    }
    vec![format!("{DIM}{}{RESET}", "─".repeat(width)), sums, latencies]
}

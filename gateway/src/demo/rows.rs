//! The list of the live view: a line for each message and each reply, and the notes between.

use std::time::Duration;

use simulate::What;
use simulate::crm::Tick;

use super::ledger::{InCrm, Line, Mood, Note, OnDisk, Row, Sent};
use super::style::{BOLD, CYAN, DIM, GREEN, RED, RESET, YELLOW};
use super::text::{cells, cut, fit, harmless, stopwatch, time};

/// Cells for the time of sending.
const WHEN: usize = 6;
/// Cells for the time until it was on disk.
const LATENCY: usize = 11;
/// Cells for the time until it was in the CRM, or for how far a reply got.
const OUTCOME: usize = 12;
/// The widest that names get.
const NAME_MAX: usize = 18;
/// Before that nobody sees it waiting: the cell says nothing yet.
const PASSING: Duration = Duration::from_millis(250);

/// How wide names and words are; the rest has its own width.
struct Columns {
    name: usize,
    words: usize,
}

impl Columns {
    const fn of(width: usize) -> Self {
        // A space before the first column and between the others, two before the latencies.
        let rest = width.saturating_sub(WHEN + LATENCY + OUTCOME + 6);
        let name = if rest / 4 < NAME_MAX { rest / 4 } else { NAME_MAX };
        Self { name, words: rest - name }
    }

    /// The column, counted from 1, in which the latencies begin.
    const fn latencies(&self) -> usize {
        WHEN + self.name + self.words + 6
    }
}

/// The titles of the columns.
pub(super) fn titles(width: usize) -> String {
    let Columns { name, words } = Columns::of(width);
    let (when, who, what) = (fit("sent", WHEN), fit("customer", name), fit("message", words));
    format!(" {DIM}{when} {who} {what}     on disk      in CRM{RESET}")
}

/// One line of the list, `now` after the start.
pub(super) fn line(line: &Line, now: Duration, width: usize) -> String {
    match line {
        Line::Row(row) => row_line(row, now, width),
        Line::Reply(sent) => reply_line(sent, now, width),
        Line::Note(note) => note_line(note, width),
    }
}

fn row_line(row: &Row, now: Duration, width: usize) -> String {
    let columns = Columns::of(width);
    let words = words(row, columns.words);
    cells_of(&columns, row.sent_at, &row.item.name, &words, &on_disk(&row.on_disk), &in_crm(row, now))
}

fn reply_line(sent: &Sent, now: Duration, width: usize) -> String {
    let columns = Columns::of(width);
    let reply = cut("reply ", columns.words);
    let text = fit(&harmless(sent.reply.text), columns.words - cells(&reply));
    let words = format!("{GREEN}{reply}{RESET}{text}");
    let name = sent.reply.name.as_deref().unwrap_or_default();
    cells_of(&columns, sent.posted_at, name, &words, &on_disk(&sent.on_disk), &tick(sent, now))
}

fn cells_of(
    columns: &Columns,
    at: Duration,
    name: &str,
    words: &str,
    on_disk: &str,
    outcome: &str,
) -> String {
    let when = fit(&stopwatch(at), WHEN);
    let name = fit(&harmless(name), columns.name);
    // Told to go there, since terminals don't agree on how wide some writings are.
    let there = columns.latencies();
    format!(" {DIM}{when}{RESET} {name} {words}  \x1b[{there}G{on_disk} {outcome}")
}

fn on_disk(on_disk: &OnDisk) -> String {
    match on_disk {
        OnDisk::Asked => latency(DIM, '…', ""),
        OnDisk::Acknowledged(after) => latency(GREEN, '✓', &time(*after)),
        OnDisk::Failed(why) => latency(RED, '✗', why),
    }
}

/// How far a reply got, as the ticks of WhatsApp tell it.
fn tick(sent: &Sent, now: Duration) -> String {
    let waits = now.saturating_sub(sent.posted_at);
    let (colour, shown) = match (sent.tick, &sent.on_disk) {
        (Some(tick @ Tick::Failed), _) => (RED, tick.shown()),
        (Some(tick @ Tick::Read), _) => (CYAN, tick.shown()),
        (Some(tick @ Tick::Delivered), _) => ("", tick.shown()),
        (Some(tick), _) => (DIM, tick.shown()),
        (None, OnDisk::Acknowledged(_)) if waits < PASSING => (DIM, "queued"),
        (None, OnDisk::Acknowledged(_)) => (YELLOW, "queued"),
        (None, OnDisk::Asked | OnDisk::Failed(_)) => ("", ""),
    };
    format!("{colour}{}{RESET}", fit(shown, OUTCOME))
}

fn in_crm(row: &Row, now: Duration) -> String {
    let waits = now.saturating_sub(row.sent_at);
    match row.in_crm {
        InCrm::Arrived(after) => latency(GREEN, '✓', &time(after)),
        InCrm::NotYet if waits < PASSING => latency(DIM, '…', ""),
        InCrm::NotYet => latency(YELLOW, ' ', &time(waits)),
        InCrm::Known => latency(DIM, ' ', ""),
        InCrm::Unseen => latency(DIM, '?', ""),
    }
}

fn latency(colour: &str, sign: char, what: &str) -> String {
    format!("{colour}{}{RESET}", fit(&format!("{sign} {what:>8}"), LATENCY))
}

/// What the customer did, in so many cells.
fn words(row: &Row, width: usize) -> String {
    let text = harmless(row.item.text);
    let (kind, text) = match row.item.what {
        _ if row.item.repeat => return dim("↻ the same again, kept once", width),
        What::Status("sent") => return dim("✓ your message was sent", width),
        What::Status("delivered") => return dim("✓✓ your message was delivered", width),
        What::Status("read") => return dim("✓✓ your message was read", width),
        What::Status(other) => return dim(other, width),
        What::Message("text") => ("", text),
        What::Message("image") => ("photo ", text),
        What::Message("location") => ("place ", text),
        What::Message("interactive") => ("chose ", text),
        What::Message(other) => (other, text),
    };
    let kind = cut(kind, width);
    format!("{CYAN}{kind}{RESET}{}", fit(&text, width - cells(&kind)))
}

fn dim(text: &str, width: usize) -> String {
    format!("{DIM}{}{RESET}", fit(text, width))
}

fn note_line(note: &Note, width: usize) -> String {
    let (colour, sign) = match note.mood {
        Mood::Good => (GREEN, '✓'),
        Mood::Trouble => (YELLOW, '▸'),
        Mood::Bad => (RED, '✗'),
    };
    let when = fit(&stopwatch(note.at), WHEN);
    let text = cut(&note.text, width.saturating_sub(WHEN + 4));
    format!(" {DIM}{when}{RESET} {colour}{BOLD}{sign} {text}{RESET}")
}

//! The same as lines, for pipes, logs and terminals that move no cursor.

use std::time::Duration;

use simulate::What;
use simulate::crm::Tick;

use super::ledger::{InCrm, Line, OnDisk, Row, Sent};
use super::screen::Places;
use super::text::{cut, fit, harmless, stopwatch, time};

/// Cells for a customer's name and words.
const NAME: usize = 18;
const TEXT: usize = 44;

/// What is said first.
pub(super) fn greeting(places: &Places) -> String {
    let Places { webhook, config, api, crm_page } = places;
    format!(
        "wagate demo: everything on this machine; Ctrl-C ends it\n\
         \x20 WhatsApp   simulated, signed webhooks to {webhook}\n\
         \x20 wagate     the real one, API and /metrics on {api}\n\
         \x20 CRM        simulated, open {crm_page} in a browser\n\
         \x20 look around: wagate records --follow --config {config}\n\n"
    )
}

/// A line that nothing more happens to, `now` after the start.
pub(super) fn line(line: &Line, now: Duration) -> String {
    match line {
        Line::Row(row) => row_line(row, now),
        Line::Reply(sent) => reply_line(sent, now),
        Line::Note(note) => format!("{} {}\n", fit(&stopwatch(note.at), 5), note.text),
    }
}

fn row_line(row: &Row, now: Duration) -> String {
    let item = &row.item;
    let text = harmless(item.text);
    let what = match item.what {
        _ if item.repeat => "(the same again, kept once)".to_owned(),
        What::Message("text") => text,
        What::Message(kind) => format!("[{kind}] {text}"),
        What::Status(status) => format!("[status: {status}]"),
    };
    let in_crm = match row.in_crm {
        InCrm::Arrived(after) => format!(", in CRM {:>8}", time(after)),
        InCrm::Known => String::new(),
        InCrm::NotYet => ", not in CRM".to_owned(),
        InCrm::Unseen => ", not seen".to_owned(),
    };
    words_line(&item.name, &what, &format!("{}{in_crm}", on_disk(&row.on_disk)), now)
}

fn reply_line(sent: &Sent, now: Duration) -> String {
    let mut got = on_disk(&sent.on_disk);
    match sent.accepted {
        Some(after) => got.push_str(&format!(", accepted {:>8}", time(after))),
        None => got.push_str(", not accepted"),
    }
    if let (Some(tick @ (Tick::Sent | Tick::Delivered | Tick::Read | Tick::Failed)), Some(after)) =
        (sent.tick, sent.latest)
    {
        let word = tick.shown().trim_start_matches(['✓', '✗', ' ']);
        got.push_str(&format!(", {word} {:>8}", time(after)));
    }
    if sent.unseen {
        got.push_str(", not all seen");
    }
    let name = sent.reply.name.as_deref().unwrap_or_default();
    words_line(name, &format!("[reply] {}", harmless(sent.reply.text)), &got, now)
}

fn on_disk(on_disk: &OnDisk) -> String {
    match on_disk {
        OnDisk::Acknowledged(after) => format!("on disk {:>8}", time(*after)),
        OnDisk::Asked => "not on disk".to_owned(),
        OnDisk::Failed(why) => format!("not on disk: {}", harmless(why)),
    }
}

fn words_line(name: &str, what: &str, got: &str, now: Duration) -> String {
    let name = fit(&harmless(name), NAME);
    format!("{} {name} {} {got}\n", fit(&stopwatch(now), 5), fit(&cut(what, TEXT), TEXT))
}

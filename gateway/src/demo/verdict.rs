//! Whether everything that was sent was acknowledged and received, whether every reply went out once, and
//! the summary that says so.
//!
//! It rests on the books of both ends, not on the view: what WhatsApp sent and got acknowledged,
//! what the CRM took and found wrong, what of the one never reached the other, and the same of the
//! replies ([`super::way_back`]).

use std::time::Duration;

use simulate::Summary;
use simulate::crm::{Complaint, Totals as Taken};
use simulate::whatsapp::Report;

use super::ledger::{Ledger, Totals};
use super::text::{count, harmless, time};
use super::way_back::WayBack;

/// Complaints told word by word.
const COMPLAINTS_TOLD: usize = 5;

/// What both ends have in their books at the end.
#[derive(Debug)]
pub(super) struct Books {
    /// WhatsApp's; none when it didn't come to an end.
    pub(super) report: Option<Report>,
    /// The same of the statuses.
    pub(super) statuses: Option<Report>,
    /// Messages and statuses sent whose record never reached the CRM.
    pub(super) never_arrived: usize,
    /// Records in the CRM that WhatsApp sent nothing for.
    pub(super) never_sent: u64,
    /// The replies.
    pub(super) back: WayBack,
    /// The CRM's sums.
    pub(super) taken: Taken,
    /// What was wrong with deliveries.
    pub(super) complaints: Vec<Complaint>,
    /// Why the gateway didn't stop as it should.
    pub(super) stop: Option<String>,
    /// How long the demo went on.
    pub(super) lasted: Duration,
}

/// What isn't as promised; empty when all is well.
pub(super) fn faults(books: &Books, seen: &Totals) -> Vec<String> {
    let mut faults = Vec::new();
    match &books.report {
        Some(report) if report.webhooks == 0 => faults.push("nothing was sent".to_owned()),
        Some(report) if !report.is_complete() => {
            let open = report.webhooks - report.acked;
            faults.push(format!("{} got no 200", count(open, "webhook")));
        }
        Some(_) => {}
        None => faults.push("the simulated WhatsApp was cut short".to_owned()),
    }
    if let Some(report) = books.statuses.as_ref().filter(|report| !report.is_complete()) {
        let open = report.webhooks - report.acked;
        faults.push(format!("{} with statuses got no 200", count(open, "webhook")));
    }
    if books.never_arrived > 0 {
        let never = count(books.never_arrived as u64, "item");
        faults.push(format!("{never} hadn't reached the CRM at the end"));
    }
    for (number, what) in [
        (books.never_sent, "came that nobody sent"),
        (seen.late, "came after a later one of the same customer"),
        (seen.altered, "came with another text"),
    ] {
        if number > 0 {
            faults.push(format!("{} {what}", count(number, "record")));
        }
    }
    for (number, noun, what) in books.back.faults() {
        if number > 0 {
            let were = if number == 1 { "was" } else { "were" };
            faults.push(format!("{} {were} {what}", count(number, noun)));
        }
    }
    let told = books.complaints.iter().take(COMPLAINTS_TOLD);
    faults.extend(told.map(|complaint| format!("the CRM complained: {}", harmless(&complaint.detail))));
    if books.complaints.len() > COMPLAINTS_TOLD {
        faults.push(format!(
            "and {} more",
            count((books.complaints.len() - COMPLAINTS_TOLD) as u64, "complaint")
        ));
    }
    faults.extend(books.stop.iter().map(|why| format!("the gateway didn't stop well: {why}")));
    faults
}

/// The end of the story, in lines.
pub(super) fn summary(books: &Books, ledger: &Ledger, colour: bool) -> String {
    let (green, red, bold, reset) =
        if colour { ("\x1b[32m", "\x1b[31m", "\x1b[1m", "\x1b[0m") } else { ("", "", "", "") };
    let seen = ledger.totals();
    let quantiles = |summary: Summary| match summary.count {
        0 => String::new(),
        _ => format!("; p50 {}, p99 {}", time(summary.p50), time(summary.p99)),
    };
    let mut text = format!("\n{bold}wagate demo{reset}, {}\n", time(books.lasted));
    let mut tell = |title: &str, told: String| text.push_str(&format!("  {title:<11}{told}\n"));
    if let Some(report) = &books.report {
        let copies = match seen.copies {
            0 => String::new(),
            copies => format!(", {copies} of them sent twice"),
        };
        let (items, webhooks) = (count(seen.sent, "message"), count(report.webhooks, "webhook"));
        tell("sent", format!("{items} in {webhooks}{copies}"));
        let acked = if report.is_complete() { "all".to_owned() } else { report.acked.to_string() };
        tell("on disk", format!("{acked} acknowledged{}", quantiles(ledger.acknowledged().summary())));
    }
    let Taken { taken, records, lanes, .. } = books.taken;
    let again = match taken - records {
        0 => String::new(),
        again => format!(", {again} of them more than once"),
    };
    let (records, customers) = (count(records, "record"), count(lanes, "customer"));
    // What an outage held up stands in the next line.
    let plugged_in = if seen.outages > 0 { " while plugged in" } else { "" };
    let arrived = quantiles(ledger.arrived().summary());
    tell("in CRM", format!("{records} of {customers}{again}{arrived}{plugged_in}"));
    if books.back.written > 0 {
        let back = &books.back;
        let twice = match back.asked_again {
            0 => String::new(),
            again => format!(", {again} of them asked for twice"),
        };
        let queued = quantiles(ledger.queued().summary());
        tell("replies", format!("{} queued{twice}{queued}", back.queued));
        let once = if back.twice == 0 { ", once each" } else { "" };
        let accepted = quantiles(ledger.accepted().summary());
        let others = match back.others {
            0 => String::new(),
            others => format!(", and {others} that somebody else sent"),
        };
        tell("accepted", format!("{} by WhatsApp{once}{others}{accepted}", back.accepted));
        let all = back.sent + back.delivered + back.read;
        let WayBack { sent, delivered, read, .. } = back;
        tell("statuses", format!("{all} in CRM: {sent} sent, {delivered} delivered, {read} read"));
    }
    if seen.outages > 0 {
        let longest = match ledger.longest_held_up() {
            Duration::ZERO => String::new(),
            longest => format!(", the longest {}", time(longest)),
        };
        let outages = if seen.outages == 1 { "once".to_owned() } else { format!("{} times", seen.outages) };
        tell("unplugged", format!("{outages}; {} waited on disk{longest}", count(seen.held_up, "record")));
    }
    if seen.unseen > 0 {
        tell("", format!("{} went by too fast for this view", count(seen.unseen, "event")));
    }
    let faults = faults(books, seen);
    if faults.is_empty() {
        let replies = if books.back.written > 0 { "every reply went out once; " } else { "" };
        text.push_str(&format!(
            "{green}✓ Everything sent was acknowledged and received in order; {replies}nothing was lost.{reset}\n"
        ));
    }
    for fault in faults {
        text.push_str(&format!("{red}✗ {fault}{reset}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use simulate::crm::Wrong;

    use super::*;

    fn books() -> Books {
        Books {
            report: Some(Report { webhooks: 3, acked: 3, ..Report::default() }),
            never_arrived: 0,
            never_sent: 0,
            statuses: Some(Report { webhooks: 6, acked: 6, ..Report::default() }),
            back: WayBack {
                written: 2,
                queued: 2,
                asked_again: 1,
                accepted: 2,
                sent: 2,
                delivered: 2,
                read: 1,
                ..WayBack::default()
            },
            taken: Taken { deliveries: 4, refused: 0, taken: 4, records: 3, lanes: 2 },
            complaints: Vec::new(),
            stop: None,
            lasted: Duration::from_secs(20),
        }
    }

    #[test]
    fn what_arrived_more_than_once_is_told_and_is_no_fault() {
        assert_eq!(faults(&books(), &Totals::default()), [""; 0]);
        let told = summary(&books(), &Ledger::new(), false);
        assert!(told.contains("3 records of 2 customers, 1 of them more than once"), "{told}");
        assert!(told.contains("✓ Everything") && !told.contains('\x1b'), "{told}");
    }

    #[test]
    fn the_way_back_is_told_and_without_replies_it_is_not() {
        let told = summary(&books(), &Ledger::new(), false);
        for part in [
            "\n  replies    2 queued, 1 of them asked for twice\n",
            "\n  accepted   2 by WhatsApp, once each\n",
            "\n  statuses   5 in CRM: 2 sent, 2 delivered, 1 read\n",
            "in order; every reply went out once; nothing was lost.",
        ] {
            assert!(told.contains(part), "{part:?} isn't in\n{told}");
        }
        let told = summary(&Books { back: WayBack::default(), ..books() }, &Ledger::new(), false);
        assert!(!told.contains("repl") && told.contains("in order; nothing was lost."), "{told}");
    }

    #[test]
    fn every_fault_counts_by_itself() {
        let incomplete = Report { webhooks: 3, acked: 2, ..Report::default() };
        let complaint = Complaint { wrong: Wrong::Order, detail: "disorder\x1b".into() };
        let fine = Totals::default();
        for (books, seen) in [
            (Books { report: Some(incomplete.clone()), ..books() }, fine),
            (Books { report: Some(Report::default()), ..books() }, fine),
            (Books { report: None, ..books() }, fine),
            (Books { statuses: Some(incomplete.clone()), ..books() }, fine),
            (Books { back: WayBack { written: 3, ..books().back }, ..books() }, fine),
            (Books { back: WayBack { twice: 1, ..books().back }, ..books() }, fine),
            (Books { never_arrived: 1, ..books() }, fine),
            (Books { never_sent: 1, ..books() }, fine),
            (Books { complaints: vec![complaint], ..books() }, fine),
            (Books { stop: Some("slow".into()), ..books() }, fine),
            (books(), Totals { late: 1, ..fine }),
            (books(), Totals { altered: 1, ..fine }),
        ] {
            let found = faults(&books, &seen);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(!found[0].contains('\x1b'), "{found:?}");
        }
    }

    #[test]
    fn a_flood_of_complaints_is_cut_short() {
        let complaint = Complaint { wrong: Wrong::Order, detail: "disorder".into() };
        let found = faults(&Books { complaints: vec![complaint; 100], ..books() }, &Totals::default());
        assert_eq!(found.len(), COMPLAINTS_TOLD + 1);
        assert_eq!(found[COMPLAINTS_TOLD], "and 95 complaints more");
    }
}

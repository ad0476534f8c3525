//! `wagate simulate whatsapp --graph`: what the store sends is taken and counted, too.

use std::net::SocketAddr;

use anyhow::anyhow;
use jiff::Timestamp;
use simulate::graph::{
    Days, DoorSettings, Doorway, GraphError, GraphLine, GraphReport, GraphSettings, Observed, Outcome,
    Posting, Webhooks, run_graph,
};
use simulate::whatsapp::{Report, SenderOptions, Target, WhatsappError, WhatsappOptions};

use super::whatsapp::{DRAIN, ENDING, greeting, push, summary, tell};
use super::{Printer, refused, run_stoppable, secret};
use crate::cli::{Exit, SimulateWhatsapp};
use crate::demo::text::{count, cut, harmless};
use crate::out;

/// Cells of the store's words in a line.
const TEXT: usize = 70;

/// Plays both halves; [`Exit::Done`] only if all webhooks were acknowledged.
pub(super) fn with_graph(
    args: &SimulateWhatsapp,
    address: SocketAddr,
    customers: WhatsappOptions,
) -> anyhow::Result<Exit> {
    let settings = match settings(args, address, &customers) {
        Ok(settings) => settings,
        Err(why) => return Ok(refused(&why)),
    };
    let listening = Listening {
        any_token: settings.token.is_none(),
        any_key: settings.doors.iter().any(|door| door.token.is_none()),
        number: args.phone_number_id.clone(),
    };
    let ended = run_stoppable(ENDING, async |stop| {
        let mut printer = Printer::new(stop.clone());
        printer.answer(&greeting(&customers));
        let out = |line| print(&mut printer, &listening, line);
        let report = run_graph(settings, customers, stop.notified(), out).await;
        (report, printer.outcome)
    })?;
    let Some((report, printed)) = ended else { return Ok(Exit::Failed) };
    let report = match report {
        Err(GraphError::Whatsapp(WhatsappError::Url(why))) => return Ok(refused(&why.to_string())),
        // Its message holds its causes.
        report => report.map_err(|error| anyhow!("{error}"))?,
    };
    printed?;
    out::answer(&summary(&report.customers))?;
    out::answer(&received(&report))?;
    let told = report.graph.webhooks.as_ref().is_none_or(Report::is_complete);
    Ok(if report.customers.is_complete() && told { Exit::Done } else { Exit::Failed })
}

fn settings(
    args: &SimulateWhatsapp,
    address: SocketAddr,
    customers: &WhatsappOptions,
) -> Result<GraphSettings, String> {
    if args.graph.control.is_some_and(|control| !control.ip().is_loopback()) {
        return Err("--control: a loopback address, since whoever reaches it is obeyed".to_owned());
    }
    let token = args.graph.graph_token.as_ref().map(|text| secret("--graph-token", text)).transpose()?;
    let target = Target::parse(&customers.url).map_err(|why| why.to_string())?;
    let sender = SenderOptions { drain: DRAIN, ..SenderOptions::new(target) };
    let webhooks = Webhooks {
        connections: customers.connections,
        ..Webhooks::new(sender, customers.app_secret.clone())
    };
    Ok(GraphSettings {
        control: args.graph.control,
        token: token.map(|token| token.expose().to_owned()),
        numbers: vec![args.phone_number_id.clone()],
        webhooks: Some(webhooks),
        behave: args.graph.behave.clone(),
        doors: three_sixty(args)?.into_iter().collect(),
        days: days(&args.graph.timezone)?,
        seed: customers.payloads.seed,
        ..GraphSettings::new(address)
    })
}

/// The other way to the same number.
fn three_sixty(args: &SimulateWhatsapp) -> Result<Option<DoorSettings>, String> {
    let Some(address) = args.graph.graph_360 else { return Ok(None) };
    let key = args.graph.graph_360_key.as_ref().map(|text| secret("--graph-360-key", text)).transpose()?;
    Ok(Some(DoorSettings {
        token: key.map(|key| key.expose().to_owned()),
        behave: args.graph.behave_360.clone(),
        ..DoorSettings::three_sixty(address, "")
    }))
}

/// Local days by the zones in the program, not the machine's.
fn days(zone: &str) -> Result<Days, String> {
    const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
    let zone = jiff::tz::TimeZoneDatabase::bundled()
        .get(zone)
        .map_err(|_| format!("--timezone: there is no time zone {zone:?}"))?;
    Ok(Days::new(move |now_ms| {
        let time = Timestamp::from_millisecond(now_ms).unwrap_or_default();
        let offset_ms = i64::from(zone.to_offset(time).seconds()) * 1_000;
        now_ms.saturating_add(offset_ms).div_euclid(DAY_MS)
    }))
}

/// What stands in the greeting.
struct Listening {
    any_token: bool,
    any_key: bool,
    number: String,
}

fn print(printer: &mut Printer, listening: &Listening, line: GraphLine) {
    match line {
        GraphLine::Listening { url, control, doors } => {
            printer.answer(&listening.words(&url, control, &doors));
        }
        GraphLine::Customers(line) => tell(printer, line),
        GraphLine::Posted(posting) => printer.line(&words(&posting)),
        GraphLine::Skipped(skipped) => {
            printer.line(&format!("{} more came too fast to be told", count(skipped, "message")));
        }
    }
}

impl Listening {
    /// What to write into the gateway's configuration, and how it is told to misbehave.
    fn words(&self, url: &str, control: Option<SocketAddr>, doors: &[Doorway]) -> String {
        let mut text = format!(
            "Graph, simulated. In the gateway's configuration:\n  [[numbers]]\n  phone_number_id = \"{}\"\n  \
             [[whatsapp.endpoints]]\n  name = \"simulated\"\n  url = \"{url}\"\n",
            harmless(&self.number),
        );
        for door in doors {
            let endpoint = format!(
                "  [[whatsapp.endpoints]]\n  name = \"{}\"\n  url = \"{}\"\n  header = \"D360-API-KEY\"\n  \
                 path = \"/messages\"",
                door.name(),
                door.url(),
            );
            push(&mut text, &endpoint);
        }
        if self.any_token {
            text.push_str("Any token will do: there is no --graph-token.\n");
        }
        if self.any_key {
            text.push_str("Any key will do: there is no --graph-360-key.\n");
        }
        if let Some(control) = control {
            let hint = format!(
                "To misbehave: curl http://{control}/behave -H 'content-type: application/json' \
                 -d '{{\"kind\":\"refuse\",\"code\":131056,\"next\":5}}'\n\
                 What was received: curl http://{control}/observed, and /observed/messages"
            );
            push(&mut text, &hint);
        }
        text
    }
}

/// A message of the store, in a line.
fn words(posting: &Posting) -> String {
    let outcome = match posting.outcome {
        Outcome::Accepted => "taken".to_owned(),
        Outcome::Unanswered => "taken without an answer".to_owned(),
        Outcome::Ignored => "neither taken nor answered".to_owned(),
        Outcome::Refused(code) => format!("refused with {code}"),
    };
    let what = posting.template.as_ref().or(posting.words.as_ref()).map_or("", String::as_str);
    let what = cut(&format!("{}: [{}] {what}", posting.to, posting.kind), TEXT);
    format!("from the store to {}  {outcome}", harmless(&what))
}

/// What the store sent, in words.
fn received(report: &GraphReport) -> String {
    let observed = &report.graph.observed;
    let mut text = format!(
        "Graph took {} of {} posted, {} and {}, in {}\n",
        count(observed.accepted, "message"),
        observed.posted,
        count(observed.marks, "read mark"),
        count(observed.uploads, "upload"),
        count(observed.calls, "call"),
    );
    for (code, times) in &observed.refused {
        push(&mut text, &format!("  {} refused with {code}", count(*times, "call")));
    }
    if observed.doors.len() > 1 {
        for (door, of) in &observed.doors {
            let taken = count(of.accepted, "message");
            push(
                &mut text,
                &format!(
                    "  by {}: {taken} of {} posted, in {}",
                    harmless(door),
                    of.posted,
                    count(of.calls, "call")
                ),
            );
        }
    }
    trouble(&mut text, observed);
    for (number, of) in &observed.numbers {
        for (day, calls) in &of.calls_by_day {
            let taken = of.accepted_by_day.get(day).copied().unwrap_or_default();
            let number = harmless(number);
            push(
                &mut text,
                &format!("  {number}, {day}: {}, {}", count(taken, "message"), count(*calls, "call")),
            );
        }
        push(
            &mut text,
            &format!(
                "    at most {} in a second, {} at once, {} to one recipient ({} of the burst of 45 in use); \
                 {} outside a window",
                count(of.most_in_a_second, "message"),
                count(of.most_at_once, "call"),
                of.most_to_one_recipient,
                of.most_of_pair_burst,
                of.pushes,
            ),
        );
    }
    push(
        &mut text,
        &format!(
            "  at most {} outside a window in 24 h",
            count(observed.unique_recipients_most, "different recipient")
        ),
    );
    if let Some(webhooks) = &report.graph.webhooks {
        let sums = format!(
            "{} told in {}, {} acknowledged",
            count(observed.statuses.told, "status update"),
            count(webhooks.webhooks, "webhook"),
            webhooks.acked
        );
        push(&mut text, &sums);
    }
    text
}

/// What shouldn't be.
fn trouble(text: &mut String, observed: &Observed) {
    let lines = [
        (observed.taken_twice, "message", "taken more than once: a customer got it twice"),
        (observed.without_outbox_id, "message", "without biz_opaque_callback_data"),
        (observed.without_plus, "message", "to a phone without +, which may be a stranger's"),
        (observed.unanswered, "message", "taken without an answer"),
        (observed.ignored, "message", "neither taken nor answered"),
    ];
    for (times, noun, what) in lines {
        if times > 0 {
            push(text, &format!("  {} {what}", count(times, noun)));
        }
    }
    if !observed.exact {
        push(text, "  There was more than can be counted: the numbers are too low.");
    }
}

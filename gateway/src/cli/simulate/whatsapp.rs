//! `wagate simulate whatsapp`: webhooks without a Meta account.

use std::fmt::Write;
use std::time::Duration;

use anyhow::anyhow;
use model::signature::hub::AppSecret;
use simulate::whatsapp::{
    Counts, Line, Pace, PayloadOptions, Report, WhatsappError, WhatsappOptions, run_whatsapp,
};
use simulate::{Event, Item, What};

use super::{Printer, graph, refused, run_stoppable, secret};
use crate::cli::{Exit, Rate, SimulateWhatsapp};
use crate::demo::text::{count, cut, harmless, time};
use crate::{clock, out};

/// How long what got no 200 is sent again after the last new webhook.
pub(super) const DRAIN: Duration = Duration::from_secs(5);
pub(super) const ENDING: &str =
    "ending: what got no 200 is sent again for some seconds; Ctrl-C once more leaves at once";
/// Cells of a customer's words in a line.
const TEXT: usize = 70;

/// Sends webhooks; [`Exit::Done`] only if all of them were acknowledged.
pub(in super::super) fn whatsapp(args: &SimulateWhatsapp) -> anyhow::Result<Exit> {
    let options = match options(args) {
        Ok(options) => options,
        Err(why) => return Ok(refused(&why)),
    };
    if let Some(address) = args.graph.graph {
        return graph::with_graph(args, address, options);
    }
    let ended = run_stoppable(ENDING, async |stop| {
        let mut printer = Printer::new(stop.clone());
        printer.answer(&greeting(&options));
        let report = run_whatsapp(options, stop.notified(), |line| tell(&mut printer, line)).await;
        (report, printer.outcome)
    })?;
    let Some((report, printed)) = ended else { return Ok(Exit::Failed) };
    let report = match report {
        Err(WhatsappError::Url(why)) => return Ok(refused(&why.to_string())),
        // Its message holds its causes.
        report => report.map_err(|error| anyhow!("{error}"))?,
    };
    printed?;
    out::answer(&summary(&report))?;
    Ok(if report.is_complete() { Exit::Done } else { Exit::Failed })
}

fn options(args: &SimulateWhatsapp) -> Result<WhatsappOptions, String> {
    let verify_token = args.verify_token.as_ref().map(|text| secret("--verify-token", text)).transpose()?;
    let now = clock::now();
    let (pace, items_per_second) = match args.rate {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and a million, and only labels come from it"
        )]
        Rate::PerSecond(rate) => (Pace::PerSecond(rate), rate.ceil() as u32),
        Rate::Max => (Pace::Saturate, PayloadOptions::default().items_per_second),
    };
    Ok(WhatsappOptions {
        url: args.webhook.clone(),
        app_secret: AppSecret::new(secret("--app-secret", &args.app_secret)?.expose().as_bytes()),
        verify_token: verify_token.map(|token| token.expose().to_owned()),
        pace,
        count: args.count,
        run_for: args.for_,
        connections: args.connections,
        drain: DRAIN,
        payloads: PayloadOptions {
            // The bits of milliseconds that change, so that two runs have different ids.
            seed: args.seed.unwrap_or(now.0.unsigned_abs()),
            contacts: args.customers,
            phone_number_id: args.phone_number_id.clone(),
            starts_at: now.0.div_euclid(1_000),
            items_per_second,
            // With a Graph the store's messages have statuses of their own.
            statuses_percent: if args.graph.graph.is_some() {
                0
            } else {
                PayloadOptions::default().statuses_percent
            },
            ..PayloadOptions::default()
        },
        heard_by: None,
    })
}

pub(super) fn greeting(options: &WhatsappOptions) -> String {
    let pace = match options.pace {
        Pace::PerSecond(rate) => format!("{rate} a second"),
        Pace::Saturate => "as fast as they are answered".to_owned(),
    };
    let customers = count(u64::from(options.payloads.contacts), "customer");
    format!(
        "WhatsApp, simulated: webhooks to {}, {pace}, of {customers}; seed {}. Ctrl-C ends it.\n",
        harmless(&options.url),
        options.payloads.seed
    )
}

pub(super) fn tell(printer: &mut Printer, line: Line) {
    match line {
        Line::Handshake(handshake) => printer.line(&format!("handshake done in {}", time(handshake.took))),
        Line::Event(Event::Answered { items, status, after }) => {
            let again = if status == 200 { "" } else { "  (comes again)" };
            printer.line(&format!("{status} in {:>8}  {}{again}", time(after), words(&items)));
        }
        Line::Event(Event::Unanswered { items, why }) => {
            printer.line(&format!("no answer: {}  {}  (comes again)", harmless(&why), words(&items)));
        }
        Line::Event(
            Event::Sent { .. }
            | Event::Arrived { .. }
            | Event::Complained(_)
            | Event::Replying { .. }
            | Event::Queued { .. }
            | Event::Unqueued { .. },
        ) => {}
        Line::Progress(Counts { webhooks: 0, .. }) => {}
        Line::Progress(Counts { webhooks, acked, failed }) => {
            printer.line(&format!("{acked} of {webhooks} acknowledged, {}", count(failed, "failed attempt")));
        }
    }
}

/// What stands in a webhook, in a line.
fn words(items: &[Item]) -> String {
    let Some(first) = items.first() else { return String::new() };
    let what = match first.what {
        What::Message("text") => harmless(first.text),
        What::Message(kind) => format!("[{kind}] {}", harmless(first.text)),
        What::Status(status) => format!("[status: {status}]"),
    };
    let mut line = cut(&format!("{}: {what}", harmless(&first.name)), TEXT);
    if items.len() > 1 {
        line.push_str(&format!(" (and {} more)", items.len() - 1));
    }
    line
}

pub(super) fn summary(report: &Report) -> String {
    let latency = report.latency.summary();
    let mut text = format!(
        "{} sent, {} acknowledged; {:.1} a second",
        count(report.webhooks, "webhook"),
        report.acked,
        report.acked_per_second()
    );
    if latency.count > 0 {
        text.push_str(&format!(
            "; p50 {}, p99 {}, longest {}",
            time(latency.p50),
            time(latency.p99),
            time(latency.max)
        ));
    }
    text.push('\n');
    for (status, times) in &report.refused {
        let hint = if *status == 401 { ": is the app secret another one?" } else { "" };
        push(&mut text, &format!("  {times} answered with {status}{hint}"));
    }
    if report.broken > 0 {
        push(&mut text, &format!("  {} broke off or took too long", count(report.broken, "request")));
    }
    if report.unreachable > 0 {
        push(&mut text, &format!("  {} found nobody there", count(report.unreachable, "attempt")));
    }
    let open = report.webhooks - report.acked;
    if open > 0 {
        push(&mut text, &format!("{} never got a 200", count(open, "webhook")));
    }
    text
}

pub(super) fn push(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("writing to a string cannot fail");
}

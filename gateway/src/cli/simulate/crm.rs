//! `wagate simulate crm`: a CRM to deliver to.

use anyhow::anyhow;
use model::signature::standard_webhooks::SigningSecret;
use simulate::Event;
use simulate::crm::{CrmOptions, CrmReport, Line, run_crm};
use simulate::event::Arrival;

use super::{Printer, refused, run_stoppable, secret};
use crate::cli::{Exit, SimulateCrm};
use crate::demo::text::{count, cut, harmless};
use crate::out;

/// As many secrets as a gateway signs with.
const SIGNING_SECRETS_MAX: usize = 2;
/// Cells of a customer's words in a line.
const TEXT: usize = 70;

/// Takes deliveries until it is stopped; [`Exit::Done`] only if nothing was ever wrong with them.
pub(in super::super) fn crm(args: &SimulateCrm) -> anyhow::Result<Exit> {
    let options = match options(args) {
        Ok(options) => options,
        Err(why) => return Ok(refused(&why)),
    };
    let checked = !options.signing_secrets.is_empty();
    let ended = run_stoppable("ending", async |stop| {
        let mut printer = Printer::new(stop.clone());
        let report = run_crm(options, stop.notified(), |line| tell(&mut printer, line, checked)).await;
        (report, printer.outcome)
    })?;
    let Some((report, printed)) = ended else { return Ok(Exit::Failed) };
    // Its message holds its causes.
    let report = report.map_err(|error| anyhow!("{error}"))?;
    printed?;
    out::answer(&summary(&report))?;
    Ok(if report.clean { Exit::Done } else { Exit::Failed })
}

fn options(args: &SimulateCrm) -> Result<CrmOptions, String> {
    if args.signing_secret.len() > SIGNING_SECRETS_MAX {
        return Err("--signing-secret: one, or two while one is being replaced by the other".to_owned());
    }
    if args.control.is_some_and(|control| !control.ip().is_loopback()) {
        return Err("--control: a loopback address, since whoever reaches it is obeyed".to_owned());
    }
    let read = |text: &String| {
        let secret = secret("--signing-secret", text)?;
        SigningSecret::parse(secret.expose()).map_err(|why| format!("--signing-secret: {why}"))
    };
    let signing_secrets = args.signing_secret.iter().map(read).collect::<Result<_, _>>()?;
    if !args.health.starts_with('/') {
        return Err("--health: a path, such as /health".to_owned());
    }
    let health = args.health.clone();
    Ok(CrmOptions { control: args.control, health, signing_secrets, ..CrmOptions::new(args.listen) })
}

fn tell(printer: &mut Printer, line: Line, checked: bool) {
    match line {
        Line::Listening { url, control } => {
            let page = url.trim_end_matches("wagate");
            let mut greeting = format!(
                "CRM, simulated. In the gateway's configuration:\n  [[crm.endpoints]]\n  name = \"simulated\"\n  \
                 url = \"{url}\"\nThe conversations are on {page}; Ctrl-C ends it.\n"
            );
            if !checked {
                greeting.push_str("Signatures aren't checked: there is no --signing-secret.\n");
            }
            if let Some(control) = control {
                greeting.push_str(&format!(
                    "To misbehave: curl http://{control}/behave -H 'content-type: application/json' \
                     -d '{{\"kind\":\"status\",\"code\":503}}'\n"
                ));
            }
            printer.answer(&greeting);
        }
        Line::Event(Event::Arrived { arrival, .. }) => printer.line(&words(&arrival)),
        Line::Event(Event::Complained(complaint)) => {
            printer.line(&format!("WRONG: {}", harmless(&complaint.detail)));
        }
        Line::Event(
            Event::Sent { .. }
            | Event::Answered { .. }
            | Event::Unanswered { .. }
            | Event::Replying { .. }
            | Event::Queued { .. }
            | Event::Unqueued { .. },
        ) => {}
        Line::Skipped(skipped) => {
            printer.line(&format!("{} more came too fast to be told", count(skipped, "record")));
        }
    }
}

fn words(arrival: &Arrival) -> String {
    let kind = arrival.kind.trim_start_matches("wagate.").trim_end_matches(".v1");
    let again = if arrival.first { "" } else { "  (again)" };
    let said = [arrival.name.as_deref(), arrival.text.as_deref()].into_iter().flatten().map(harmless);
    let said = cut(&said.collect::<Vec<_>>().join(": "), TEXT);
    format!("{:020} {:<16} {said}{again}", arrival.sequence, harmless(kind))
}

fn summary(report: &CrmReport) -> String {
    let totals = &report.totals;
    let mut text = format!(
        "{} in {} (contacts, and accounts), by {} requests of which {} were refused; {} came again\n",
        count(totals.records, "record"),
        count(totals.lanes, "lane"),
        totals.deliveries,
        totals.refused,
        totals.taken - totals.records,
    );
    text.push_str(if report.clean {
        "Nothing was ever wrong.\n"
    } else {
        "Something was wrong, see above.\n"
    });
    text
}

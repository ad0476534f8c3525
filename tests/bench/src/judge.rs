//! Whether everything that was acknowledged arrived, and how long it took. A run that lost, mixed up
//! or invented something has no figures.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context as _;
use model::signature::standard_webhooks::SigningSecret;
use simulate::Histogram;

use crate::http::Message;
use crate::load::Sent;
use crate::server::CRM_SECRET;
use crate::sink::Seen;
use crate::work::Work;

/// What is promised of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Nobody was killed.
    Once,
    /// The server was killed: repeats are allowed, and records whose webhook got no answer.
    AtLeastOnce,
}

/// What was found out.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) repeats: u64,
    /// From when a webhook should have gone out to its records' arrival.
    pub(crate) journey: Histogram,
}

/// Compares what was sent, lane by lane, with what the CRM saw. Journeys count from `skipped` webhooks
/// of each lane on (the warm-up).
///
/// # Errors
/// When something acknowledged is missing, came twice, in disorder, badly signed, or from nowhere.
pub(crate) fn judge<'a>(
    work: &Work,
    sent: impl Iterator<Item = &'a [Sent]>,
    skipped: &[usize],
    seen: &Seen,
    promise: Promise,
    signed: bool,
) -> anyhow::Result<Verdict> {
    let mut verdict = Verdict::default();
    anyhow::ensure!(seen.strangers == 0, "{} records came that nobody had sent", seen.strangers);
    let mut first = vec![0_u64; work.items.len()];
    let mut last: HashMap<u32, u32> = HashMap::new();
    for (number, time) in &seen.arrivals {
        let slot = &mut first[*number as usize];
        if *slot > 0 {
            verdict.repeats += 1;
            continue;
        }
        *slot = *time;
        let item = work.items[*number as usize];
        let before = last.insert(item.contact, item.counter).unwrap_or_default();
        anyhow::ensure!(
            before < item.counter,
            "contact {}: item {} came after {before}",
            item.contact,
            item.counter
        );
    }
    anyhow::ensure!(
        promise == Promise::AtLeastOnce || verdict.repeats == 0,
        "{} records came twice",
        verdict.repeats
    );
    let mut known = 0_u64;
    for ((lane, sent), skipped) in work.lanes.iter().zip(sent).zip(skipped) {
        for (place, (webhook, sent)) in lane.webhooks.iter().zip(sent).enumerate() {
            for number in webhook.items.clone() {
                let arrived = first[number as usize];
                known += u64::from(arrived > 0);
                anyhow::ensure!(
                    sent.acked == 0 || arrived > 0,
                    "item {number} was acknowledged and never reached the CRM"
                );
                if place >= *skipped && arrived > 0 {
                    verdict.journey.record(Duration::from_nanos(arrived.saturating_sub(sent.due)));
                }
            }
        }
    }
    let distinct = first.iter().filter(|time| **time > 0).count() as u64;
    anyhow::ensure!(known == distinct, "{} records came of webhooks that never went out", distinct - known);
    if signed {
        let secret = SigningSecret::parse(CRM_SECRET)?;
        for delivery in &seen.kept {
            check_signature(&secret, delivery)?;
        }
    }
    Ok(verdict)
}

fn check_signature(secret: &SigningSecret, delivery: &[u8]) -> anyhow::Result<()> {
    let message = Message::parse(delivery).ok().flatten().context("a delivery that can't be read")?;
    let header = |name: &str| {
        let value = message.header(name.as_bytes()).with_context(|| format!("a delivery without {name}"))?;
        Ok::<_, anyhow::Error>(std::str::from_utf8(value)?)
    };
    let (id, time, signature) =
        (header("webhook-id")?, header("webhook-timestamp")?, header("webhook-signature")?);
    anyhow::ensure!(
        secret.verify(id, time.parse()?, message.body, signature),
        "a delivery is signed wrongly"
    );
    anyhow::ensure!(
        message.body.windows(id.len()).any(|part| part == id.as_bytes()),
        "a delivery doesn't hold the record that its head names"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One contact's records in `order`, all acknowledged.
    fn judged(order: &[u32], acked: u64, promise: Promise) -> anyhow::Result<Verdict> {
        let mut work = Work::single(3, 320)?;
        work.items.iter_mut().for_each(|item| item.contact = 7);
        work.items.iter_mut().zip(1..).for_each(|(item, counter)| item.counter = counter);
        let arrivals = order.iter().map(|number| (*number, 50)).collect();
        let sent = [Sent { due: 10, acked }];
        let lanes = work.lanes.iter().map(|_| &sent[..]);
        judge(&work, lanes, &[0; 32], &Seen { arrivals, ..Seen::default() }, promise, false)
    }

    #[test]
    fn a_loss_a_repeat_a_disorder_and_a_stranger_are_seen() {
        // The first webhook of each lane is item 0 to 31.
        let all: Vec<u32> = (0..32).collect();
        assert_eq!(judged(&all, 20, Promise::Once).unwrap().journey.count(), 32);
        assert!(judged(&all[1..], 20, Promise::AtLeastOnce).is_err());
        assert!(judged(&all[1..], 0, Promise::AtLeastOnce).is_ok());
        let twice: Vec<u32> = all.iter().copied().chain([5]).collect();
        assert!(judged(&twice, 20, Promise::Once).is_err());
        assert_eq!(judged(&twice, 20, Promise::AtLeastOnce).unwrap().repeats, 1);
        let mixed: Vec<u32> = all.iter().copied().rev().collect();
        assert!(judged(&mixed, 20, Promise::AtLeastOnce).is_err());
        let more: Vec<u32> = (0..33).collect();
        assert!(judged(&more, 20, Promise::Once).is_err());
    }
}

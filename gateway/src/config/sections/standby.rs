//! `[standby]`: the box whose webhook this one can take over.

use reqwest::Url;

use super::super::reader::Section;
use super::super::types::{Standby, Webhook};
use super::super::values::{self, Fault};
use super::roots::roots;

/// `Some(None)`: this box stands by for none.
pub(super) fn standby(section: &Section<'_>, webhook: Option<&Webhook>) -> Option<Option<Standby>> {
    let peer = section.read("peer", values::url);
    let ca = roots(section);
    let every = section.read("every", values::time);
    let silent_for = section.read("silent_for", values::time);
    let timeout = section.read("timeout", values::time);
    let take = section.read("take", values::flag);
    if let (Some(every), Some(silent_for)) = (every, silent_for)
        && silent_for < every * 2
    {
        let name = if section.has("silent_for") { "silent_for" } else { "every" };
        section.mistake(
            name,
            Fault::new(format!("silent_for is {silent_for:?}, which is less than twice every, {every:?}"))
                .help("one answer that is lost is no silence yet"),
        );
    }
    if !section.has("peer") {
        alone(section, take == Some(true));
    }
    if let (Some(webhook), Some(peer)) = (webhook, &peer) {
        together(section, webhook, peer, take == Some(true));
    }
    if section.has("peer") && peer.is_none() {
        return None;
    }
    let (ca, every, silent_for, timeout, take) = (ca?, every?, silent_for?, timeout?, take?);
    Some(peer.map(|peer| Standby { peer, ca, every, silent_for, timeout, take }))
}

/// Says what a table without a peer comes to.
fn alone(section: &Section<'_>, take: bool) {
    let help = "peer = \"https://other-box.example.com/webhook\"";
    if take {
        section
            .mistake("take", Fault::new("there is no `peer` whose webhook could be taken over").help(help));
    } else if let Some(name) =
        ["ca", "every", "silent_for", "timeout", "take"].into_iter().find(|name| section.has(name))
    {
        section.warn(name, Fault::new("without a `peer` this box stands by for none").help(help));
    }
}

/// What has to be true of the webhook.
fn together(section: &Section<'_>, webhook: &Webhook, peer: &Url, take: bool) {
    if webhook.public_url.as_ref() == Some(peer) {
        section.warn(
            "peer",
            Fault::new("this is the address of this box itself, which always hears itself")
                .help("an address that leads to the other box only"),
        );
    }
    if take && webhook.public_url.is_none() {
        section.mistake(
            "take",
            Fault::new(
                "this box can't take a webhook over: the address at which Meta would reach it isn't known",
            )
            .help("public_url = \"https://this-box.example.com/webhook\" in [webhook]"),
        );
    }
}

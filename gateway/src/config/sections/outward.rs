//! `[whatsapp]` and `[crm]`: endpoints, their health, and what goes to them.

use model::UserIdField;
use model::signature::standard_webhooks::SigningSecret;
use reqwest::Url;

use super::super::reader::Section;
use super::super::types::{
    Crm, CrmEndpoint, CrmKind, CrmMode, Health, Number, Uncertain, WhatsApp, WhatsAppEndpoint,
};
use super::super::values::{self, Fault};
use super::roots::roots;
use super::{header_secret, secrets};

pub(super) fn whatsapp(section: &Section<'_>, numbers: Option<&[Number]>) -> Option<WhatsApp> {
    let endpoints = endpoints(section, "meta", |entry, name, url| {
        let header = entry.read("header", values::header);
        let token = header_secret(entry, "token");
        let path = entry.read("path", values::number_url_path);
        let served = entry.read("numbers", values::texts);
        for id in served.iter().flatten() {
            if numbers.is_some_and(|numbers| !numbers.iter().any(|number| number.phone_number_id == *id)) {
                let message = format!("no entry of [[numbers]] has the phone_number_id {id:?}");
                entry.mistake("numbers", Fault::new(message));
            }
        }
        if !entry.has("token") && !is_loopback(&url) {
            let fault = Fault::new("messages are sent here without a token");
            entry.warn("url", fault.help("add token = \"file:graph_token\""));
        }
        let timeout = entry.read("timeout", values::time);
        let ca = roots(entry);
        let fields = [UserIdField::Recipient, UserIdField::To];
        let user_id_field = entry.read("user_id_field", values::choice).map(|choice| fields[choice]);
        Some(WhatsAppEndpoint {
            name,
            url,
            header,
            token,
            path: path?,
            numbers: served,
            timeout: timeout?,
            ca: ca?,
            user_id_field: user_id_field?,
        })
    });
    for (place, entry) in section.sections("endpoints").iter().enumerate() {
        no_backup(entry, place, endpoints.as_deref(), |earlier, own| {
            (&earlier.url, &earlier.path, &earlier.header) == (&own.url, &own.path, &own.header)
                && share_a_number(earlier, own)
        });
    }
    let health_section = section.section("health");
    let health = health(&health_section);
    if let Some(Health { slow, timeout, .. }) = health
        && timeout < slow
    {
        health_section.warn(
            if health_section.has("timeout") { "timeout" } else { "slow" },
            Fault::new(format!("timeout is {timeout:?}, which is less than slow, {slow:?}"))
                .help("a probe that isn't answered within timeout has failed, and none is ever slow"),
        );
    }
    let uncertain = uncertain(&section.section("uncertain"));
    Some(WhatsApp { endpoints: endpoints?, health: health?, uncertain: uncertain? })
}

/// Whether the two stand in one group: groups are kept per number.
fn share_a_number(one: &WhatsAppEndpoint, other: &WhatsAppEndpoint) -> bool {
    match (&one.numbers, &other.numbers) {
        (Some(ours), Some(theirs)) => ours.iter().any(|id| theirs.contains(id)),
        (None, _) | (_, None) => true,
    }
}

/// Warns when the endpoint at `place` is an earlier one once more, by the word of `same`.
fn no_backup<T>(entry: &Section<'_>, place: usize, all: Option<&[T]>, same: impl Fn(&T, &T) -> bool) {
    let Some(all) = all else { return };
    if let Some(earlier) = all[..place].iter().position(|earlier| same(earlier, &all[place])) {
        entry.warn(
            "url",
            Fault::new(format!("endpoints[{earlier}] leads to the same place: this is no backup"))
                .help("an endpoint that fails for other reasons than the first"),
        );
    }
}

fn uncertain(section: &Section<'_>) -> Option<Uncertain> {
    let [reply, service, campaign] =
        ["reply", "service", "campaign"].map(|name| section.read(name, values::word_or_time));
    Some(Uncertain { reply: reply?, service: service?, campaign: campaign? })
}

pub(super) fn crm(section: &Section<'_>) -> Option<Crm> {
    let kinds = [CrmKind::Http, CrmKind::Tryton];
    let kind = section.read("kind", values::choice).map(|choice| kinds[choice]);
    let mode = section.read("mode", values::choice).map(|choice| [CrmMode::Realtime, CrmMode::Batch][choice]);
    let batch_every = section.read("batch_every", values::time);
    let batch_size = section.read("batch_size", values::integer);
    let timeout = section.read("timeout", values::time);
    let signing_secret = match secrets(section, "signing_secret") {
        None if !section.has("signing_secret") => Some(Vec::new()),
        read => read,
    };
    for secret in signing_secret.iter().flatten() {
        if SigningSecret::parse(secret.expose()).is_err() {
            section.mistake(
                "signing_secret",
                Fault::new("what follows \"whsec_\" in this secret is not base 64")
                    .help("\"whsec_\" and base 64, or any other text as it is"),
            );
        }
    }
    let endpoints = endpoints(section, "primary", |entry, name, url| {
        let own = entry.read("timeout", values::time);
        let ca = roots(entry);
        let timeout = if entry.has("timeout") { own } else { timeout };
        Some(CrmEndpoint { name, url, timeout: timeout?, ca: ca? })
    });
    for (place, entry) in section.sections("endpoints").iter().enumerate() {
        no_backup(entry, place, endpoints.as_deref(), |earlier, own| earlier.url == own.url);
    }
    if !section.has("signing_secret") && endpoints.as_ref().is_some_and(|endpoints| !endpoints.is_empty()) {
        section.warn(
            "signing_secret",
            Fault::new("deliveries are unsigned: the CRM can't tell who sent them")
                .help("add signing_secret = \"file:crm_secret\" to [crm]"),
        );
    }
    let health_section = section.section("health");
    let health = health(&health_section);
    let health_path = health_section.read("path", values::fixed_url_path);
    Some(Crm {
        kind: kind?,
        mode: mode?,
        batch_every: batch_every?,
        batch_size: usize::try_from(batch_size?).ok()?,
        timeout: timeout?,
        signing_secret: signing_secret?,
        endpoints: endpoints?,
        health: health?,
        health_path,
    })
}

/// Reads what all endpoints have, and hands the rest of each to `more`.
fn endpoints<T>(
    section: &Section<'_>,
    first_name: &str,
    more: impl Fn(&Section<'_>, String, Url) -> Option<T>,
) -> Option<Vec<T>> {
    let mut names: Vec<Option<String>> = Vec::new();
    let mut endpoints = Vec::new();
    for (place, entry) in section.sections("endpoints").iter().enumerate() {
        let name = entry.read("name", values::text).unwrap_or_else(|| match place {
            0 => first_name.to_owned(),
            1 => "backup".to_owned(),
            _ => format!("backup-{place}"),
        });
        if let Some(earlier) = names.iter().position(|earlier| earlier.as_deref() == Some(&name)) {
            let message = format!("endpoints[{earlier}] is called {name:?} already");
            entry.mistake("name", Fault::new(message).help("names tell endpoints apart in logs and metrics"));
        }
        names.push(Some(name.clone()));
        let url = entry.read("url", values::url);
        if let Some(url) = url.as_ref().filter(|url| url.scheme() == "http" && !is_loopback(url)) {
            let host = url.host_str().unwrap_or_default();
            let message = format!("everything sent to {host} crosses the network in plain HTTP");
            entry.warn("url", Fault::new(message).help("https, where the other side can"));
        }
        // A missing address mustn't hide the mistakes in the rest of the entry.
        let stand_in = || Url::parse("http://127.0.0.1/").ok();
        let usable = url.is_some();
        let endpoint = url.or_else(stand_in).and_then(|url| more(entry, name, url));
        endpoints.push(endpoint.filter(|_| usable));
    }
    endpoints.into_iter().collect()
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let ip = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || ip.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn health(section: &Section<'_>) -> Option<Health> {
    let every = section.read("every", values::time);
    let recheck = section.read("recheck", values::time);
    let normal = section.read("normal", values::time);
    let slow = section.read("slow", values::time);
    let strikes = section.read("strikes", values::integer);
    let recover = section.read("recover", values::integer);
    let timeout = section.read("timeout", values::time);
    let (normal, slow) = (normal?, slow?);
    if slow < normal && section.has("slow") && section.has("normal") {
        section.mistake(
            "slow",
            Fault::new(format!("slow is {slow:?}, which is less than normal, {normal:?}"))
                .help("an answer between the two is neither good nor a strike"),
        );
    }
    // A default gives way to what is named.
    let (normal, slow) =
        if section.has("slow") { (normal.min(slow), slow) } else { (normal, slow.max(normal)) };
    Some(Health {
        every: every?,
        recheck: recheck?,
        normal,
        slow,
        strikes: u32::try_from(strikes?).ok()?,
        recover: u32::try_from(recover?).ok()?,
        timeout: timeout?,
    })
}

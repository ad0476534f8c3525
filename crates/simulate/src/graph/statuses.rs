//! Which statuses a message gets, when, and how a webhook tells them.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::behaviour::Statuses;
use super::refusal::Refusal;
use crate::whatsapp::Body;
use crate::{Item, Random, What};

/// The longest that a repetition comes after its first copy, in milliseconds.
const REPEATED_WITHIN_MS: u64 = 200;

/// What all statuses of one message have in common.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) number: String,
    pub(crate) wamid: String,
    pub(crate) outbox_id: Option<String>,
    /// `None` where only the user id is told.
    pub(crate) wa_id: Option<String>,
    pub(crate) user_id: String,
    /// The profile's, where it is known.
    pub(crate) name: Option<Arc<str>>,
    /// The store wrote to a phone.
    pub(crate) by_phone: bool,
    /// The person's place, for the live view.
    pub(crate) person: u32,
    /// `type` and `category` of the price.
    pub(crate) price: (&'static str, &'static str),
    /// Why it fails, where it does.
    pub(crate) fails: Option<Refusal>,
}

/// One status to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) word: &'static str,
    /// From the acceptance to the webhook, in milliseconds of real time.
    pub(crate) after_ms: u32,
    /// From the acceptance to when it happened.
    pub(crate) happens_ms: u32,
    /// The answer to the call waits for it.
    pub(crate) early: bool,
    /// It came before.
    pub(crate) repeat: bool,
}

/// The statuses of one message. A reaction is only ever sent.
pub(crate) fn plan(how: &Statuses, kind: &str, fails: bool, random: &mut Random) -> Vec<Planned> {
    let lost = random.percent(how.lost);
    let unread = random.percent(how.unread);
    let disorder = random.percent(how.disorder);
    let early = random.percent(how.early);
    if lost {
        return Vec::new();
    }
    let words: &[(&'static str, u32)] = match (fails, kind, unread) {
        (true, _, _) => &[("failed", how.sent_ms)],
        (_, "reaction", _) => &[("sent", how.sent_ms)],
        (_, _, true) => &[("sent", how.sent_ms), ("delivered", how.delivered_ms)],
        _ => &[("sent", how.sent_ms), ("delivered", how.delivered_ms), ("read", how.read_ms)],
    };
    let mut happens_ms = 0_u32;
    let mut planned: Vec<Planned> = words
        .iter()
        .map(|(word, delay)| {
            happens_ms = happens_ms.saturating_add(varied(*delay, random));
            Planned { word, after_ms: happens_ms, happens_ms, early: false, repeat: false }
        })
        .collect();
    if disorder && planned.len() > 1 {
        // What happened first is told last.
        let times: Vec<u32> = planned.iter().rev().map(|status| status.after_ms).collect();
        for (later, (status, after_ms)) in (0_u32..).zip(planned.iter_mut().zip(times).rev()) {
            // Where all have one and the same time, the order of telling would be that of happening.
            status.after_ms = after_ms.saturating_add(later);
        }
    }
    if early && let Some(first) = planned.iter_mut().min_by_key(|status| status.after_ms) {
        (first.after_ms, first.early) = (0, true);
    }
    for place in 0..planned.len() {
        if random.percent(how.duplicate) {
            let late = 1 + u32::try_from(random.below(REPEATED_WITHIN_MS)).unwrap_or_default();
            let status = planned[place];
            let after_ms = status.after_ms.saturating_add(late);
            planned.push(Planned { after_ms, early: false, repeat: true, ..status });
        }
    }
    planned
}

/// Half to one and a half of it.
fn varied(ms: u32, random: &mut Random) -> u32 {
    ms / 2 + u32::try_from(random.below(u64::from(ms) + 1)).unwrap_or_default()
}

/// One status that is told now.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    pub(crate) told: Arc<Told>,
    pub(crate) word: &'static str,
    /// When it happened, in milliseconds since 1970.
    pub(crate) at_ms: i64,
    pub(crate) repeat: bool,
    /// The running number of the status.
    pub(crate) counter: u32,
}

/// The account that webhooks come from.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) waba_id: String,
    pub(crate) display_phone_number: String,
}

/// A webhook with these statuses: a change for each number, with all of that number in it.
pub(crate) fn webhook(account: &Account, notices: &[Notice]) -> Body {
    let mut numbers: Vec<&str> = Vec::new();
    for notice in notices {
        if !numbers.contains(&notice.told.number.as_str()) {
            numbers.push(&notice.told.number);
        }
    }
    let changes: Vec<Value> = numbers
        .into_iter()
        .map(|number| {
            let held = || notices.iter().filter(move |notice| notice.told.number == number);
            let mut value = json!({
                "messaging_product": "whatsapp",
                "metadata": { "display_phone_number": account.display_phone_number, "phone_number_id": number },
                "statuses": held().map(status).collect::<Vec<_>>(),
            });
            let mut contacts: Vec<Value> = Vec::new();
            let mut named = std::collections::HashSet::new();
            for notice in held() {
                if notice.told.fails.is_none() && named.insert(&notice.told.user_id) {
                    contacts.push(contact(&notice.told));
                }
            }
            if !contacts.is_empty() {
                value["contacts"] = Value::from(contacts);
            }
            json!({ "value": value, "field": "messages" })
        })
        .collect();
    let body = json!({
        "object": "whatsapp_business_account",
        "entry": [{ "id": account.waba_id, "changes": changes }],
    });
    let nobody: Arc<str> = Arc::from("");
    let items: Vec<Item> = notices
        .iter()
        .map(|notice| Item {
            id: format!("{}:{}", notice.told.wamid, notice.word).into(),
            what: What::Status(notice.word),
            contact: notice.told.person,
            counter: notice.counter,
            name: Arc::clone(&nobody),
            text: "",
            repeat: notice.repeat,
        })
        .collect();
    let repeat = items.iter().all(|item| item.repeat);
    Body { bytes: body.to_string().into(), items: items.into(), repeat }
}

fn contact(told: &Told) -> Value {
    let mut contact = json!({ "user_id": told.user_id });
    if let Some(wa_id) = &told.wa_id {
        contact["wa_id"] = json!(wa_id);
    }
    if let Some(name) = &told.name {
        contact["profile"] = json!({ "name": &**name });
    }
    contact
}

fn status(notice: &Notice) -> Value {
    let told = &notice.told;
    let mut status = Map::new();
    let mut put = |key: &str, value: Value| drop(status.insert(key.to_owned(), value));
    put("id", json!(told.wamid));
    put("status", json!(notice.word));
    put("timestamp", json!(notice.at_ms.div_euclid(1_000).to_string()));
    if let Some(wa_id) = &told.wa_id {
        put("recipient_id", json!(wa_id));
    }
    // Meta leaves it out where a message to a phone fails.
    if told.fails.is_none() || !told.by_phone {
        put("recipient_user_id", json!(told.user_id));
    }
    if let Some(outbox_id) = &told.outbox_id {
        put("biz_opaque_callback_data", json!(outbox_id));
    }
    // The real one has it twice, too: whoever adds up costs must count each message once.
    if matches!(notice.word, "sent" | "delivered") {
        let (kind, category) = told.price;
        let price = json!({
            "billable": kind == "regular", "pricing_model": "PMP", "type": kind, "category": category,
        });
        put("pricing", price);
    }
    if let Some(refusal) = &told.fails {
        put("errors", refusal.in_status());
    }
    Value::Object(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(how: &Statuses, kind: &str, fails: bool) -> Vec<&'static str> {
        let mut planned = plan(how, kind, fails, &mut Random::new(1));
        planned.sort_by_key(|status| status.after_ms);
        planned.iter().map(|status| status.word).collect()
    }

    #[test]
    fn a_message_is_sent_delivered_and_read_and_a_reaction_only_sent() {
        assert_eq!(words(&Statuses::PLAIN, "text", false), ["sent", "delivered", "read"]);
        assert_eq!(words(&Statuses::PLAIN, "reaction", false), ["sent"]);
        assert_eq!(words(&Statuses::PLAIN, "text", true), ["failed"]);
        let unread = Statuses { unread: 100, ..Statuses::PLAIN };
        assert_eq!(words(&unread, "text", false), ["sent", "delivered"]);
        assert!(words(&Statuses { lost: 100, ..Statuses::PLAIN }, "text", false).is_empty());
    }

    #[test]
    fn disorder_turns_the_telling_and_leaves_the_times() {
        let how = Statuses { disorder: 100, sent_ms: 10, delivered_ms: 10, read_ms: 10, ..Statuses::PLAIN };
        for how in [how, Statuses { disorder: 100, ..Statuses::PLAIN }] {
            assert_eq!(words(&how, "text", false), ["read", "delivered", "sent"]);
            let planned = plan(&how, "text", false, &mut Random::new(1));
            assert!(planned.is_sorted_by_key(|status| status.happens_ms));
        }
    }

    #[test]
    fn early_and_repeated_ones_are_marked() {
        let how = Statuses { early: 100, duplicate: 100, delivered_ms: 50, ..Statuses::PLAIN };
        let planned = plan(&how, "text", false, &mut Random::new(1));
        let early: Vec<_> = planned.iter().filter(|status| status.early).collect();
        assert!(matches!(early[..], [Planned { word: "sent", after_ms: 0, repeat: false, .. }]));
        assert_eq!(planned.iter().filter(|status| status.repeat).count(), 3);
    }

    #[test]
    fn the_shares_are_met() {
        let (how, mut random) = (Statuses::default(), Random::new(9));
        let planned: Vec<_> = (0..2_000).map(|_| plan(&how, "text", false, &mut random)).collect();
        let count = |has: fn(&Planned) -> bool| {
            planned.iter().filter(|statuses| statuses.iter().any(has)).count() / 20
        };
        assert!((75..85).contains(&count(|status| status.word == "read")));
        assert!((3..8).contains(&count(|status| status.early)));
        assert!((8..20).contains(&count(|status| status.repeat)));
    }

    #[test]
    fn a_webhook_holds_what_the_box_goes_by() {
        let told = |fails| Told {
            number: "1".into(),
            wamid: "wamid.A".into(),
            outbox_id: Some("m-1".into()),
            wa_id: Some("12125550100".into()),
            user_id: "US.1".into(),
            name: None,
            by_phone: true,
            person: 0,
            price: ("regular", "utility"),
            fails,
        };
        let notice = |told: &Arc<Told>, word| Notice {
            told: Arc::clone(told),
            word,
            at_ms: 1_795_214_595_900,
            repeat: false,
            counter: 1,
        };
        let account = Account { waba_id: "9".into(), display_phone_number: "1555".into() };
        let (good, bad) = (Arc::new(told(None)), Arc::new(told(Some(Refusal::of(131_047)))));
        let body = webhook(&account, &[notice(&good, "sent"), notice(&bad, "failed"), notice(&good, "read")]);
        let json: Value = serde_json::from_slice(&body.bytes).unwrap();
        let value = &json["entry"][0]["changes"][0]["value"];
        assert_eq!(value["contacts"], json!([{ "user_id": "US.1", "wa_id": "12125550100" }]));
        let [sent, failed, read] = [0, 1, 2].map(|place| &value["statuses"][place]);
        assert_eq!(sent["biz_opaque_callback_data"], "m-1");
        assert_eq!(
            (&sent["timestamp"], &sent["pricing"]["category"]),
            (&json!("1795214595"), &json!("utility"))
        );
        assert_eq!((&failed["errors"][0]["code"], failed.get("recipient_user_id")), (&json!(131_047), None));
        assert!(read.get("pricing").is_none() && failed.get("pricing").is_none());
        assert_eq!(&*body.items[0].id, "wamid.A:sent");
    }
}
